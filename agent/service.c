/* The service: one function per opcode, and the loop that calls them. */
#include "agent/agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

enum { TIME_MS = 10000, READS_PER_EVENT = 16 }; /* the kernel's port gives at most a page per read(2) */

static int read_frames(struct agent *a);

void agent_fail(struct agent *a, int r, const char *what)
{
	if (!a->error.code)
		err_errno(&a->error, r, "%s", what);
	a->stop = true;
}

void agent_send(struct agent *a, uint8_t type, const struct buf *payload)
{
	int r = port_control(&a->port, type, 0, payload);

	if (r < 0)
		agent_fail(a, r, "queue a frame");
}

static void send_failed(struct agent *a, uint32_t proc, const struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = wire_add_u32(&b, proc);

	if (r == 0)
		r = agent_err_encode(&b, e);
	if (r < 0)
		agent_fail(a, r, "report a failure");
	agent_send(a, AGENT_FAILED, &b);
}

static int send_hello(struct agent *a)
{
	_cleanup_buf_ struct buf b = {0};
	struct utsname u;

	uname(&u);
	int r = wire_add_u32(&b, AGENT_VERSION);
	if (r == 0)
		r = wire_add_str(&b, u.release);
	return r < 0 ? r : port_control(&a->port, AGENT_HELLO, 0, &b);
}

static void ask_time(struct agent *a)
{
	a->asked_ns = clock_mono_ns();
	agent_send(a, AGENT_TIME, NULL);
	port_flush(&a->port);
}

static int on_time(struct agent *a, struct wire *w)
{
	uint64_t ns = wire_u64(w);
	struct err e = ERR_INIT;

	if (w->bad || w->left || !a->asked_ns)
		return -EBADMSG;
	if (a->time_ns) /* once more: the machine has stood still */
		a->machine->clock(ns, &e);
	a->time_ns = ns;
	return 0;
}

int service_set_clock(struct agent *a, struct err *e)
{
	uint64_t end = clock_mono_ms() + TIME_MS;

	while (!a->time_ns) {
		if (a->stop)
			return err_set(e, ESHUTDOWN, "the host ends the machine");
		struct pollfd p = {.fd = a->port.fd, .events = POLLIN};
		if (clock_mono_ms() > end)
			return err_set(e, ETIMEDOUT, "the host does not say what time it is");
		poll(&p, 1, TIME_MS);
		int r = read_frames(a);
		if (r < 0 && r != -EAGAIN)
			return err_errno(e, r, "hear what time it is");
	}
	return a->machine->clock(a->time_ns + (clock_mono_ns() - a->asked_ns), e);
}

static int start(struct agent *a, const struct start *s, const void *plan, size_t n, struct err *e)
{
	int r = process_begin(a, plan, n, e);
	bool taken = r > 0;

	if (r >= 0)
		r = a->root_begun ? 0 : a->machine->disks(s, e);
	if (r == 0 && a->root_begun && !taken)
		r = ahead_root(a, e);
	if (r == 0 && a->shares)
		r = ahead_share(a, s->tag, e);
	if (r < 0)
		return r;
	if (!a->memory_guard)
		a->memory_guard = a->machine->memory();
	if (!a->plan.memory)
		a->plan.memory = a->memory_guard;
	return process_start(a, e);
}

static int on_start(struct agent *a, struct wire *w)
{
	struct start s = {.time_ns = wire_u64(w)};
	struct err e = ERR_INIT;
	size_t plan_len;

	s.entropy = wire_bytes(w, &s.entropy_len);
	s.flags = wire_u32(w);
	s.tag = wire_str(w);
	const char *plan = wire_bytes(w, &plan_len);
	int r = w->bad || w->left || a->start_seen ? -EBADMSG : 0;
	if (r == 0) {
		a->start_seen = true;
		ahead_begin(a, &s, plan, plan_len);
		int failed = a->machine->seed(&s, &e);
		if (failed == 0)
			ahead_seeded(a);
		ask_time(a);
		if (failed == 0)
			failed = plan_decode(&a->plan, plan, plan_len, &e);
		if (failed == 0)
			failed = start(a, &s, plan, plan_len, &e);
		if (failed < 0)
			send_failed(a, 0, &e);
	}
	free(s.tag);
	return r;
}

static int exec_allowed(const struct agent *a, const struct plan_process *p, struct err *e)
{
	if (a->sandbox.pid <= 0)
		return err_set(e, ESRCH, "the container does not run");
	/* the new process would freeze before its execve(2), and the agent would wait for it */
	if (a->frozen && !p->files_len)
		return err_set(e, EBUSY, "the container is paused: unpause it before exec");
	return 0;
}

static int on_exec(struct agent *a, struct wire *w)
{
	struct plan_process p;
	struct err e = ERR_INIT;
	uint32_t id = wire_u32(w);
	size_t n;
	const char *bytes = wire_bytes(w, &n);

	if (w->bad || w->left || !id || id > AGENT_PROC_MAX || !process_make_way(a, id))
		return -EBADMSG;
	int r = plan_process_decode(&p, bytes, n, &e);
	if (r == 0)
		r = exec_allowed(a, &p, &e);
	if (r == 0)
		r = process_exec(a, id, &p, &e);
	plan_process_done(&p);
	if (r < 0)
		send_failed(a, id, &e);
	return 0;
}

/* A process that has ended meanwhile is not the host's mistake. */
static int on_signal(struct agent *a, struct wire *w)
{
	struct process *p = process_find(a, wire_u32(w));
	uint32_t sig = wire_u32(w);

	if (w->bad || w->left || sig > (uint32_t)SIGRTMAX)
		return -EBADMSG;
	if (p)
		process_signal(p, (int)sig);
	return 0;
}

static int on_resize(struct agent *a, struct wire *w)
{
	struct process *p = process_find(a, wire_u32(w));
	uint32_t rows = wire_u32(w), cols = wire_u32(w);

	if (w->bad || w->left || rows > UINT16_MAX || cols > UINT16_MAX)
		return -EBADMSG;
	if (p)
		process_resize(p, rows, cols);
	return 0;
}

static int on_ping(struct agent *a, struct wire *w)
{
	_cleanup_buf_ struct buf b = {0};
	uint64_t v = wire_u64(w);

	if (w->bad || w->left)
		return -EBADMSG;
	int r = wire_add_u64(&b, v);
	if (r == 0)
		agent_send(a, AGENT_PONG, &b);
	return r;
}

static int on_stream(struct agent *a, const struct frame *f)
{
	struct process *p = process_find(a, f->stream / 4);
	unsigned n = f->stream % 4;

	if (n >= STREAMS)
		return -EBADMSG;
	return p ? stream_frame(&p->streams[n], f) : 0;
}

static int dispatch(struct agent *a, const struct frame *f)
{
	struct wire w = {f->payload, f->len, false};

	switch (f->type) {
	case AGENT_START:
		return on_start(a, &w);
	case AGENT_EXEC:
		return on_exec(a, &w);
	case AGENT_SIGNAL:
		return on_signal(a, &w);
	case AGENT_RESIZE:
		return on_resize(a, &w);
	case AGENT_PING:
		return on_ping(a, &w);
	case AGENT_TIME_IS:
		return on_time(a, &w);
	case AGENT_SHUTDOWN:
		a->stop = true;
		return 0;
	case AGENT_STATS:
	case AGENT_PS:
	case AGENT_FREEZE:
	case AGENT_UPDATE:
	case AGENT_CONNECT:
	case AGENT_DISCONNECT:
	case AGENT_LOOK:
	case AGENT_PREPARE:
		return request_answer(a, f);
	case AGENT_DATA:
	case AGENT_EOF:
	case AGENT_CREDIT:
	case AGENT_CLOSE:
		return on_stream(a, f);
	default:
		return -EBADMSG;
	}
}

static int read_frames(struct agent *a)
{
	struct frame f;
	int n = frame_fill(&a->port.in, a->port.fd), r;

	if (n <= 0)
		return n ? n : -ECONNRESET;
	while (!a->stop && (r = frame_next(&a->port.in, &f)) != 0) {
		if (r > 0)
			r = dispatch(a, &f);
		if (r < 0)
			return r;
	}
	return 0;
}

static void on_port(void *data, int fd, uint32_t events)
{
	struct agent *a = data;
	int r = 0;

	(void)fd;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return; /* room: flushed after this round */
	for (int i = 0; i < READS_PER_EVENT && r == 0 && !a->stop; i++)
		r = read_frames(a);
	if (r < 0 && r != -EAGAIN)
		agent_fail(a, r, r == -EBADMSG ? "the host broke the protocol" : "read from the host");
}

static void resume_outputs(struct agent *a)
{
	if (!port_has_room(&a->port))
		return;
	for (struct process *p = a->processes; p; p = p->next)
		for (int i = 0; i < STREAMS; i++)
			stream_resume(&p->streams[i]);
}

static int round_of_events(struct agent *a)
{
	int r = loop_once(a->loop, -1);

	process_reap(a);
	process_sweep(a);
	if (r == 0)
		r = port_flush(&a->port);
	process_hold_mounts(a);
	resume_outputs(a);
	return r;
}

static void on_signal_delivered(int sig)
{
	(void)sig;
}

/* Handlers that do nothing, and not SIG_IGN: execve(2) resets them for the workload. SIGCHLD interrupts the
 * loop's wait. */
static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal_delivered, .sa_flags = SA_RESTART};

	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGCHLD, &sa, NULL);
}

static int serve(struct agent *a)
{
	int r = loop_new(&a->loop);

	if (r < 0)
		return r;
	catch_signals();
	a->port.source = loop_add_fd(a->loop, a->port.fd, EPOLLIN, on_port, a);
	if (!a->port.source)
		return -ENOMEM;
	/* still blocking: the kernel's port waits for the host to open its end, and would report a hang-up
	 * until then */
	r = send_hello(a);
	if (r == 0)
		r = port_flush(&a->port);
	if (r == 0)
		r = fd_nonblock(a->port.fd, true);
	while (r == 0 && !a->stop)
		r = round_of_events(a);
	return r;
}

int service_run(int port_fd, const struct machine *m, struct err *e)
{
	struct agent a = {.machine = m,
		.port.fd = port_fd,
		.sandbox = SANDBOX_INIT,
		.pipes = PIPES_NONE,
		.root_helper = -1,
		.share_helper = -1,
		.cards_helper = -1,
		.card = NETWORK_NOTHING_AHEAD,
		.parking = -1,
		.mounts = -1};
	int r = serve(&a);

	if (r < 0)
		agent_fail(&a, r, "serve the host");
	process_free_all(&a);
	sandbox_spare_free(&a.spare);
	pipes_done(&a.pipes);
	close_fd(&a.mounts);
	if (a.sandbox.pid > 0)
		sandbox_done(&a.sandbox);
	close_fd(&a.root_helper);
	close_fd(&a.share_helper);
	close_fd(&a.cards_helper);
	network_ahead_done(&a.card);
	close_fd(&a.parking);
	plan_done(&a.plan);
	port_done(&a.port);
	loop_free(a.loop);
	*e = a.error;
	return -a.error.code;
}
