/* Unpacking in a child that can do little else: chrooted into the layer's directory, no network, few capabilities. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/confine.h"
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

static void child(int tar_fd, int dir_fd, int plain_fd, int pipe_fd)
{
	struct message m = {0};

	int *const fds[] = {&dir_fd, &tar_fd, &pipe_fd, &plain_fd};
	int r = confine_child("caisson-unpack", CONFINE_FILES, fds, plain_fd < 0 ? 3 : 4, &m.err);
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
	/* the layer gets its name by it: what a child that was taken over sends is no better than the layer */
	m.result.diff_id[DIGEST_LEN] = 0;
	if (!digest_valid(m.result.diff_id))
		return err_set(e, EPROTO, "the unpacking process sent what makes no sense");
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
