/*
 * The workload and the execs.
 *
 * Children are collected by one waitid(2) loop after each round of events, as the agent also inherits the
 * orphans of the guest. A pidfd of each process of the protocol wakes the loop; SIGCHLD only interrupts it,
 * so that orphans do not wait for the next event.
 */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/proc.h"

static void pipes_close_child(struct pipes *p)
{
	close_fd(&p->child.in);
	close_fd(&p->child.out);
	close_fd(&p->child.err);
}

void pipes_done(struct pipes *p)
{
	pipes_close_child(p);
	for (int i = 0; i < STREAMS; i++)
		close_fd(&p->own[i]);
}

static int open_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

/* A terminal is the sandbox's to make. */
static int pipes_open(struct pipes *p, const struct plan_process *process, struct err *e)
{
	int r = 0;

	*p = PIPES_NONE;
	if (process->tty)
		return 0;
	if (process->open_stdin)
		r = open_pipe(&p->child.in, &p->own[0]);
	else if ((p->child.in = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0)
		r = open_pipe(&p->own[1], &p->child.out);
	if (r == 0)
		r = open_pipe(&p->own[2], &p->child.err);
	if (r < 0)
		pipes_done(p);
	return r < 0 ? err_errno(e, r, "make the pipes of the process's stdio") : 0;
}

static void on_end(void *data, int fd, uint32_t events)
{
	struct process *p = data;

	/* it stays readable until it is collected, which follows this round */
	(void)fd;
	(void)events;
	source_remove(&p->watch);
}

static void process_free(struct process *p)
{
	for (int i = 0; i < STREAMS; i++)
		stream_close(&p->streams[i]);
	source_remove(&p->watch);
	pipes_done(&p->pipes);
	close_fd(&p->pidfd);
	close_fd(&p->tty);
	free(p);
}

static struct process *process_new(struct agent *a, uint32_t id)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct process){.agent = a, .id = id, .pid = -1, .pidfd = -1, .tty = -1, .pipes = PIPES_NONE};
	for (int i = 0; i < STREAMS; i++)
		p->streams[i] = (struct stream){.process = p, .fd = -1};
	return p;
}

/* The terminal's master is one descriptor per direction, as the loop knows a descriptor once, and one for its
 * size. */
static int open_terminal(struct process *p)
{
	for (int i = 0; i < 2; i++) {
		int fd = fcntl(p->tty, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		int r = stream_open(&p->streams[i], p, fd, i == 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_streams(struct process *p)
{
	struct pipes *pipes = &p->pipes;
	int r = p->tty >= 0 ? open_terminal(p) : 0;

	for (int i = 0; i < STREAMS && r == 0; i++)
		if (pipes->own[i] >= 0)
			r = stream_open(&p->streams[i], p, steal_fd(&pipes->own[i]), i == 0);
	if (r == 0 && !(p->watch = loop_add_fd(p->agent->loop, p->pidfd, EPOLLIN, on_end, p)))
		r = -ENOMEM;
	return r;
}

/* Tells the host and takes the process into the list. A process that cannot be served must not run. */
static int process_add(struct process *p, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	struct agent *a = p->agent;
	int r = open_streams(p);

	pipes_done(&p->pipes);
	if (r == 0)
		r = wire_add_u32(&b, p->id);
	if (r == 0)
		r = wire_add_u32(&b, (uint32_t)p->pid);
	if (r < 0) {
		pidfd_signal(p->pidfd, SIGKILL);
		process_free(p);
		return err_errno(e, r, "watch the process");
	}
	agent_send(a, AGENT_STARTED, &b);
	p->next = a->processes;
	a->processes = p;
	return 0;
}

/* Beside the container's process, which meanwhile prepares its root on the guest's other CPU. Their network namespace is the same, the guest's first. */
static int attach_cards(void *data, pid_t pid, struct err *e)
{
	struct agent *a = data;
	int r = ahead_cards(a, e);

	(void)pid;
	if (r == 0)
		r = service_set_clock(a, e);
	if (r == 0) {
		agent_send(a, AGENT_COMMITTED, NULL);
		port_flush(&a->port);
	}
	return r;
}

static bool is_usual(const struct plan_process *p)
{
	return !p->tty && !p->open_stdin;
}

int process_prepare(struct agent *a, struct sandbox_ahead *ret, struct err *e)
{
	static const struct plan_process usual;
	int r = pipes_open(&a->pipes, &usual, e);

	ret->io = a->pipes.child;
	return r;
}

int process_begin(struct agent *a, const void *plan, size_t n, struct err *e)
{
	struct process *p = a->beginning = process_new(a, 0);
	bool ready = a->pipes.child.out >= 0 && is_usual(&a->plan.process);
	int r = 0;

	if (!p)
		return err_nomem(e);
	if (ready) {
		p->pipes = a->pipes;
		a->pipes = PIPES_NONE;
	} else {
		r = pipes_open(&p->pipes, &a->plan.process, e);
	}
	pipes_done(&a->pipes);
	return r == 0 && a->spare
		? sandbox_spare_plan(a->spare, &a->plan, plan, n, ready ? NULL : &p->pipes.child, a->root_begun, e)
		: r;
}

int process_start(struct agent *a, struct err *e)
{
	const struct sandbox_network cards = {.attach = attach_cards, .data = a, .sets_up = true};
	struct process *p = steal_ptr(a->beginning);

	int r = sandbox_start(&a->plan, &p->pipes.child, a->machine->init_path, a->plan.own_kernel ? &cards : NULL,
		&a->spare, &a->sandbox, e);
	pipes_close_child(&p->pipes);
	if (r < 0) {
		process_free(p);
		return r;
	}
	p->pid = a->sandbox.pid;
	p->pidfd = fcntl(a->sandbox.pidfd, F_DUPFD_CLOEXEC, 3);
	p->tty = steal_fd(&a->sandbox.tty);
	return process_add(p, e);
}

int process_exec(struct agent *a, uint32_t id, const struct plan_process *process, struct err *e)
{
	struct process *p = process_new(a, id);
	struct sandbox_proc child = {.pid = -1, .pidfd = -1, .tty = -1};

	if (!p)
		return err_nomem(e);
	int r = pipes_open(&p->pipes, process, e);
	if (r == 0)
		r = sandbox_exec(&a->sandbox, &a->plan, process, &p->pipes.child, &child, e);
	pipes_close_child(&p->pipes);
	if (r < 0) {
		process_free(p);
		return r;
	}
	p->pid = child.pid;
	p->pidfd = child.pidfd;
	p->tty = child.tty;
	p->still = child.still;
	return process_add(p, e);
}

/* The kernel takes the root apart, and writes its disk, before it tells that the last process in it has ended: not while somebody holds the namespace. */
void process_hold_mounts(struct agent *a)
{
	char path[64];

	const struct process *p = a->mounts >= 0 ? NULL : process_find(a, 0);
	if (!p || p->exited)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", p->pid);
	a->mounts = open(path, O_RDONLY | O_CLOEXEC);
}

struct process *process_find(struct agent *a, uint32_t id)
{
	for (struct process *p = a->processes; p; p = p->next)
		if (p->id == id)
			return p;
	return NULL;
}

bool process_make_way(struct agent *a, uint32_t id)
{
	for (struct process **at = &a->processes; *at; at = &(*at)->next) {
		struct process *p = *at;
		if (p->id != id)
			continue;
		if (!p->exited)
			return false;
		*at = p->next;
		process_free(p);
		return true;
	}
	return true;
}

int process_signal(struct process *p, int sig)
{
	if (p->exited)
		return -ESRCH;
	return p->id ? pidfd_signal(p->pidfd, sig) : sandbox_signal(&p->agent->sandbox, sig, NULL);
}

int process_resize(struct process *p, uint32_t rows, uint32_t cols)
{
	struct winsize w = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};

	return ioctl(p->tty, TIOCSWINSZ, &w) < 0 ? -errno : 0;
}

/* For the workload: at any time since the start; for an exec: since the last one that ended. */
static bool oom_struck(const struct process *p)
{
	struct agent *a = p->agent;
	struct sandbox_stats st;

	if (sandbox_stats(&a->sandbox, &st) < 0 || st.oom_kills == UINT64_MAX)
		return false;
	bool struck = st.oom_kills > (p->id ? a->oom_kills : 0);
	a->oom_kills = st.oom_kills;
	return struck;
}

static void report_exit(struct process *p, const siginfo_t *info)
{
	_cleanup_buf_ struct buf b = {0};
	uint32_t status = (uint32_t)(info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status) & 255;

	p->exited = true;
	sandbox_exec_ended(&p->agent->sandbox, p->still);
	source_remove(&p->watch);
	if (!p->id && p->agent->shares)
		p->agent->machine->settle();
	int r = wire_add_u32(&b, p->id);
	if (r == 0)
		r = wire_add_u32(&b, status);
	if (r == 0)
		r = wire_add_u32(&b, oom_struck(p));
	if (r < 0)
		agent_fail(p->agent, r, "report an exit");
	agent_send(p->agent, AGENT_EXITED, &b);
}

void process_reap(struct agent *a)
{
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
			return;
		for (struct process *p = a->processes; p; p = p->next)
			if (p->pid == info.si_pid && !p->exited)
				report_exit(p, &info);
	}
}

static bool finished(const struct process *p)
{
	bool open = false;

	for (int i = 0; i < STREAMS; i++)
		open |= p->streams[i].fd >= 0;
	return p->exited && !open;
}

void process_sweep(struct agent *a)
{
	for (struct process **at = &a->processes; *at;) {
		struct process *p = *at;
		if (finished(p)) {
			*at = p->next;
			process_free(p);
		} else {
			at = &p->next;
		}
	}
}

void process_free_all(struct agent *a)
{
	if (a->beginning)
		process_free(steal_ptr(a->beginning));
	while (a->processes) {
		struct process *p = a->processes;
		a->processes = p->next;
		process_free(p);
	}
}
