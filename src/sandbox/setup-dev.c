/* The container's /dev. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox/mount.h"
#include "sandbox/setup.h"

#define SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
enum { DEPTH_MAX = 8 };

static const struct {
	const char *name;
	unsigned major, minor;
} nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

static const struct {
	const char *name, *to;
} links[] = {{"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"}};

static int make_nodes(int dev, struct err *e)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			return err_errno(e, errno, "make /dev/%s", nodes[i].name);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (symlinkat(links[i].to, dev, links[i].name) < 0)
			return err_errno(e, errno, "make /dev/%s", links[i].name);
	return 0;
}

/* Mounts a file system on a new directory of /dev, whose content is all ours. */
static int mount_below(int dev, const char *name, int mfd, struct err *e)
{
	_cleanup_close_ int mount = mfd;

	if (mfd < 0)
		return mfd;
	if (mkdirat(dev, name, 0755) < 0 || move_mount(mount, "", dev, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "mount /dev/%s", name);
	return 0;
}

/* The host's, for a container in the host's IPC namespace. */
static int mount_hosts(int dev, struct err *e)
{
	int shm = mount_clone(AT_FDCWD, "/dev/shm", false), mqueue = mount_clone(AT_FDCWD, "/dev/mqueue", false);
	int r = shm >= 0 ? mount_below(dev, "shm", shm, e) : 0;

	if (r == 0 && mqueue >= 0)
		return mount_below(dev, "mqueue", mqueue, e);
	close_fd(&mqueue);
	return r;
}

/* That of the container whose IPC namespace is joined, or one of its own. */
static int mount_shm(struct setup *s, struct err *e)
{
	uint64_t size = s->plan->shm_size ? s->plan->shm_size : 64 << 20;
	char text[48];

	if (s->plan->no_shm)
		return 0;
	if (s->plan->ipcns)
		return mount_below(s->dev, "shm", steal_fd(&s->shm), e);
	snprintf(text, sizeof(text), "size=%llu", (unsigned long long)size);
	const char *options[] = {"mode=1777", text, NULL};
	return mount_below(s->dev, "shm", mount_new("tmpfs", "/dev/shm", options, SAFE, e), e);
}

static int mount_all_below(struct setup *s, struct err *e)
{
	static const char *const pts[] = {"newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL};
	int r = mount_below(
		s->dev, "pts", mount_new("devpts", "/dev/pts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e), e);

	if (r < 0)
		return r;
	if (s->plan->host_ipc)
		return mount_hosts(s->dev, e);
	r = mount_shm(s, e);
	return r < 0 ? r : mount_below(s->dev, "mqueue", mount_new("mqueue", "/dev/mqueue", NULL, SAFE, e), e);
}

/* Makes the node of `from` at a path below /dev. */
static int make_node(int dev, const char *path, const struct stat *from, struct err *e)
{
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return err_nomem(e);
	if (slash) {
		*slash = 0;
		int r = mkdir_p(dev, dir, 0755);
		if (r < 0)
			return err_errno(e, r, "make /dev/%s", dir);
	}
	if (mknodat(dev, path, from->st_mode & (S_IFMT | 0777), from->st_rdev) < 0 && errno != EEXIST)
		return err_errno(e, errno, "make /dev/%s", path);
	if (fchownat(dev, path, from->st_uid, from->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "change the owner of /dev/%s", path);
	return 0;
}

static int make_plan_nodes(const struct setup *s, struct err *e)
{
	for (size_t i = 0; i < s->plan->devices_len; i++) {
		const struct plan_device *d = &s->plan->devices[i];
		_cleanup_free_ char *path = path_clean(d->path);
		struct stat st;
		if (!path)
			return err_nomem(e);
		if (!str_starts(path, "/dev/"))
			return err_set(e, EINVAL, "device %s: not below /dev", d->path);
		if (stat(d->host_path, &st) < 0)
			return err_errno(e, errno, "device %s", d->host_path);
		int r = make_node(s->dev, path + 5, &st, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --privileged: every device node of this kernel's own /dev. prefix is "" or "dir/". */
static int make_host_nodes(int dev, const char *prefix, int depth, struct err *e)
{
	static const char *const skip[] = {
		".", "..", "pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev", NULL};
	char path[1024];
	struct dirent *en;

	snprintf(path, sizeof(path), "/dev/%s", prefix);
	_cleanup_closedir_ DIR *d = opendir(path);
	if (!d || depth > DEPTH_MAX)
		return 0;
	while ((en = readdir(d))) {
		struct stat st;
		int r = 0;
		if (str_in(en->d_name, skip) || fstatat(dirfd(d), en->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (snprintf(path, sizeof(path), "%s%s", prefix, en->d_name) >= (int)sizeof(path) - 1)
			continue;
		if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
			r = make_node(dev, path, &st, e);
		} else if (S_ISDIR(st.st_mode)) {
			strcat(path, "/");
			r = make_host_nodes(dev, path, depth + 1, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int setup_dev(struct setup *s, struct err *e)
{
	static const char *const options[] = {"mode=755", "size=65536k", NULL};
	_cleanup_close_ int target = mount_target_plain(s->root, "/dev", e);

	if (target < 0)
		return target;
	s->dev = mount_new("tmpfs", "/dev", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME, e);
	if (s->dev < 0)
		return s->dev;
	int r = mount_attach(s->dev, target);
	if (r < 0)
		return err_errno(e, r, "mount /dev");
	r = make_nodes(s->dev, e);
	if (r == 0)
		r = mount_all_below(s, e);
	if (r == 0)
		r = make_plan_nodes(s, e);
	if (r == 0 && s->plan->privileged)
		r = make_host_nodes(s->dev, "", 0, e);
	return r;
}
