/* The parser of --format templates: text into nodes, by recursive descent. The depth of blocks and
 * parentheses is bounded. */
#include "cli/template-private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { DEPTH_MAX = 50, LENGTH_MAX = 64 * 1024 };

struct parser {
	const char *text, *p;
	const char *end;  /* of the action that is read */
	const char *next; /* behind that action and the space it trims */
	int depth;
	struct err *e;
};

static void pipe_free(struct pipe *p);

static void expr_done(struct expr *x)
{
	free(x->name);
	json_decref(x->literal);
	pipe_free(x->pipe);
	strv_free(x->fields);
}

static void pipe_free(struct pipe *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->calls[i].n; k++)
			expr_done(&p->calls[i].args[k]);
		free(p->calls[i].args);
	}
	free(p->calls);
	free(p->vars[0]);
	free(p->vars[1]);
	free(p);
}

static void nodes_free(struct node *n)
{
	while (n) {
		struct node *next = n->next;
		free(n->text);
		pipe_free(n->pipe);
		nodes_free(n->body);
		nodes_free(n->otherwise);
		free(n);
		n = next;
	}
}

void template_free(struct template *t)
{
	if (!t)
		return;
	nodes_free(t->nodes);
	free(t->source);
	free(t);
}

static int fail(struct parser *s, const char *text)
{
	int line = 1;

	for (const char *c = s->text; c < s->p; c++)
		line += *c == '\n';
	return err_set(s->e, EINVAL, "template: :%d: %s", line, text);
}

static int fail_near(struct parser *s, const char *text)
{
	_cleanup_free_ char *all =
		str_fmt("%s \"%.*s\" in command", text, (int)(s->end - s->p < 20 ? s->end - s->p : 20), s->p);

	return all ? fail(s, all) : err_nomem(s->e);
}

static void skip_spaces(struct parser *s)
{
	while (s->p < s->end && isspace((unsigned char)*s->p))
		s->p++;
}

static bool accept(struct parser *s, const char *token)
{
	size_t n = strlen(token);

	if ((size_t)(s->end - s->p) < n || strncmp(s->p, token, n))
		return false;
	s->p += n;
	return true;
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* A name of letters, digits and '_'; NULL: no memory. */
static char *take_word(struct parser *s)
{
	const char *start = s->p;

	while (s->p < s->end && word_char(*s->p))
		s->p++;
	return strndup(start, (size_t)(s->p - start));
}

static int take_fields(struct parser *s, struct expr *x)
{
	while (s->end - s->p > 1 && *s->p == '.' && word_char(s->p[1])) {
		s->p++;
		_cleanup_free_ char *name = take_word(s);
		if (!name || strv_push(&x->fields, name) < 0)
			return err_nomem(s->e);
	}
	return 0;
}

/* The character behind a backslash; 0: not one of Go's simple escapes. */
static char escape_char(char c)
{
	static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
	const char *p = strchr(from, c);

	return c && p ? to[p - from] : 0;
}

static int take_string(struct parser *s, struct expr *x)
{
	_cleanup_buf_ struct buf b = {0};
	char quote = *s->p++;

	for (;; s->p++) {
		char c = *s->p;
		if (s->p >= s->end || (quote == '"' && c == '\n'))
			return fail(s, "unterminated quoted string");
		if (c == quote)
			break;
		if (quote == '"' && c == '\\') {
			c = escape_char(*++s->p);
			if (!c)
				return fail(s, "bad escape in a quoted string");
		}
		if (buf_add(&b, &c, 1) < 0)
			return err_nomem(s->e);
	}
	s->p++;
	x->kind = EXPR_LITERAL;
	x->literal = json_from_str(b.data ? b.data : "");
	return x->literal ? 0 : err_nomem(s->e);
}

static int take_number(struct parser *s, struct expr *x)
{
	char digits[40];
	size_t n = strspn(s->p, "+-0123456789.eE_xabcdfABCDF");
	char *end;

	if (n >= sizeof(digits) || n > (size_t)(s->end - s->p))
		return fail_near(s, "bad number syntax:");
	memcpy(digits, s->p, n);
	digits[n] = 0;
	errno = 0;
	json_int_t i = strtoll(digits, &end, 0);
	if (!*end && !errno) {
		x->literal = json_integer(i);
	} else {
		double d = strtod(digits, &end);
		if (*end)
			return fail_near(s, "bad number syntax:");
		x->literal = json_real(d);
	}
	x->kind = EXPR_LITERAL;
	s->p += n;
	return x->literal ? 0 : err_nomem(s->e);
}

static int take_name(struct parser *s, struct expr *x)
{
	static const struct {
		const char *name;
		json_t *(*make)(void);
	} constants[] = {{"true", json_true}, {"false", json_false}, {"nil", json_null}};

	x->name = take_word(s);
	if (!x->name)
		return err_nomem(s->e);
	for (size_t i = 0; i < sizeof(constants) / sizeof(*constants); i++)
		if (!strcmp(x->name, constants[i].name)) {
			x->kind = EXPR_LITERAL;
			x->literal = constants[i].make();
			return 0;
		}
	x->kind = EXPR_FUNCTION;
	if (template_function(x->name))
		return 0;
	_cleanup_free_ char *text = str_fmt("function \"%s\" not defined", x->name);
	return text ? fail(s, text) : err_nomem(s->e);
}

static int parse_pipe(struct parser *s, struct pipe **ret);

static int take_parenthesis(struct parser *s, struct expr *x)
{
	if (++s->depth > DEPTH_MAX)
		return fail(s, "nested too deeply");
	s->p++;
	x->kind = EXPR_PIPE;
	int r = parse_pipe(s, &x->pipe);
	if (r < 0)
		return r;
	s->depth--;
	return accept(s, ")") ? 0 : fail(s, "unclosed left paren");
}

static int parse_operand(struct parser *s, struct expr *x)
{
	char c = *s->p;
	bool digit_follows = s->end - s->p > 1 && isdigit((unsigned char)s->p[1]);
	int r = 0;

	x->start = (size_t)(s->p - s->text);
	if (c == '"' || c == '`') {
		r = take_string(s, x);
	} else if (isdigit((unsigned char)c) || ((c == '-' || c == '+') && digit_follows)) {
		r = take_number(s, x);
	} else if (c == '(') {
		r = take_parenthesis(s, x);
	} else if (c == '$') {
		s->p++;
		x->kind = EXPR_VARIABLE;
		x->name = take_word(s);
		r = x->name ? 0 : err_nomem(s->e);
	} else if (c == '.') {
		x->kind = EXPR_DOT;
		if (s->end - s->p == 1 || !word_char(s->p[1]))
			s->p++;
	} else if (word_char(c)) {
		r = take_name(s, x);
	} else {
		r = fail_near(s, "unexpected");
	}
	if (r < 0)
		return r;
	r = take_fields(s, x);
	x->end = (size_t)(s->p - s->text);
	return r;
}

static bool at_end_of_call(const struct parser *s)
{
	return s->p >= s->end || *s->p == '|' || *s->p == ')';
}

static int parse_call(struct parser *s, struct call *c)
{
	for (skip_spaces(s); !at_end_of_call(s); skip_spaces(s)) {
		struct expr *more = reallocarray(c->args, c->n + 1, sizeof(*more));
		if (!more)
			return err_nomem(s->e);
		c->args = more;
		more[c->n] = (struct expr){0};
		int r = parse_operand(s, &more[c->n++]);
		if (r < 0)
			return r;
		if (!at_end_of_call(s) && !isspace((unsigned char)*s->p))
			return fail_near(s, "unexpected");
	}
	if (!c->n)
		return fail(s, "missing value for command");
	if (c->n > 1 && c->args[0].kind != EXPR_FUNCTION && !c->args[0].fields)
		return fail(s, "can't give argument to non-function");
	return 0;
}

/* "$a :=", "$a, $b :=", "$a =": if it is one, takes it. */
static int parse_declaration(struct parser *s, struct pipe *p)
{
	const char *start = s->p;

	while (*s->p == '$' && p->vars_len < 2) {
		s->p++;
		p->vars[p->vars_len] = take_word(s);
		if (!p->vars[p->vars_len++])
			return err_nomem(s->e);
		skip_spaces(s);
		if (accept(s, ":="))
			return 0;
		p->assign = p->vars_len == 1 && accept(s, "=");
		if (p->assign)
			return 0;
		if (!accept(s, ","))
			break;
		skip_spaces(s);
	}
	while (p->vars_len) {
		free(p->vars[--p->vars_len]);
		p->vars[p->vars_len] = NULL;
	}
	s->p = start;
	return 0;
}

static int parse_pipe(struct parser *s, struct pipe **ret)
{
	struct pipe *p = *ret = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(s->e);
	skip_spaces(s);
	int r = parse_declaration(s, p);
	if (r < 0)
		return r;
	do {
		struct call *more = reallocarray(p->calls, p->n + 1, sizeof(*more));
		if (!more)
			return err_nomem(s->e);
		p->calls = more;
		more[p->n] = (struct call){0};
		r = parse_call(s, &more[p->n++]);
		if (r < 0)
			return r;
		if (p->n > 1 && more[p->n - 1].args[0].kind != EXPR_FUNCTION)
			return fail(s, "non executable command in pipeline");
	} while (accept(s, "|"));
	return 0;
}

/* Where the action ends that starts at s->p: its "}}", strings skipped. NULL: nowhere. */
static const char *find_close(const struct parser *s)
{
	char quote = 0;

	for (const char *c = s->p; *c; c++) {
		if (quote == '"' && *c == '\\' && c[1])
			c++;
		else if (quote)
			quote = *c == quote ? 0 : quote;
		else if (*c == '"' || *c == '`')
			quote = *c;
		else if (c[0] == '}' && c[1] == '}')
			return c;
	}
	return NULL;
}

/* The text up to the next action; an empty one gives no node. */
static int parse_text(struct parser *s, struct node ***tail)
{
	const char *open = strstr(s->p, "{{");
	const char *stop = open ? open : s->p + strlen(s->p);
	const char *next = stop;

	if (open && open[2] == '-' && isspace((unsigned char)open[3]))
		while (stop > s->p && isspace((unsigned char)stop[-1]))
			stop--;
	if (stop > s->p) {
		struct node *n = **tail = calloc(1, sizeof(*n));
		if (!n)
			return err_nomem(s->e);
		*tail = &n->next;
		n->len = (size_t)(stop - s->p);
		n->text = strndup(s->p, n->len);
		if (!n->text)
			return err_nomem(s->e);
	}
	s->p = next;
	return 0;
}

/* Enters the action at s->p: sets s->end and s->next. */
static int open_action(struct parser *s)
{
	s->p += 2;
	if (*s->p == '-' && isspace((unsigned char)s->p[1]))
		s->p++;
	while (isspace((unsigned char)*s->p))
		s->p++;
	const char *close = str_starts(s->p, "/*") ? strstr(s->p, "*/") : find_close(s);
	if (close && *close == '*') {
		const char *after = close + 2;
		after += *after == ' ' && after[1] == '-' ? 2 : 0;
		close = str_starts(after, "}}") ? after : NULL;
	}
	if (!close)
		return fail(s, str_starts(s->p, "/*") ? "unclosed comment" : "unclosed action");
	const char *next = close + 2;
	if (close - s->p > 1 && close[-1] == '-' && isspace((unsigned char)close[-2])) {
		close--;
		while (isspace((unsigned char)*next))
			next++;
	}
	s->end = close;
	s->next = next;
	return 0;
}

/* Takes a keyword if it stands at s->p as a whole word. */
static bool keyword(struct parser *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || strncmp(s->p, word, n) || (s->p + n < s->end && word_char(s->p[n])))
		return false;
	s->p += n;
	return true;
}

enum stop { STOP_TEXT, STOP_END, STOP_ELSE };

static int parse_list(struct parser *s, struct node **tail, enum stop *ret_stop);

static int end_of_action(struct parser *s)
{
	skip_spaces(s);
	if (s->p < s->end)
		return fail_near(s, "unexpected");
	s->p = s->next;
	return 0;
}

static int parse_block(struct parser *s, struct node *n);

/* Behind the word else. For "else if" the rest is an if of its own, which takes the {{end}}. */
static int parse_else(struct parser *s, struct node *n)
{
	bool is_if = keyword(s, "if"), is_with = !is_if && keyword(s, "with");
	enum stop stop;
	int r;

	if (is_if || is_with) {
		n->otherwise = calloc(1, sizeof(*n));
		if (!n->otherwise)
			return err_nomem(s->e);
		n->otherwise->kind = is_if ? NODE_IF : NODE_WITH;
		return parse_block(s, n->otherwise);
	}
	r = end_of_action(s);
	if (r == 0)
		r = parse_list(s, &n->otherwise, &stop);
	if (r == 0 && stop == STOP_ELSE)
		r = fail(s, "expected end; found {{else}}");
	return r;
}

/* The pipeline of an if, range or with, and its lists up to {{end}}. */
static int parse_block(struct parser *s, struct node *n)
{
	enum stop stop;
	int r;

	if (++s->depth > DEPTH_MAX)
		return fail(s, "nested too deeply");
	r = parse_pipe(s, &n->pipe);
	if (r == 0)
		r = end_of_action(s);
	if (r == 0)
		r = parse_list(s, &n->body, &stop);
	if (r == 0 && stop == STOP_ELSE)
		r = parse_else(s, n);
	s->depth--;
	return r;
}

/* One action. STOP_TEXT: it is read whole; STOP_END: it was {{end}}; STOP_ELSE: s->p is behind the word else.
 */
static int parse_action(struct parser *s, struct node ***tail, enum stop *ret_stop)
{
	int r = open_action(s);

	if (r < 0)
		return r;
	*ret_stop = STOP_TEXT;
	if (str_starts(s->p, "/*")) {
		s->p = s->next;
		return 0;
	}
	if (keyword(s, "end")) {
		*ret_stop = STOP_END;
		return end_of_action(s);
	}
	if (keyword(s, "else")) {
		*ret_stop = STOP_ELSE;
		skip_spaces(s);
		return 0;
	}
	struct node *n = **tail = calloc(1, sizeof(*n));
	if (!n)
		return err_nomem(s->e);
	*tail = &n->next;
	n->kind = keyword(s, "if")    ? NODE_IF
		: keyword(s, "range") ? NODE_RANGE
		: keyword(s, "with")  ? NODE_WITH
				      : NODE_ACTION;
	if (n->kind != NODE_ACTION)
		return parse_block(s, n);
	r = parse_pipe(s, &n->pipe);
	return r < 0 ? r : end_of_action(s);
}

/* Nodes up to {{end}} or {{else}}, or the end of the text, which is an error inside a block. */
static int parse_list(struct parser *s, struct node **tail, enum stop *ret_stop)
{
	for (;;) {
		int r = parse_text(s, &tail);
		if (r < 0)
			return r;
		if (!*s->p)
			break;
		r = parse_action(s, &tail, ret_stop);
		if (r < 0 || *ret_stop != STOP_TEXT)
			return r;
	}
	*ret_stop = STOP_TEXT;
	return s->depth ? fail(s, "unexpected EOF") : 0;
}

int template_parse(const char *text, struct template **ret, struct err *e)
{
	_cleanup_template_ struct template *t = calloc(1, sizeof(*t));
	enum stop stop;

	if (!t || !(t->source = strdup(text)))
		return err_nomem(e);
	if (strlen(text) > LENGTH_MAX)
		return err_set(e, EINVAL, "template: longer than %d bytes", LENGTH_MAX);
	struct parser s = {.text = t->source, .p = t->source, .end = t->source, .e = e};
	int r = parse_list(&s, &t->nodes, &stop);
	if (r < 0)
		return r;
	if (stop != STOP_TEXT)
		return fail(&s, stop == STOP_END ? "unexpected {{end}}" : "unexpected {{else}}");
	*ret = steal_ptr(t);
	return 0;
}
