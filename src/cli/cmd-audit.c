/* caisson audit */
#include "cli/cmd.h"

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	json_t *a = NULL;
	int r = g ? engine_audit(g, o->args[0], &a, e) : -e->code;
	if (r < 0) return r;
	json_dumpf(a, stdout, JSON_INDENT(1));
	json_decref(a);
	return 0;
}

const struct command cmd_audit = {
	.name = "audit",
	.synopsis = "[OPTIONS] [CONTAINER...]",
	.summary = "Measure what can be seen of containers from the host",
	.max_args = -1,
	.run = run,
};
