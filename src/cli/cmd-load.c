/* caisson load: caisson-fetch reads the archive. */
#include <errno.h>
#include <unistd.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"input", 'i', &opt_string, NULL, "Read the archive from a file, not from the standard input"},
	{"quiet", 'q', &opt_bool, NULL, "Show no progress"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_strv_ char **args = NULL;
	const char *input = opts_str(o, "input");

	if (str_empty(input) && isatty(STDIN_FILENO))
		return err_set(e, EINVAL, "requested load from stdin, but stdin is empty");
	struct engine *g = cli_engine(c, e);
	if (!g)
		return -e->code;
	int r = strv_push(&args, "load");
	if (r == 0 && opts_flag(o, "quiet"))
		r = strv_push(&args, "--quiet");
	if (r == 0)
		r = strv_push(&args, "--");
	if (r == 0)
		r = strv_push(&args, str_empty(input) ? "-" : input);
	r = r < 0 ? err_nomem(e) : engine_fetch(g, args, false, e);
	return r > 0 ? 1 : r;
}

const struct command cmd_load = {
	.name = "load",
	.synopsis = "[OPTIONS]",
	.summary = "Load images from an archive",
	.options = {options},
	.run = run,
};
