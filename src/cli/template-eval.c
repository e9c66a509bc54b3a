/* The evaluator of --format templates: nodes and a JSON value into text. */
#include "cli/template-private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

struct variable {
	const char *name;
	json_t *value;
};

struct run {
	const struct template *t;
	const json_t *methods;
	struct buf *out;
	struct variable *vars;
	size_t vars_len;
	struct err *e;
};

/* A value: a new reference, or NULL with the key that was not there. */
struct value {
	json_t *v;
	const char *missing;
	const struct expr *at;
};

static int fail_at(struct run *s, const struct expr *x, const char *text)
{
	const char *source = s->t->source;
	size_t line = 1, column = 0;

	for (size_t i = 0; i < x->start; i++) {
		column++;
		if (source[i] == '\n') {
			line++;
			column = 0;
		}
	}
	return err_set(s->e, EINVAL, "template: :%zu:%zu: executing \"\" at <%.*s>: %s", line, column,
		(int)(x->end - x->start), source + x->start, text);
}

static int fail_missing(struct run *s, const struct value *v)
{
	_cleanup_free_ char *text = str_fmt("map has no entry for key \"%s\"", v->missing);

	return text ? fail_at(s, v->at, text) : err_nomem(s->e);
}

static int push_variable(struct run *s, const char *name, json_t *value)
{
	struct variable *more = reallocarray(s->vars, s->vars_len + 1, sizeof(*more));

	if (!more)
		return err_nomem(s->e);
	s->vars = more;
	more[s->vars_len++] = (struct variable){name, json_incref(value)};
	return 0;
}

static void pop_variables(struct run *s, size_t len)
{
	while (s->vars_len > len)
		json_decref(s->vars[--s->vars_len].value);
}

static struct variable *find_variable(struct run *s, const char *name)
{
	for (size_t i = s->vars_len; i > 0; i--)
		if (!strcmp(s->vars[i - 1].name, name))
			return &s->vars[i - 1];
	return NULL;
}

/* Go's names of fields differ in case from those of the API, ID from Id: templates may use either. */
static json_t *find_field(const json_t *object, const char *name)
{
	json_t *field = json_object_get(object, name), *member;
	const char *key;

	if (field || !isupper((unsigned char)*name))
		return field;
	json_object_foreach((json_t *)object, key, member)
		if (!strcasecmp(key, name))
			return member;
	return NULL;
}

/* One field of *v, which is replaced. */
static int step(struct run *s, const struct expr *x, const char *name, struct value *v)
{
	json_t *field = find_field(v->v, name);

	if (!v->v)
		return 0; /* below something missing is missing */
	if (!json_is_object(v->v) && !json_is_null(v->v)) {
		_cleanup_free_ char *text = str_fmt("can't evaluate field %s", name);
		return text ? fail_at(s, x, text) : err_nomem(s->e);
	}
	if (!field && (json_is_null(v->v) || isupper((unsigned char)*name))) {
		json_decref(v->v);
		*v = (struct value){NULL, name, x};
		return 0;
	}
	field = field ? json_incref(field) : json_null();
	json_decref(v->v);
	v->v = field;
	return 0;
}

static int eval_pipe(struct run *s, const struct pipe *p, json_t *dot, struct value *ret);

static int eval_operand(struct run *s, const struct expr *x, json_t *dot, struct value *ret)
{
	struct variable *var;
	_cleanup_free_ char *text = NULL;
	int r = 0;

	*ret = (struct value){.at = x};
	switch (x->kind) {
	case EXPR_DOT:
		ret->v = json_incref(dot);
		break;
	case EXPR_LITERAL:
		ret->v = json_incref(x->literal);
		break;
	case EXPR_VARIABLE:
		var = find_variable(s, x->name);
		text = var ? NULL : str_fmt("undefined variable \"$%s\"", x->name);
		if (!var)
			return text ? fail_at(s, x, text) : err_nomem(s->e);
		ret->v = json_incref(var->value);
		break;
	case EXPR_PIPE:
		r = eval_pipe(s, x->pipe, dot, ret);
		break;
	case EXPR_FUNCTION:
		return fail_at(s, x, "a function's result needs parentheses");
	}
	strv_foreach(name, x->fields) {
		if (r == 0)
			r = step(s, x, name, ret);
	}
	if (r < 0) {
		json_decref(ret->v);
		ret->v = NULL;
	}
	return r;
}

static void values_done(json_t **args, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_decref(args[i]);
	free(args);
}

/* and, or: the first argument that decides, or the last; not: the opposite of its one. `last` (may be NULL)
 * is the piped value. */
static int eval_logic(struct run *s, const struct call *c, json_t *dot, const struct value *last, struct value *ret)
{
	const char *name = c->args[0].name;
	bool is_and = !strcmp(name, "and"), is_not = !strcmp(name, "not");
	size_t n = c->n - 1 + (last != NULL);

	if (!n || (is_not && n != 1))
		return fail_at(s, &c->args[0], "wrong number of args for a logic function");
	*ret = (struct value){0};
	for (size_t i = 0; i < n; i++) {
		json_decref(ret->v);
		if (i + 1 < c->n) {
			int r = eval_operand(s, &c->args[i + 1], dot, ret);
			if (r < 0)
				return r;
		} else {
			*ret = *last;
			json_incref(ret->v);
		}
		if (!is_not && template_truth(ret->v) != is_and)
			break;
	}
	if (is_not) {
		bool v = template_truth(ret->v);
		json_decref(ret->v);
		ret->v = json_boolean(!v);
	}
	return 0;
}

/* The arguments of a call as values; what is missing is an error here. */
static int eval_args(
	struct run *s, const struct call *c, json_t *dot, const struct value *last, json_t ***ret, size_t *ret_n)
{
	json_t **args = calloc(c->n + 1, sizeof(*args));
	size_t n = 0;
	int r = args ? 0 : err_nomem(s->e);

	for (size_t i = 1; r == 0 && i < c->n; i++) {
		struct value v;
		r = eval_operand(s, &c->args[i], dot, &v);
		if (r == 0 && !v.v)
			r = fail_missing(s, &v);
		if (r == 0)
			args[n++] = v.v;
	}
	if (r == 0 && last && !last->v)
		r = fail_missing(s, last);
	if (r == 0 && last)
		args[n++] = json_incref(last->v);
	if (r) {
		values_done(args, n);
		return r;
	}
	*ret = args;
	*ret_n = n;
	return 0;
}

static int eval_function(struct run *s, const struct call *c, json_t *dot, const struct value *last, struct value *ret)
{
	const struct expr *x = &c->args[0];
	const struct template_function *f = template_function(x->name);
	struct err why = ERR_INIT;
	json_t **args;
	size_t n;
	int r;

	if (!f->call)
		return eval_logic(s, c, dot, last, ret);
	*ret = (struct value){.at = x};
	r = eval_args(s, c, dot, last, &args, &n);
	if (r)
		return r;
	if (n < (size_t)f->min || (f->max >= 0 && n > (size_t)f->max))
		r = err_set(&why, EINVAL, "wrong number of args for %s: got %zu", f->name, n);
	else
		r = f->call(args, n, &ret->v, &why);
	values_done(args, n);
	if (r == 0)
		return ret->v ? 0 : err_nomem(s->e);
	return r == -ENOMEM ? err_nomem(s->e) : fail_at(s, x, why.msg);
}

/* {{.Label "key"}}: a method of the listing commands' rows. One that is `true` gives back its key: a table's
 * header. */
static int eval_method(struct run *s, const struct call *c, struct value *ret)
{
	const struct expr *x = &c->args[0];
	const json_t *method =
		x->kind == EXPR_DOT && strv_len(x->fields) == 1 ? json_object_get(s->methods, x->fields[0]) : NULL;
	const char *key = c->n == 2 ? json_string_value(c->args[1].literal) : NULL;

	if (!method || !key)
		return fail_at(s, x, "can't give arguments to a field");
	json_t *v = json_is_true(method) ? c->args[1].literal : json_object_get(method, key);
	*ret = (struct value){.v = v ? json_incref(v) : json_string("")};
	return ret->v ? 0 : err_nomem(s->e);
}

static int eval_call(struct run *s, const struct call *c, json_t *dot, const struct value *last, struct value *ret)
{
	if (c->args[0].kind == EXPR_FUNCTION)
		return eval_function(s, c, dot, last, ret);
	if (c->n > 1)
		return eval_method(s, c, ret);
	return eval_operand(s, &c->args[0], dot, ret);
}

/* The value of the calls, each getting the one before as its last argument. */
static int eval_pipe(struct run *s, const struct pipe *p, json_t *dot, struct value *ret)
{
	struct value v = {0};

	for (size_t i = 0; i < p->n; i++) {
		struct value next;
		int r = eval_call(s, &p->calls[i], dot, i ? &v : NULL, &next);
		json_decref(v.v);
		if (r < 0)
			return r;
		v = next;
	}
	*ret = v;
	return 0;
}

static int run_nodes(struct run *s, const struct node *n, json_t *dot);

/*
 * What is null in JSON is a nil list, map or pointer in docker, which Go prints as such. JSON does not tell which: a field's name does.
 */
static const char *nil_text(const struct pipe *p)
{
	static const char *const maps[] = {"Annotations", "Containers", "DriverOpts", "ExposedPorts", "Labels",
		"Networks", "Options", "PortBindings", "Ports", "StorageOpt", "Sysctls", "Tmpfs", "Volumes", NULL};
	static const char *const lists[] = {"Aliases", "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps",
		"BlkioDeviceWriteBps", "BlkioDeviceWriteIOps", "BlkioWeightDevice", "CapAdd", "CapDrop", "Cmd",
		"DeviceCgroupRules", "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env",
		"ExecIDs", "ExtraHosts", "GroupAdd", "Links", "MaskedPaths", "Mounts", "OnBuild", "ReadonlyPaths",
		"SecurityOpt", "Shell", "Ulimits", "VolumesFrom", NULL};
	static const char *const pointers[] = {"Health", "Healthcheck", "IPAMConfig", "Init", "MemorySwappiness",
		"OomKillDisable", "PidsLimit", "StopTimeout", NULL};
	char *const *fields = p->n == 1 && p->calls[0].n == 1 ? p->calls[0].args[0].fields : NULL;
	size_t n = strv_len(fields);
	const char *name = n ? fields[n - 1] : "";

	return str_in(name, maps)        ? "map[]"
		: str_in(name, lists)    ? "[]"
		: str_in(name, pointers) ? "<nil>"
					 : "<no value>";
}

static int print_value(struct run *s, const struct pipe *p, const json_t *value)
{
	int r = json_is_null(value) ? buf_adds(s->out, nil_text(p)) : template_print(s->out, value);

	return r < 0 ? err_nomem(s->e) : 0;
}

static int run_action(struct run *s, const struct node *n, json_t *dot)
{
	const struct pipe *p = n->pipe;
	struct value v;
	int r = eval_pipe(s, p, dot, &v);

	if (r < 0)
		return r;
	_cleanup_json_ json_t *value = v.v;
	if (!value)
		return fail_missing(s, &v);
	if (!p->vars_len)
		return print_value(s, p, value);
	if (!p->assign)
		return push_variable(s, p->vars[0], value);
	struct variable *var = find_variable(s, p->vars[0]);
	if (!var)
		return fail_at(s, &p->calls[0].args[0], "the variable is not defined");
	json_decref(var->value);
	var->value = json_incref(value);
	return 0;
}

static int run_condition(struct run *s, const struct node *n, json_t *dot)
{
	struct value v;
	size_t vars = s->vars_len;
	int r = eval_pipe(s, n->pipe, dot, &v);

	if (r < 0)
		return r;
	_cleanup_json_ json_t *value = v.v;
	bool truth = template_truth(value);
	if (n->pipe->vars_len && value)
		r = push_variable(s, n->pipe->vars[0], value);
	if (r == 0)
		r = run_nodes(s, truth ? n->body : n->otherwise, truth && n->kind == NODE_WITH ? value : dot);
	pop_variables(s, vars);
	return r;
}

static int run_element(struct run *s, const struct node *n, json_t *key, json_t *element)
{
	const struct pipe *p = n->pipe;
	size_t vars = s->vars_len;
	int r = 0;

	if (p->vars_len == 2)
		r = push_variable(s, p->vars[0], key);
	if (r == 0 && p->vars_len)
		r = push_variable(s, p->vars[p->vars_len - 1], element);
	if (r == 0)
		r = run_nodes(s, n->body, element);
	pop_variables(s, vars);
	return r;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Go goes through maps in the order of their keys. */
static int run_object(struct run *s, const struct node *n, json_t *o)
{
	_cleanup_free_ const char **names = calloc(json_object_size(o) + 1, sizeof(*names));
	const char *name;
	json_t *member;
	size_t count = 0;
	int r = names ? 0 : err_nomem(s->e);

	json_object_foreach(o, name, member) {
		if (names)
			names[count++] = name;
	}
	if (names)
		qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; r == 0 && i < count; i++) {
		_cleanup_json_ json_t *key = json_string(names[i]);
		r = key ? run_element(s, n, key, json_object_get(o, names[i])) : err_nomem(s->e);
	}
	return r;
}

static int run_array(struct run *s, const struct node *n, json_t *a)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(a); i++) {
		_cleanup_json_ json_t *key = json_integer((json_int_t)i);
		r = key ? run_element(s, n, key, json_array_get(a, i)) : err_nomem(s->e);
	}
	return r;
}

static int run_range(struct run *s, const struct node *n, json_t *dot)
{
	struct value v;
	int r = eval_pipe(s, n->pipe, dot, &v);

	if (r < 0)
		return r;
	_cleanup_json_ json_t *value = v.v;
	if (!template_truth(value) && !json_is_number(value))
		return run_nodes(s, n->otherwise, dot);
	if (json_is_object(value))
		return run_object(s, n, value);
	if (json_is_array(value))
		return run_array(s, n, value);
	return fail_at(s, &n->pipe->calls[0].args[0], "range can't iterate over it");
}

static int run_nodes(struct run *s, const struct node *n, json_t *dot)
{
	size_t vars = s->vars_len;
	int r = 0;

	for (; n && r == 0; n = n->next) {
		switch (n->kind) {
		case NODE_TEXT:
			r = buf_add(s->out, n->text, n->len) < 0 ? err_nomem(s->e) : 0;
			break;
		case NODE_ACTION:
			r = run_action(s, n, dot);
			break;
		case NODE_IF:
		case NODE_WITH:
			r = run_condition(s, n, dot);
			break;
		case NODE_RANGE:
			r = run_range(s, n, dot);
			break;
		}
	}
	pop_variables(s, vars);
	return r;
}

int template_run(const struct template *t, const json_t *data, const json_t *methods, struct buf *out, struct err *e)
{
	struct run s = {.t = t, .methods = methods, .out = out, .e = e};
	json_t *root = json_incref((json_t *)data);
	int r = push_variable(&s, "", root);

	if (r == 0)
		r = run_nodes(&s, t->nodes, root);
	pop_variables(&s, 0);
	free(s.vars);
	json_decref(root);
	return r;
}
