/* caisson push: caisson-fetch does the work. */
#include "cli/cmd.h"

static const struct opt options[] = {
	{"all-tags", 'a', &opt_bool, NULL, "Push all tags of the image's repository"},
	{"quiet", 'q', &opt_bool, NULL, "Show no progress"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_strv_ char **args = NULL;
	struct engine *g = cli_engine(c, e);
	int r = strv_push(&args, "push");

	if (!g)
		return -e->code;
	if (r == 0 && opts_flag(o, "quiet"))
		r = strv_push(&args, "--quiet");
	if (r == 0 && opts_flag(o, "all-tags"))
		r = strv_push(&args, "--all-tags");
	if (r == 0)
		r = strv_push(&args, "--");
	if (r == 0)
		r = strv_push(&args, o->args[0]);
	return r < 0 ? err_nomem(e) : engine_fetch(g, args, false, e);
}

const struct command cmd_push = {
	.name = "push",
	.synopsis = "[OPTIONS] NAME[:TAG]",
	.summary = "Upload an image to a registry",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
