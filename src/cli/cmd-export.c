/* caisson export */
#include <errno.h>
#include <unistd.h>

#include "base/outfile.h"
#include "cli/cmd.h"

static const struct opt options[] = {
	{"output", 'o', &opt_string, NULL, "Write to a file, instead of STDOUT"},
	{0},
};

static int export_to(struct cli *c, const char *container, int fd, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	struct engine_files *f = NULL;
	int r = g ? engine_files_open(g, container, false, &f, e) : -e->code;

	if (r == 0)
		r = engine_files_export(f, fd, e);
	engine_files_close(f);
	return r;
}

static int export_to_file(struct cli *c, const char *container, const char *path, struct err *e)
{
	_cleanup_(outfile_done) struct outfile out = OUTFILE_INIT;
	int r = outfile_open(path, &out, e);

	if (r < 0)
		return err_wrap(e, "failed to export container");
	r = export_to(c, container, out.fd, e);
	return r == 0 ? outfile_keep(&out, e) : r;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	if (opts_given(o, "output"))
		return export_to_file(c, o->args[0], opts_str(o, "output"), e);
	if (isatty(STDOUT_FILENO))
		return err_set(e, EINVAL, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
	return export_to(c, o->args[0], STDOUT_FILENO, e);
}

const struct command cmd_export = {
	.name = "export",
	.synopsis = "[OPTIONS] CONTAINER",
	.summary = "Write a container's files as a tar archive",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
