/*
 * The relay between our stdio and the socket. One poll(2) loop:
 *
 *	our stdin --read--> `to_sock` --send--> socket --frames--> `out[]` --write--> our stdout, stderr
 *
 * Each side is read only when what came before has been passed on, so memory is bounded and a stalled reader
 *stalls the writer. Our own descriptors are shared with other processes and stay in blocking mode; they are
 *written only after poll() and in pieces that a pipe with room takes whole.
 */
#include "cli/stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cli/term.h"
#include "proto/agent.h"
#include "proto/frame.h"
#include "proto/monitor.h"
#include "proto/timing.h"

enum { INPUT_SIZE = 32 * 1024, FIRST_REALTIME = 34, LAST_REALTIME = 64 };
enum { FD_SIGNAL, FD_SOCK, FD_STDIN, FD_STDOUT, FD_STDERR, FDS };

struct queue {
	struct buf b;
	size_t sent;
};

struct relay {
	const struct stream *s;
	struct term term;
	struct detach_keys keys;
	struct frame_reader reader;
	struct queue to_sock;
	struct queue out[2]; /* for descriptors 1 and 2 */
	sigset_t old_mask;
	int signals; /* signalfd, or -1 */
	bool stdin_open, sock_closed, exited, detached;
	int proc, status;
};

static bool queue_empty(const struct queue *q)
{
	return q->sent == q->b.len;
}

static void queue_used(struct queue *q, size_t n)
{
	q->sent += n;
	if (queue_empty(q))
		q->sent = q->b.len = 0;
}

/* Signals that end a command, and those that are passed on beside them. */
static const int fatal_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
static const int passed_signals[] = {SIGUSR1, SIGUSR2, SIGALRM};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static int open_signals(struct relay *r, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT(fatal_signals) && (r->s->proxy || r->term.raw); i++)
		sigaddset(&set, fatal_signals[i]);
	for (size_t i = 0; i < COUNT(passed_signals) && r->s->proxy; i++)
		sigaddset(&set, passed_signals[i]);
	for (int i = FIRST_REALTIME; i <= LAST_REALTIME && r->s->proxy; i++)
		sigaddset(&set, i);
	if (r->s->tty)
		sigaddset(&set, SIGWINCH);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		return err_errno(e, errno, "signalfd");
	sigaddset(&set, SIGPIPE); /* never read: a write says EPIPE */
	sigprocmask(SIG_BLOCK, &set, &r->old_mask);
	return 0;
}

/* Ends this process as the signal would have. */
static void die_by(struct relay *r, int sig)
{
	sigset_t set;

	term_restore(&r->term);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + sig);
}

static void on_signal(struct relay *r)
{
	const struct stream *s = r->s;
	struct signalfd_siginfo si;
	struct err ignored;
	char number[8];
	unsigned rows, cols;

	if (read(r->signals, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH) {
		term_size(&rows, &cols);
		if (rows && cols)
			engine_resize(s->engine, s->ref, r->proc, rows, cols, &ignored);
		return;
	}
	if (!s->proxy)
		die_by(r, (int)si.ssi_signo);
	snprintf(number, sizeof(number), "%u", si.ssi_signo);
	/* a workload that has ended meanwhile needs no signal */
	engine_kill(s->engine, s->ref, number, &ignored);
}

static int add_input(struct relay *r, const char *p, size_t n, struct err *e)
{
	return n && frame_add(&r->to_sock.b, MONITOR_DATA, 0, p, n) < 0 ? err_nomem(e) : 0;
}

static int on_stdin(struct relay *r, struct err *e)
{
	char typed[INPUT_SIZE], sent[INPUT_SIZE + DETACH_KEYS_MAX];
	ssize_t n = read(0, typed, sizeof(typed));
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		r->stdin_open = false;
		return frame_add(&r->to_sock.b, MONITOR_EOF, 0, NULL, 0) < 0 ? err_nomem(e) : 0;
	}
	if (!r->s->tty)
		return add_input(r, typed, (size_t)n, e);
	r->detached = detach_keys_filter(&r->keys, typed, (size_t)n, sent, &len);
	return add_input(r, sent, len, e);
}

static void send_input(struct relay *r)
{
	struct queue *q = &r->to_sock;
	ssize_t n = send(r->s->sock, q->b.data + q->sent, q->b.len - q->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		queue_used(q, (size_t)n);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* what it still has to say can be read */
		queue_used(q, q->b.len - q->sent);
		r->stdin_open = false;
	}
}

static void write_output(struct relay *r, int fd)
{
	struct queue *q = &r->out[fd - 1];
	struct stat st;
	size_t len = q->b.len - q->sent;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		len = len < PIPE_BUF ? len : PIPE_BUF;
	ssize_t n = write(fd, q->b.data + q->sent, len);
	if (n >= 0)
		queue_used(q, (size_t)n);
	else if (errno == EPIPE)
		die_by(r, SIGPIPE);
	else if (errno != EAGAIN && errno != EINTR)
		queue_used(q, q->b.len - q->sent);
}

static int on_failed(const struct frame *f, int refused, struct err *e)
{
	struct wire w = {.p = f->payload, .left = f->len};
	struct err theirs = ERR_INIT;

	if (agent_err_decode(&w, &theirs) < 0 || !theirs.code)
		return err_set(e, EBADMSG, "damaged answer of the container's monitor");
	*e = theirs;
	if (!e->status)
		e->status = refused;
	return -e->code;
}

static int on_frame(struct relay *r, const struct frame *f, struct err *e)
{
	struct wire w = {.p = f->payload, .left = f->len};

	switch (f->type) {
	case MONITOR_DATA:
		if (f->stream != 1 && f->stream != 2)
			return err_set(e, EBADMSG, "data for stream %u from the container's monitor", f->stream);
		return buf_add(&r->out[f->stream - 1].b, f->payload, f->len) < 0 ? err_nomem(e) : 0;
	case MONITOR_STARTED:
		r->proc = (int)wire_u32(&w);
		r->exited = r->s->until_started;
		return 0;
	case MONITOR_EXITED:
		r->status = (int)(wire_u32(&w) & 0xff);
		r->exited = true;
		return 0;
	case MONITOR_TIMING:
		return r->s->timing && timing_decode(r->s->timing, &w) < 0
			? err_set(e, EBADMSG, "damaged answer of the container's monitor")
			: 0;
	case MONITOR_FAILED:
		return on_failed(f, r->s->refused, e);
	case MONITOR_NOTICE: {
		_cleanup_free_ char *text = wire_str(&w);
		if (text)
			fprintf(stderr, "%s%s\n", text, r->term.raw ? "\r" : "");
		return 0;
	}
	default: /* OK, and the end of a stream, which needs no act of ours */
		return 0;
	}
}

static bool output_pending(const struct relay *r)
{
	return !queue_empty(&r->out[0]) || !queue_empty(&r->out[1]);
}

/* Frames that have come, until one leaves something to write. */
static int take_frames(struct relay *r, struct err *e)
{
	struct frame f;

	while (!r->exited && !output_pending(r)) {
		int n = frame_next(&r->reader, &f);
		if (n < 0)
			return err_set(e, EBADMSG, "damaged frame from the container's monitor");
		if (n == 0)
			return r->sock_closed ? err_set(e, ECONNRESET, "the container's monitor has gone") : 0;
		n = on_frame(r, &f, e);
		if (n < 0)
			return n;
	}
	return 0;
}

static void on_sock(struct relay *r)
{
	int n = frame_fill(&r->reader, r->s->sock);

	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
		r->sock_closed = true;
}

static void wanted(const struct relay *r, struct pollfd p[FDS])
{
	bool output = output_pending(r), input = !queue_empty(&r->to_sock);

	for (int i = 0; i < FDS; i++)
		p[i] = (struct pollfd){.fd = -1};
	p[FD_SIGNAL] = (struct pollfd){.fd = r->signals, .events = POLLIN};
	p[FD_SOCK].events = (short)((output || r->sock_closed ? 0 : POLLIN) | (input ? POLLOUT : 0));
	if (p[FD_SOCK].events)
		p[FD_SOCK].fd = r->s->sock;
	if (r->stdin_open && !input)
		p[FD_STDIN] = (struct pollfd){.fd = 0, .events = POLLIN};
	for (int i = 0; i < 2; i++)
		if (!queue_empty(&r->out[i]))
			p[FD_STDOUT + i] = (struct pollfd){.fd = 1 + i, .events = POLLOUT};
}

static int relay_once(struct relay *r, struct err *e)
{
	struct pollfd p[FDS];

	wanted(r, p);
	if (poll(p, FDS, -1) < 0)
		return errno == EINTR ? 0 : err_errno(e, errno, "poll");
	if (p[FD_SIGNAL].revents)
		on_signal(r);
	if (p[FD_SOCK].revents & POLLOUT)
		send_input(r);
	if (p[FD_SOCK].revents & (POLLIN | POLLHUP | POLLERR))
		on_sock(r);
	for (int fd = 1; fd <= 2; fd++)
		if (p[FD_STDIN + fd].revents)
			write_output(r, fd);
	return p[FD_STDIN].revents ? on_stdin(r, e) : 0;
}

static int relay_loop(struct relay *r, struct err *e)
{
	for (;;) {
		int n = take_frames(r, e);
		if (n < 0)
			return n;
		if (r->exited && !output_pending(r))
			return 0;
		/* what was typed before the detach keys still goes out */
		if (r->detached && queue_empty(&r->to_sock))
			return 0;
		n = relay_once(r, e);
		if (n < 0)
			return n;
	}
}

static void relay_done(struct relay *r)
{
	term_restore(&r->term);
	if (r->signals >= 0) {
		struct timespec now = {0};
		sigset_t pipe_only;
		/* a SIGPIPE that waits would end us as soon as it is let through */
		sigemptyset(&pipe_only);
		sigaddset(&pipe_only, SIGPIPE);
		sigtimedwait(&pipe_only, NULL, &now);
		sigprocmask(SIG_SETMASK, &r->old_mask, NULL);
		close(r->signals);
	}
	frame_reader_done(&r->reader);
	buf_done(&r->to_sock.b);
	buf_done(&r->out[0].b);
	buf_done(&r->out[1].b);
}

int stream_run(const struct stream *s, int *ret_status, struct err *e)
{
	_cleanup_(relay_done) struct relay r = {.s = s, .signals = -1, .stdin_open = s->send_stdin};
	int n;

	fflush(stdout);
	n = detach_keys_parse(s->detach_keys, &r.keys, e);
	if (n == 0 && s->tty && s->send_stdin)
		n = term_raw(&r.term, 0, e);
	if (n == 0)
		n = open_signals(&r, e);
	if (n == 0)
		n = relay_loop(&r, e);
	if (n < 0)
		return n;
	if (r.detached && !r.exited)
		timing_end(s->timing, TIMING_EXIT);
	*ret_status = r.detached && !r.exited ? 0 : r.status;
	return 0;
}
