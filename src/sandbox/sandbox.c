/* The sandbox: a container from its plan, and processes that join it. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox/cgroup.h"
#include "sandbox/files.h"
#include "sandbox/first.h"
#include "sandbox/launch.h"
#include "sandbox/mount.h"
#include "sandbox/namespace.h"
#include "sandbox/network.h"
#include "sandbox/setup.h"
#include "sandbox/spare.h"

static void cleanup_cgroup(struct cgroup *c)
{
	cgroup_done(c);
}

/* A first process that is on its way to the workload. */
struct begun {
	pid_t pid;
	int pidfd, sock;
	struct cgroup cgroup;
};

static void cleanup_begun(struct begun *b)
{
	close_fd(&b->pidfd);
	close_fd(&b->sock);
	cgroup_done(&b->cgroup);
}

static int begin(const struct plan *p, const struct sandbox_io *io, const char *init_path,
	const struct sandbox_network *net, struct begun *b, struct err *e)
{
	int sock[2];
	int r = cgroup_create(p, &b->cgroup, e);

	if (r == 0)
		r = report_socket(sock, e);
	if (r < 0)
		return r;
	b->sock = sock[0];
	b->pid = namespace_fork_first(p, b->cgroup.v2 ? b->cgroup.dir[0].fd : -1, &b->pidfd, e);
	if (b->pid == 0) {
		struct setup s = {.plan = p,
			.cgroup = &b->cgroup,
			.init_path = init_path,
			.root = -1,
			.shm = -1,
			.proc = -1,
			.dev = -1,
			.sys = -1,
			.wait_network = net != NULL,
			.network_set_up = net && net->sets_up};
		struct launch l = {
			.plan = p, .process = &p->process, .io = io, .tty = -1, .sock = sock[1], .init = p->init};
		struct err mistake = ERR_INIT;
		if (first_enter(&s, &mistake) == 0)
			first_finish(&s, &l, NULL, &mistake);
		first_die(sock[1], &mistake);
	}
	close(sock[1]);
	return b->pid < 0 ? b->pid : 0;
}

/* One that was made ahead, with all that it has. */
static int take(struct sandbox_spare **spare, const struct plan *p, struct begun *b, struct err *e)
{
	struct sandbox_spare *s = *spare;
	int r = spare_go(s, p, e);

	if (r == 0) {
		*b = (struct begun){
			.pid = s->pid, .pidfd = steal_fd(&s->pidfd), .sock = steal_fd(&s->sock), .cgroup = s->cgroup};
		s->cgroup = CGROUP_INIT;
		s->pid = 0;
	}
	sandbox_spare_free(spare);
	return r;
}

/* While the process prepares its root. */
static int attach_network(const struct sandbox_network *net, const struct begun *b, struct err *e)
{
	int r = net->attach(net->data, b->pid, e);

	if (r == 0)
		send(b->sock, "n", 1, MSG_NOSIGNAL);
	return r;
}

/* Until it executes the workload. */
static int see_through(struct begun *b, const struct sandbox_network *net, int *ret_tty, struct err *e)
{
	int r = net ? attach_network(net, b, e) : 0;

	if (r == 0)
		r = report_wait(b->sock, ret_tty, NULL, e);
	if (r == 0)
		return 0;
	pidfd_signal(b->pidfd, SIGKILL);
	proc_reap(b->pid);
	/* where its links could not be made because it had died, it has left word why */
	if (net)
		report_wait(b->sock, ret_tty, NULL, e);
	return r;
}

int sandbox_start(const struct plan *p, const struct sandbox_io *io, const char *init_path,
	const struct sandbox_network *net, struct sandbox_spare **spare, struct sandbox *ret, struct err *e)
{
	_cleanup_(cleanup_begun) struct begun b = {.pidfd = -1, .sock = -1, .cgroup = CGROUP_INIT};
	bool ahead = spare && *spare && (*spare)->given;
	int tty = -1;

	if (spare && *spare && !ahead)
		sandbox_spare_free(spare);
	int r = ahead ? take(spare, p, &b, e) : begin(p, io, init_path, net, &b, e);
	if (r == 0)
		r = see_through(&b, net, &tty, e);
	if (r < 0) {
		close_fd(&tty);
		cgroup_remove(&b.cgroup);
		return r;
	}
	*ret = (struct sandbox){.pid = b.pid, .pidfd = steal_fd(&b.pidfd), .tty = tty};
	memcpy(ret->cgroup, b.cgroup.path, sizeof(ret->cgroup));
	return 0;
}

/* The container may have put something else there: only its devpts will do. */
static int open_container_tty(struct launch *l, struct err *e)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int pts = mount_target_plain(root, "/dev/pts", e);
	_cleanup_close_ int master = -1;
	struct statfs fs;

	if (pts < 0)
		return pts;
	if (fstatfs(pts, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, EINVAL, "/dev/pts in the container is no devpts");
	int r = launch_open_tty(pts, l->process, &master, &l->tty, e);
	if (r == 0)
		r = report_send(l->sock, REPORT_FD, 0, NULL, master);
	return r;
}

/* The process of an exec, a child of the caller in all of the container's namespaces. Returns only a failure.
 */
static int joined_process(struct launch *l, struct err *e)
{
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (l->process->tty)
		r = open_container_tty(l, e);
	return r == 0 ? launch(l, e) : r;
}

/* Joins the container, and forks again: a PID namespace is entered only by children. */
static int join(const struct sandbox *s, const struct cgroup *cg, struct launch *l, struct err *e)
{
	int flags = (int)namespace_flags(l->plan) | (l->plan->host_cgroupns ? 0 : CLONE_NEWCGROUP);
	struct sandbox_io io = *l->io;
	int pidfd = s->pidfd, r = 0;

	/* from here on the container's processes could see this one: neither its memory nor its /proc/PID/exe
	 * are for them */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, errno, "make the process undumpable");
	launch_reset_signals();
	umask(0);
	if (!cg->v2)
		r = cgroup_join_v1(cg, e);
	if (r == 0)
		r = first_oom_score(l->plan, e);
	if (l->process->tty) /* stands in until there is one */
		io = (struct sandbox_io){l->sock, l->sock, l->sock};
	/* a workload that may trace others reaches what is open here: nothing of the host comes along */
	if (r == 0) {
		r = fd_keep(0, (int *const[]){&io.in, &io.out, &io.err, &l->sock, &pidfd}, 5);
		if (r < 0)
			err_errno(e, r, "close the descriptors");
	}
	l->io = &io;
	if (r == 0 && setns(pidfd, flags) < 0)
		r = err_errno(e, errno, "join the container's namespaces");
	if (r < 0)
		return r;
	pid_t pid = namespace_fork(0, -1, true, NULL);
	if (pid == 0) {
		struct err mistake = ERR_INIT;
		joined_process(l, &mistake);
		first_die(l->sock, &mistake);
	}
	if (pid < 0)
		return err_errno(e, pid, "make a process in the container");
	r = report_send(l->sock, REPORT_PID, pid, NULL, -1);
	return r < 0 ? err_errno(e, r, "report the process") : 0;
}

int sandbox_exec(struct sandbox *s, const struct plan *p, const struct plan_process *proc, const struct sandbox_io *io,
	struct sandbox_proc *ret, struct err *e)
{
	_cleanup_(cleanup_cgroup) struct cgroup cg = CGROUP_INIT;
	int sock[2], tty = -1;
	pid_t pid = -1;

	if (proc->files_len)
		return files_exec(s, p, proc, io, ret, e);
	/* the new process would freeze before its execve(2), and be waited for */
	if (s->stills)
		return err_set(e, EBUSY, "container %s is paused for the time of a commit", p->name);
	int r = cgroup_open(s->cgroup, &cg, e);

	if (r == 0)
		r = report_socket(sock, e);
	if (r < 0)
		return r;
	_cleanup_close_ int mine = sock[0];
	pid_t helper = namespace_fork(0, cg.v2 ? cg.dir[0].fd : -1, false, NULL);
	if (helper == 0) {
		struct launch l = {.plan = p, .process = proc, .io = io, .tty = -1, .sock = sock[1]};
		struct err mistake = ERR_INIT;
		if (join(s, &cg, &l, &mistake) < 0)
			first_die(l.sock, &mistake);
		_exit(0);
	}
	close(sock[1]);
	if (helper < 0)
		return err_errno(e, helper, "fork");
	r = report_wait(mine, &tty, &pid, e);
	proc_reap(helper);
	if (r == 0 && pid <= 0)
		r = err_set(e, ESRCH, "the container ended while a process joined it");
	int pidfd = r < 0 ? -1 : proc_pidfd(pid);
	if (r == 0 && pidfd < 0)
		r = err_errno(e, pidfd, "open process %d", pid);
	if (r < 0) {
		if (pid > 0) {
			kill(pid, SIGKILL);
			proc_reap(pid);
		}
		close_fd(&tty);
		return r;
	}
	*ret = (struct sandbox_proc){.pid = pid, .pidfd = pidfd, .tty = tty};
	return 0;
}

int sandbox_add_interface(const struct sandbox *s, const struct plan *p, const struct plan_interface *f, struct err *e)
{
	int sock[2], none = -1;

	if (p->own_kernel)
		return network_add(f, e);
	int r = report_socket(sock, e);
	if (r < 0)
		return r;
	_cleanup_close_ int mine = sock[0];
	pid_t helper = namespace_fork(0, -1, false, NULL);
	if (helper == 0) {
		struct err mistake = ERR_INIT;
		if (setns(s->pidfd, CLONE_NEWNET) < 0)
			err_errno(&mistake, errno, "join the container's network namespace");
		else
			network_add(f, &mistake);
		if (mistake.code)
			first_die(sock[1], &mistake);
		_exit(0);
	}
	close(sock[1]);
	if (helper < 0)
		return err_errno(e, helper, "fork");
	r = report_wait(mine, &none, NULL, e);
	proc_reap(helper);
	return r;
}
