/* The mount namespace of this process: made private, and given another root. */
#include "base/mountns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/proc.h"

/* Out of any chroot: joining a mount namespace leads to its root. */
static int enter_root(void)
{
	_cleanup_close_ int self = proc_pidfd(getpid());

	if (self < 0)
		return self;
	return setns(self, CLONE_NEWNS) < 0 ? -errno : 0;
}

static bool is_root(int dir)
{
	struct statx a, b;

	return statx(dir, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &a) == 0 &&
		statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &b) == 0 && a.stx_ino == b.stx_ino &&
		a.stx_mnt_id == b.stx_mnt_id;
}

int mountns_make_private(bool *ret_chrooted)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return -errno;
	int r = enter_root();
	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	bool chrooted = !is_root(root);
	if (ret_chrooted)
		*ret_chrooted = chrooted;
	/* the caller's paths are those of the chroot */
	return chrooted && (fchdir(root) < 0 || chroot(".") < 0) ? -errno : 0;
}

int mountns_pivot(int mount_fd, bool chrooted)
{
	int r = chrooted ? enter_root() : 0;

	if (r < 0)
		return r;
	if (chrooted && move_mount(mount_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	/* pivot_root(2), "." for both: the old root ends up over the new one, from where the cwd still reaches it */
	if (fchdir(mount_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
		chdir("/") < 0)
		return -errno;
	return 0;
}
