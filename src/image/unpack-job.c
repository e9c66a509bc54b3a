/* Unpacking in a child that can do little else: chrooted into the layer's directory, no network, few capabilities. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/unpack.h"

/* What the child sends: smaller than PIPE_BUF, so each comes whole. */
struct message {
	int32_t code; /* 1: goes on, 0: finished, -errno */
	uint64_t used;
	struct unpack_result result;
	struct err err;
};

enum { REPORT_BYTES = 512 * 1024 };

struct reporter {
	int fd;
	uint64_t last;
};

static void report(void *data, uint64_t used)
{
	struct reporter *p = data;

	if (used - p->last < REPORT_BYTES)
		return;
	struct message m = {.code = 1, .used = used};
	p->last = used;
	fd_write_all(p->fd, &m, sizeof(m));
}

/* SYS_ADMIN is what trusted.overlay.opaque needs; in a mount namespace of its own, and behind a chroot. */
static int drop_capabilities(void)
{
	static const int kept[] = {
		CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SYS_ADMIN};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		data[kept[i] / 32].effective |= 1U << (kept[i] % 32);
	for (size_t i = 0; i < 2; i++)
		data[i].permitted = data[i].effective;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return 0;
}

static int confine(int dir_fd, struct err *e)
{
	struct rlimit none = {0};

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return err_errno(e, errno, "confine the unpacking");
	if (fchdir(dir_fd) < 0 || chroot(".") < 0)
		return err_errno(e, errno, "enter the layer's directory");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, errno, "confine the unpacking");
	int r = drop_capabilities();
	return r < 0 ? err_errno(e, r, "drop capabilities") : 0;
}

static void child(int tar_fd, int dir_fd, int plain_fd, int pipe_fd)
{
	struct message m = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "caisson-unpack");
	int r = fd_keep(3, (int *const[]){&tar_fd, &dir_fd, &pipe_fd, &plain_fd}, plain_fd < 0 ? 3 : 4);
	if (r < 0)
		err_errno(&m.err, r, "confine the unpacking");
	else
		r = confine(dir_fd, &m.err);
	struct reporter p = {.fd = pipe_fd};
	if (r == 0)
		r = unpack_tar(tar_fd, dir_fd, plain_fd, report, &p, &m.result, &m.err);
	m.code = r;
	fd_write_all(pipe_fd, &m, sizeof(m));
	_exit(0);
}

int unpack_job_start(int tar_fd, int dir_fd, int plain_fd, struct unpack_job *ret, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid_t pid = fork();
	if (pid < 0) {
		err_errno(e, errno, "fork");
		close(fds[0]);
		close(fds[1]);
		return -e->code;
	}
	if (pid == 0)
		child(tar_fd, dir_fd, plain_fd, fds[1]);
	close(fds[1]);
	*ret = (struct unpack_job){.pid = pid, .fd = fds[0]};
	return 0;
}

int unpack_job_read(struct unpack_job *j, uint64_t *ret_used, struct unpack_result *ret, struct err *e)
{
	struct message m;
	ssize_t n = fd_read_full(j->fd, &m, sizeof(m));

	if (n != sizeof(m))
		return err_set(e, EIO, "the unpacking process ended too soon");
	if (m.code > 0) {
		*ret_used = m.used;
		return 1;
	}
	if (m.code < 0) {
		m.err.msg[sizeof(m.err.msg) - 1] = 0;
		*e = m.err;
		return m.code;
	}
	m.result.diff_id[DIGEST_LEN] = 0;
	*ret = m.result;
	return 0;
}

void unpack_job_done(struct unpack_job *j)
{
	if (j->pid <= 0)
		return;
	kill(j->pid, SIGKILL);
	waitpid(j->pid, NULL, 0);
	close(j->fd);
	*j = (struct unpack_job){.fd = -1};
}
