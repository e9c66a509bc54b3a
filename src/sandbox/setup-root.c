/* The container's root: made, and made "/". */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "base/mountns.h"
#include "base/str.h"
#include "sandbox/mount.h"
#include "sandbox/setup.h"

enum { FSCONFIG_STRING_MAX = 255, MOUNT_DATA_MAX = 4095 };

/* Attaches a mount over "/": path look-ups of this process start below it, at the old root, and so are not
 * affected. */
static int attach_over_root(int mfd, struct err *e)
{
	if (move_mount(mfd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "attach a mount");
	return 0;
}

/* On an initramfs "/" is the first mount of all, which pivot_root(2) refuses to replace: goes on in a copy of
 * it. */
static int leave_initramfs(struct err *e)
{
	struct statfs fs;

	if (statfs("/", &fs) < 0)
		return err_errno(e, errno, "statfs /");
	if (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC)
		return 0;
	_cleanup_close_ int copy = mount_clone(AT_FDCWD, "/", true);
	if (copy < 0)
		return err_errno(e, copy, "copy the root mount");
	int r = attach_over_root(copy, e);
	if (r == 0 && (fchdir(copy) < 0 || chroot(".") < 0))
		r = err_errno(e, errno, "enter the copy of the root mount");
	return r;
}

int setup_isolate(struct setup *s, struct err *e)
{
	int r = mountns_make_private(&s->chrooted);

	if (r < 0)
		return err_errno(e, r, "make the mounts private");
	/* the agent has left its guest's */
	return s->chrooted || s->plan->own_kernel ? 0 : leave_initramfs(e);
}

static bool takes_layers(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
		(major > 6 || (major == 6 && minor >= 8));
}

/* The kernel takes one layer at a time since 6.8, without the limit of one page on all of them. -ENOTSUP: it
 * does not. */
static int overlay_by_layers(const struct plan *p, struct err *e)
{
	_cleanup_close_ int fs = takes_layers() ? fsopen("overlay", FSOPEN_CLOEXEC) : -ENOTSUP;

	if (fs == -ENOTSUP)
		return fs;
	if (fs < 0)
		return err_errno(e, errno, "mount the root: overlayfs");
	strv_foreach(layer, p->lower) {
		if (strlen(layer) > FSCONFIG_STRING_MAX || fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", layer, 0) < 0)
			return -ENOTSUP;
	}
	if (p->upper && (strlen(p->upper) > FSCONFIG_STRING_MAX || strlen(p->work) > FSCONFIG_STRING_MAX))
		return -ENOTSUP;
	if ((p->upper &&
		    (fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", p->upper, 0) < 0 ||
			    fsconfig(fs, FSCONFIG_SET_STRING, "workdir", p->work, 0) < 0)) ||
		fsconfig(fs, FSCONFIG_SET_STRING, "source", "overlay", 0) < 0)
		return mount_error(fs, errno, "the root as overlay", e);
	/* before 6.5 any name of an option is taken at first, and refused only here */
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return errno == EINVAL ? -ENOTSUP : mount_error(fs, errno, "the root as overlay", e);
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? err_errno(e, errno, "mount the root as overlay") : fd;
}

/* Appends a path with the characters escaped that separate layers and options. */
static int add_path(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (strchr("\\:,", *path) && buf_adds(b, "\\") < 0)
			return -ENOMEM;
		if (buf_add(b, path, 1) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The length of the directory that all layers are in. */
static size_t common_prefix(char *const *v)
{
	size_t n = strlen(v[0]);

	strv_foreach(s, v) {
		size_t k = 0;
		while (k < n && s[k] == v[0][k])
			k++;
		n = k;
	}
	while (n && v[0][n - 1] != '/')
		n--;
	return n;
}

static int overlay_data(const struct plan *p, size_t skip, struct buf *b)
{
	int r = buf_adds(b, "lowerdir=");

	for (size_t i = 0; r == 0 && p->lower[i]; i++) {
		if (i)
			r = buf_adds(b, ":");
		if (r == 0)
			r = add_path(b, p->lower[i] + skip);
	}
	if (r == 0 && p->upper)
		r = buf_adds(b, ",upperdir=");
	if (r == 0 && p->upper)
		r = add_path(b, p->upper);
	if (r == 0 && p->upper)
		r = buf_adds(b, ",workdir=");
	if (r == 0 && p->upper)
		r = add_path(b, p->work);
	return r;
}

/* The old way, mount(2), which wants a place to mount on: the work directory, seen by nobody else in this
 * namespace. */
static int overlay_by_data(const struct plan *p, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	const char *at = p->work ? p->work : p->lower[0];
	size_t skip = 0;

	if (overlay_data(p, 0, &b) < 0)
		return err_nomem(e);
	if (b.len > MOUNT_DATA_MAX && strv_len(p->lower) > 1) {
		/* a page is all there is: layers relative to the directory they share */
		skip = common_prefix(p->lower);
		_cleanup_free_ char *dir = strndup(p->lower[0], skip);
		b.len = 0;
		if (!dir || overlay_data(p, skip, &b) < 0)
			return err_nomem(e);
		if (skip && chdir(dir) < 0)
			return err_errno(e, errno, "enter %s", dir);
	}
	if (b.len > MOUNT_DATA_MAX)
		return err_set(
			e, E2BIG, "mount the root: %zu layers are more than this kernel can take", strv_len(p->lower));
	if (mount("overlay", at, "overlay", 0, b.data) < 0)
		return err_errno(e, errno, "mount the root as overlay of %zu layers", strv_len(p->lower));
	int fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (skip)
		(void)!chdir("/");
	return fd < 0 ? err_errno(e, errno, "open the overlay") : fd;
}

int setup_overlay(const struct plan *p, struct err *e)
{
	if (p->upper && !p->work)
		return err_set(e, EINVAL, "the plan's overlay has no work directory");
	/* overlayfs wants an upper directory or two layers */
	if (!p->upper && strv_len(p->lower) == 1) {
		int fd = mount_clone(AT_FDCWD, p->lower[0], false);
		return fd < 0 ? err_errno(e, fd, "root %s", p->lower[0]) : fd;
	}
	int fd = overlay_by_layers(p, e);
	return fd == -ENOTSUP ? overlay_by_data(p, e) : fd;
}

int setup_root(struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;

	if (s->made) {
		s->root = mount_clone(AT_FDCWD, s->made, false);
		if (s->root < 0)
			return err_errno(e, s->root, "open the root at %s", s->made);
	} else if (!str_empty(p->rootfs)) {
		s->root = mount_clone(AT_FDCWD, p->rootfs, true);
		if (s->root < 0)
			return err_errno(e, s->root, "root directory %s", p->rootfs);
		int r = mount_change(s->root, 0, MS_PRIVATE, true);
		if (r < 0)
			return err_errno(e, r, "root directory %s: make its mounts private", p->rootfs);
	} else if (strv_len(p->lower)) {
		s->root = setup_overlay(p, e);
		if (s->root < 0)
			return s->root;
	} else {
		return err_set(e, EINVAL, "the plan has no root file system");
	}
	return attach_over_root(s->root, e);
}

int setup_pivot(struct setup *s, struct err *e)
{
	int r = mountns_pivot(s->root, s->chrooted);

	return r < 0 ? err_errno(e, r, "pivot_root") : 0;
}
