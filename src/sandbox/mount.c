/* Mounts as descriptors. */
#include "sandbox/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

enum { LINKS_MAX = 16 };

int mount_error(int fs, int code, const char *what, struct err *e)
{
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 2)
		return err_errno(e, code, "mount %s", what);
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return err_set(e, code, "mount %s: %s (%s)", what, strerror(code), text + 2);
}

static int set_option(int fs, const char *option)
{
	char key[64];
	const char *eq = strchr(option, '=');

	if (!eq)
		return fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0) < 0 ? -errno : 0;
	if (snprintf(key, sizeof(key), "%.*s", (int)(eq - option), option) >= (int)sizeof(key))
		return -EINVAL;
	return fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0) < 0 ? -errno : 0;
}

int mount_new(const char *fstype, const char *what, const char *const *options, unsigned attrs, struct err *e)
{
	/* what mount(8) shows as the device, as docker names it */
	const char *source = strcmp(what, "/dev/shm") ? fstype : "shm";
	_cleanup_close_ int fs = fsopen(fstype, FSOPEN_CLOEXEC);

	if (fs < 0)
		return err_errno(e, errno, "mount %s: file system %s", what, fstype);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return mount_error(fs, errno, what, e);
	for (; options && *options; options++) {
		int r = set_option(fs, *options);
		if (r < 0)
			return mount_error(fs, -r, what, e);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_error(fs, errno, what, e);
	int mfd = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
	return mfd < 0 ? err_errno(e, errno, "mount %s", what) : mfd;
}

int mount_new_text(const char *fstype, const char *what, const char *options, unsigned attrs, struct err *e)
{
	_cleanup_strv_ char **v = options ? strv_split(options, ",") : NULL;

	return mount_new(fstype, what, (const char *const *)v, attrs, e);
}

int mount_clone(int dirfd, const char *path, bool recursive)
{
	int fd = open_tree(
		dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u));

	return fd < 0 ? -errno : fd;
}

int mount_change(int mfd, uint64_t attrs, uint64_t propagation, bool recursive)
{
	struct mount_attr a = {.attr_set = attrs, .propagation = propagation};

	if (!attrs && !propagation)
		return 0;
	return mount_setattr(mfd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u), &a, sizeof(a)) < 0 ? -errno : 0;
}

int mount_attach(int mfd, int target)
{
	return move_mount(mfd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Makes an empty file; a link that leads to nowhere is followed, inside the root. */
static int make_file(int rootfd, const char *path, int links)
{
	char to[1024];
	_cleanup_free_ char *parent = path_clean(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!slash)
		return parent ? -EINVAL : -ENOMEM;
	*slash = 0;
	_cleanup_close_ int dir = mkdir_through_links(rootfd, *parent ? parent : "/", 0755);
	if (dir < 0)
		return dir;
	_cleanup_close_ int fd = openat(dir, slash + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0 || errno != EEXIST)
		return fd < 0 ? -errno : 0;
	ssize_t n = readlinkat(dir, slash + 1, to, sizeof(to) - 1);
	if (n < 0)
		return errno == EINVAL ? 0 : -errno;
	if (links >= LINKS_MAX)
		return -ELOOP;
	to[n] = 0;
	_cleanup_free_ char *next = str_fmt("%s/%s", *to == '/' ? "" : parent, to);
	return next ? make_file(rootfd, next, links + 1) : -ENOMEM;
}

/* As docker's runtime: what is mounted over /proc would hide its masks, or what others trust in it. */
static bool may_cover(int target, const char *path)
{
	static const char *const fakes[] = {"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat",
		"/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid",
		"/proc/sys/crypto/fips_enabled", NULL};
	struct statfs fs;

	return str_in(path, fakes) || (fstatfs(target, &fs) == 0 && fs.f_type != PROC_SUPER_MAGIC);
}

int mount_target(int rootfd, const char *path, bool dir, struct err *e)
{
	struct stat st;
	_cleanup_close_ int fd = fd_open_in_root(rootfd, path, O_PATH, 0);

	if (fd == -ENOENT && dir) {
		fd = mkdir_through_links(rootfd, path, 0755);
	} else if (fd == -ENOENT) {
		int r = make_file(rootfd, path, 0);
		fd = r < 0 ? r : fd_open_in_root(rootfd, path, O_PATH, 0);
	}
	if (fd < 0)
		return err_errno(e, fd, "make the mount point %s in the root", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "mount point %s", path);
	if (!!S_ISDIR(st.st_mode) != dir)
		return err_set(e, ENOTDIR,
			"mount point %s: not a directory: are you trying to mount a directory onto a file "
			"(or vice-versa)?",
			path);
	if (!may_cover(fd, path))
		return err_set(e, EPERM, "\"%s\" cannot be mounted because it is inside /proc", path);
	return steal_fd(&fd);
}

int mount_target_plain(int rootfd, const char *path, struct err *e)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(rootfd, path + 1, 0755) < 0 && errno != EEXIST)
			return err_errno(e, errno, "make %s in the root", path);
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	}
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(e, ENOTDIR, "%s in the root is not a directory", path);
	return fd < 0 ? err_errno(e, errno, "open %s in the root", path) : (int)fd;
}

int mount_at(int rootfd, const char *path, int mfd, struct err *e)
{
	_cleanup_close_ int mount = mfd;
	_cleanup_close_ int target = mount_target(rootfd, path, true, e);

	if (target < 0)
		return target;
	int r = mount_attach(mount, target);
	return r < 0 ? err_errno(e, r, "mount on %s", path) : 0;
}
