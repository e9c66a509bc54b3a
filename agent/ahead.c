/*
 * The container's root is mounted by a process of its own, made before the snapshot, while the agent and the container's process do the rest of a start.
 * The latter could not do it: no block device is for a container.
 */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"

enum { ALL_WAIT = -20, NOBODY_WAITS = 19 }; /* of nice(2) */

/* What an emulated processor runs for the first time it runs slowly: the way into a program and out of it is gone once while nobody waits for it. */
static void rehearse(void)
{
	char *argv[] = {(char *)"rehearsal", NULL};

	setpriority(PRIO_PROCESS, 0, NOBODY_WAITS);
	execv("/proc/self/exe", argv);
}

static _Noreturn void mount_when_told(const struct machine *m, int go, int done)
{
	struct sandbox_root root = {.path = AGENT_ROOT};
	char byte;

	setpriority(PRIO_PROCESS, 0, ALL_WAIT);
	if (fd_read_full(go, &byte, 1) == 1) {
		m->root(&root.err);
		fd_write_all(done, &root, sizeof(root));
		rehearse();
	}
	_exit(0);
}

int ahead_make(struct agent *a, struct err *e)
{
	int go[2], done[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_errno(e, errno, "make a pipe");
	a->ahead.go = go[1];
	_cleanup_close_ int told = go[0];
	if (pipe2(done, O_CLOEXEC) < 0)
		return err_errno(e, errno, "make a pipe");
	a->ahead.result = done[0];
	a->ahead.done = done[1];
	pid_t pid = fork();
	if (pid == 0) {
		close_fd(&a->ahead.go);
		mount_when_told(a->machine, told, done[1]);
	}
	return pid < 0 ? err_errno(e, errno, "fork") : 0;
}

/* A process that has ended meanwhile leaves nobody who says that all is well. */
void ahead_begin(struct agent *a)
{
	if (a->ahead.go < 0)
		return;
	a->ahead.begun = write(a->ahead.go, "m", 1) == 1;
	close_fd(&a->ahead.done);
}

int ahead_settle(struct agent *a, bool taken, struct err *e)
{
	struct sandbox_root root = {.path = ""};

	if (!a->ahead.begun && a->ahead.done >= 0)
		fd_write_all(a->ahead.done, &root, sizeof(root));
	if (!a->ahead.begun || taken)
		return 0;
	if (fd_read_full(a->ahead.result, &root, sizeof(root)) != sizeof(root))
		return err_set(e, EPIPE, "the process that mounts the container's root has ended");
	*e = root.err;
	if (root.err.code)
		return -root.err.code;
	strv_free(steal_ptr(a->plan.lower));
	a->plan.rootfs = strdup(root.path);
	return a->plan.rootfs ? 0 : err_nomem(e);
}

void ahead_close(struct agent *a)
{
	close_fd(&a->ahead.go);
	close_fd(&a->ahead.done);
	close_fd(&a->ahead.result);
}
