/* caisson rename */
#include <errno.h>

#include "cli/cmd.h"

static int run(struct cli *c, struct opts *o, struct err *e)
{
	if (!*o->args[0] || !*o->args[1])
		return err_set(e, EINVAL, "Neither old nor new names may be empty");
	struct engine *g = cli_engine(c, e);

	return g ? engine_rename(g, o->args[0], o->args[1], e) : -e->code;
}

const struct command cmd_rename = {
	.name = "rename",
	.synopsis = "CONTAINER NEW_NAME",
	.summary = "Give a container another name",
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
