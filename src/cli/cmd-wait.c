/* caisson wait */
#include "cli/cmd.h"

static int wait_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	int status, r = engine_wait(g, ref, &status, e);

	(void)o;
	if (r < 0)
		return r;
	printf("%d\n", status);
	return 1;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, wait_one, e);
}

const struct command cmd_wait = {
	.name = "wait",
	.synopsis = "CONTAINER [CONTAINER...]",
	.summary = "Wait until one or more containers have ended and print their exit codes",
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
