/* caisson stop */
#include <errno.h>
#include <limits.h>

#include "cli/cmd.h"

enum { OWN_TIMEOUT = -2 }; /* engine_stop: the container's own */

static const struct opt options[] = {
	{"signal", 's', &opt_string, NULL, "Signal to send"},
	{"time", 0, &opt_int, NULL, NULL},
	{"timeout", 't', &opt_int, NULL, "Seconds to wait before killing; -1: for ever"},
	{0},
};

static int stop(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	int64_t timeout = opts_int(o, "timeout", opts_int(o, "time", OWN_TIMEOUT));
	bool given = opts_given(o, "timeout") || opts_given(o, "time");

	if (given && (timeout < 0 || timeout > INT_MAX))
		timeout = -1;
	return engine_stop(g, ref, opts_str(o, "signal"), (int)timeout, e);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, stop, e);
}

const struct command cmd_stop = {
	.name = "stop",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop one or more running containers",
	.options = {options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
