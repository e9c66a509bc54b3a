/* Resource limits, written as docker's --ulimit: "nofile=1024:4096", "core=unlimited", "nproc=10" (soft and
 * hard). setrlimit(2). */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* Whether the caller may set all of these; raising a hard limit needs CAP_SYS_RESOURCE. */
int rlimit_check(char *const *limits, struct err *e);
int rlimit_apply(char *const *limits, struct err *e);
