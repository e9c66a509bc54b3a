/* Images as commands see them; the work is image/'s, and caisson-fetch's where it needs the heavy libraries. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/path.h"
#include "engine/engine-private.h"

int engine_fetch(struct engine *g, char *const args[], bool to_stderr, struct err *e)
{
	_cleanup_free_ char *program = path_join(g->libexec_dir, "caisson-fetch");
	_cleanup_strv_ char **v = NULL;
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	if (!program || strv_push(&v, "caisson-fetch") < 0 || strv_pushf(&v, "--root=%s", g->root) < 0 || strv_push_all(&v, args) < 0)
		return err_nomem(e);
	posix_spawn_file_actions_init(&actions);
	if (to_stderr)
		posix_spawn_file_actions_adddup2(&actions, 2, 1);
	int r = posix_spawn(&pid, program, &actions, NULL, v, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return err_errno(e, r, "%s", program);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "wait for caisson-fetch");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
