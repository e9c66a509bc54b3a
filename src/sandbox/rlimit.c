/* Resource limits: parse, check, apply. */
#include "sandbox/rlimit.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/str.h"
#include "sandbox/caps.h"

static const struct {
	const char *name;
	int resource;
} table[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

struct limit {
	const char *name;
	int resource;
	struct rlimit value;
};

static int parse_value(const char *s, rlim_t *ret)
{
	uint64_t v;

	if (!strcmp(s, "unlimited") || !strcmp(s, "-1")) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	int r = parse_u64(s, &v);
	if (r == 0)
		*ret = v;
	return r;
}

static int parse_limit(const char *text, struct limit *ret, struct err *e)
{
	_cleanup_free_ char *copy = strdup(text);
	char *value = copy ? strchr(copy, '=') : NULL, *hard;

	if (!copy)
		return err_nomem(e);
	if (!value)
		return err_set(e, EINVAL, "invalid ulimit argument: %s", text);
	*value++ = 0;
	hard = strchr(value, ':');
	if (hard)
		*hard++ = 0;
	ret->name = NULL;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (!strcmp(table[i].name, copy)) {
			ret->name = table[i].name;
			ret->resource = table[i].resource;
		}
	}
	if (!ret->name)
		return err_set(e, EINVAL, "invalid ulimit type: %s", copy);
	if (parse_value(value, &ret->value.rlim_cur) < 0 || parse_value(hard ? hard : value, &ret->value.rlim_max) < 0)
		return err_set(e, EINVAL, "invalid ulimit value: %s", text);
	if (ret->value.rlim_cur > ret->value.rlim_max)
		return err_set(e, EINVAL, "ulimit soft limit must be less than or equal to hard limit: %s", text);
	return 0;
}

int rlimit_check(char *const *limits, struct err *e)
{
	bool may_raise = caps_bounding() >> CAP_SYS_RESOURCE & 1;

	strv_foreach(s, limits) {
		struct limit l;
		struct rlimit now;
		int r = parse_limit(s, &l, e);
		if (r < 0)
			return r;
		if (getrlimit((__rlimit_resource_t)l.resource, &now) < 0)
			return err_errno(e, errno, "read the limit %s", l.name);
		if (!may_raise && l.value.rlim_max > now.rlim_max) {
			char want[24] = "unlimited";
			if (l.value.rlim_max != RLIM_INFINITY)
				snprintf(want, sizeof(want), "%llu", (unsigned long long)l.value.rlim_max);
			return err_set(e, EPERM,
				"cannot raise %s to %s: the hard limit is %llu and this process lacks "
				"CAP_SYS_RESOURCE",
				l.name, want, (unsigned long long)now.rlim_max);
		}
	}
	return 0;
}

int rlimit_apply(char *const *limits, struct err *e)
{
	strv_foreach(s, limits) {
		struct limit l;
		int r = parse_limit(s, &l, e);
		if (r < 0)
			return r;
		if (setrlimit((__rlimit_resource_t)l.resource, &l.value) < 0)
			return err_errno(e, errno, "set the limit %s", s);
	}
	return 0;
}
