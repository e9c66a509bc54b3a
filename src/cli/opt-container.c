/* Values of options that describe containers, put into the form of docker's API. Only the syntax is checked
 * here; what the values mean is the engine's. */
#include "cli/opt.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int parse_limit(const char *s, int64_t *ret)
{
	uint64_t v;

	if (!strcmp(s, "-1") || !strcmp(s, "unlimited")) {
		*ret = -1;
		return 0;
	}
	if (parse_u64(s, &v) < 0 || v > INT64_MAX)
		return -EINVAL;
	*ret = (int64_t)v;
	return 0;
}

/* nofile=1024:2048 or nofile=1024 */
static int set_ulimit(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const char *const names[] = {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue",
		"nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack", NULL};
	_cleanup_free_ char *name = strdup(value);
	int64_t soft, hard;

	if (!name)
		return err_nomem(e);
	char *first = strchr(name, '=');
	if (!first)
		return err_set(e, EINVAL, "invalid ulimit argument: %s", value);
	*first++ = 0;
	if (!str_in(name, names))
		return err_set(e, EINVAL, "invalid ulimit type: %s", name);
	char *second = strchr(first, ':');
	if (second)
		*second++ = 0;
	if (parse_limit(first, &soft) < 0)
		return err_set(e, EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", first);
	if (parse_limit(second ? second : first, &hard) < 0)
		return err_set(e, EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", second ? second : first);
	if (hard != -1 && (soft == -1 || soft > hard))
		return err_set(e, EINVAL, "ulimit soft limit must be less than or equal to hard limit: %lld > %lld",
			(long long)soft, (long long)hard);
	return opts_append(p, o,
		json_pack("{s:s, s:I, s:I}", "Name", name, "Hard", (json_int_t)hard, "Soft", (json_int_t)soft), e);
}
const struct opt_type opt_ulimit = {"ulimit", set_ulimit};

static bool device_mode(const char *s)
{
	return *s && strspn(s, "rwm") == strlen(s);
}

/* /dev/host[:/dev/container][:rwm] */
static int set_device(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_free_ char *copy = strdup(value);
	char *part[3] = {copy, NULL, NULL};
	size_t n = 1;

	if (!copy)
		return err_nomem(e);
	for (char *c = strchr(copy, ':'); c; c = strchr(c, ':')) {
		if (n == 3)
			return err_set(e, EINVAL, "invalid device specification: %s", value);
		*c++ = 0;
		part[n++] = c;
	}
	const char *inside = part[1], *mode = part[2];
	if (n == 2 && device_mode(part[1])) {
		inside = NULL;
		mode = part[1];
	}
	if (*part[0] != '/' || (inside && *inside != '/'))
		return err_set(e, EINVAL, "%s is not an absolute path", *part[0] != '/' ? part[0] : inside);
	if (mode && !device_mode(mode))
		return err_set(e, EINVAL, "bad mode specified: %s", mode);
	return opts_append(p, o,
		json_pack("{s:o, s:o, s:o}", "PathOnHost", json_from_str(part[0]), "PathInContainer",
			json_from_str(inside ? inside : part[0]), "CgroupPermissions",
			json_from_str(mode ? mode : "rwm")),
		e);
}
const struct opt_type opt_device = {"list", set_device};

/* A relative host path is relative to where the command runs. */
static char *absolute_source(const char *value)
{
	_cleanup_free_ char *cwd = NULL;

	if (*value != '.' || (value[1] && value[1] != '/' && value[1] != '.' && value[1] != ':'))
		return strdup(value);
	_cleanup_free_ char *source = strndup(value, strcspn(value, ":"));
	cwd = getcwd(NULL, 0);
	_cleanup_free_ char *joined = cwd && source ? str_fmt("%s/%s", cwd, source) : NULL;
	_cleanup_free_ char *clean = joined ? realpath(joined, NULL) : NULL;
	if (!joined)
		return NULL;
	return str_fmt("%s%s", clean ? clean : joined, value + strcspn(value, ":"));
}

/* A path that may be relative to where the command runs. */
static int set_path(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_free_ char *cwd = *value && *value != '/' ? getcwd(NULL, 0) : NULL;
	_cleanup_free_ char *path = cwd ? str_fmt("%s/%s", cwd, value) : strdup(value);

	return path ? opts_put(p, o, json_from_str(path), e) : err_nomem(e);
}
const struct opt_type opt_path = {"path", set_path};

/* source:target[:mode] is a bind; a target alone is a volume without a name. */
static int set_volume(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	if (!*value)
		return err_set(e, EINVAL, "invalid empty volume spec");
	if (!strchr(value, ':')) {
		json_t *volumes = json_object_get(p->body, "Volumes");
		if (!volumes && json_set(p->body, "Volumes", volumes = json_object()) < 0)
			return err_nomem(e);
		return json_set(volumes, value, json_object()) < 0 ? err_nomem(e) : 0;
	}
	_cleanup_free_ char *spec = absolute_source(value);
	return spec ? opts_append(p, o, json_from_str(spec), e) : err_nomem(e);
}
const struct opt_type opt_volume = {"list", set_volume};

/* /path[:options] */
static int set_tmpfs(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	size_t n = strcspn(value, ":");
	_cleanup_free_ char *path = strndup(value, n);

	if (!path)
		return err_nomem(e);
	if (!*path)
		return err_set(e, EINVAL, "a path is missing");
	return opts_put_key(p, o, path, json_from_str(value[n] ? value + n + 1 : ""), e);
}
const struct opt_type opt_tmpfs = {"list", set_tmpfs};

static int set_attach(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const char *const streams[] = {"stdin", "stdout", "stderr", NULL};
	_cleanup_free_ char *name = strdup(value);

	if (!name)
		return err_nomem(e);
	if (!str_in(str_lower(name), streams))
		return err_set(e, EINVAL, "valid streams are STDIN, STDOUT and STDERR");
	return opts_append(p, o, json_from_str(name), e);
}
const struct opt_type opt_attach = {"list", set_attach};

/* always, on-failure[:max], ... */
static int set_restart(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	size_t n = strcspn(value, ":");
	_cleanup_free_ char *name = strndup(value, n);
	int count = 0;

	if (!name)
		return err_nomem(e);
	if (value[n] && !n)
		return err_set(e, EINVAL, "invalid restart policy format: no policy provided before colon");
	if (value[n] && parse_int(value + n + 1, &count) < 0)
		return err_set(e, EINVAL, "invalid restart policy format: maximum retry count must be an integer");
	return opts_put(p, o, json_pack("{s:o, s:i}", "Name", json_from_str(name), "MaximumRetryCount", count), e);
}
const struct opt_type opt_restart = {"string", set_restart};
