/* caisson network rm */
#include <errno.h>

#include "cli/cmd.h"

static const struct opt rm_options[] = {
	{"force", 'f', &opt_bool, NULL, "A network that does not exist is no error"},
	{0},
};

static int remove_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	int r = engine_network_remove(g, ref, e);

	return r == -ENOENT && opts_flag(o, "force") ? 1 : r;
}

static int rm(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, remove_one, e);
}

const struct command cmd_network_rm = {
	.name = "rm",
	.synopsis = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Remove one or more networks",
	.options = {rm_options},
	.min_args = 1,
	.max_args = -1,
	.run = rm,
};
