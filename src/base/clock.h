/* Times as docker writes them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
int64_t clock_real_ns(void); /* nanoseconds since 1970 */
char *clock_rfc3339(
	int64_t ns, char ret[40]); /* "2024-05-01T12:00:00.123456789Z"; 0 gives docker's "0001-01-01T00:00:00Z" */
int clock_parse(
	const char *s, int64_t *ret_ns); /* RFC 3339, a Unix time with fraction, or a Go duration before now ("10m") */
int clock_parse_duration(const char *s, int64_t *ret_ns); /* a Go duration: "1m30s", "500ms" */
char *clock_ago(int64_t ns, char ret[40]); /* "About a minute", "3 hours": units.HumanDuration of now - ns */
