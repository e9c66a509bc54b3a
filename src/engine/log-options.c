/* --log-driver and --log-opt: what the json-file driver can, and what a container's monitor is told of it. */
#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "container/log.h"
#include "engine/engine-private.h"

/* "10m" is ten million here, unlike the sizes of other options: as docker has it (units.FromHumanSize). */
static int parse_size(const char *value, uint64_t *ret)
{
	static const char units[] = "kmgtp";
	char *end;
	double n = strtod(value, &end);

	if (end == value || *value == '-' || *value == '+' || !(n < 1e18))
		return -EINVAL;
	end += *end == ' ';
	const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	for (const char *u = units; unit && u <= unit; u++)
		n *= 1000;
	end += unit != NULL;
	end += *end == 'b' || *end == 'B';
	if (*end || !(n < 9e18))
		return -EINVAL;
	*ret = (uint64_t)n;
	return 0;
}

static int check_size(const char *value, struct err *e)
{
	uint64_t n;

	if (!strcmp(value, "-1"))
		return 0;
	if (parse_size(value, &n) < 0)
		return err_set(e, EINVAL, "invalid size: '%s'", value);
	return n ? 0 : err_set(e, EINVAL, "max-size must be a positive number");
}

static int check_files(const char *value, struct err *e)
{
	int n;

	if (parse_int(value, &n) < 0)
		return err_set(e, EINVAL, "strconv.Atoi: parsing \"%s\": invalid syntax", value);
	return n >= 1 ? 0 : err_set(e, EINVAL, "max-file cannot be less than 1");
}

static int check_compress(const char *value, struct err *e)
{
	bool on;

	if (parse_bool(value, &on) < 0)
		return err_set(e, EINVAL, "strconv.ParseBool: parsing \"%s\": invalid syntax", value);
	return on ? err_set(e, ENOTSUP, "log opt compress=true is not supported by this version of caisson") : 0;
}

static int check_mode(const char *value, struct err *e)
{
	if (!strcmp(value, "blocking") || !*value)
		return 0;
	return strcmp(value, "non-blocking") ? err_set(e, EINVAL, "logger: logging mode not supported: %s", value)
					     : err_set(e, ENOTSUP,
						       "log opt mode=non-blocking is not supported by this version of "
						       "caisson");
}

static int check_any(const char *value, struct err *e)
{
	(void)value;
	(void)e;
	return 0;
}

static int check_tag(const char *value, struct err *e)
{
	return strstr(value, "{{")
		? err_set(e, ENOTSUP, "log opt tag: templates are not supported by this version of caisson")
		: 0;
}

static int check_regex(const char *value, struct err *e)
{
	regex_t re;

	if (regcomp(&re, value, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(e, EINVAL, "error parsing regexp: `%s`", value);
	regfree(&re);
	return 0;
}

static const struct {
	const char *key;
	int (*check)(const char *value, struct err *e);
} known[] = {
	{"compress", check_compress},
	{"env", check_any},
	{"env-regex", check_regex},
	{"labels", check_any},
	{"labels-regex", check_regex},
	{"max-file", check_files},
	{"max-size", check_size},
	{"mode", check_mode},
	{"tag", check_tag},
};

static int check_one(const char *driver, const char *key, const char *value, struct err *e)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].key, key) && (!strcmp(driver, "json-file") || known[i].check == check_mode))
			return known[i].check(value ? value : "", e);
	return err_set(e, EINVAL, "unknown log opt '%s' for %s log driver", key, driver);
}

int log_options_check(const json_t *log, struct err *e)
{
	static const char *const drivers[] = {"", "json-file", "none", NULL};
	const char *driver = json_str(log, "Type"), *key;
	const json_t *options = json_object_get(log, "Config");
	json_t *v;

	if (driver && !str_in(driver, drivers))
		return err_set(e, EINVAL, "logger: no log driver named '%s' is registered", driver);
	json_object_foreach((json_t *)options, key, v) {
		int r = check_one(str_empty(driver) ? "json-file" : driver, key, json_string_value(v), e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool wanted(const char *name, const char *list, const char *regex)
{
	_cleanup_strv_ char **names = list ? strv_split(list, ",") : NULL;
	regex_t re;

	if (strv_has(names, name))
		return true;
	if (!regex || regcomp(&re, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool found = regexec(&re, name, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

/* What each line says of its container: labels and variables that were asked for, and the tag. */
static json_t *attributes(const json_t *record, const json_t *options)
{
	_cleanup_strv_ char **env = json_strv(json_path(record, "Config.Env"));
	json_t *o = json_object(), *v;
	const char *key;

	json_object_foreach(json_path(record, "Config.Labels"), key, v)
		if (wanted(key, json_str(options, "labels"), json_str(options, "labels-regex")))
			json_object_set(o, key, v);
	strv_foreach(s, env) {
		char *equals = strchr(s, '=');
		if (!equals)
			continue;
		*equals = 0;
		if (wanted(s, json_str(options, "env"), json_str(options, "env-regex")))
			json_object_set_new(o, s, json_from_str(equals + 1));
	}
	if (!str_empty(json_str(options, "tag")))
		json_object_set_new(o, "tag", json_from_str(json_str(options, "tag")));
	return o;
}

/* Values of variables may be secrets: everybody can read a process's arguments, so they are in a file. */
static int keep_attributes(struct engine *g, const char *id, const json_t *attrs)
{
	_cleanup_free_ char *text = json_dumps(attrs, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_free_ char *path = str_fmt("containers/%s/" LOG_ATTRS_FILE, id);

	return text && path ? file_replace(g->run_fd, path, text, strlen(text), 0600) : -ENOMEM;
}

int log_args(struct engine *g, const char *id, const json_t *record, char ***args)
{
	const json_t *options = json_path(record, "HostConfig.LogConfig.Config");
	const char *size = json_str(options, "max-size"), *files = json_str(options, "max-file");
	_cleanup_json_ json_t *attrs = attributes(record, options);
	uint64_t bytes = 0;
	int r = strv_push(args, "--log");

	if (size && strcmp(size, "-1") != 0 && parse_size(size, &bytes) == 0)
		r |= strv_pushf(args, "--log-size=%llu", (unsigned long long)bytes);
	if (files)
		r |= strv_pushf(args, "--log-files=%s", files);
	if (json_object_size(attrs))
		r |= keep_attributes(g, id, attrs) < 0 ? -EIO : strv_push(args, "--log-attrs");
	return r;
}
