/* caisson kill */
#include "cli/cmd.h"

static const struct opt options[] = {
	{"signal", 's', &opt_string, NULL, "Signal to send (default KILL)"},
	{0},
};

static int kill_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	return engine_kill(g, ref, opts_str(o, "signal"), e);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, kill_one, e);
}

const struct command cmd_kill = {
	.name = "kill",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Kill one or more running containers",
	.options = {options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
