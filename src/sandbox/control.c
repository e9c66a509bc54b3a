/* A running container: signals, figures, limits, its end. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "sandbox/cgroup.h"
#include "sandbox/files.h"
#include "sandbox/sandbox.h"

static void cleanup_cgroup(struct cgroup *c)
{
	cgroup_done(c);
}
#define _cleanup_cgroup_ _cleanup_(cleanup_cgroup)

int sandbox_signal(const struct sandbox *s, int sig, struct err *e)
{
	int r = s->pidfd < 0 ? -ESRCH : pidfd_signal(s->pidfd, sig);

	return r < 0 ? err_errno(e, r, "signal the container's process") : 0;
}

int sandbox_kill_all(const struct sandbox *s)
{
	_cleanup_cgroup_ struct cgroup cg = CGROUP_INIT;
	int r = cgroup_open(s->cgroup, &cg, NULL);

	return r == -ENOENT ? 0 : r < 0 ? r : cgroup_kill(&cg);
}

int sandbox_pids(const struct sandbox *s, pid_t **ret, size_t *ret_len)
{
	_cleanup_cgroup_ struct cgroup cg = CGROUP_INIT;
	int r = cgroup_open(s->cgroup, &cg, NULL);

	return r < 0 ? r : cgroup_pids(&cg, ret, ret_len);
}

static int freeze(const struct sandbox *s, bool on, struct err *e)
{
	_cleanup_cgroup_ struct cgroup cg = CGROUP_INIT;
	int r = cgroup_open(s->cgroup, &cg, e);

	return r < 0 ? r : cgroup_freeze(&cg, on, e);
}

int sandbox_freeze(struct sandbox *s, bool on, struct err *e)
{
	int r = s->stills ? 0 : freeze(s, on, e);

	if (r == 0)
		s->frozen = on;
	return r;
}

int sandbox_stand_still(struct sandbox *s, struct err *e)
{
	int r = s->stills || s->frozen ? 0 : freeze(s, true, e);

	if (r == 0)
		s->stills++;
	return r;
}

void sandbox_exec_ended(struct sandbox *s, bool still)
{
	if (still && !--s->stills && !s->frozen)
		freeze(s, false, NULL);
}

int sandbox_update(const struct sandbox *s, const struct plan *p, struct err *e)
{
	_cleanup_cgroup_ struct cgroup cg = CGROUP_INIT;
	int r = cgroup_check(p, e);

	if (r == 0)
		r = cgroup_open(s->cgroup, &cg, e);
	if (r == 0)
		r = cgroup_extend(&cg, p, e);
	return r < 0 ? r : cgroup_limit(&cg, p, true, e);
}

static int remove_all(const char *path)
{
	_cleanup_cgroup_ struct cgroup cg = CGROUP_INIT;
	int r = cgroup_open(path, &cg, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = cgroup_kill(&cg);
	int k = cgroup_remove(&cg);
	return r < 0 ? r : k;
}

void sandbox_done(struct sandbox *s)
{
	if (s->pidfd >= 0 && pidfd_signal(s->pidfd, SIGKILL) == 0)
		freeze(s, false, NULL);
	if (s->pid > 0)
		proc_reap(s->pid);
	if (s->cgroup[0])
		remove_all(s->cgroup);
	close_fd(&s->pidfd);
	s->pid = -1;
	s->cgroup[0] = 0;
}

int sandbox_sweep(const char *cgroup_parent, const char *id)
{
	char path[256];

	cgroup_path(cgroup_parent, id, path);
	return remove_all(path);
}
