/* caisson network reload */
#include "cli/cmd.h"

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);

	(void)o;
	return g ? engine_network_reload(g, e) : -e->code;
}

const struct command cmd_network_reload = {
	.name = "reload",
	.synopsis = "",
	.summary = "Make the bridges and firewall rules of all networks anew",
	.run = run,
};
