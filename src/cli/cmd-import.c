/* caisson import: caisson-fetch unpacks the archive. */
#include <errno.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"change", 'c', &opt_list, NULL,
		"Apply a Dockerfile instruction to the image (CMD, ENTRYPOINT, ENV, USER, WORKDIR, ...)"},
	{"message", 'm', &opt_string, NULL, "Message of the image's history"},
	{"platform", 0, &opt_string, NULL, "Platform of the image (os/arch)"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_strv_ char **args = NULL, **changes = json_strv(opts_get(o, "change"));
	struct engine *g = cli_engine(c, e);
	int r = g ? strv_push(&args, "import") : -e->code;

	if (!g)
		return r;
	strv_foreach(change, changes) {
		if (r == 0)
			r = strv_pushf(&args, "--change=%s", change);
	}
	if (r == 0 && opts_given(o, "message"))
		r = strv_pushf(&args, "--message=%s", opts_str(o, "message"));
	if (r == 0 && opts_given(o, "platform"))
		r = strv_pushf(&args, "--platform=%s", opts_str(o, "platform"));
	for (int i = 0; r == 0 && i < o->args_len; i++)
		r = strv_push(&args, o->args[i]);
	r = r < 0 ? err_nomem(e) : engine_fetch(g, args, false, e);
	return r > 0 ? 1 : r;
}

const struct command cmd_import = {
	.name = "import",
	.synopsis = "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
	.summary = "Make an image of a root file system's tar archive",
	.options = {options},
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
