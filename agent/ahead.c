/*
 * Work that goes on beside the agent's own, on the guest's other CPU, done by processes that are made before the snapshot and wait to be told: one mounts
 * the container's root, which the container's process could not do (no block device is for a container), the other finds the share and mounts
 * it. Each says in a struct err how it went. In a machine that has booted there are no such processes, and the agent does it all.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

enum { WORD_MAX = 64 };
enum { ALL_WAIT = -20, NOBODY_WAITS = 19 }; /* of nice(2) */

/* ---- the processes ---- */

struct job {
	const char *what;
	int (*work)(const struct machine *m, const char *word, struct err *e);
	int niceness;
	void (*then)(void); /* NULL: nothing */
};

/* What an emulated processor runs for the first time it runs slowly: the way into a program and out of it is gone once while nobody waits for it. */
static void rehearse(void)
{
	char *argv[] = {(char *)"rehearsal", NULL};

	setpriority(PRIO_PROCESS, 0, NOBODY_WAITS);
	execv("/proc/self/exe", argv);
}

static int mount_root(const struct machine *m, const char *word, struct err *e)
{
	(void)word;
	return m->root(e);
}

static int mount_share(const struct machine *m, const char *word, struct err *e)
{
	return m->share(word, e);
}

static const struct job root_job = {"mounts the container's root", mount_root, ALL_WAIT, rehearse};
static const struct job share_job = {"mounts the share", mount_share, 0, NULL};

static _Noreturn void work_when_told(const struct machine *m, const struct job *j, int sock)
{
	char word[WORD_MAX] = "";
	struct err e = ERR_INIT;

	setpriority(PRIO_PROCESS, 0, j->niceness);
	if (recv(sock, word, sizeof(word) - 1, 0) <= 0)
		_exit(1);
	j->work(m, word, &e);
	(void)!send(sock, &e, sizeof(e), MSG_NOSIGNAL);
	if (j->then)
		j->then();
	_exit(0);
}

static int make(const struct machine *m, const struct job *j, int *ret_sock, struct err *e)
{
	int sock[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_errno(e, errno, "make a socket pair");
	pid_t pid = fork();
	if (pid == 0) {
		close(sock[0]);
		work_when_told(m, j, sock[1]);
	}
	close(sock[1]);
	*ret_sock = sock[0];
	return pid < 0 ? err_errno(e, errno, "make the process that %s", j->what) : 0;
}

static bool tell(int sock, const char *word)
{
	return sock >= 0 && send(sock, word, strlen(word), MSG_NOSIGNAL) > 0;
}

static int hear(int sock, const struct job *j, struct err *e)
{
	struct err said = ERR_INIT;

	if (recv(sock, &said, sizeof(said), 0) != sizeof(said))
		return err_set(e, EPIPE, "the process that %s has ended", j->what);
	*e = said;
	return -said.code;
}

/* ---- what the agent does with them ---- */

int ahead_prepare(struct agent *a, struct err *e)
{
	int r = make(a->machine, &share_job, &a->share_helper, e);

	return r == 0 ? make(a->machine, &root_job, &a->root_helper, e) : r;
}

void ahead_begin(struct agent *a, const struct start *s)
{
	a->shares = s->flags & AGENT_HAS_SHARE;
	a->root_begun = s->flags & AGENT_DISK_MOUNTED && tell(a->root_helper, "root");
	if (a->shares)
		tell(a->share_helper, s->tag);
}

int ahead_root(struct agent *a, struct err *e)
{
	int r = hear(a->root_helper, &root_job, e);

	if (r < 0)
		return r;
	strv_free(steal_ptr(a->plan.lower));
	a->plan.rootfs = strdup(AGENT_ROOT);
	return a->plan.rootfs ? 0 : err_nomem(e);
}

int ahead_share(struct agent *a, const char *tag, struct err *e)
{
	return a->share_helper < 0 ? a->machine->share(tag, e) : hear(a->share_helper, &share_job, e);
}
