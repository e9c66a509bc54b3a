/*
 * A container's first process made before there is a container: what takes long and is the same for all of them is done when nobody waits.
 *
 * It has its namespaces and its cgroup; /proc, /sys, /dev and the masks stand on a scaffold, from where they are moved into the root when there is one; the
 * files of the network are there and empty. It gets its plan as soon as that is known, and word when what the root is made of is mounted.
 * Until then its mounts are slaves of its maker's: what the maker mounts for the plan is seen here too. Where the root was mounted first of all, it stands
 * in that already, and gets what the plan mounts from its maker, as detached mounts.
 */
#include "sandbox/spare.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox/first.h"
#include "sandbox/namespace.h"

enum { PLAN_BYTES_MAX = 128 * 1024, STDIO = 3 };
enum { GO = 'r', GO_MADE = 'm' };

/* ---- in the process ---- */

/* The root is there: all of it that any plan has, and nothing else can be seen from it. */
static int prepare_root(struct setup *s, struct err *e)
{
	int r = setup_isolate(s, e);

	if (r == 0)
		r = setup_files(s, e);
	if (r == 0)
		r = setup_root(s, e);
	if (r == 0)
		r = setup_system(s, e);
	if (r == 0)
		r = setup_masks(s, e);
	if (r == 0)
		r = setup_attach_files(s, e);
	if (r == 0)
		r = setup_pivot(s, e);
	s->rooted = r == 0;
	return r;
}

static int prepare(struct setup *s, struct err *e)
{
	int r = first_enter(s, e);

	if (r < 0)
		return r;
	if (s->made)
		return prepare_root(s, e);
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(e, errno, "make the mounts slaves");
	r = setup_scaffold(s, e);
	return r == 0 ? setup_files(s, e) : r;
}

static int wait_for_plan(int sock, struct plan *p, struct sandbox_io *io, struct err *e)
{
	_cleanup_free_ char *bytes = malloc(PLAN_BYTES_MAX);
	int fds[STDIO] = {-1, -1, -1};
	size_t nfds = STDIO;

	if (!bytes)
		return err_nomem(e);
	ssize_t n = fd_recv(sock, bytes, PLAN_BYTES_MAX, fds, &nfds);
	if (n <= 0)
		return err_set(e, EPIPE, "no plan came");
	if (nfds == STDIO)
		*io = (struct sandbox_io){fds[0], fds[1], fds[2]};
	return plan_decode(p, bytes, (size_t)n, e);
}

static int wait_for_root(int sock, struct err *e)
{
	struct err theirs;

	if (recv(sock, &theirs, sizeof(theirs), 0) != sizeof(theirs))
		return err_set(e, EPIPE, "the process that mounts the container's root has ended");
	if (theirs.code)
		*e = theirs;
	return -theirs.code;
}

static int take_source(int sock, int *ret, struct err *e)
{
	size_t one = 1;
	char byte;

	return fd_recv(sock, &byte, 1, ret, &one) == 1 && one == 1 ? 0 : err_set(e, EPIPE, "no source of a mount came");
}

/* What send_sources has sent. */
static int take_sources(struct setup *s, int sock, struct err *e)
{
	const struct plan *p = s->plan;
	int r = setup_no_sources(s, e);

	for (size_t i = 0; r == 0 && i < p->mounts_len; i++)
		if (p->mounts[i].type == PLAN_MOUNT_BIND)
			r = take_source(sock, &s->binds[i], e);
	return r == 0 && p->init ? take_source(sock, &s->init, e) : r;
}

/* Into *p, and done with it what needs no root. */
static int take_plan(struct setup *s, int sock, struct plan *p, struct sandbox_io *io, struct err *e)
{
	int r = wait_for_plan(sock, p, io, e);

	if (r < 0)
		return r;
	s->plan = p;
	s->wait_network = s->network_set_up = true;
	r = setup_write_files(s, e);
	return r == 0 ? namespace_set_names(p, e) : r;
}

/* Word to go on, and what the root is made of or lacks. */
static int take_root(const struct sandbox_ahead *a, struct setup *s, int sock, struct err *e)
{
	char go = 0;
	int r = first_wait(sock, "cgroup", &go, e);

	if (r < 0)
		return r;
	if (s->rooted)
		return take_sources(s, sock, e);
	s->made = go == GO_MADE ? a->root : NULL;
	return s->made ? wait_for_root(a->root_fd, e) : 0;
}

static _Noreturn void run(const struct sandbox_ahead *a, const struct plan *ordinary, const struct cgroup *cg, int sock)
{
	struct setup s = {.plan = ordinary,
		.cgroup = cg,
		.init_path = a->init_path,
		.made = a->mounted ? a->root : NULL,
		.root = -1,
		.proc = -1,
		.dev = -1,
		.sys = -1};
	struct filtered thread;
	struct plan p = {0};
	struct sandbox_io io = a->io;
	struct launch l = {.plan = &p, .process = &p.process, .io = &io, .tty = -1, .sock = sock};
	struct err mistake = ERR_INIT;
	int r = prepare(&s, &mistake);

	if (r == 0)
		r = filtered_make(&thread, a->filter, a->filter_len, &mistake);
	if (r == 0)
		r = report_send(sock, REPORT_READY, 0, NULL, -1);
	if (r == 0)
		r = take_plan(&s, sock, &p, &io, &mistake);
	if (r == 0)
		r = take_root(a, &s, sock, &mistake);
	l.init = p.init;
	if (r == 0)
		first_finish(&s, &l, &thread, &mistake);
	first_die(sock, &mistake);
}

/* ---- its maker ---- */

static int wait_ready(int sock, struct err *e)
{
	struct report r;
	size_t none = 0;
	ssize_t n = fd_recv(sock, &r, sizeof(r), NULL, &none);

	if (n == sizeof(r) && r.kind == REPORT_READY)
		return 0;
	if (n == sizeof(r) && r.kind == REPORT_ERROR && e) {
		*e = r.err;
		e->msg[sizeof(e->msg) - 1] = 0;
	} else {
		err_set(e, EIO, "the process made ahead of its container has ended");
	}
	return -EIO;
}

int sandbox_prepare(const struct sandbox_ahead *a, struct sandbox_spare **ret, struct err *e)
{
	_cleanup_(sandbox_spare_free) struct sandbox_spare *s = calloc(1, sizeof(*s));
	int sock[2];

	if (!s)
		return err_nomem(e);
	s->pidfd = s->sock = -1;
	int r = plan_ordinary(&s->plan);
	if (r < 0)
		return err_errno(e, r, "the plan of an ordinary container");
	s->plan.memory = a->memory;
	s->rooted = a->mounted;
	s->init_path = a->init_path;
	/* its own become slaves of these */
	if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
		return err_errno(e, errno, "share the mounts");
	r = cgroup_create(&s->plan, &s->cgroup, e);
	if (r < 0)
		return r;
	r = report_socket(sock, e);
	if (r < 0)
		return r;
	s->sock = sock[0];
	s->pid = namespace_fork(namespace_flags(&s->plan), s->cgroup.v2 ? s->cgroup.dir[0].fd : -1, false, &s->pidfd);
	if (s->pid == 0)
		run(a, &s->plan, &s->cgroup, sock[1]);
	close(sock[1]);
	if (s->pid < 0)
		return err_errno(e, s->pid, "make the namespaces of a process made ahead");
	r = wait_ready(s->sock, e);
	if (r == 0)
		*ret = steal_ptr(s);
	return r;
}

void sandbox_spare_free(struct sandbox_spare **s)
{
	struct sandbox_spare *x = *s;

	*s = NULL;
	if (!x)
		return;
	if (x->pid > 0) {
		pidfd_signal(x->pidfd, SIGKILL);
		proc_reap(x->pid);
		cgroup_remove(&x->cgroup);
	}
	close_fd(&x->pidfd);
	close_fd(&x->sock);
	cgroup_done(&x->cgroup);
	plan_done(&x->plan);
	free(x);
}

static bool same_list(char *const *a, char *const *b)
{
	size_t i = 0;

	if (!a || !b)
		return strv_len(a) == strv_len(b);
	while (a[i] && b[i] && !strcmp(a[i], b[i]))
		i++;
	return !a[i] && !b[i];
}

/* Whether what was prepared is just what this plan wants. Kernel parameters cannot be set any more: /proc/sys is read-only. */
static bool fits(const struct sandbox_spare *s, const struct plan *p)
{
	const struct plan *o = &s->plan;

	return namespace_flags(p) == namespace_flags(o) && p->privileged == o->privileged &&
		p->host_cgroupns == o->host_cgroupns && p->host_network == o->host_network && !p->netns && !p->pidns &&
		!p->ipcns && p->no_shm == o->no_shm && !p->devices_len && !p->sysctls && p->shm_size == o->shm_size &&
		same_list(p->masked, o->masked) && same_list(p->readonly_paths, o->readonly_paths);
}

int sandbox_spare_plan(struct sandbox_spare *s, const struct plan *p, const void *bytes, size_t n,
	const struct sandbox_io *io, bool made, struct err *e)
{
	if (!fits(s, p) || n > PLAN_BYTES_MAX)
		return 0;
	int r = io && !p->process.tty ? fd_send(s->sock, bytes, n, (int[]){io->in, io->out, io->err}, STDIO)
				      : fd_send(s->sock, bytes, n, NULL, 0);
	s->given = r >= 0;
	s->made = made;
	return r < 0 ? err_errno(e, r, "hand the plan over") : 1;
}

/* From here, where it has not come from: one after the other, in the order of the plan. */
static int send_sources(struct sandbox_spare *s, const struct plan *p, struct err *e)
{
	const struct cgroup none = {.v2 = true};
	struct setup from = {.plan = p, .cgroup = &none, .init_path = s->init_path, .init = -1};
	int r = setup_sources(&from, e);

	for (size_t i = 0; r == 0 && i < p->mounts_len; i++)
		if (from.binds[i] >= 0)
			fd_send(s->sock, "s", 1, &from.binds[i], 1);
	if (r == 0 && from.init >= 0)
		fd_send(s->sock, "s", 1, &from.init, 1);
	setup_sources_done(&from);
	return r;
}

/* One that has ended has left word why. */
int spare_go(struct sandbox_spare *s, const struct plan *p, struct err *e)
{
	int r = cgroup_same_limits(&s->plan, p) ? 0 : cgroup_limit(&s->cgroup, p, false, e);
	char go = s->made ? GO_MADE : GO;

	if (r < 0)
		return r;
	send(s->sock, &go, 1, MSG_NOSIGNAL);
	return s->rooted && (p->mounts_len || p->init) ? send_sources(s, p, e) : 0;
}
