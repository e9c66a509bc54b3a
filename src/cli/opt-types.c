/* Values of options that any command may have, with the error texts of pflag and docker. */
#include "cli/opt.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int set_bool(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	bool v;

	if (parse_bool(value, &v) < 0)
		return err_set(e, EINVAL, "strconv.ParseBool: parsing \"%s\": invalid syntax", value);
	return opts_put(p, o, json_boolean(v), e);
}
const struct opt_type opt_bool = {"", set_bool};

static int set_string(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	return opts_put(p, o, json_from_str(value), e);
}
const struct opt_type opt_string = {"string", set_string};

static int set_list(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	return opts_append(p, o, json_from_str(value), e);
}
const struct opt_type opt_list = {"list", set_list};

int opt_field(const char **s, char **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	const char *c = *s;
	bool quoted = false;

	if (buf_adds(&b, "") < 0)
		return err_nomem(e);
	for (; *c && (quoted || *c != ','); c++) {
		if (*c == '"' && (!quoted || c[1] != '"')) {
			quoted = !quoted;
			continue;
		}
		c += *c == '"';
		if (buf_add(&b, c, 1) < 0)
			return err_nomem(e);
	}
	if (quoted)
		return err_set(e, EINVAL, "a quote is not closed");
	*s = *c ? c + 1 : NULL;
	*ret = steal_ptr(b.data);
	return 0;
}

/* "a,b" and "a" "b" are the same list. */
static int set_strings(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	const char *s = *value ? value : NULL;
	int r = 0;

	while (r == 0 && s) {
		_cleanup_free_ char *field = NULL;
		r = opt_field(&s, &field, e);
		if (r == 0)
			r = opts_append(p, o, json_from_str(field), e);
	}
	return r;
}
const struct opt_type opt_strings = {"strings", set_strings};

static int set_int(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	uint64_t v;
	bool minus = *value == '-';
	int r = parse_u64(value + (minus || *value == '+'), &v);

	if (r == -ERANGE || (r == 0 && v > INT64_MAX))
		return err_set(e, EINVAL, "strconv.ParseInt: parsing \"%s\": value out of range", value);
	if (r < 0)
		return err_set(e, EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", value);
	return opts_put(p, o, json_integer(minus ? -(int64_t)v : (int64_t)v), e);
}
const struct opt_type opt_int = {"int", set_int};

/* In nanoseconds. */
static int set_duration(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	int64_t ns;

	if (strcmp(value, "0") != 0 && clock_parse_duration(value + (*value == '-'), &ns) < 0)
		return err_set(e, EINVAL, "time: invalid duration \"%s\"", value);
	if (!strcmp(value, "0"))
		ns = 0;
	return opts_put(p, o, json_integer(*value == '-' ? -ns : ns), e);
}
const struct opt_type opt_duration = {"duration", set_duration};

static int set_bytes(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	uint64_t v;

	if (parse_bytes(value, &v) < 0 || v > INT64_MAX)
		return err_set(e, EINVAL, "invalid size: '%s'", value);
	return opts_put(p, o, json_integer((json_int_t)v), e);
}
const struct opt_type opt_bytes = {"bytes", set_bytes};

static int set_bytes_or_unlimited(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	if (!strcmp(value, "-1"))
		return opts_put(p, o, json_integer(-1), e);
	return set_bytes(p, o, value, e);
}
const struct opt_type opt_bytes_or_unlimited = {"bytes", set_bytes_or_unlimited};

static int set_cpus(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	uint64_t v;

	if (parse_nanocpus(value, &v) < 0)
		return err_set(e, EINVAL, "failed to parse %s as a rational number", value);
	return opts_put(p, o, json_integer((json_int_t)v), e);
}
const struct opt_type opt_cpus = {"decimal", set_cpus};

/* NAME=value, or NAME alone: the caller's own value, nothing if it has none. */
static int set_env(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	if (!*value || *value == '=')
		return err_set(e, EINVAL, "invalid environment variable: %s", value);
	if (strchr(value, '='))
		return set_list(p, o, value, e);
	const char *own = getenv(value);
	if (!own)
		return 0;
	_cleanup_free_ char *pair = str_fmt("%s=%s", value, own);
	return pair ? set_list(p, o, pair, e) : err_nomem(e);
}
const struct opt_type opt_env = {"list", set_env};

/* Splits "key=value" at the first '='; *ret_value is behind it or at the end. */
static char *split_key(const char *s, const char **ret_value)
{
	size_t n = strcspn(s, "=");

	*ret_value = s + n + (s[n] == '=');
	return strndup(s, n);
}

static int set_label(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	const char *text;
	_cleanup_free_ char *key = split_key(value, &text);

	if (!key)
		return err_nomem(e);
	if (!*key)
		return err_set(e, EINVAL, "invalid %s '%s': empty name", o->name, value);
	return opts_put_key(p, o, key, json_from_str(text), e);
}
const struct opt_type opt_label = {"list", set_label};

static int set_map(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	const char *text;
	_cleanup_free_ char *key = split_key(value, &text);

	if (!key)
		return err_nomem(e);
	if (!*key || !strchr(value, '='))
		return err_set(e, EINVAL, "invalid value '%s': expected name=value", value);
	return opts_put_key(p, o, key, json_from_str(text), e);
}
const struct opt_type opt_map = {"map", set_map};

/* name=value into {"name": ["value", ...]}; names in lower case. */
static int set_filter(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	const char *text;
	_cleanup_free_ char *key = split_key(value, &text);

	if (!key)
		return err_nomem(e);
	if (!strchr(value, '=') || !*key)
		return err_set(e, EINVAL, "bad format of filter (expected name=value)");
	str_lower(key);
	json_t *list = json_object_get(json_object_get(p->given, o->name), key);
	if (list)
		return json_array_append_new(list, json_from_str(text)) < 0 ? err_nomem(e) : 0;
	list = json_pack("[o]", json_from_str(text));
	return opts_put_key(p, o, key, list, e);
}
const struct opt_type opt_filter = {"filter", set_filter};
