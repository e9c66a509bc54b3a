/* Directories and paths. */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"

int mkdir_p(int dirfd, const char *path, mode_t mode)
{
	if (mkdirat(dirfd, path, mode) == 0)
		return 0;
	if (errno == EEXIST) {
		struct stat st;
		if (fstatat(dirfd, path, &st, 0) < 0)
			return -errno;
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	}
	if (errno != ENOENT)
		return -errno;
	_cleanup_free_ char *parent = strdup(path);
	if (!parent)
		return -ENOMEM;
	char *slash = strrchr(parent, '/');
	while (slash && slash > parent && !slash[1]) { /* trailing slashes */
		*slash = 0;
		slash = strrchr(parent, '/');
	}
	if (!slash || slash == parent)
		return -ENOENT;
	*slash = 0;
	int r = mkdir_p(dirfd, parent, mode);
	if (r < 0)
		return r;
	return mkdirat(dirfd, path, mode) == 0 || errno == EEXIST ? 0 : -errno;
}

/* A tree may be deeper than there are descriptors: what is below RM_DEPTH is moved up to the top, and removed from there. */
enum { RM_DEPTH = 64 };

struct removal {
	int top;
	dev_t dev;
	unsigned moved;
};

static int rm_children(struct removal *t, int dirfd, int depth);

static int move_up(struct removal *t, int dirfd, const char *name)
{
	char to[32];

	for (;;) {
		snprintf(to, sizeof(to), ".deep-%u", t->moved++);
		if (renameat2(dirfd, name, t->top, to, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
}

static int rm_entry(struct removal *t, int dirfd, const char *name, int depth)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int code = errno;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	unsigned moved;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOTDIR ? -code : -errno;
	if (depth && st.st_dev != t->dev)
		return -EXDEV;
	if (depth == RM_DEPTH)
		return move_up(t, dirfd, name);
	if (!depth)
		*t = (struct removal){.top = fd, .dev = st.st_dev};
	do {
		moved = t->moved;
		r = rm_children(t, fd, depth);
	} while (r == 0 && !depth && t->moved != moved);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int rm_children(struct removal *t, int dirfd, int depth)
{
	_cleanup_closedir_ DIR *d = dir_open(dirfd, ".");
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		int r = rm_entry(t, dirfd, e->d_name, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int rm_rf(int dirfd, const char *path)
{
	struct removal t = {.top = -1};

	return rm_entry(&t, dirfd, path, 0);
}

/* The files that have several names and were counted already: a tree of tsearch(3). */
static int compare_inodes(const void *a, const void *b)
{
	const struct stat *x = a, *y = b;

	if (x->st_dev != y->st_dev)
		return x->st_dev < y->st_dev ? -1 : 1;
	return x->st_ino < y->st_ino ? -1 : x->st_ino > y->st_ino;
}

/* 1: for the first time. */
static int count_once(void **seen, const struct stat *st)
{
	struct stat *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *st;
	struct stat **found = tsearch(copy, seen, compare_inodes);
	if (found && *found == copy)
		return 1;
	free(copy);
	return found ? 0 : -ENOMEM;
}

/* A descriptor a level: who makes directories in each other without an end is not to have all of it fail. */
enum { SIZE_DEPTH_MAX = 256 };

static int add_size(int dirfd, const char *path, unsigned depth, void **seen, uint64_t *total)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) {
		int r = st.st_nlink > 1 ? count_once(seen, &st) : 1;
		*total += r > 0 ? (uint64_t)st.st_size : 0;
		return r < 0 ? r : 0;
	}
	if (depth == SIZE_DEPTH_MAX)
		return 0;
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	if (!d) {
		int code = errno;
		close_fd(&fd);
		return -code;
	}
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		int r = add_size(fd, e->d_name, depth + 1, seen, total);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int tree_size(int dirfd, const char *path, uint64_t *ret)
{
	void *seen = NULL;
	uint64_t total = 0;
	int r = add_size(dirfd, path, 0, &seen, &total);

	tdestroy(seen, free);
	if (r == 0)
		*ret = total;
	return r;
}

bool dir_has_files(int dirfd, const char *path)
{
	_cleanup_closedir_ DIR *d = dir_open(dirfd, path);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			return true;
	return false;
}

char *path_join(const char *a, const char *b)
{
	while (*b == '/')
		b++;
	return str_fmt("%s%s%s", a, str_ends(a, "/") ? "" : "/", b);
}

char *path_clean(const char *path)
{
	bool absolute = *path == '/';
	_cleanup_strv_ char **parts = strv_split(path, "/");
	_cleanup_free_ char **kept = calloc(strv_len(parts) + 1, sizeof(*kept));
	_cleanup_buf_ struct buf b = {0};
	size_t n = 0;

	if (!kept)
		return NULL;
	strv_foreach(s, parts) {
		if (!strcmp(s, "."))
			continue;
		if (strcmp(s, "..") != 0)
			kept[n++] = s;
		else if (n && strcmp(kept[n - 1], "..") != 0)
			n--;
		else if (!absolute)
			kept[n++] = s;
	}
	if (buf_adds(&b, absolute ? "/" : n ? "" : ".") < 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (buf_addf(&b, "%s%s", i ? "/" : "", kept[i]) < 0)
			return NULL;
	return steal_ptr(b.data);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

enum { LINKS_MAX = 40 };

static int make_below(int rootfd, const char *path, mode_t mode, int links);

/* Where a link that leads to nowhere would lead, made. */
static int make_link_target(int rootfd, int dir, const char *parent, const char *name, mode_t mode, int links)
{
	char to[4096];
	ssize_t n = readlinkat(dir, name, to, sizeof(to) - 1);

	if (n < 0)
		return errno == EINVAL ? -ENOENT : -errno;
	to[n] = 0;
	_cleanup_free_ char *next = *to == '/' ? strdup(to) : str_fmt("%s/%s", parent, to);
	return next ? make_below(rootfd, next, mode, links - 1) : -ENOMEM;
}

/* Opens (and makes, if missing) `prefix`, the first components of a path, without a trailing slash. */
static int open_or_make(int rootfd, const char *prefix, mode_t mode, int links)
{
	int fd = fd_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);

	if (fd != -ENOENT)
		return fd;
	_cleanup_free_ char *parent = strdup(prefix);
	if (!parent)
		return -ENOMEM;
	char *slash = strrchr(parent, '/');
	const char *name = slash ? slash + 1 : prefix;
	if (slash)
		*slash = 0;
	const char *above = slash && *parent ? parent : "/";
	_cleanup_close_ int dir = fd_open_in_root(rootfd, above, O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return dir;
	if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
		return -errno;
	fd = fd_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
	return fd == -ENOENT && links ? make_link_target(rootfd, dir, above, name, mode, links) : fd;
}

static int make_below(int rootfd, const char *path, mode_t mode, int links)
{
	_cleanup_free_ char *p = path_clean(path);
	_cleanup_close_ int fd = -1;

	if (!p)
		return -ENOMEM;
	for (char *s = p + 1;; s++) {
		if (*s && *s != '/')
			continue;
		char c = *s;
		*s = 0;
		close_fd(&fd);
		fd = open_or_make(rootfd, p, mode, links);
		if (fd < 0)
			return fd;
		if (!c)
			return steal_fd(&fd);
		*s = c;
	}
}

int mkdir_in_root(int rootfd, const char *path, mode_t mode)
{
	return make_below(rootfd, path, mode, 0);
}

int mkdir_through_links(int rootfd, const char *path, mode_t mode)
{
	return make_below(rootfd, path, mode, LINKS_MAX);
}
