/* caisson rm */
#include <errno.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"force", 'f', &opt_bool, NULL,
		"Remove a running container too: it is killed; what does not exist is no error"},
	{"volumes", 'v', &opt_bool, NULL, "Remove the unnamed volumes of the container too"},
	{0},
};

static int remove_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	bool force = opts_flag(o, "force");
	int r = engine_remove(g, ref, force, opts_flag(o, "volumes"), e);

	if (r != -ENOENT || !force)
		return r;
	cli_error(e);
	return 1;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, remove_one, e);
}

const struct command cmd_rm = {
	.name = "rm",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Remove one or more containers",
	.options = {options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
