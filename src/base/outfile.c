/* Files that appear as a whole. */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"

static int check(const char *path, const char *dir, struct err *e)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return errno == ENOENT ? err_set(e, EINVAL, "invalid output path: directory \"%s\" does not exist", dir)
				       : err_errno(e, errno, "invalid output path: %s", dir);
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "invalid output path: %s", path);
	if (S_ISREG(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "invalid output path: \"%s\" is a directory", path);
	return err_set(e, EINVAL, "invalid output path: \"%s\" must be a directory or a regular file: got %s", path,
		S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? "a device" : "an irregular file");
}

static int temporary_name(struct outfile *o, struct err *e)
{
	char id[65];
	int r = random_id(id);

	if (r < 0)
		return err_errno(e, r, "random bytes");
	snprintf(o->temp, sizeof(o->temp), ".caisson-%.16s", id);
	return 0;
}

static int open_in(struct outfile *o, const char *path, struct err *e)
{
	o->fd = openat(o->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (o->fd >= 0)
		return 0;
	int r = errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT ? temporary_name(o, e)
									  : err_errno(e, errno, "%s", path);
	if (r < 0)
		return r;
	o->fd = openat(o->dir, o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (o->fd < 0) {
		r = err_errno(e, errno, "%s", path);
		o->temp[0] = 0;
	}
	return r;
}

int outfile_open(const char *path, struct outfile *ret, struct err *e)
{
	const char *base = path_base(path);
	_cleanup_free_ char *dir = base == path ? strdup(".") : strndup(path, (size_t)(base - path));
	_cleanup_(outfile_done) struct outfile o = OUTFILE_INIT;

	if (!dir || !(o.name = strdup(base)))
		return err_nomem(e);
	if (!*base)
		return err_set(e, EINVAL, "invalid output path: \"%s\" is no file name", path);
	for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
		dir[n - 1] = 0;
	int r = check(path, dir, e);
	if (r < 0)
		return r;
	o.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = o.dir < 0 ? err_errno(e, errno, "%s", dir) : open_in(&o, path, e);
	if (r < 0)
		return r;
	*ret = o;
	o = OUTFILE_INIT;
	return 0;
}

/* Where nothing has the name there is no moment with another one. */
static int give_name(struct outfile *o, struct err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	if (linkat(AT_FDCWD, path, o->dir, o->name, AT_SYMLINK_FOLLOW) == 0)
		return 1;
	int r = errno == EEXIST ? temporary_name(o, e) : err_errno(e, errno, "%s", o->name);
	if (r == 0 && linkat(AT_FDCWD, path, o->dir, o->temp, AT_SYMLINK_FOLLOW) < 0) {
		r = err_errno(e, errno, "%s", o->name);
		o->temp[0] = 0;
	}
	return r;
}

int outfile_keep(struct outfile *o, struct err *e)
{
	int r = o->temp[0] ? 0 : give_name(o, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (renameat(o->dir, o->temp, o->dir, o->name) < 0)
		return err_errno(e, errno, "%s", o->name);
	o->temp[0] = 0;
	return 0;
}

void outfile_done(struct outfile *o)
{
	if (o->temp[0])
		unlinkat(o->dir, o->temp, 0);
	close_fd(&o->fd);
	close_fd(&o->dir);
	free(o->name);
	*o = OUTFILE_INIT;
}
