/* The first content of a named volume: what the image has at that place. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/setup.h"

enum { DEPTH_MAX = 256, XATTRS_MAX = 65536, LINKS_MAX = 65536 };

/* A file with several names, as it was copied first. */
struct link {
	dev_t dev;
	ino_t ino;
	char *path; /* below the target */
};

struct copy {
	int to; /* the target's top */
	struct link *link;
	size_t links;
	struct err *e;
};

static int copy_xattrs(int from, int to)
{
	char names[4096];
	ssize_t n = flistxattr(from, names, sizeof(names));

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		/* what overlayfs notes for itself is not content */
		if (str_starts(name, "trusted.overlay."))
			continue;
		_cleanup_free_ char *value = malloc(XATTRS_MAX);
		ssize_t k = value ? fgetxattr(from, name, value, XATTRS_MAX) : -1;
		if (!value)
			return -ENOMEM;
		if (k < 0 || fsetxattr(to, name, value, (size_t)k, 0) < 0) {
			if (errno == EOPNOTSUPP || errno == ENODATA)
				continue;
			return -errno;
		}
	}
	return 0;
}

static int copy_data(int from, int to)
{
	for (;;) {
		ssize_t n = sendfile(to, from, NULL, 16 << 20);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
	}
}

/* Owner first: a change of owner clears setuid bits and capabilities. */
static int copy_meta(int from, int to, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	int r = copy_xattrs(from, to);
	if (r == 0 && futimens(to, times) < 0)
		r = -errno;
	return r;
}

/* Links `name` to the copy that another name of the same file has; 1 if there is none yet. */
static int copy_as_link(struct copy *c, int to, const char *name, const char *path, const struct stat *st)
{
	for (size_t i = 0; i < c->links; i++)
		if (c->link[i].ino == st->st_ino && c->link[i].dev == st->st_dev)
			return linkat(c->to, c->link[i].path, to, name, 0) < 0 ? -errno : 0;
	if (c->links == LINKS_MAX)
		return 1;
	struct link *p = realloc(c->link, (c->links + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	c->link = p;
	p[c->links] = (struct link){st->st_dev, st->st_ino, strdup(path)};
	if (!p[c->links].path)
		return -ENOMEM;
	c->links++;
	return 1;
}

static int copy_symlink(int from, int to, const char *name, const struct stat *st)
{
	char target[4096];
	struct timespec times[2] = {st->st_atim, st->st_mtim};
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = 0;
	if (symlinkat(target, to, name) < 0 || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_close_ int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (in < 0 || out < 0)
		return -errno;
	int r = copy_data(in, out);
	return r < 0 ? r : copy_meta(in, out, st);
}

static int copy_special(int to, const char *name, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (mknodat(to, name, st->st_mode, st->st_rdev) < 0 ||
		fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		fchmodat(to, name, st->st_mode & 07777, 0) < 0 || utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_tree(struct copy *c, int from, int to, const char *path, int depth);

static int copy_entry(struct copy *c, int from, int to, const char *name, const char *path, int depth)
{
	struct stat st;
	int r = 1;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		if (mkdirat(to, name, 0700) < 0)
			return -errno;
		_cleanup_close_ int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		_cleanup_close_ int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (in < 0 || out < 0)
			return -errno;
		r = copy_tree(c, in, out, path, depth + 1);
		return r < 0 ? r : copy_meta(in, out, &st);
	}
	if (st.st_nlink > 1)
		r = copy_as_link(c, to, name, path, &st);
	if (r <= 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return copy_symlink(from, to, name, &st);
	return S_ISREG(st.st_mode) ? copy_file(from, to, name, &st) : copy_special(to, name, &st);
}

static int copy_tree(struct copy *c, int from, int to, const char *path, int depth)
{
	_cleanup_closedir_ DIR *d = dir_open(from, ".");
	struct dirent *en;

	if (!d)
		return err_errno(c->e, errno, "read \"%s\"", path);
	if (depth > DEPTH_MAX)
		return err_set(c->e, ELOOP, "\"%s\" is too deep", path);
	while ((en = readdir(d))) {
		if (!strcmp(en->d_name, ".") || !strcmp(en->d_name, ".."))
			continue;
		_cleanup_free_ char *below = str_fmt("%s%s%s", path, *path ? "/" : "", en->d_name);
		if (!below)
			return err_nomem(c->e);
		int r = copy_entry(c, from, to, en->d_name, below, depth);
		if (r < 0)
			return c->e->code ? r : err_errno(c->e, r, "copy \"%s\"", below);
	}
	return 0;
}

static int is_empty(int dir)
{
	_cleanup_closedir_ DIR *d = dir_open(dir, ".");
	struct dirent *en;

	if (!d)
		return -errno;
	while ((en = readdir(d)))
		if (strcmp(en->d_name, ".") != 0 && strcmp(en->d_name, "..") != 0)
			return 0;
	return 1;
}

int setup_copy_up(int from, int to, struct err *e)
{
	struct err mine = ERR_INIT;
	struct stat st;
	int r = is_empty(to);

	if (r <= 0)
		return r < 0 ? err_errno(e, r, "read the volume") : 0;
	if (fstat(from, &st) < 0)
		return err_errno(e, errno, "read the directory");
	_cleanup_close_ int top = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return err_errno(e, errno, "open the volume");
	struct copy c = {.to = top, .e = &mine};
	r = copy_tree(&c, from, top, "", 0);
	if (r == 0) {
		r = copy_meta(from, top, &st);
		if (r < 0)
			err_errno(&mine, r, "copy the directory's owner and mode");
	}
	for (size_t i = 0; i < c.links; i++)
		free(c.link[i].path);
	free(c.link);
	if (r < 0 && e)
		*e = mine;
	return r;
}
