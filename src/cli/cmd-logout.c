/* caisson logout */
#include "cli/cmd.h"

static int run(struct cli *c, struct opts *o, struct err *e)
{
	char verb[] = "logout", *args[] = {verb, o->args_len ? o->args[0] : NULL, NULL};
	struct engine *g = cli_engine(c, e);

	return g ? engine_fetch(g, args, false, e) : -e->code;
}

const struct command cmd_logout = {
	.name = "logout",
	.synopsis = "[SERVER]",
	.summary = "Log out from a registry",
	.min_args = 0,
	.max_args = 1,
	.run = run,
};
