/* One entry of a layer's tar: from its header to a file, always relative to a directory found with RESOLVE_IN_ROOT. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "image/unpack.h"

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";

enum { DIRS_MAX = 1 << 22 }; /* what is kept of each takes memory, and a small file unpacks to many */

struct dir_times {
	char *path;
	struct timespec mtime;
};

/* Where an entry goes. */
struct place {
	char *path; /* as written, cleaned, without a leading slash; "." for the root */
	char *parent;
	const char *name; /* in path */
	int dir;          /* the parent, O_PATH */
};

static void place_done(struct place *p)
{
	free(p->path);
	free(p->parent);
	close_fd(&p->dir);
}

static bool leads_out(const char *clean)
{
	return !strcmp(clean, "..") || str_starts(clean, "../");
}

/* Splits a path; the parent is found, or made if `make`. */
static int place_find(int root, const char *path, bool make, struct place *ret, struct err *e)
{
	_cleanup_(place_done) struct place p = {.dir = -1};
	_cleanup_free_ char *clean = path_clean(path);

	if (!clean)
		return err_nomem(e);
	if (strlen(clean) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "the name is too long");
	if (leads_out(clean))
		return err_set(e, EINVAL, "the path leads out of the layer");
	p.path = strdup(clean[strspn(clean, "/")] ? clean + strspn(clean, "/") : ".");
	if (!p.path)
		return err_nomem(e);
	char *slash = strrchr(p.path, '/');
	p.parent = slash ? strndup(p.path, (size_t)(slash - p.path)) : strdup(".");
	if (!p.parent)
		return err_nomem(e);
	p.name = slash ? slash + 1 : p.path;
	p.dir = fd_open_in_root(root, p.parent, O_PATH | O_DIRECTORY, 0);
	if (p.dir == -ENOENT && make)
		p.dir = mkdir_in_root(root, p.parent, 0755);
	if (p.dir < 0)
		return err_errno(e, p.dir, "its directory %s", p.parent);
	*ret = p;
	p = (struct place){.dir = -1};
	return 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int set_opaque(int dir, const char *name, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
		return err_errno(e, errno, "mark the directory opaque");
	return 0;
}

/* Hides `name` of lower layers. What this layer itself has put there stays, but hides a lower directory's content. */
static int make_whiteout(const struct place *p, const char *name, struct err *e)
{
	struct stat st;

	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(e, EINVAL, "a whiteout without a name");
	if (mknodat(p->dir, name, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST || fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "make a whiteout");
	return S_ISDIR(st.st_mode) ? set_opaque(p->dir, name, e) : 0;
}

/* 1: the entry was a whiteout and is done. */
static int try_whiteout(const struct place *p, struct err *e)
{
	int r;

	if (!str_starts(p->name, whiteout_prefix))
		return 0;
	if (!strcmp(p->name, opaque_name))
		r = set_opaque(p->dir, ".", e);
	else if (str_starts(p->name, ".wh..wh."))
		r = 0; /* aufs's own records */
	else
		r = make_whiteout(p, p->name + strlen(whiteout_prefix), e);
	return r < 0 ? r : 1;
}

static int write_content(struct unpack *u, int fd, int64_t size, struct err *e)
{
	const void *block;
	size_t n;
	int64_t offset;
	int r;

	while ((r = archive_read_data_block(u->tar, &block, &n, &offset)) == ARCHIVE_OK) {
		if (offset < 0 || offset > size || (int64_t)n > size - offset)
			return err_set(e, EBADMSG, "more content than its header says");
		for (size_t done = 0; done < n;) {
			ssize_t k = pwrite(fd, (const char *)block + done, n - done, offset + (int64_t)done);
			if (k < 0 && errno == EINTR)
				continue;
			if (k < 0)
				return err_errno(e, errno, "write");
			done += (size_t)k;
		}
	}
	if (r != ARCHIVE_EOF)
		return err_set(e, EBADMSG, "%s",
			archive_error_string(u->tar) ? archive_error_string(u->tar) : "damaged content");
	return ftruncate(fd, size) < 0 ? err_errno(e, errno, "write") : 0;
}

static int make_file(struct unpack *u, struct archive_entry *entry, const struct place *p, struct err *e)
{
	int64_t size = archive_entry_size(entry);

	if (size < 0 || (uint64_t)size > u->max_size - u->size)
		return err_errno(e, ENOSPC, "the layer is larger than what is free");
	u->size += (uint64_t)size;
	_cleanup_close_ int fd = openat(p->dir, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_errno(e, errno, "create") : write_content(u, fd, size, e);
}

static int make_hardlink(struct unpack *u, const char *target, const struct place *p, struct err *e)
{
	_cleanup_(place_done) struct place t = {.dir = -1};
	struct stat st;
	int r = place_find(u->root, target, false, &t, e);

	if (r < 0)
		return err_wrap(e, "hard link to %s", target);
	if (fstatat(t.dir, t.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(&st))
		return err_set(e, EINVAL, "hard link to %s: which is a whiteout", target);
	return linkat(t.dir, t.name, p->dir, p->name, 0) < 0 ? err_errno(e, errno, "hard link to %s", target) : 0;
}

/* Makes room for the entry. *ret_dir: a directory is there and stays. *ret_opaque: it replaces a whiteout of this layer. */
static int clear_place(const struct place *p, mode_t type, bool *ret_dir, bool *ret_opaque, struct err *e)
{
	struct stat st;

	*ret_dir = *ret_opaque = false;
	if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "stat");
	if (S_ISDIR(st.st_mode) && type == S_IFDIR) {
		*ret_dir = true;
		return 0;
	}
	if (!strcmp(p->name, "."))
		return err_set(e, EINVAL, "the layer's root is not a directory");
	*ret_opaque = is_whiteout(&st) && type == S_IFDIR;
	int r = rm_rf(p->dir, p->name);
	return r < 0 ? err_errno(e, r, "replace") : 0;
}

static int make_dir(const struct place *p, bool there, bool opaque, struct err *e)
{
	if (!there && mkdirat(p->dir, p->name, 0700) < 0)
		return err_errno(e, errno, "make");
	return opaque ? set_opaque(p->dir, p->name, e) : 0;
}

static int make_node(const struct place *p, struct archive_entry *entry, mode_t type, struct err *e)
{
	dev_t dev = type == S_IFIFO ? 0 : makedev(archive_entry_rdevmajor(entry), archive_entry_rdevminor(entry));

	return mknodat(p->dir, p->name, type | 0600, dev) < 0 ? err_errno(e, errno, "make") : 0;
}

static int make(struct unpack *u, struct archive_entry *entry, const struct place *p, mode_t type, struct err *e)
{
	bool there, opaque;
	int r = clear_place(p, type, &there, &opaque, e);

	if (r < 0)
		return r;
	switch (type) {
	case S_IFREG:
		return make_file(u, entry, p, e);
	case S_IFDIR:
		return make_dir(p, there, opaque, e);
	case S_IFLNK: {
		const char *target = archive_entry_symlink(entry);
		if (str_empty(target))
			return err_set(e, EINVAL, "a symbolic link without a target");
		return symlinkat(target, p->dir, p->name) < 0 ? err_errno(e, errno, "symbolic link") : 0;
	}
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		return make_node(p, entry, type, e);
	default:
		return err_set(e, EINVAL, "a type of file (0%o) that layers cannot have", type);
	}
}

/* What the file or the file system cannot carry is left out, but never a file's capabilities. */
static int set_xattrs(struct archive_entry *entry, const struct place *p, struct err *e)
{
	const char *name;
	const void *value;
	size_t size;

	if (archive_entry_xattr_reset(entry) == 0)
		return 0;
	if (fchdir(p->dir) < 0)
		return err_errno(e, errno, "enter its directory");
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (!name || str_starts(name, "trusted.overlay."))
			continue;
		if (lsetxattr(p->name, name, value, size, 0) == 0)
			continue;
		if ((errno == EOPNOTSUPP || errno == EPERM) && strcmp(name, "security.capability") != 0)
			continue;
		return err_errno(e, errno, "extended attribute %s", name);
	}
	return 0;
}

static int remember_times(struct unpack *u, const char *path, struct timespec mtime, struct err *e)
{
	if (u->n_dirs == DIRS_MAX)
		return err_set(e, EFBIG, "the layer has more than %d directories", DIRS_MAX);
	if (u->n_dirs % 64 == 0) {
		struct dir_times *more = reallocarray(u->dirs, u->n_dirs + 64, sizeof(*more));
		if (!more)
			return err_nomem(e);
		u->dirs = more;
	}
	char *copy = strdup(path);
	if (!copy)
		return err_nomem(e);
	u->dirs[u->n_dirs++] = (struct dir_times){.path = copy, .mtime = mtime};
	return 0;
}

/* In this order: chown clears the setuid bit and the capabilities. */
static int set_attributes(
	struct unpack *u, struct archive_entry *entry, const struct place *p, mode_t type, struct err *e)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	struct timespec mtime = {.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)};

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(e, EINVAL, "the owner %lld:%lld is out of range", (long long)uid, (long long)gid);
	if (fchownat(p->dir, p->name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "set the owner");
	if (type != S_IFLNK && fchmodat(p->dir, p->name, archive_entry_perm(entry) & 07777, 0) < 0)
		return err_errno(e, errno, "set the mode");
	int r = set_xattrs(entry, p, e);
	if (r < 0)
		return r;
	if (mtime.tv_sec > u->newest)
		u->newest = mtime.tv_sec;
	if (type == S_IFDIR)
		return remember_times(u, p->path, mtime, e);
	if (utimensat(p->dir, p->name, (struct timespec[]){mtime, mtime}, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "set the time");
	return 0;
}

static int entry_in_place(struct unpack *u, struct archive_entry *entry, const struct place *p, struct err *e)
{
	const char *target = archive_entry_hardlink(entry);
	mode_t type = archive_entry_filetype(entry);
	bool there, opaque;

	int r = try_whiteout(p, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (target) {
		r = clear_place(p, S_IFREG, &there, &opaque, e);
		return r < 0 ? r : make_hardlink(u, target, p, e);
	}
	r = make(u, entry, p, type, e);
	return r < 0 ? r : set_attributes(u, entry, p, type, e);
}

int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *e)
{
	_cleanup_(place_done) struct place p = {.dir = -1};
	const char *path = archive_entry_pathname(entry);

	if (str_empty(path))
		return err_set(e, EBADMSG, "an entry without a name");
	_cleanup_free_ char *name = strdup(path);
	if (!name)
		return err_nomem(e);
	int r = place_find(u->root, name, true, &p, e);
	if (r == 0)
		r = entry_in_place(u, entry, &p, e);
	return r < 0 ? err_wrap(e, "entry %.256s", name) : 0;
}

int unpack_root(struct unpack *u, struct err *e)
{
	if (fchmod(u->root, 0755) < 0)
		return err_errno(e, errno, "set the mode of the layer's root");
	return remember_times(u, ".", (struct timespec){0}, e);
}

/* A directory that was replaced meanwhile has the times of what replaced it. */
int unpack_dir_times(struct unpack *u, struct err *e)
{
	for (size_t i = 0; i < u->n_dirs; i++) {
		_cleanup_close_ int fd =
			fd_open_in_root(u->root, u->dirs[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd >= 0 && futimens(fd, (struct timespec[]){u->dirs[i].mtime, u->dirs[i].mtime}) < 0)
			return err_errno(e, errno, "entry %s: set the time", u->dirs[i].path);
	}
	return 0;
}

void unpack_free(struct unpack *u)
{
	for (size_t i = 0; i < u->n_dirs; i++)
		free(u->dirs[i].path);
	free(u->dirs);
}
