/* caisson create */
#include "cli/container-options.h"

static int create(struct cli *c, struct opts *o, struct err *e)
{
	char id[65];
	int r = container_create(c, o, id, e);

	if (r == 0)
		printf("%s\n", id);
	return r > 0 ? 1 : r;
}

const struct command cmd_create = {
	.name = "create",
	.synopsis = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Create a container without starting it",
	.options = {container_options, resource_options, refused_options},
	.min_args = 1,
	.max_args = -1,
	.stop = true,
	.use_status = true,
	.run = create,
};
