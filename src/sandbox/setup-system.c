/* /proc, /sys, /dev and the cgroups as docker sets them up; hidden and read-only paths. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/mount.h"
#include "sandbox/setup.h"

#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Mounts on a system directory, which the image must not have made a link; returns the mount. */
static int attach_plain(struct setup *s, const char *path, int mfd, struct err *e)
{
	_cleanup_close_ int mount = mfd;
	_cleanup_close_ int target = mfd < 0 ? -1 : mount_target_plain(s->root, path, e);

	if (mfd < 0 || target < 0)
		return mfd < 0 ? mfd : target;
	int r = mount_attach(mount, target);
	return r < 0 ? err_errno(e, r, "mount %s", path) : steal_fd(&mount);
}

static int cgroup_links(int dir, const char *name)
{
	_cleanup_strv_ char **parts = strv_split(name, ",");

	if (strv_len(parts) < 2)
		return 0;
	strv_foreach(part, parts) {
		if (symlinkat(name, dir, part) < 0)
			return -errno;
	}
	return 0;
}

/* v1: the container's own directory of each hierarchy, read-only unless privileged. */
static int cgroups_v1(struct setup *s, struct err *e)
{
	static const char *const options[] = {"mode=755", "size=64k", NULL};
	uint64_t ro = s->plan->privileged ? 0 : MOUNT_ATTR_RDONLY;
	_cleanup_close_ int dir =
		attach_plain(s, "/sys/fs/cgroup", mount_new("tmpfs", "/sys/fs/cgroup", options, SAFE, e), e);

	if (dir < 0)
		return dir;
	for (size_t i = 0; i < s->cgroup->len; i++) {
		const char *name = s->cgroup->dir[i].name;
		if (s->cgroups[i] < 0)
			continue;
		int r = mount_change(s->cgroups[i], SAFE | ro, MS_PRIVATE, false);
		if (r == 0 && mkdirat(dir, name, 0555) < 0)
			r = -errno;
		if (r == 0 && move_mount(s->cgroups[i], "", dir, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			r = -errno;
		if (r == 0)
			r = cgroup_links(dir, name);
		if (r < 0)
			return err_errno(e, r, "mount /sys/fs/cgroup/%s", name);
	}
	int r = mount_change(dir, MOUNT_ATTR_RDONLY, 0, false);
	return r < 0 ? err_errno(e, r, "make /sys/fs/cgroup read-only") : 0;
}

int setup_cgroups(struct setup *s, struct err *e)
{
	unsigned ro = s->plan->privileged ? 0 : MOUNT_ATTR_RDONLY;

	if (!s->cgroup->v2)
		return cgroups_v1(s, e);
	_cleanup_close_ int fd =
		attach_plain(s, "/sys/fs/cgroup", mount_new("cgroup2", "/sys/fs/cgroup", NULL, SAFE | ro, e), e);
	return fd < 0 ? fd : 0;
}

int setup_system(struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;

	s->proc = attach_plain(s, "/proc", mount_new("proc", "/proc", NULL, SAFE, e), e);
	if (s->proc < 0)
		return s->proc;
	int r = setup_dev(s, e);
	if (r < 0)
		return r;
	unsigned ro = p->privileged ? 0 : MOUNT_ATTR_RDONLY;
	s->sys = attach_plain(s, "/sys", mount_new("sysfs", "/sys", NULL, SAFE | ro, e), e);
	return s->sys < 0 ? s->sys : setup_cgroups(s, e);
}

/* A place for masks: an empty read-only tmpfs, the same for all of them. */
struct masks {
	int dir;
	bool attached;
};

static int mask_dir(struct masks *m, int target, struct err *e)
{
	static const char *const options[] = {"size=4k", "nr_inodes=2", "mode=555", NULL};

	if (m->dir < 0) {
		m->dir = mount_new("tmpfs", "a masked directory", options, SAFE | MOUNT_ATTR_RDONLY, e);
		if (m->dir < 0)
			return m->dir;
	}
	if (!m->attached) {
		m->attached = true;
		return mount_attach(m->dir, target);
	}
	_cleanup_close_ int copy = mount_clone(m->dir, "", false);
	return copy < 0 ? copy : mount_attach(copy, target);
}

static int mask(struct setup *s, struct masks *m, const char *path, struct err *e)
{
	_cleanup_close_ int target = fd_open_in_root(s->root, path, O_PATH, 0);
	struct stat st;
	int r;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return err_errno(e, target < 0 ? -target : errno, "mask %s", path);
	if (S_ISDIR(st.st_mode)) {
		r = mask_dir(m, target, e);
	} else {
		_cleanup_close_ int null = mount_clone(s->dev, "null", false);
		r = null < 0 ? null : mount_attach(null, target);
	}
	return r < 0 ? err_errno(e, r, "mask %s", path) : 0;
}

static int make_readonly(struct setup *s, const char *path, struct err *e)
{
	_cleanup_close_ int target = fd_open_in_root(s->root, path, O_PATH, 0);

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	_cleanup_close_ int copy = target < 0 ? target : mount_clone(target, "", true);
	int r = copy < 0 ? copy : mount_change(copy, MOUNT_ATTR_RDONLY, 0, true);
	if (r == 0)
		r = mount_attach(copy, target);
	return r < 0 ? err_errno(e, r, "make %s read-only", path) : 0;
}

int setup_masks(struct setup *s, struct err *e)
{
	struct masks m = {.dir = -1};
	int r = 0;

	strv_foreach(path, s->plan->readonly_paths) {
		if (r == 0)
			r = make_readonly(s, path, e);
	}
	strv_foreach(path, s->plan->masked) {
		if (r == 0)
			r = mask(s, &m, path, e);
	}
	close_fd(&m.dir);
	return r;
}

/* A small root of its own over a directory that this process does not need. */
int setup_scaffold(struct setup *s, struct err *e)
{
	static const char *const options[] = {"mode=755", "size=64k", NULL}, *const dirs[] = {"proc", "sys", "dev"};

	s->root = mount_new("tmpfs", "the scaffold", options, SAFE, e);
	if (s->root < 0)
		return s->root;
	if (move_mount(s->root, "", AT_FDCWD, "/run", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "mount the scaffold");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		if (mkdirat(s->root, dirs[i], 0755) < 0)
			return err_errno(e, errno, "make the scaffold");
	int r = setup_system(s, e);
	if (r == 0)
		r = setup_masks(s, e);
	s->scaffold = r == 0;
	close_fd(&s->root);
	return r;
}

int setup_adopt(struct setup *s, struct err *e)
{
	const struct {
		const char *path;
		int mount;
	} all[] = {{"/proc", s->proc}, {"/dev", s->dev}, {"/sys", s->sys}};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		_cleanup_close_ int target = mount_target_plain(s->root, all[i].path, e);
		int r = target < 0 ? target : mount_attach(all[i].mount, target);
		if (r < 0)
			return e->code ? r : err_errno(e, r, "mount %s", all[i].path);
	}
	return 0;
}
