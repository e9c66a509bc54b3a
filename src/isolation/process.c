/* Process isolation: the host's own kernel carries the plan out, through the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/isolation-ops.h"
#include "sandbox/look.h"
#include "sandbox/ps.h"
#include "sandbox/sandbox.h"

/* A process that was started: the workload or an exec. */
struct child {
	struct child *next;
	struct isolate *isolate;
	int proc;
	pid_t pid;
	int pidfd;
	int tty; /* a duplicate of the terminal's master, for its size; or -1 */
	struct source *watch;
	bool still; /* of sandbox_exec */
};

struct process {
	struct sandbox sandbox;
	uint64_t oom_kills; /* seen when the last exec ended */
	struct child *children;
};

static void child_free(struct child *c)
{
	source_remove(&c->watch);
	close_fd(&c->pidfd);
	close_fd(&c->tty);
	free(c);
}

static struct child *find_child(const struct isolate *i, int proc)
{
	const struct process *p = i->backend;

	for (struct child *c = p->children; c; c = c->next)
		if (c->proc == proc)
			return c;
	return NULL;
}

static int exit_status(pid_t pid)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		return 255;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* For the workload: at any time; for an exec: since another one ended. */
static bool oom_struck(struct process *p, int proc)
{
	struct sandbox_stats st;

	if (sandbox_stats(&p->sandbox, &st) < 0 || st.oom_kills == UINT64_MAX)
		return false;
	bool struck = st.oom_kills > (proc == ISOLATE_MAIN ? 0 : p->oom_kills);
	p->oom_kills = st.oom_kills;
	return struck;
}

static void on_child_end(void *data, int fd, uint32_t events)
{
	struct child *c = data;
	struct isolate *i = c->isolate;
	struct process *p = i->backend;
	struct isolate_exit x = {.status = exit_status(c->pid)};
	int proc = c->proc;

	(void)fd;
	(void)events;
	sandbox_exec_ended(&p->sandbox, c->still);
	x.oom = oom_struck(p, proc);
	for (struct child **at = &p->children; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	child_free(c);
	isolate_report_exited(i, proc, &x);
}

static int add_child(struct isolate *i, int proc, pid_t pid, int pidfd, int tty, struct err *e)
{
	struct process *p = i->backend;
	struct child *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	*c = (struct child){.isolate = i, .proc = proc, .pid = pid, .pidfd = pidfd, .tty = -1};
	if (tty >= 0)
		c->tty = fcntl(tty, F_DUPFD_CLOEXEC, 3);
	c->watch = loop_add_fd(i->loop, pidfd, EPOLLIN, on_child_end, c);
	if (!c->watch) {
		free(c);
		return err_set(e, ENOMEM, "watch process %d: cannot add it to the loop", pid);
	}
	c->next = p->children;
	p->children = c;
	return 0;
}

/* Both ends of a process's stdio: `child` for the sandbox, `host` for the caller. */
struct stdio_pair {
	struct sandbox_io child;
	struct isolate_io host;
};

static void stdio_close_child(struct stdio_pair *s)
{
	close_fd(&s->child.in);
	close_fd(&s->child.out);
	close_fd(&s->child.err);
}

static void stdio_done(struct stdio_pair *s)
{
	stdio_close_child(s);
	close_fd(&s->host.in);
	close_fd(&s->host.out);
	close_fd(&s->host.err);
}

static int stdio_open(const struct plan_process *process, struct stdio_pair *s, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};

	*s = (struct stdio_pair){.child = {-1, -1, -1}, .host = ISOLATE_IO_INIT};
	s->host.tty = process->tty;
	if (process->tty)
		return 0;
	if (process->open_stdin)
		(void)!pipe2(in, O_CLOEXEC);
	else
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)!pipe2(out, O_CLOEXEC);
	(void)!pipe2(err, O_CLOEXEC);
	s->child = (struct sandbox_io){in[0], out[1], err[1]};
	s->host.in = in[1];
	s->host.out = out[0];
	s->host.err = err[0];
	if (in[0] >= 0 && out[0] >= 0 && err[0] >= 0)
		return 0;
	int r = err_errno(e, errno, "make the pipes of the container's stdio");
	stdio_done(s);
	return r;
}

static int process_probe(const struct isolation_host *h, struct err *e)
{
	(void)h;
	if (geteuid() != 0)
		return err_set(e, EPERM, "process isolation needs root: run caisson as root or with sudo");
	return 0;
}

static int process_check(const struct isolation_host *h, const struct plan *p, struct err *e)
{
	(void)h;
	return sandbox_check(p, e);
}

/* The links of all interfaces of the plan. */
static int attach_all(void *data, pid_t pid, struct err *e)
{
	struct isolate *i = data;
	int none = -1;

	isolate_report_phase(i, TIMING_SANDBOX);
	for (size_t k = 0; k < i->plan->interfaces_len; k++) {
		int r = i->events.attach(i->events_data, &i->plan->interfaces[k], pid, NULL, &none, e);
		if (r < 0)
			return r;
		isolate_report_phase(i, TIMING_NETWORK);
	}
	return 0;
}

static int process_start(struct isolate *i, struct err *e)
{
	struct process *p = calloc(1, sizeof(*p));
	struct sandbox_network net = {attach_all, i};
	struct stdio_pair s;

	if (!p)
		return err_nomem(e);
	p->sandbox = SANDBOX_INIT;
	i->backend = p;
	_cleanup_free_ char *init = path_join(i->host->libexec_dir, "caisson-init");
	int r = stdio_open(&i->plan->process, &s, e);
	if (r == 0)
		r = sandbox_start(i->plan, &s.child, init, &net, NULL, &p->sandbox, e);
	isolate_report_phase(i, TIMING_EXEC);
	stdio_close_child(&s);
	if (r == 0)
		r = add_child(i, ISOLATE_MAIN, p->sandbox.pid, p->sandbox.pidfd, p->sandbox.tty, e);
	if (r < 0) {
		stdio_done(&s);
		return r;
	}
	/* the child owns the descriptor now: it closes it, and the sandbox must not */
	p->sandbox.pidfd = fcntl(p->sandbox.pidfd, F_DUPFD_CLOEXEC, 3);
	if (i->plan->process.tty)
		s.host.in = steal_fd(&p->sandbox.tty);
	isolate_report_started(i, &s.host, NULL);
	return 0;
}

static int process_exec(struct isolate *i, int proc, const struct plan_process *process, struct err *e)
{
	struct process *p = i->backend;
	struct sandbox_proc child;
	struct stdio_pair s;

	int r = stdio_open(process, &s, e);
	if (r == 0)
		r = sandbox_exec(&p->sandbox, i->plan, process, &s.child, &child, e);
	stdio_close_child(&s);
	if (r == 0)
		r = add_child(i, proc, child.pid, child.pidfd, child.tty, e);
	if (r == 0)
		p->children->still = child.still;
	if (r < 0) {
		stdio_done(&s);
		return r;
	}
	if (process->tty)
		s.host.in = child.tty;
	isolate_report_exec_started(i, proc, &s.host, NULL);
	return 0;
}

static int process_signal(struct isolate *i, int proc, int sig, struct err *e)
{
	struct process *p = i->backend;
	struct child *c = find_child(i, proc);

	if (proc == ISOLATE_MAIN)
		return sandbox_signal(&p->sandbox, sig, e);
	if (!c)
		return err_set(e, ESRCH, "process %d of the container has ended", proc);
	int r = pidfd_signal(c->pidfd, sig);
	return r < 0 ? err_errno(e, r, "signal process %d", proc) : 0;
}

static int process_resize(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e)
{
	struct child *c = find_child(i, proc);
	struct winsize w = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};

	if (!c || c->tty < 0)
		return err_set(e, ENOTTY, "process %d of the container has no terminal", proc);
	return ioctl(c->tty, TIOCSWINSZ, &w) < 0 ? err_errno(e, errno, "resize the terminal") : 0;
}

static int process_kill(struct isolate *i, struct err *e)
{
	struct process *p = i->backend;

	(void)e;
	sandbox_signal(&p->sandbox, SIGKILL, NULL);
	return sandbox_kill_all(&p->sandbox);
}

static int process_pause(struct isolate *i, bool on, struct err *e)
{
	struct process *p = i->backend;

	return sandbox_freeze(&p->sandbox, on, e);
}

static int process_update(struct isolate *i, const struct plan *plan, isolate_done_fn *fn, void *data, struct err *e)
{
	struct process *p = i->backend;
	int r = sandbox_update(&p->sandbox, plan, e);

	if (r == 0)
		fn(data, NULL);
	return r;
}

static int process_stats(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e)
{
	struct process *p = i->backend;
	struct sandbox_stats s;
	int r = sandbox_stats(&p->sandbox, &s);

	if (r < 0)
		return err_errno(e, r, "read the container's cgroup");
	/* a network that is the host's or another container's is not this one's use */
	uint64_t received = 0, sent = 0;
	if (!i->plan->host_network && !i->plan->netns)
		sandbox_traffic(&p->sandbox, &received, &sent);
	struct isolate_stats st = {
		.net_received = received,
		.net_sent = sent,
		.io_read = s.io_read,
		.io_written = s.io_written,
		.memory = s.memory,
		.memory_limit = s.memory_limit,
		.cpu_ns = s.cpu_ns,
		.pids = s.pids,
		.disk = UINT64_MAX,
		.host_memory = s.memory,
		.host_cpu_ns = s.cpu_ns,
	};
	fn(data, &st, NULL);
	return 0;
}

static int process_ps(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e)
{
	struct process *p = i->backend;
	_cleanup_strv_ char **lines = NULL;
	int r = sandbox_ps(&p->sandbox, &lines);

	if (r < 0)
		return err_errno(e, r, "list the container's processes");
	fn(data, lines, NULL);
	return 0;
}

static int process_connect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	struct process *p = i->backend;
	struct err none;
	int tap;

	int r = i->events.attach(i->events_data, f, p->sandbox.pid, NULL, &tap, e);
	if (r < 0)
		return r;
	r = sandbox_add_interface(&p->sandbox, i->plan, f, e);
	if (r < 0) {
		i->events.detach(i->events_data, f->port, false, &none);
		return r;
	}
	fn(data, NULL);
	return 0;
}

static int process_disconnect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	int r = i->events.detach(i->events_data, f->port, false, e);

	if (r == 0)
		fn(data, NULL);
	return r;
}

static int process_look(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e)
{
	struct process *p = i->backend;
	struct look l;
	int r = sandbox_look(&p->sandbox, &l, e);

	if (r < 0)
		return r;
	fn(data, &l, NULL);
	look_done(&l);
	return 0;
}

static pid_t process_pid(const struct isolate *i)
{
	const struct process *p = i->backend;

	return p->sandbox.pid;
}

static const char *process_accel(const struct isolate *i)
{
	(void)i;
	return "";
}

static void process_destroy(struct isolate *i)
{
	struct process *p = i->backend;

	if (!p)
		return;
	while (p->children) {
		struct child *c = p->children;
		p->children = c->next;
		child_free(c);
	}
	if (p->sandbox.pid > 0)
		sandbox_done(&p->sandbox);
	close_fd(&p->sandbox.tty);
	free(p);
	i->backend = NULL;
}

static int process_sweep(const struct isolation_host *h, const char *id, const char *cgroup_parent, int container_dir)
{
	(void)h;
	(void)container_dir;
	return sandbox_sweep(cgroup_parent, id);
}

const struct isolation_ops isolation_process_ops = {
	.name = "process",
	.probe = process_probe,
	.check = process_check,
	.start = process_start,
	.exec = process_exec,
	.signal = process_signal,
	.resize = process_resize,
	.kill = process_kill,
	.pause = process_pause,
	.update = process_update,
	.stats = process_stats,
	.ps = process_ps,
	.connect = process_connect,
	.disconnect = process_disconnect,
	.look = process_look,
	.pid = process_pid,
	.accel = process_accel,
	.destroy = process_destroy,
	.sweep = process_sweep,
};
