/*
 * The /dev/shm that goes with another container's IPC namespace. It is mounted in that container's mount namespace alone, and a mount can be copied only
 * from inside its namespace: a child enters it and sends the copy back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/proc.h"
#include "sandbox/first.h"
#include "sandbox/mount.h"
#include "sandbox/namespace.h"
#include "sandbox/setup.h"

/* The container may have put something else there: only a tmpfs, reached by no link, will do. */
static int take_shm(struct err *e)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	_cleanup_close_ int dir = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/shm", &how, sizeof(how));
	struct statfs fs;

	if (dir < 0 || fstatfs(dir, &fs) < 0)
		return err_errno(e, errno, "open /dev/shm of the container whose IPC namespace is joined");
	if (fs.f_type != TMPFS_MAGIC)
		return err_set(e, EINVAL, "/dev/shm of the container whose IPC namespace is joined is no tmpfs");
	_cleanup_close_ int mfd = mount_clone(dir, "", false);
	/* whatever the other one has made of its own */
	int r = mfd < 0
		? mfd
		: mount_change(mfd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, MS_PRIVATE, false);
	return r < 0 ? err_errno(e, r, "take /dev/shm of the container whose IPC namespace is joined") : steal_fd(&mfd);
}

int donor_shm(const struct plan *p, struct err *e)
{
	int sock[2], shm = -1;
	int r = report_socket(sock, e);

	if (r < 0)
		return r;
	_cleanup_close_ int mine = sock[0];
	pid_t helper = namespace_fork(0, -1, false, NULL);
	if (helper == 0) {
		struct err mistake = ERR_INIT;
		int mfd = namespace_join(p->shmns, p->shmns_id, CLONE_NEWNS, "mount", &mistake);
		if (mfd == 0)
			mfd = take_shm(&mistake);
		if (mfd < 0)
			first_die(sock[1], &mistake);
		report_send(sock[1], REPORT_FD, 0, NULL, mfd);
		_exit(0);
	}
	close(sock[1]);
	if (helper < 0)
		return err_errno(e, helper, "fork");
	r = report_wait(mine, &shm, NULL, e);
	proc_reap(helper);
	if (r == 0 && shm < 0)
		r = err_set(e, EIO, "/dev/shm of the container whose IPC namespace is joined did not come");
	if (r < 0)
		close_fd(&shm);
	return r < 0 ? r : shm;
}
