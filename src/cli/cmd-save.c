/* caisson save: caisson-fetch writes the archive. */
#include <errno.h>
#include <unistd.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"output", 'o', &opt_string, NULL, "Write the archive to a file, not to the standard output"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_strv_ char **args = NULL;
	const char *output = opts_str(o, "output");

	if (str_empty(output) && isatty(STDOUT_FILENO))
		return err_set(e, EINVAL, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
	struct engine *g = cli_engine(c, e);
	if (!g)
		return -e->code;
	int r = strv_push(&args, "save");
	if (r == 0 && !str_empty(output))
		r = strv_pushf(&args, "--output=%s", output);
	if (r == 0)
		r = strv_push(&args, "--");
	for (int i = 0; r == 0 && i < o->args_len; i++)
		r = strv_push(&args, o->args[i]);
	r = r < 0 ? err_nomem(e) : engine_fetch(g, args, false, e);
	return r > 0 ? 1 : r;
}

const struct command cmd_save = {
	.name = "save",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Save one or more images to an archive",
	.options = {options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
