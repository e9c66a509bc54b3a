/* caisson tag */
#include "cli/cmd.h"

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);

	return g ? engine_image_tag(g, o->args[0], o->args[1], e) : -e->code;
}

const struct command cmd_tag = {
	.name = "tag",
	.synopsis = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
