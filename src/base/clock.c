/* Times as docker writes them. */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NS = 1000000000 };

uint64_t clock_mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

int64_t clock_real_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * (int64_t)NS + t.tv_nsec;
}

char *clock_rfc3339(int64_t ns, char ret[40])
{
	time_t s = ns / NS;
	long fraction = (long)(ns % NS);
	struct tm tm;
	char text[24];

	if (!ns)
		return strcpy(ret, "0001-01-01T00:00:00Z");
	if (fraction < 0) {
		fraction += NS;
		s--;
	}
	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, 40, "%s.%09ldZ", text, fraction);
	/* Go trims the zeros at the end of the fraction */
	char *p = ret + strlen(ret) - 2;
	while (*p == '0')
		p--;
	strcpy(*p == '.' ? p : p + 1, "Z");
	return ret;
}

/* "1h30m", "10s", "1.5h", "300ms" */
int clock_parse_duration(const char *s, int64_t *ret)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double total = 0;

	if (!*s)
		return -EINVAL;
	while (*s) {
		char *end;
		size_t i, n;
		if (!isdigit((unsigned char)*s) && *s != '.')
			return -EINVAL;
		double v = strtod(s, &end);
		n = strspn(end, "nsumh");
		for (i = 0; i < sizeof(units) / sizeof(*units); i++)
			if (strlen(units[i].name) == n && !strncmp(end, units[i].name, n))
				break;
		if (i == sizeof(units) / sizeof(*units))
			return -EINVAL;
		total += v * units[i].ns;
		s = end + n;
	}
	if (total > 9e18)
		return -ERANGE;
	*ret = (int64_t)total;
	return 0;
}

static int64_t parse_fraction(const char **s)
{
	int64_t ns = 0, scale = NS;

	if (**s != '.')
		return 0;
	for (++*s; isdigit((unsigned char)**s); ++*s)
		if (scale > 1)
			ns += (**s - '0') * (scale /= 10);
	return ns;
}

/* -ERANGE for times that nanoseconds in 64 bits cannot hold: before 1677, after 2262. */
static int to_ns(int64_t seconds, int64_t fraction, int64_t *ret_ns)
{
	int64_t v;

	if (__builtin_mul_overflow(seconds, NS, &v) || __builtin_add_overflow(v, fraction, &v))
		return -ERANGE;
	*ret_ns = v;
	return 0;
}

int clock_parse(const char *s, int64_t *ret_ns)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d"};
	int64_t v;
	const char *p = s + strspn(s, "0123456789");

	if (p > s && (!*p || *p == '.')) {
		v = strtoll(s, NULL, 10);
		if (p - s > 10)
			return -ERANGE;
		int64_t fraction = parse_fraction(&p);
		return *p ? -EINVAL : to_ns(v, fraction, ret_ns);
	}
	if (clock_parse_duration(s, &v) == 0) {
		*ret_ns = clock_real_ns() - v;
		return 0;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm tm = {0};
		p = strptime(s, forms[i], &tm);
		if (!p)
			continue;
		int64_t fraction = parse_fraction(&p);
		int h = 0, m = 0, n = 0;
		bool zone = *p != 0;
		if ((*p == '+' || *p == '-') && sscanf(p + 1, "%2d:%2d%n", &h, &m, &n) == 2 && n == 5 && !p[6])
			v = (*p == '-' ? -1 : 1) * (h * 3600 + m * 60);
		else if (!*p || !strcmp(p, "Z"))
			v = 0;
		else
			continue;
		tm.tm_isdst = -1;
		return to_ns((zone ? timegm(&tm) : mktime(&tm)) - v, fraction, ret_ns);
	}
	return -EINVAL;
}

char *clock_ago(int64_t ns, char ret[40])
{
	int64_t s = (clock_real_ns() - ns) / NS, m = s / 60;
	int64_t h = (m + 30) / 60;

	if (s < 1)
		snprintf(ret, 40, "Less than a second");
	else if (s == 1)
		snprintf(ret, 40, "1 second");
	else if (s < 60)
		snprintf(ret, 40, "%d seconds", (int)s);
	else if (m == 1)
		snprintf(ret, 40, "About a minute");
	else if (m < 60)
		snprintf(ret, 40, "%d minutes", (int)m);
	else if (h == 1)
		snprintf(ret, 40, "About an hour");
	else if (h < 48)
		snprintf(ret, 40, "%d hours", (int)h);
	else if (h < 24 * 14)
		snprintf(ret, 40, "%d days", (int)(h / 24));
	else if (h < 24 * 60)
		snprintf(ret, 40, "%d weeks", (int)(h / 24 / 7));
	else if (h < 24 * 365 * 2)
		snprintf(ret, 40, "%d months", (int)(h / 24 / 30));
	else
		snprintf(ret, 40, "%lld years", (long long)(h / 24 / 365));
	return ret;
}
