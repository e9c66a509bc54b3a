/* Tracing of one area at a time to stderr: CAISSON_DEBUG=image,vm,proto (or `all`). Nothing else in the libraries prints. */
#pragma once

#include <stdbool.h>

/* Whether `area` is traced; the environment is read at the first call. */
bool log_on(const char *area);

/* Prints "caisson[pid] area: text" if the area is traced. */
void log_trace(const char *area, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
