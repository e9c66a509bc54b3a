/* Directories and paths. */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static int rm_children(int fd, dev_t dev);

static int rm_entry(int dirfd, const char *name, dev_t dev)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int code = errno;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOTDIR ? -code : -errno;
	if (dev && st.st_dev != dev)
		return -EXDEV;
	int r = rm_children(fd, st.st_dev);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int rm_children(int fd, dev_t dev)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		int r = rm_entry(fd, e->d_name, dev);
		if (r < 0)
			return r;
	}
	return 0;
}

int rm_rf(int dirfd, const char *path)
{
	return rm_entry(dirfd, path, 0);
}

int tree_size(int dirfd, const char *path, uint64_t *ret)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	uint64_t total = (uint64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode)) {
		int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *e;
		if (!d)
			return -errno;
		while ((e = readdir(d))) {
			uint64_t n = 0;
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			int r = tree_size(fd, e->d_name, &n);
			if (r < 0 && r != -ENOENT)
				return r;
			total += n;
		}
	}
	*ret = total;
	return 0;
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
	strv_foreach(s, parts)
	{
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

/* Opens (and makes, if missing) `prefix`, the first components of a path. A last component that is a link to nowhere is an error. */
static int open_or_make(int rootfd, const char *prefix, mode_t mode)
{
	int fd = fd_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);

	if (fd != -ENOENT)
		return fd;
	_cleanup_free_ char *parent = strdup(prefix);
	if (!parent)
		return -ENOMEM;
	char *slash = strrchr(parent, '/');
	const char *name = slash ? slash + 1 : parent;
	_cleanup_close_ int dir = -1;
	if (slash && slash > parent) {
		*slash = 0;
		dir = fd_open_in_root(rootfd, parent, O_PATH | O_DIRECTORY, 0);
	} else {
		dir = fd_open_in_root(rootfd, "/", O_PATH | O_DIRECTORY, 0);
	}
	if (dir < 0)
		return dir;
	if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
		return -errno;
	return fd_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
}

int mkdir_in_root(int rootfd, const char *path, mode_t mode)
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
		fd = open_or_make(rootfd, p, mode);
		if (fd < 0)
			return fd;
		if (!c)
			return steal_fd(&fd);
		*s = c;
	}
}
