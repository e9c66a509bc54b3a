/* The command line against a table of options, by pflag's rules. */
#include "cli/opt.h"

#include <errno.h>
#include <string.h>

#define HELP_NAME "help"

static const struct opt *find_long(const struct opts *p, const char *name, size_t n)
{
	for (size_t i = 0; i < OPT_TABLES && p->tables[i]; i++)
		for (const struct opt *o = p->tables[i]; o->name; o++)
			if (!strncmp(o->name, name, n) && !o->name[n])
				return o;
	return NULL;
}

static const struct opt *find_letter(const struct opts *p, char c)
{
	for (size_t i = 0; i < OPT_TABLES && p->tables[i]; i++)
		for (const struct opt *o = p->tables[i]; o->name; o++)
			if (o->letter == c)
				return o;
	return NULL;
}

static bool is_flag(const struct opt *o)
{
	return !*o->type->arg;
}

static int set_value(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	struct err why = ERR_INIT;
	char letter[5] = "";

	if (o->refused)
		return err_set(e, EINVAL, "--%s is not supported by caisson: %s", o->name, o->refused);
	int r = o->type->set(p, o, value, &why);
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return err_nomem(e);
	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	return err_set(e, EINVAL, "invalid argument \"%s\" for \"%s--%s\" flag: %s", value, letter, o->name, why.msg);
}

/* "--name", "--name=value"; *next is what follows on the command line. Returns how many of these were used,
 * or -Exxx. */
static int parse_long(struct opts *p, const char *arg, const char *next, struct err *e)
{
	const char *name = arg + 2;
	size_t n = strcspn(name, "=");
	const char *value = name[n] ? name + n + 1 : NULL;
	const struct opt *o = find_long(p, name, n);
	int r;

	if (!n || *name == '-')
		return err_set(e, EINVAL, "bad flag syntax: %s", arg);
	if (!o && n == strlen(HELP_NAME) && !strncmp(name, HELP_NAME, n)) {
		p->help = true;
		return 0;
	}
	if (!o)
		return err_set(e, EINVAL, "unknown flag: --%.*s", (int)n, name);
	if (value || is_flag(o))
		return set_value(p, o, value ? value : "true", e);
	if (!next)
		return err_set(e, EINVAL, "flag needs an argument: %s", arg);
	r = set_value(p, o, next, e);
	return r < 0 ? r : 1;
}

/* "-it", "-eA=1", "-e=A=1", "-e" "A=1". Returns as parse_long. */
static int parse_letters(struct opts *p, const char *arg, const char *next, struct err *e)
{
	for (const char *c = arg + 1; *c; c++) {
		const struct opt *o = find_letter(p, *c);
		int r;
		if (!o && *c == 'h') {
			p->help = true;
			return 0;
		}
		if (!o)
			return err_set(e, EINVAL, "unknown shorthand flag: '%c' in -%s", *c, c);
		if (c[1] == '=')
			return set_value(p, o, c + 2, e);
		if (is_flag(o)) {
			r = set_value(p, o, "true", e);
			if (r < 0)
				return r;
			continue;
		}
		if (c[1])
			return set_value(p, o, c + 1, e);
		if (!next)
			return err_set(e, EINVAL, "flag needs an argument: '%c' in -%s", *c, c);
		r = set_value(p, o, next, e);
		return r < 0 ? r : 1;
	}
	return 0;
}

int opts_parse(struct opts *p, const struct opt *const tables[], char *argv[], bool stop, struct err *e)
{
	bool only_args = false;

	*p = (struct opts){.given = json_object(), .body = json_object(), .stop = stop};
	for (size_t i = 0; tables && i < OPT_TABLES && tables[i]; i++)
		p->tables[i] = tables[i];
	p->args = calloc(strv_len(argv) + 1, sizeof(*p->args));
	if (!p->given || !p->body || !p->args)
		return err_nomem(e);
	for (; *argv; argv++) {
		const char *a = *argv;
		if (only_args || *a != '-' || !a[1]) {
			p->args[p->args_len++] = *argv;
			only_args |= p->stop;
			continue;
		}
		if (!strcmp(a, "--")) {
			only_args = true;
			continue;
		}
		int r = a[1] == '-' ? parse_long(p, a, argv[1], e) : parse_letters(p, a, argv[1], e);
		if (r < 0)
			return r;
		if (p->help)
			return 0;
		argv += r;
	}
	return 0;
}

void opts_done(struct opts *p)
{
	json_decref(p->given);
	json_decref(p->body);
	free(p->args);
	*p = (struct opts){0};
}

json_t *opts_get(const struct opts *p, const char *name)
{
	return json_object_get(p->given, name);
}

bool opts_given(const struct opts *p, const char *name)
{
	return opts_get(p, name);
}

const char *opts_str(const struct opts *p, const char *name)
{
	return json_str(p->given, name);
}

bool opts_flag(const struct opts *p, const char *name)
{
	return json_flag(p->given, name);
}

int64_t opts_int(const struct opts *p, const char *name, int64_t dflt)
{
	return json_int(p->given, name, dflt);
}

int json_put_path(json_t *root, const char *path, json_t *value)
{
	char key[64];
	size_t n;

	while (path[n = strcspn(path, ".")]) {
		if (n >= sizeof(key))
			goto fail;
		memcpy(key, path, n);
		key[n] = 0;
		json_t *child = json_object_get(root, key);
		if (!child) {
			child = json_object();
			if (json_set(root, key, child) < 0)
				goto fail;
		}
		root = child;
		path += n + 1;
	}
	return json_set(root, path, value);
fail:
	json_decref(value);
	return -ENOMEM;
}

int opts_put(struct opts *p, const struct opt *o, json_t *value, struct err *e)
{
	if (!value || (o->path && json_put_path(p->body, o->path, json_incref(value)) < 0)) {
		json_decref(value);
		return err_nomem(e);
	}
	return json_set(p->given, o->name, value) < 0 ? err_nomem(e) : 0;
}

/* The list or map of an option, made at its first value; it stands in `given` and in `body` at once.
 * Borrowed. */
static json_t *container_of_values(struct opts *p, const struct opt *o, json_t *(*make)(void), struct err *e)
{
	json_t *c = json_object_get(p->given, o->name);

	if (c)
		return c;
	c = o->path ? json_incref(json_path(p->body, o->path)) : NULL;
	if (opts_put(p, o, c ? c : make(), e) < 0)
		return NULL;
	return json_object_get(p->given, o->name);
}

int opts_append(struct opts *p, const struct opt *o, json_t *value, struct err *e)
{
	json_t *list = container_of_values(p, o, json_array, e);

	if (!list || !value) {
		json_decref(value);
		return err_nomem(e);
	}
	return json_array_append_new(list, value) < 0 ? err_nomem(e) : 0;
}

int opts_put_key(struct opts *p, const struct opt *o, const char *key, json_t *value, struct err *e)
{
	json_t *map = container_of_values(p, o, json_object, e);

	if (!map || !value) {
		json_decref(value);
		return err_nomem(e);
	}
	return json_set(map, key, value) < 0 ? err_nomem(e) : 0;
}
