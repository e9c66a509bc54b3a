/* caisson pause, unpause */
#include "cli/cmd.h"

static int pause_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	(void)o;
	return engine_pause(g, ref, true, e);
}

static int run_pause(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, pause_one, e);
}

const struct command cmd_pause = {
	.name = "pause",
	.synopsis = "CONTAINER [CONTAINER...]",
	.summary = "Pause all processes within one or more containers",
	.min_args = 1,
	.max_args = -1,
	.run = run_pause,
};

static int unpause_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	(void)o;
	return engine_pause(g, ref, false, e);
}

static int run_unpause(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, unpause_one, e);
}

const struct command cmd_unpause = {
	.name = "unpause",
	.synopsis = "CONTAINER [CONTAINER...]",
	.summary = "Unpause all processes within one or more containers",
	.min_args = 1,
	.max_args = -1,
	.run = run_unpause,
};
