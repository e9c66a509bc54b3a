/* caisson stop */
#include <errno.h>
#include <limits.h>

#include "cli/cmd.h"
#include "cli/stop-options.h"

enum { OWN_TIMEOUT = -2 }; /* engine_stop: the container's own */

const struct opt stop_options[] = {
	{"signal", 's', &opt_string, NULL, "Signal to send"},
	{"time", 0, &opt_int, NULL, NULL},
	{"timeout", 't', &opt_int, NULL, "Seconds to wait before killing; -1: for ever"},
	{0},
};

int stop_timeout(const struct opts *o)
{
	int64_t timeout = opts_int(o, "timeout", opts_int(o, "time", OWN_TIMEOUT));
	bool given = opts_given(o, "timeout") || opts_given(o, "time");

	return given && (timeout < 0 || timeout > INT_MAX) ? -1 : (int)timeout;
}

static int stop(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	return engine_stop(g, ref, opts_str(o, "signal"), stop_timeout(o), e);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, stop, e);
}

const struct command cmd_stop = {
	.name = "stop",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop one or more running containers",
	.options = {stop_options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
