/* An image archive is read by a child that can do nothing but write files into one directory, and tell what they are called in the archive. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/load.h"
#include "image/confine.h"

/* What the child sends: smaller than PIPE_BUF, so each comes whole. */
struct message {
	int32_t code; /* 1: a member, 0: finished, -errno */
	struct member member;
	struct err err;
};

static int tell(void *data, const struct member *m, struct err *e)
{
	struct message message = {.code = 1, .member = *m};
	int r = fd_write_all(*(int *)data, &message, sizeof(message));

	return r < 0 ? err_errno(e, r, "tell of the archive") : 0;
}

static void child(int fd, int dir_fd, int pipe_fd)
{
	int *const fds[] = {&dir_fd, &fd, &pipe_fd};
	struct message m = {0};
	struct statvfs v;

	int r = confine_child("caisson-load", CONFINE_NONE, fds, 3, &m.err);
	if (r == 0 && fstatvfs(dir_fd, &v) < 0)
		r = err_errno(&m.err, errno, "the file system for images");
	if (r == 0)
		r = load_extract(fd, dir_fd, (uint64_t)v.f_bavail * v.f_frsize, tell, &pipe_fd, &m.err);
	m.code = r;
	fd_write_all(pipe_fd, &m, sizeof(m));
	_exit(0);
}

/* What a child that was taken over sends is no better than the archive. */
static bool is_sane(const struct member *m)
{
	return memchr(m->name, 0, sizeof(m->name)) && memchr(m->target, 0, sizeof(m->target)) &&
		(m->kind == MEMBER_FILE ? memchr(m->digest, 0, sizeof(m->digest)) && digest_valid(m->digest)
					: m->kind == MEMBER_SYMLINK || m->kind == MEMBER_HARDLINK);
}

static int collect(int pipe_fd, struct members *members, struct err *e)
{
	struct message m;

	for (;;) {
		if (fd_read_full(pipe_fd, &m, sizeof(m)) != sizeof(m))
			return err_set(e, EIO, "the process that reads the archive ended too soon");
		if (m.code < 0) {
			m.err.msg[sizeof(m.err.msg) - 1] = 0;
			*e = m.err;
			return e->code > 0 ? -e->code : err_set(e, EIO, "the archive could not be read");
		}
		if (m.code == 0)
			return members_sort(members, e);
		if (!is_sane(&m.member))
			return err_set(e, EPROTO, "the process that reads the archive sent what makes no sense");
		int r = members_add(members, &m.member, e);
		if (r < 0)
			return r;
	}
}

int load_open(int fd, int dir_fd, struct members *ret, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0)
		child(fd, dir_fd, fds[1]);
	int r = pid < 0 ? err_errno(e, errno, "fork") : 0;
	close(fds[1]);
	if (r == 0)
		r = collect(fds[0], ret, e);
	close(fds[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r;
}
