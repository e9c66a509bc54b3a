/* Records to a tree. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "sandbox/files.h"

enum { DIR_TIMES_BYTES = 64 << 20, PARENT_MODE = 0755 };

/* A directory's time is set at the end, when nothing is made in it any more. What does not fit keeps the time of its making. */
struct dir_time {
	char *path;
	struct timespec mtime;
};

struct receiver {
	const struct files_target *t;
	/* the regular file that data goes to */
	int file, parent;
	char *name, *temporary; /* in parent; written under the second one if it is to replace another */
	struct files_entry entry;
	struct buf values; /* of its extended attributes */
	struct dir_time *dirs;
	size_t dirs_len, dirs_bytes;
};

/* `path` of an entry, in the root. */
static char *full_path(const struct receiver *v, const char *path)
{
	return strcmp(path, ".") ? path_join(v->t->dir, path) : strdup(v->t->dir);
}

/* Of a tree with a name of its own no link is followed: one that it has made itself would lead beside it. */
static int open_directory(const struct receiver *v, const char *dir)
{
	return v->t->only ? files_open_below(v->t->root, dir[1] ? dir + 1 : ".", O_PATH | O_DIRECTORY)
			  : fd_open_in_root(v->t->root, dir, O_PATH | O_DIRECTORY, 0);
}

/* The directory that an entry is in, made if it is not there, and its name. `full` is cut. */
static int open_parent(const struct receiver *v, char *full, const char **ret_name)
{
	char *slash = strrchr(full, '/');

	*ret_name = slash + 1;
	*slash = 0;
	const char *dir = *full ? full : "/";
	int fd = open_directory(v, dir);
	if (fd != -ENOENT)
		return fd;
	_cleanup_close_ int made = mkdir_in_root(v->t->root, dir, PARENT_MODE);
	return made < 0 ? made : open_directory(v, dir);
}

static int fail(const struct files_entry *x, int code, struct err *e)
{
	/* only what was asked for is ever told not to be there */
	return err_set(e, code == -ENOENT ? EIO : -code, "write %s: %s", x->path, strerror(-code));
}

static uid_t owner(const struct receiver *v, const struct files_entry *x)
{
	return v->t->owners ? x->uid : geteuid();
}

static gid_t group(const struct receiver *v, const struct files_entry *x)
{
	return v->t->owners ? x->gid : getegid();
}

/* A file system that has no such attributes does without those of users. */
static int set_xattrs(int fd, const struct files_entry *x)
{
	for (size_t i = 0; i < x->xattrs_len; i++) {
		const struct files_xattr *a = &x->xattrs[i];
		if (!str_starts(a->name, "user.") && strcmp(a->name, "security.capability") != 0)
			continue;
		if (fsetxattr(fd, a->name, a->value, a->len, 0) < 0 && errno != EOPNOTSUPP)
			return -errno;
	}
	return 0;
}

/* The owner first: changing it clears set-user-ID and file capabilities. */
static int set_attributes(const struct receiver *v, int fd, const struct files_entry *x, bool is_new)
{
	if ((is_new || v->t->owners) && fchown(fd, owner(v, x), group(v, x)) < 0)
		return -errno;
	if (fchmod(fd, x->mode & 07777) < 0)
		return -errno;
	return set_xattrs(fd, x);
}

static struct timespec mtime(const struct files_entry *x)
{
	return (struct timespec){.tv_sec = x->mtime, .tv_nsec = (long)x->mtime_ns};
}

static int make_dir(
	struct receiver *v, int parent, const char *name, const struct files_entry *x, const struct stat *old)
{
	bool is_new = !old;

	if (is_new && mkdirat(parent, name, 0700) < 0)
		return -errno;
	_cleanup_close_ int fd = files_open_below(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	int r = set_attributes(v, fd, x, is_new);
	v->dirs_bytes += sizeof(*v->dirs) + strlen(v->t->dir) + strlen(x->path);
	if (r < 0 || v->dirs_bytes > DIR_TIMES_BYTES)
		return r;
	if (!(v->dirs_len & (v->dirs_len + 1))) { /* a power of two less one */
		struct dir_time *grown = reallocarray(v->dirs, (v->dirs_len + 1) * 2, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		v->dirs = grown;
	}
	v->dirs[v->dirs_len] = (struct dir_time){.path = full_path(v, x->path), .mtime = mtime(x)};
	return v->dirs[v->dirs_len++].path ? 0 : -ENOMEM;
}

/* The reader has them only until the next record, and they are set at the end: writing takes capabilities from a file. */
static int keep_values(struct receiver *v)
{
	struct files_entry *x = &v->entry;

	v->values.len = 0;
	for (size_t i = 0; i < x->xattrs_len; i++)
		if (buf_add(&v->values, x->xattrs[i].value, x->xattrs[i].len) < 0)
			return -ENOMEM;
	const char *at = v->values.data;
	for (size_t i = 0; i < x->xattrs_len; at += x->xattrs[i++].len)
		x->xattrs[i].value = at;
	return 0;
}

/* Data follows: what there was is replaced when all is there. */
static int begin_file(struct receiver *v, int *parent, const char *name, struct files_entry *x, const struct stat *old)
{
	_cleanup_free_ char *copy = strdup(name);
	_cleanup_free_ char *temporary = old ? str_fmt(".caisson-%d-%zu", getpid(), (size_t)old->st_ino) : NULL;

	if (!copy || (old && !temporary))
		return -ENOMEM;
	int fd = openat(*parent, old ? temporary : name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	v->file = fd;
	v->parent = steal_fd(parent);
	v->name = steal_ptr(copy);
	v->temporary = steal_ptr(temporary);
	v->entry = *x;
	*x = (struct files_entry){.path = strdup(v->entry.path)}; /* for the message of an error */
	int r = x->path ? keep_values(v) : -ENOMEM;
	return r == 0 && ftruncate(fd, (off_t)v->entry.size) < 0 ? -errno : r;
}

static int link_hard(const struct receiver *v, int parent, const char *name, const struct files_entry *x)
{
	_cleanup_free_ char *full = full_path(v, x->link);
	const char *from;

	if (!full)
		return -ENOMEM;
	_cleanup_close_ int dir = open_parent(v, full, &from);
	if (dir < 0)
		return dir;
	return linkat(dir, from, parent, name, 0) < 0 ? -errno : 0;
}

static int make_other(const struct receiver *v, int parent, const char *name, const struct files_entry *x)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime(x)};
	bool link = S_ISLNK(x->mode);
	int r = link ? symlinkat(x->link, parent, name)
		     : mknodat(parent, name, x->mode & (S_IFMT | 07777), makedev(x->major, x->minor));

	if (r < 0 || fchownat(parent, name, owner(v, x), group(v, x), AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* the umask is 0: only a change of owner may have taken bits away */
	if (!link && x->mode & (S_ISUID | S_ISGID) && fchmodat(parent, name, x->mode & 07777, 0) < 0)
		return -errno;
	return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int check_clash(const struct receiver *v, const struct files_entry *x, const struct stat *old, struct err *e)
{
	const char *dir = v->t->shown ? v->t->shown : v->t->dir;
	_cleanup_free_ char *full = path_join(dir, x->path);
	bool is_dir = S_ISDIR(x->mode) && !x->hard;

	if (S_ISDIR(old->st_mode) && !is_dir)
		return err_set(e, EEXIST, "cannot overwrite directory \"%s\" with non-directory \"%s\"",
			full ? full : "", dir);
	if (!S_ISDIR(old->st_mode) && is_dir)
		return err_set(e, EEXIST, "cannot overwrite non-directory \"%s\" with directory \"%s\"",
			full ? full : "", dir);
	return 0;
}

static bool is_only(const char *path, const char *only)
{
	size_t n = strlen(only);

	return !strcmp(only, ".") || (!strncmp(path, only, n) && (!path[n] || path[n] == '/'));
}

/* *x may be taken over. */
static int take_entry(struct receiver *v, struct files_entry *x, struct err *e)
{
	_cleanup_free_ char *full = full_path(v, x->path);
	const char *name;
	struct stat st;

	if (!full)
		return err_nomem(e);
	if (v->t->only && (!is_only(x->path, v->t->only) || (x->hard && !is_only(x->link, v->t->only))))
		return err_set(e, EBADMSG, "%s is not what was asked for", x->path);
	if (!strcmp(x->path, ".")) /* the target itself is as it is */
		return S_ISDIR(x->mode)
			? 0
			: err_set(e, EEXIST, "cannot overwrite directory \"%s\" with non-directory \"%s\"", full, full);
	_cleanup_close_ int parent = open_parent(v, full, &name);
	if (parent < 0)
		return fail(x, parent, e);
	bool exists = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	const struct stat *old = exists ? &st : NULL;
	int r = exists ? check_clash(v, x, &st, e) : 0;
	if (r < 0)
		return r;
	if (S_ISDIR(x->mode) && !x->hard) {
		r = make_dir(v, parent, name, x, old);
	} else if (S_ISREG(x->mode) && !x->hard) {
		r = begin_file(v, &parent, name, x, old);
	} else if (exists && unlinkat(parent, name, 0) < 0) {
		r = -errno;
	} else {
		r = x->hard ? link_hard(v, parent, name, x) : make_other(v, parent, name, x);
	}
	return r < 0 ? fail(x, r, e) : 0;
}

static void drop_file(struct receiver *v)
{
	close_fd(&v->file);
	close_fd(&v->parent);
	free(steal_ptr(v->name));
	free(steal_ptr(v->temporary));
	files_entry_done(&v->entry);
}

static int finish_file(struct receiver *v, struct err *e)
{
	if (v->file < 0)
		return 0;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime(&v->entry)};
	int r = set_attributes(v, v->file, &v->entry, true);
	if (r == 0 && futimens(v->file, times) < 0)
		r = -errno;
	/* where a network's disk is full is told by close(2) */
	if (r == 0 && close(steal_fd(&v->file)) < 0)
		r = -errno;
	if (r == 0 && v->temporary && renameat(v->parent, v->temporary, v->parent, v->name) < 0)
		r = -errno;
	if (r < 0)
		return fail(&v->entry, r, e);
	drop_file(v);
	return 0;
}

static int take_data(struct receiver *v, const struct files_record *x, struct err *e)
{
	size_t done = 0;

	if (v->file < 0 || x->offset > v->entry.size || x->len > v->entry.size - x->offset)
		return err_set(e, EBADMSG, "damaged record of files");
	while (done < x->len) {
		ssize_t n = pwrite(v->file, (const char *)x->data + done, x->len - done, (off_t)(x->offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(&v->entry, -errno, e);
		done += (size_t)n;
	}
	return 0;
}

/* The last first: what is in a directory before the directory. */
static void set_dir_times(const struct receiver *v)
{
	for (size_t i = v->dirs_len; i--;) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, v->dirs[i].mtime};
		_cleanup_close_ int fd = fd_open_in_root(v->t->root, v->dirs[i].path, O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0)
			futimens(fd, times);
	}
}

static int receive(struct receiver *v, struct files_reader *from, struct err *e)
{
	for (;;) {
		_cleanup_(files_record_done) struct files_record x = {0};
		int r = files_read(from, &x, e);
		if (r < 0)
			return r;
		if (r > 0 && x.type == FILES_DATA) {
			r = take_data(v, &x, e);
			if (r < 0)
				return r;
			continue;
		}
		bool end = r == 0;
		r = finish_file(v, e);
		if (r == 0 && !end)
			r = x.type == FILES_ENTRY ? take_entry(v, &x.entry, e)
						  : err_set(e, EBADMSG, "damaged record of files");
		if (r < 0 || end)
			return r;
	}
}

int files_receive(struct files_reader *from, const struct files_target *t, struct err *e)
{
	struct receiver v = {.t = t, .file = -1, .parent = -1};
	int r = receive(&v, from, e);

	if (r < 0 && v.parent >= 0)
		unlinkat(v.parent, v.temporary ? v.temporary : v.name, 0);
	drop_file(&v);
	if (r == 0)
		set_dir_times(&v);
	for (size_t i = 0; i < v.dirs_len; i++)
		free(v.dirs[i].path);
	free(v.dirs);
	buf_done(&v.values);
	return r;
}
