/* Options that are times: --since, --until. */
#pragma once

#include "cli/opt.h"

/* A time, or a duration before now, in ns since 1970; untouched if the option is not given. */
int opts_time(const struct opts *o, const char *name, int64_t *ret_ns, struct err *e);
