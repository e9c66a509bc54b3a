/* The options of stop and restart. */
#pragma once

#include "cli/opt.h"

extern const struct opt stop_options[];
/* As engine_stop takes it. */
int stop_timeout(const struct opts *o);
