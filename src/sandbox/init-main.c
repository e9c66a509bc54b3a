/* caisson-init: PID 1 of a container with --init. Starts the command, hands signals on to it, reaps what
 * dies, ends as the command ended. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void run(char **argv, const sigset_t *mask)
{
	sigprocmask(SIG_SETMASK, mask, NULL);
	/* a session's terminal goes to the command's own process group */
	if (setpgid(0, 0) == 0 && isatty(0)) {
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(0, getpgrp());
		signal(SIGTTOU, SIG_DFL);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	execvp(argv[0], argv);
	int code = errno;
	fprintf(stderr, "exec: \"%s\": %s\n", argv[0], strerror(code));
	_exit(code == ENOENT ? 127 : 126);
}

/* Reaps all that has ended; the status of the command ends this program. */
static void reap(pid_t command)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == command)
			exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	sigset_t all, old;
	int first = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1, sig;

	if (first >= argc) {
		fprintf(stderr, "usage: caisson-init [--] COMMAND [ARGUMENT...]\n");
		return 127;
	}
	sigfillset(&all);
	/* errors of its own shall end it, not wait in the queue */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGABRT);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = fork();
	if (pid < 0) {
		fprintf(stderr, "caisson-init: fork: %s\n", strerror(errno));
		return 126;
	}
	if (pid == 0)
		run(argv + first, &old);
	for (;;) {
		if (sigwait(&all, &sig) != 0)
			continue;
		if (sig == SIGCHLD)
			reap(pid);
		else if (sig != SIGTTIN && sig != SIGTTOU && sig != SIGTSTP)
			kill(pid, sig);
	}
}
