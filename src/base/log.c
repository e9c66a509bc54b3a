/* Tracing of one area at a time. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *areas;

bool log_on(const char *area)
{
	size_t n = strlen(area);

	if (!areas) {
		const char *v = secure_getenv("CAISSON_DEBUG");
		areas = v ? v : "";
	}
	if (!strcmp(areas, "all"))
		return true;
	for (const char *p = areas; (p = strstr(p, area)); p += n)
		if ((p == areas || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
	return false;
}

void log_trace(const char *area, const char *fmt, ...)
{
	va_list ap;
	char text[1024];
	struct timespec t;

	if (!log_on(area))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_MONOTONIC, &t);
	fprintf(stderr, "%lld.%06ld caisson[%d] %s: %s\n", (long long)t.tv_sec, t.tv_nsec / 1000, getpid(), area, text);
}
