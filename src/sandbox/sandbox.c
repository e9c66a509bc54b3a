/* The sandbox: a container from its plan, and processes that join it. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox/cgroup.h"
#include "sandbox/launch.h"
#include "sandbox/mount.h"
#include "sandbox/namespace.h"
#include "sandbox/network.h"
#include "sandbox/setup.h"

static void cleanup_cgroup(struct cgroup *c)
{
	cgroup_done(c);
}

static int set_oom_score(const struct plan *p, struct err *e)
{
	char text[16];

	if (!p->oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%d", p->oom_score_adj);
	int r = file_write(AT_FDCWD, "/proc/self/oom_score_adj", text);
	return r < 0 ? err_errno(e, r, "set oom_score_adj to %s", text) : 0;
}

/* The terminal of the main process, which is also the container's console. */
static int make_console(struct setup *s, const struct launch *l, int *ret_slave, struct err *e)
{
	_cleanup_close_ int pts = openat(s->dev, "pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int master = -1;

	if (pts < 0)
		return err_errno(e, errno, "open /dev/pts");
	int r = launch_open_tty(pts, l->process, &master, ret_slave, e);
	if (r < 0)
		return r;
	_cleanup_close_ int target = openat(s->dev, "console", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0620);
	_cleanup_close_ int console = mount_clone(*ret_slave, "", false);
	r = target < 0 ? -errno : console < 0 ? console : mount_attach(console, target);
	if (r == 0)
		r = report_send(l->sock, REPORT_TTY, 0, NULL, master);
	return r < 0 ? err_errno(e, r, "make /dev/console") : 0;
}

/* With "/" the container's root and before that becomes read-only. */
static int finish_root(const struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;

	if (!str_empty(p->process.cwd)) {
		_cleanup_close_ int dir = mkdir_through_links(s->root, p->process.cwd, 0755);
		if (dir < 0)
			return err_errno(e, dir, "make the working directory \"%s\"", p->process.cwd);
	}
	int r = p->readonly_root ? mount_change(s->root, MOUNT_ATTR_RDONLY, 0, false) : 0;
	return r < 0 ? err_errno(e, r, "make the root read-only") : 0;
}

/* The caller says in one byte that the links are there; if it cannot make them it kills this process. */
static int wait_for_network(int sock, struct err *e)
{
	char go;
	ssize_t n;

	while ((n = recv(sock, &go, 1, 0)) < 0 && errno == EINTR)
		;
	return n == 1 ? 0 : err_set(e, EIO, "the container's network was not made");
}

/* The container's first process, up to its exec. Returns only a failure. */
static int first_process(struct setup *s, struct launch *l, struct err *e)
{
	const struct plan *p = s->plan;
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	launch_reset_signals();
	umask(0);
	if (!s->cgroup->v2)
		r = cgroup_join_v1(s->cgroup, e);
	if (r == 0)
		r = set_oom_score(p, e);
	if (r == 0 && !p->host_cgroupns && unshare(CLONE_NEWCGROUP) < 0)
		r = err_errno(e, errno, "make a cgroup namespace");
	if (r == 0)
		r = namespace_set_names(p, e);
	if (r == 0 && p->netns)
		r = namespace_join_network(p, e);
	if (r == 0 && !p->host_network)
		r = namespace_loopback_up(e);
	if (r == 0)
		r = setup_sources(s, e);
	if (r == 0)
		r = setup_isolate(s, e);
	if (r == 0)
		r = setup_root(s, e);
	if (r == 0)
		r = setup_system(s, e);
	if (r == 0)
		r = setup_binds(s, e);
	if (r == 0 && p->process.tty)
		r = make_console(s, l, &l->tty, e);
	if (r == 0 && s->wait_network)
		r = wait_for_network(l->sock, e);
	if (r == 0 && !p->host_network && !p->netns && !s->network_set_up)
		r = network_setup(p, e);
	if (r == 0)
		r = namespace_set_sysctls(p, s->proc, e);
	if (r == 0)
		r = setup_masks(s, e);
	if (r == 0)
		r = setup_pivot(s, e);
	if (r == 0)
		r = finish_root(s, e);
	return r == 0 ? launch(l, e) : r;
}

/* A process that ends with the report of its failure. l->sock is 3 once launch has closed the rest. */
static _Noreturn void die(int sock, const struct err *e)
{
	if (report_send(sock, REPORT_ERROR, 0, e, -1) < 0)
		report_send(3, REPORT_ERROR, 0, e, -1);
	_exit(1);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int make_socket(int sock[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_errno(e, errno, "make a socket pair");
	return 0;
}

static int attach_network(const struct sandbox_network *net, pid_t pid, int sock, struct err *e)
{
	int r = net->attach(net->data, pid, e);

	if (r == 0)
		send(sock, "n", 1, MSG_NOSIGNAL);
	return r;
}

int sandbox_start(const struct plan *p, const struct sandbox_io *io, const char *init_path,
	const struct sandbox_network *net, struct sandbox *ret, struct err *e)
{
	_cleanup_(cleanup_cgroup) struct cgroup cg = CGROUP_INIT;
	int sock[2], tty = -1, pidfd = -1;
	int r = make_socket(sock, e);

	if (r < 0)
		return r;
	_cleanup_close_ int mine = sock[0];
	r = cgroup_create(p, &cg, e);
	if (r < 0) {
		close(sock[1]);
		return r;
	}
	uint64_t flags = namespace_flags(p) & ~(p->netns ? (uint64_t)CLONE_NEWNET : 0);
	pid_t pid = namespace_fork(flags, cg.v2 ? cg.dir[0].fd : -1, false, &pidfd);
	if (pid == 0) {
		struct setup s = {.plan = p,
			.cgroup = &cg,
			.init_path = init_path,
			.root = -1,
			.proc = -1,
			.dev = -1,
			.wait_network = net != NULL,
			.network_set_up = net && net->sets_up};
		struct launch l = {
			.plan = p, .process = &p->process, .io = io, .tty = -1, .sock = sock[1], .init = p->init};
		struct err mistake = ERR_INIT;
		first_process(&s, &l, &mistake);
		die(sock[1], &mistake);
	}
	close(sock[1]);
	if (pid < 0)
		r = err_errno(e, pid, "make the container's namespaces");
	else if (net)
		r = attach_network(net, pid, mine, e);
	if (r == 0)
		r = report_wait(mine, &tty, NULL, e);
	if (r < 0) {
		if (pid > 0) {
			pidfd_signal(pidfd, SIGKILL);
			reap(pid);
			/* where its links could not be made because it had died, it has left word why */
			if (net)
				report_wait(mine, &tty, NULL, e);
		}
		close_fd(&pidfd);
		close_fd(&tty);
		cgroup_remove(&cg);
		return r;
	}
	*ret = (struct sandbox){.pid = pid, .pidfd = pidfd, .tty = tty};
	memcpy(ret->cgroup, cg.path, sizeof(ret->cgroup));
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
		r = report_send(l->sock, REPORT_TTY, 0, NULL, master);
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
		r = set_oom_score(l->plan, e);
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
		die(l->sock, &mistake);
	}
	if (pid < 0)
		return err_errno(e, pid, "make a process in the container");
	r = report_send(l->sock, REPORT_PID, pid, NULL, -1);
	return r < 0 ? err_errno(e, r, "report the process") : 0;
}

int sandbox_exec(const struct sandbox *s, const struct plan *p, const struct plan_process *proc,
	const struct sandbox_io *io, struct sandbox_proc *ret, struct err *e)
{
	_cleanup_(cleanup_cgroup) struct cgroup cg = CGROUP_INIT;
	int sock[2], tty = -1;
	pid_t pid = -1;
	int r = cgroup_open(s->cgroup, &cg, e);

	if (r == 0)
		r = make_socket(sock, e);
	if (r < 0)
		return r;
	_cleanup_close_ int mine = sock[0];
	pid_t helper = namespace_fork(0, cg.v2 ? cg.dir[0].fd : -1, false, NULL);
	if (helper == 0) {
		struct launch l = {.plan = p, .process = proc, .io = io, .tty = -1, .sock = sock[1]};
		struct err mistake = ERR_INIT;
		if (join(s, &cg, &l, &mistake) < 0)
			die(l.sock, &mistake);
		_exit(0);
	}
	close(sock[1]);
	if (helper < 0)
		return err_errno(e, helper, "fork");
	r = report_wait(mine, &tty, &pid, e);
	reap(helper);
	if (r == 0 && pid <= 0)
		r = err_set(e, ESRCH, "the container ended while a process joined it");
	int pidfd = r < 0 ? -1 : proc_pidfd(pid);
	if (r == 0 && pidfd < 0)
		r = err_errno(e, pidfd, "open process %d", pid);
	if (r < 0) {
		if (pid > 0) {
			kill(pid, SIGKILL);
			reap(pid);
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
	int r = make_socket(sock, e);
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
			die(sock[1], &mistake);
		_exit(0);
	}
	close(sock[1]);
	if (helper < 0)
		return err_errno(e, helper, "fork");
	r = report_wait(mine, &none, NULL, e);
	reap(helper);
	return r;
}
