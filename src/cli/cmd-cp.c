/* caisson cp */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/cp-path.h"

static const struct opt options[] = {
	{"archive", 'a', &opt_bool, NULL, "Archive mode (copy all uid/gid information)"},
	{"follow-link", 'L', &opt_bool, NULL, "Always follow symbol link in SRC_PATH"},
	{"quiet", 'q', &opt_bool, NULL, "Do not tell how much was copied"},
	{0},
};

struct copy {
	struct engine_files *files;
	const char *container;
	char *container_path, *local; /* as they were given, made absolute; local may be "-" */
	bool archive, follow, quiet;
};

static bool is_stream(const struct copy *c)
{
	return !strcmp(c->local, "-");
}

static int open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, errno, "open %s", path) : fd;
}

static void tell(const struct copy *c, uint64_t bytes, const char *container_to, const char *to)
{
	char size[16];

	if (!c->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "Successfully copied %s to %s%s%s\n", human_size((double)bytes, size),
			container_to ? container_to : "", container_to ? ":" : "", to);
}

/* What is to be copied from the container. */
static int container_source(const struct copy *c, struct cp_end *ret, struct err *e)
{
	struct engine_file st;
	int r = engine_files_stat(c->files, c->container_path, &st, e);

	if (r < 0)
		return r;
	_cleanup_free_ char *link = st.link;
	if (c->follow && S_ISLNK(st.mode) && link) {
		if (cp_follow(c->container_path, link, ret) < 0)
			return err_nomem(e);
		r = engine_files_stat(c->files, ret->path, &st, e);
		if (r < 0)
			return r;
		free(st.link);
	} else if (!(ret->path = strdup(c->container_path))) {
		return err_nomem(e);
	}
	ret->exists = true;
	ret->dir = S_ISDIR(st.mode);
	return 0;
}

static int copy_out(const struct copy *c, struct err *e)
{
	_cleanup_(cp_end_done) struct cp_end from = {0}, to = {0};
	_cleanup_free_ char *dir = NULL, *name = NULL;
	_cleanup_close_ int fd = -1;
	struct engine_tree tree = {.owners = c->archive, .tar = is_stream(c), .fd = STDOUT_FILENO};
	int r = container_source(c, &from, e);

	if (r == 0 && tree.tar) {
		/* the name is the source's in any case */
		to = (struct cp_end){.path = strdup("/"), .exists = true, .dir = true};
		r = to.path ? 0 : err_nomem(e);
	} else if (r == 0) {
		r = cp_local_destination(c->local, &to, e);
	}
	if (r == 0)
		r = cp_prepare(&from, &to, &dir, &name, e);
	if (r == 0 && !tree.tar)
		r = tree.fd = fd = open_dir(dir, e);
	tree.path = dir;
	if (r >= 0)
		r = engine_files_get(c->files, from.path, name, &tree, e);
	if (r == 0 && !tree.tar)
		tell(c, tree.bytes, NULL, c->local);
	return r;
}

/* Where it goes to in the container. A path that is not there is no error yet. */
static int container_destination(const struct copy *c, struct cp_end *ret, struct err *e)
{
	struct err none;
	struct engine_file st;
	int r = engine_files_stat(c->files, c->container_path, &st, &none);

	if (r < 0 && r != -ENOENT) {
		*e = none;
		return r;
	}
	ret->path = strdup(c->container_path);
	if (r == 0 && S_ISLNK(st.mode) && st.link) {
		free(ret->path);
		ret->path = steal_ptr(st.link);
		r = engine_files_stat(c->files, ret->path, &st, &none);
	}
	if (!ret->path)
		return err_nomem(e);
	if (r < 0)
		return 0;
	free(st.link);
	ret->exists = true;
	ret->dir = S_ISDIR(st.mode);
	if (!ret->dir && !S_ISREG(st.mode))
		return err_set(e, EINVAL, "destination \"%s:%s\" must be a directory or a regular file", c->container,
			c->container_path);
	return 0;
}

static int copy_in(const struct copy *c, struct err *e)
{
	_cleanup_(cp_end_done) struct cp_end from = {0}, to = {0};
	_cleanup_free_ char *dir = NULL, *name = NULL, *source_dir = NULL, *source = NULL;
	_cleanup_close_ int fd = -1;
	struct engine_tree tree = {.owners = c->archive, .tar = is_stream(c), .fd = STDIN_FILENO};
	int r = container_destination(c, &to, e);

	if (r == 0 && tree.tar) {
		if (!to.dir)
			r = err_set(e, ENOTDIR, "destination \"%s:%s\" must be a directory", c->container,
				c->container_path);
		else if (!(dir = strdup(to.path)) || !(name = strdup(".")))
			r = err_nomem(e);
	} else if (r == 0) {
		r = cp_local_source(c->local, c->follow, &from, e);
		if (r == 0)
			r = cp_prepare(&from, &to, &dir, &name, e);
		if (r == 0 && cp_split(from.path, &source_dir, &source) < 0)
			r = err_nomem(e);
		if (r == 0)
			r = tree.fd = fd = open_dir(source_dir, e);
		tree.from = source;
	}
	if (r >= 0)
		r = engine_files_writable(c->files, dir, e);
	if (r == 0)
		r = engine_files_put(c->files, dir, name, &tree, e);
	if (r == 0)
		tell(c, tree.bytes, c->container, c->container_path);
	return r;
}

static int absolute(char **path, const char *base, struct err *e)
{
	char *full = cp_absolute(base, *path);

	if (!full)
		return err_nomem(e);
	free(*path);
	*path = full;
	return 0;
}

static int run_copy(struct cli *cli, struct copy *c, bool out, struct err *e)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	struct engine *g = cli_engine(cli, e);
	int r = g ? absolute(&c->container_path, "/", e) : -e->code;

	if (r == 0 && !is_stream(c))
		r = absolute(&c->local, cwd ? cwd : "/", e);
	if (r == 0 && out && !is_stream(c))
		r = cp_check_output(c->local, e);
	if (r == 0)
		r = engine_files_open(g, c->container, true, &c->files, e);
	if (r < 0)
		return r;
	r = out ? copy_out(c, e) : copy_in(c, e);
	engine_files_close(c->files);
	return r;
}

static int run(struct cli *cli, struct opts *o, struct err *e)
{
	_cleanup_free_ char *from = NULL, *to = NULL, *from_path = NULL, *to_path = NULL;

	if (!*o->args[0])
		return err_set(e, EINVAL, "source can not be empty");
	if (!*o->args[1])
		return err_set(e, EINVAL, "destination can not be empty");
	if (cp_argument(o->args[0], &from, &from_path) < 0 || cp_argument(o->args[1], &to, &to_path) < 0)
		return err_nomem(e);
	if (from && to)
		return err_set(e, EINVAL, "copying between containers is not supported");
	if (!from && !to)
		return err_set(e, EINVAL, "must specify at least one container source");
	struct copy c = {
		.container = from ? from : to,
		.container_path = from ? steal_ptr(from_path) : steal_ptr(to_path),
		.local = from ? steal_ptr(to_path) : steal_ptr(from_path),
		.archive = opts_flag(o, "archive"),
		.follow = opts_flag(o, "follow-link"),
		.quiet = opts_flag(o, "quiet"),
	};
	int r = run_copy(cli, &c, from, e);
	free(c.container_path);
	free(c.local);
	return r;
}

const struct command cmd_cp = {
	.name = "cp",
	.synopsis = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
	.summary = "Copy files between a container and the host",
	.options = {options},
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
