/*
 * Work that goes on beside the agent's own, on the guest's other CPU, done by processes that are made before the snapshot and wait to be told: one mounts
 * the container's root, which the container's process could not do (no block device is for a container), one finds the share and mounts it, one sets
 * up the network. Each says in a struct err how it went. In a machine that has booted there are no such processes, and the agent does it all.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

enum { WORD_MAX = 128 * 1024 };
enum { ALL_WAIT = -20, NOBODY_WAITS = 19 }; /* of nice(2) */

/* ---- the processes ---- */

struct job {
	const char *what;
	/* word: has a NUL behind it; sock: to the agent. NULL: nothing */
	int (*work)(const struct agent *a, int sock, const char *word, size_t n, struct err *e);
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

static int mount_root(const struct agent *a, int sock, const char *word, size_t n, struct err *e)
{
	(void)sock;
	(void)word;
	(void)n;
	return a->machine->root(e);
}

static int mount_share(const struct agent *a, int sock, const char *word, size_t n, struct err *e)
{
	(void)sock;
	(void)n;
	return a->machine->share(word, e);
}

static int set_up_cards(const struct agent *a, int sock, const char *word, size_t n, struct err *e)
{
	struct plan p;
	int r = plan_decode(&p, word, n, e);
	char go;

	if (recv(sock, &go, 1, 0) != 1)
		_exit(1);
	if (r == 0)
		r = cards_setup(a, &p, e);
	plan_done(&p);
	return r;
}

static const struct job root_job = {"mounts the container's root", mount_root, ALL_WAIT, rehearse};
static const struct job made_job = {
	"rehearses", NULL, NOBODY_WAITS, rehearse}; /* in place of root_job where the root is there */
static const struct job share_job = {"mounts the share", mount_share, 0, NULL};
static const struct job cards_job = {"sets up the network", set_up_cards, 0, NULL};

static _Noreturn void work_when_told(const struct agent *a, const struct job *j, int sock)
{
	static char word[WORD_MAX + 1];
	struct err e = ERR_INIT;

	setpriority(PRIO_PROCESS, 0, j->niceness);
	ssize_t n = recv(sock, word, WORD_MAX, 0);
	if (n <= 0)
		_exit(1);
	if (j->work)
		j->work(a, sock, word, (size_t)n, &e);
	(void)!send(sock, &e, sizeof(e), MSG_NOSIGNAL);
	if (j->then)
		j->then();
	_exit(0);
}

static int make(const struct agent *a, const struct job *j, int *ret_sock, struct err *e)
{
	int sock[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_errno(e, errno, "make a socket pair");
	pid_t pid = fork();
	if (pid == 0) {
		close(sock[0]);
		work_when_told(a, j, sock[1]);
	}
	close(sock[1]);
	*ret_sock = sock[0];
	return pid < 0 ? err_errno(e, errno, "make the process that %s", j->what) : 0;
}

static bool tell(int sock, const void *word, size_t n)
{
	return sock >= 0 && n <= WORD_MAX && send(sock, word, n, MSG_NOSIGNAL) > 0;
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
	int r = make(a, &share_job, &a->share_helper, e);

	if (r == 0)
		r = make(a, &cards_job, &a->cards_helper, e);
	return r == 0 ? make(a, a->root_made ? &made_job : &root_job, &a->root_helper, e) : r;
}

void ahead_begin(struct agent *a, const struct start *s, const void *plan, size_t n)
{
	a->shares = s->flags & AGENT_HAS_SHARE;
	a->cards_begun = tell(a->cards_helper, plan, n);
	a->root_begun = s->flags & AGENT_DISK_MOUNTED && tell(a->root_helper, "root", strlen("root"));
	if (a->shares)
		tell(a->share_helper, s->tag, strlen(s->tag));
}

void ahead_seeded(struct agent *a)
{
	if (a->cards_begun)
		tell(a->cards_helper, "go", 1);
}

int ahead_root(struct agent *a, struct err *e)
{
	int r = hear(a->root_helper, &root_job, e);

	if (r < 0)
		return r;
	a->plan.rootfs = strdup(AGENT_ROOT);
	return a->plan.rootfs ? 0 : err_nomem(e);
}

int ahead_cards(struct agent *a, struct err *e)
{
	return a->cards_begun ? hear(a->cards_helper, &cards_job, e) : cards_setup(a, &a->plan, e);
}

int ahead_share(struct agent *a, const char *tag, struct err *e)
{
	return a->share_helper < 0 ? a->machine->share(tag, e) : hear(a->share_helper, &share_job, e);
}
