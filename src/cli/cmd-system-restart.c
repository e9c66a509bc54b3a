/* caisson system restart: what caisson-restart.service runs at boot. */
#include <stdio.h>

#include "cli/cmd.h"

static void on_started(void *data, const char *name, const struct err *e)
{
	(void)data;
	if (e)
		cli_errorf("%s: %s", name, e->msg);
	else
		printf("%s\n", name);
	fflush(stdout);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);

	(void)o;
	return g ? engine_system_restart(g, on_started, cli_notice, NULL, e) : -e->code;
}

const struct command cmd_system_restart = {
	.name = "restart",
	.synopsis = "",
	.summary = "Start again the containers whose restart policy asks for it",
	.run = run,
};
