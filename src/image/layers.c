/* The directory of layers: its lock, and the removal of what nobody uses. */
#include "image/layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "store/db.h"
#include "store/images.h"

static const char lock_name[] = ".lock";
enum { PART_KEPT_S = 24 * 3600 };

static int open_dir(struct db *d, const char *name, int *ret_fd, struct err *e)
{
	/* overlayfs shows the mode of the topmost directory as the container's "/": this is only the parent of them all */
	int r = mkdir_p(db_root_fd(d), name, 0700);

	if (r < 0)
		return err_errno(e, r, "make %s/%s", db_root(d), name);
	int fd = openat(db_root_fd(d), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s/%s", db_root(d), name);
	*ret_fd = fd;
	return 0;
}

int layers_open(struct db *d, int *ret_fd, struct err *e)
{
	return open_dir(d, "layers", ret_fd, e);
}

int blobs_open(struct db *d, int *ret_fd, struct err *e)
{
	return open_dir(d, "blobs", ret_fd, e);
}

/* Removes the entries of a directory that are not in `keep`. */
static int remove_others(int dirfd, char *const *keep, struct err *e)
{
	_cleanup_closedir_ DIR *dir = dir_open(dirfd, ".");
	struct dirent *de;

	if (!dir)
		return err_errno(e, errno, "read a directory of layers");
	while ((de = readdir(dir))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") || strv_has(keep, de->d_name) ||
			!strcmp(de->d_name, lock_name))
			continue;
		log_trace("image", "remove %s", de->d_name);
		int r = rm_rf(dirfd, de->d_name);
		if (r < 0)
			return err_errno(e, r, "remove %s", de->d_name);
	}
	return 0;
}

/* Downloads that broke off lately: the next pull goes on with them. */
static int keep_parts(struct db *d, char ***keep, struct err *e)
{
	_cleanup_close_ int fd = openat(db_root_fd(d), "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : dir_open(fd, ".");
	const struct dirent *de;
	struct stat st;

	while (dir && (de = readdir(dir)))
		if (str_starts(de->d_name, PART_PREFIX) && fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_size && st.st_mtime > clock_real_ns() / 1000000000 - PART_KEPT_S &&
			strv_push(keep, de->d_name) < 0)
			return err_nomem(e);
	return 0;
}

static int keep_erofs(void *data, const struct image_row *r, struct err *e)
{
	return strv_pushf(data, "%s.erofs", r->id + strlen("sha256:")) < 0 ? err_nomem(e) : 0;
}

/* In a directory that may not be there. */
static int sweep_dir(struct db *d, const char *name, char *const *keep, struct err *e)
{
	_cleanup_close_ int fd = openat(db_root_fd(d), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s/%s", db_root(d), name);
	return remove_others(fd, keep, e);
}

/* With the exclusive lock held: nothing in the directories is on its way to an image. */
static int sweep_locked(struct db *d, int layers, struct err *e)
{
	_cleanup_strv_ char **dirs = NULL, **blobs = NULL, **erofs = NULL;

	int r = layers_forget_unused(d, e);
	if (r == 0)
		r = layers_dirs(d, &dirs, e);
	if (r == 0)
		r = layers_blobs(d, &blobs, e);
	if (r == 0)
		r = keep_parts(d, &blobs, e);
	if (r == 0)
		r = images_each(d, keep_erofs, &erofs, e);
	if (r == 0)
		r = remove_others(layers, dirs, e);
	if (r == 0)
		r = sweep_dir(d, "blobs", blobs, e);
	return r < 0 ? r : sweep_dir(d, "erofs", erofs, e);
}

int layers_sweep(struct db *d, struct err *e)
{
	_cleanup_close_ int layers = -1;

	int r = layers_open(d, &layers, e);
	if (r < 0)
		return r;
	_cleanup_close_ int lock = fd_lock_file(layers, lock_name, true, false);
	if (lock == -EWOULDBLOCK)
		return 0;
	return lock < 0 ? err_errno(e, lock, "lock %s/layers", db_root(d)) : sweep_locked(d, layers, e);
}

int layers_lock(struct db *d, int *ret_lock, struct err *e)
{
	_cleanup_close_ int layers = -1;

	int r = layers_open(d, &layers, e);
	if (r == 0)
		r = layers_sweep(d, e);
	if (r < 0)
		return r;
	int lock = fd_lock_file(layers, lock_name, false, true);
	if (lock < 0)
		return err_errno(e, lock, "lock %s/layers", db_root(d));
	*ret_lock = lock;
	return 0;
}
