/* The numbers, sizes and signals that users write. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (unsigned)(*s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t v;
	int r = parse_u64(s, &v);

	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

int parse_int(const char *s, int *ret)
{
	uint64_t v;
	bool minus = *s == '-';
	int r = parse_u64(s + minus, &v);

	if (r < 0)
		return r;
	if (v > INT_MAX)
		return -ERANGE;
	*ret = minus ? -(int)v : (int)v;
	return 0;
}

int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};

	if (!str_in(s, yes) && !str_in(s, no))
		return -EINVAL;
	*ret = str_in(s, yes);
	return 0;
}

/* A decimal number with an optional fraction; *end is set behind it. */
static int parse_decimal(const char *s, double *ret, const char **end)
{
	double v = 0, scale = 1;
	const char *p = s;

	for (; isdigit((unsigned char)*p); p++)
		v = v * 10 + (*p - '0');
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++)
			v += (*p - '0') * (scale /= 10);
	}
	if (p == s || (p == s + 1 && *s == '.'))
		return -EINVAL;
	*ret = v;
	*end = p;
	return 0;
}

int parse_bytes(const char *s, uint64_t *ret)
{
	static const char units[] = "kmgtp";
	double v;
	const char *p;
	int shift = 0;

	if (parse_decimal(s, &v, &p) < 0)
		return -EINVAL;
	if (*p == ' ')
		p++;
	const char *unit = *p ? strchr(units, tolower((unsigned char)*p)) : NULL;
	if (unit) {
		shift = 10 * (int)(unit - units + 1);
		p++;
		if (tolower((unsigned char)p[0]) == 'i' && tolower((unsigned char)p[1]) == 'b')
			p += 2;
		else if (tolower((unsigned char)p[0]) == 'b')
			p++;
	} else if (tolower((unsigned char)*p) == 'b') {
		p++;
	}
	if (*p)
		return -EINVAL;
	v = ldexp(v, shift);
	if (v >= 9.2e18)
		return -ERANGE;
	*ret = (uint64_t)v;
	return 0;
}

int parse_nanocpus(const char *s, uint64_t *ret)
{
	double v;
	const char *end;

	if (parse_decimal(s, &v, &end) < 0 || *end)
		return -EINVAL;
	if (v > 1e6)
		return -ERANGE;
	*ret = (uint64_t)(v * 1e9 + 0.5);
	return 0;
}

const char *signal_name(int sig)
{
	static char name[16];
	const char *abbrev = sigabbrev_np(sig);

	if (!abbrev)
		return NULL;
	snprintf(name, sizeof(name), "SIG%s", abbrev);
	return name;
}

int parse_signal(const char *s, int *ret)
{
	int v;

	if (isdigit((unsigned char)*s)) {
		if (parse_int(s, &v) < 0 || v < 1 || v > SIGRTMAX)
			return -EINVAL;
		*ret = v;
		return 0;
	}
	if (!strncasecmp(s, "SIG", 3))
		s += 3;
	if (!strncasecmp(s, "RTMIN", 5) || !strncasecmp(s, "RTMAX", 5)) {
		/* the kernel's numbering, as docker has it, not glibc's */
		bool min = tolower((unsigned char)s[3]) == 'i';
		int base = min ? 34 : 64, offset = 0;
		s += 5;
		if (*s && ((*s != (min ? '+' : '-')) || parse_int(s + 1, &offset) < 0))
			return -EINVAL;
		v = min ? base + offset : base - offset;
		if (v < 34 || v > 64)
			return -EINVAL;
		*ret = v;
		return 0;
	}
	for (v = 1; v < 32; v++) {
		const char *abbrev = sigabbrev_np(v);
		if (abbrev && !strcasecmp(s, abbrev)) {
			*ret = v;
			return 0;
		}
	}
	return -EINVAL;
}

char *human_size(double bytes, char ret[16])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t i = 0;

	while (bytes >= 1000 && i < 6) {
		bytes /= 1000;
		i++;
	}
	snprintf(ret, 16, "%.4g%s", bytes, units[i]);
	return ret;
}
