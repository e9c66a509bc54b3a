/* caisson restart */
#include <errno.h>

#include "cli/cmd.h"
#include "cli/stop-options.h"

static int restart(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	return engine_restart(g, ref, opts_str(o, "signal"), stop_timeout(o), cli_notice, NULL, e);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, restart, e);
}

const struct command cmd_restart = {
	.name = "restart",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Stop one or more containers and start them again",
	.options = {stop_options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
