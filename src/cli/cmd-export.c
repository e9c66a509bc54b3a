/* caisson export */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/cp-path.h"

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

/* The file is there when it is whole, or as it was before. */
static int export_to_file(struct cli *c, const char *container, const char *path, struct err *e)
{
	_cleanup_free_ char *temporary = str_fmt("%s.tmp-%d", path, getpid());
	int r = cp_check_output(path, e);

	if (r < 0)
		return err_wrap(e, "failed to export container");
	if (!temporary)
		return err_nomem(e);
	_cleanup_close_ int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, errno, "open %s", temporary);
	r = export_to(c, container, fd, e);
	if (r == 0 && rename(temporary, path) < 0)
		r = err_errno(e, errno, "write %s", path);
	if (r < 0)
		unlink(temporary);
	return r;
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
