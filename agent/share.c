/*
 * The share. To find its device and mount it takes as long as half a start, so a process that was made before the snapshot does it on the guest's other
 * CPU, while the agent goes on with START. In a machine that has booted there is no such process, and the agent does it when it waits.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

enum { TAG_MAX = 64 };

static _Noreturn void help(const struct machine *m, int sock)
{
	char tag[TAG_MAX] = "";
	struct err e = ERR_INIT;

	if (recv(sock, tag, sizeof(tag) - 1, 0) <= 0)
		_exit(1);
	m->share(tag, &e);
	(void)!send(sock, &e, sizeof(e), MSG_NOSIGNAL);
	_exit(0);
}

int share_prepare(struct agent *a, struct err *e)
{
	int sock[2];

	if (a->share_helper >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_errno(e, errno, "make a socket pair");
	pid_t pid = fork();
	if (pid == 0)
		help(a->machine, sock[1]);
	close(sock[1]);
	a->share_helper = sock[0];
	return pid < 0 ? err_errno(e, errno, "make the process that mounts the share") : 0;
}

void share_begin(struct agent *a, const char *tag)
{
	if (a->share_helper >= 0)
		send(a->share_helper, tag, strlen(tag), MSG_NOSIGNAL);
}

int share_finish(struct agent *a, const char *tag, struct err *e)
{
	struct err said = ERR_INIT;

	if (a->share_helper < 0)
		return a->machine->share(tag, e);
	ssize_t n = recv(a->share_helper, &said, sizeof(said), 0);
	close_fd(&a->share_helper);
	if (n != sizeof(said))
		return err_set(e, EIO, "the process that mounts the share has ended");
	*e = said;
	return -said.code;
}
