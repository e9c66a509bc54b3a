/*
 * The agent's peer: frames to and from PID 1 of the utility VM.
 *
 * Everything that comes from the guest is hostile. A frame that is not in agent.h, does not parse, names a process or a stream that is not open, or brings
 * more data than was granted is the end: lost() is called with the reason, and the owner ends the VM.
 *
 * What goes out: `out` is being written; `control` goes next; a DATA frame is made only when both are empty, from the next input stream in turn that has
 * data and credit. So a control frame waits for at most one DATA frame, and nothing here grows with what is piped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "isolation/hyperv-peer.h"
#include "proto/agent.h"

enum { CONTROL_MAX = 1 << 20, SETTLE_MS = 2000, QUIET_MS = 200 };

struct loop *peer_loop(struct peer *p)
{
	return p->loop;
}

struct process *peer_find(struct peer *p, uint32_t proc)
{
	for (struct process *c = p->processes; c; c = c->next)
		if ((uint32_t)c->proc == proc)
			return c;
	return NULL;
}

static struct stream *find_stream(struct peer *p, uint16_t id)
{
	struct process *c = peer_find(p, id / 4);

	return c && id % 4 < 3 ? c->streams[id % 4] : NULL;
}

static void process_free(struct process *c)
{
	for (int k = 0; k < 3; k++)
		stream_free(c->streams[k]);
	source_remove(&c->settle);
	free(c);
}

static void process_forget(struct process *c)
{
	for (struct process **at = &c->peer->processes; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	process_free(c);
}

/* ---- out ---- */

/* The next bytes to write, if there are any. */
static int refill(struct peer *p)
{
	buf_done(&p->out);
	p->sent = 0;
	if (p->control.len) {
		p->out = p->control;
		p->control = (struct buf){0};
		return 1;
	}
	/* two rounds: streams behind the one that sent last, then all */
	for (int round = 0; round < 2; round++) {
		for (struct process *c = p->processes; c; c = c->next) {
			struct stream *s = c->streams[0];
			if (!s || (round == 0 && s->id >= p->turn && p->turn))
				continue;
			int r = stream_take(s, &p->out);
			if (r) {
				p->turn = s->id;
				return r;
			}
		}
	}
	return 0;
}

bool peer_flush(struct peer *p)
{
	for (;;) {
		if (p->sent == p->out.len) {
			int r = p->dead ? 0 : refill(p);
			if (r <= 0) {
				if (p->source)
					source_events(p->source, EPOLLIN);
				return true;
			}
		}
		ssize_t n = send(p->fd, p->out.data + p->sent, p->out.len - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) { /* a closed port is seen by the reader */
			if (errno == EAGAIN && p->source)
				source_events(p->source, EPOLLIN | EPOLLOUT);
			return false;
		}
		p->sent += (size_t)n;
	}
}

void peer_send(struct peer *p, uint8_t type, uint16_t stream, const void *payload, size_t n)
{
	if (!p->dead)
		frame_add(&p->control, type, stream, payload, n);
}

void peer_kick(struct peer *p)
{
	peer_flush(p);
}

/* ---- in ---- */

/* What has arrived of the output still goes to its readers, as far as a pipe takes it. */
static void end_streams(struct peer *p)
{
	for (struct process *c = p->processes; c; c = c->next) {
		for (int k = 1; k < 3; k++) {
			if (!c->streams[k])
				continue;
			stream_hurry(c->streams[k]);
			if (!c->streams[k]->eof)
				stream_eof(c->streams[k]);
		}
	}
}

static void lose(struct peer *p, const char *reason)
{
	if (p->dead)
		return;
	p->dead = true;
	source_remove(&p->source);
	end_streams(p);
	p->events.lost(p->data, reason);
}

/* Our ends and the caller's of a process's stdio. */
static int open_stdio(struct process *c, struct isolate_io *io)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};

	*io = ISOLATE_IO_INIT;
	io->tty = c->tty;
	if (c->tty) {
		int s[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
			return -errno;
		io->in = s[0];
		in[0] = s[1];
		out[1] = fcntl(s[1], F_DUPFD_CLOEXEC, 3);
	} else {
		if (c->open_stdin)
			(void)!pipe2(in, O_CLOEXEC);
		(void)!pipe2(out, O_CLOEXEC);
		(void)!pipe2(err, O_CLOEXEC);
		io->in = in[1];
		io->out = out[0];
		io->err = err[0];
	}
	int ours[3] = {in[0], out[1], err[1]};
	bool ok = out[1] >= 0 && (c->tty || err[1] >= 0) && (!c->open_stdin || c->tty || in[0] >= 0);
	for (int k = 0; ok && k < 3; k++) {
		if (ours[k] < 0)
			continue;
		c->streams[k] = stream_new(c->peer, AGENT_STREAM(c->proc, k), k > 0, ours[k]);
		ok = c->streams[k] != NULL;
		if (ok)
			ours[k] = -1;
	}
	if (ok)
		return 0;
	for (int k = 0; k < 3; k++)
		close_fd(&ours[k]);
	close_fd(&io->in);
	close_fd(&io->out);
	close_fd(&io->err);
	return -EMFILE;
}

static const char *on_hello(struct peer *p, struct wire *w)
{
	uint32_t version = wire_u32(w);
	_cleanup_free_ char *release = wire_str(w);

	if (w->bad || p->greeted)
		return "the agent's greeting makes no sense";
	if (version != AGENT_VERSION)
		return "the agent speaks another version of the protocol";
	p->greeted = true;
	p->events.hello(p->data, release);
	return NULL;
}

void peer_tell_time(struct peer *p)
{
	_cleanup_buf_ struct buf b = {0};

	if (wire_add_u64(&b, (uint64_t)clock_real_ns()) >= 0)
		peer_send(p, AGENT_TIME_IS, 0, b.data, b.len);
}

/* The clock that START brings is late by the time it takes to be read: the agent asks once more, and takes off how long ago it asked. */
static const char *on_time(struct peer *p, const struct wire *w)
{
	struct process *c = peer_find(p, ISOLATE_MAIN);

	if (w->left || !c || c->started || p->time_told)
		return "the agent asks for the time when it should not";
	p->time_told = true;
	peer_tell_time(p);
	return NULL;
}

static const char *on_committed(struct peer *p, const struct wire *w)
{
	struct process *c = peer_find(p, ISOLATE_MAIN);

	if (w->left || !c || c->started)
		return "the agent speaks of a start that was not asked for";
	p->events.committed(p->data);
	return NULL;
}

static const char *on_started(struct peer *p, struct wire *w)
{
	struct process *c = peer_find(p, wire_u32(w));
	struct isolate_io io;

	wire_u32(w);
	if (w->bad || !c || c->started)
		return "the agent says that a process has started which was not asked for";
	c->started = true;
	if (open_stdio(c, &io) < 0)
		return "no pipes could be made for a process";
	p->events.started(p->data, c->proc, &io);
	return NULL;
}

static const char *on_failed(struct peer *p, struct wire *w)
{
	struct process *c = peer_find(p, wire_u32(w));
	struct err e;

	if (agent_err_decode(w, &e) < 0 || !c || c->started)
		return "the agent says that a process has failed which was not asked for";
	int proc = c->proc;
	process_forget(c);
	p->events.failed(p->data, proc, &e);
	return NULL;
}

static void report_end(struct process *c)
{
	struct peer *p = c->peer;
	int proc = c->proc, status = c->status;
	bool oom = c->oom;

	process_forget(c);
	p->events.exited(p->data, proc, status, oom);
}

static bool settled(const struct process *c)
{
	return (!c->streams[1] || stream_flushed(c->streams[1])) && (!c->streams[2] || stream_flushed(c->streams[2]));
}

static void on_settle_timer(void *data)
{
	struct process *c = data;

	c->settle = NULL;
	report_end(c);
}

/* From a timer: what tells us stands in a stream of the process that is to be freed. */
static void settle_in(struct process *c, uint64_t ms)
{
	source_remove(&c->settle);
	c->settle = loop_add_timer(c->peer->loop, ms, on_settle_timer, c);
}

void peer_stream_settled(struct peer *p, uint16_t id)
{
	struct process *c = peer_find(p, id / 4);

	if (c && c->ended && settled(c))
		settle_in(c, 0);
}

/* The end is told when its output is where its reader finds it, but not much later: a reader may stall, and a child may keep an exec's pipes open. */
static const char *on_exited(struct peer *p, struct wire *w)
{
	struct process *c = peer_find(p, wire_u32(w));
	uint32_t status = wire_u32(w), oom = wire_u32(w);

	if (w->bad || !c || !c->started || c->ended || status > 255)
		return "the agent says that a process has ended which does not run";
	c->ended = true;
	c->status = (int)status;
	c->oom = oom != 0;
	if (c->streams[0])
		stream_close(c->streams[0]);
	settle_in(c, settled(c) ? 0 : c->proc ? QUIET_MS : SETTLE_MS);
	for (int k = 1; k < 3; k++)
		if (c->streams[k])
			stream_hurry(c->streams[k]);
	return NULL;
}

static const char *on_reply(struct peer *p, struct wire *w)
{
	uint32_t number = wire_u32(w), code = wire_u32(w);
	struct request **at = &p->requests;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	struct request *q = *at;
	if (w->bad || !q)
		return "the agent answers what was not asked";
	*at = q->next;
	if (code) {
		struct err e = ERR_INIT;
		_cleanup_free_ char *text = wire_str(w);
		for (char *c = text; c && *c; c++)
			if ((unsigned char)*c < ' ' || *c == 127)
				*c = '?';
		err_set(&e, code < 4096 ? (int)code : EIO, "%.900s", text ? text : "unknown error of the agent");
		q->fn(q->data, NULL, &e);
	} else {
		q->fn(q->data, w, NULL);
	}
	free(q);
	return NULL;
}

static const char *on_stream_frame(struct peer *p, const struct frame *f)
{
	struct stream *s = find_stream(p, f->stream);
	struct wire w = {.p = f->payload, .left = f->len};

	if (!s) { /* of a process that we have forgotten already: its last frames cross with our own; data was within its credit */
		return peer_find(p, f->stream / 4) || f->stream / 4 > AGENT_PROC_MAX
			? "the agent names a stream that is not open"
			: NULL;
	}
	switch (f->type) {
	case AGENT_DATA:
		if (!f->len || f->len > AGENT_DATA_MAX || stream_data(s, f->payload, f->len) < 0)
			return "the agent sends more data than was granted";
		return NULL;
	case AGENT_CREDIT: {
		uint32_t n = wire_u32(&w);
		return w.bad || (!s->output && stream_credit(s, n) < 0) || s->output
			? "the agent grants credit it does not have"
			: NULL;
	}
	case AGENT_EOF:
		if (!s->output || s->eof)
			return "the agent ends a stream that has ended";
		stream_eof(s);
		return NULL;
	default: /* AGENT_CLOSE */
		if (s->output)
			return "the agent closes a stream it writes";
		stream_close(s);
		return NULL;
	}
}

static const char *on_frame(struct peer *p, const struct frame *f)
{
	struct wire w = {.p = f->payload, .left = f->len};

	log_trace("proto", "guest: type %u stream %u length %u", f->type, f->stream, f->len);
	if (!p->greeted && f->type != AGENT_HELLO)
		return "the agent does not greet";
	switch (f->type) {
	case AGENT_HELLO:
		return on_hello(p, &w);
	case AGENT_STARTED:
		return on_started(p, &w);
	case AGENT_FAILED:
		return on_failed(p, &w);
	case AGENT_EXITED:
		return on_exited(p, &w);
	case AGENT_PONG: {
		uint64_t n = wire_u64(&w);
		if (w.bad || n > p->pings || n <= p->pongs)
			return "the agent answers what was not asked";
		p->pongs = n;
		return NULL;
	}
	case AGENT_REPLY:
		return on_reply(p, &w);
	case AGENT_COMMITTED:
		return on_committed(p, &w);
	case AGENT_TIME:
		return on_time(p, &w);
	case AGENT_DATA:
	case AGENT_EOF:
	case AGENT_CREDIT:
	case AGENT_CLOSE:
		return on_stream_frame(p, f);
	default:
		return "the agent sends a frame of an unknown type";
	}
}

bool peer_read_some(struct peer *p)
{
	struct frame f;
	int r = frame_fill(&p->in, p->fd), n;

	if (r == -EAGAIN)
		return false;
	if (r <= 0) {
		lose(p, NULL);
		return false;
	}
	while (!p->dead && (n = frame_next(&p->in, &f)) != 0) {
		const char *wrong = n < 0 ? "the agent sends what is no frame" : on_frame(p, &f);
		if (wrong)
			lose(p, wrong);
	}
	if (p->control.len > CONTROL_MAX)
		lose(p, "the agent does not read what it is sent");
	return !p->dead;
}

static void on_port(void *data, int fd, uint32_t events)
{
	struct peer *p = data;

	(void)fd;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		peer_read_some(p);
	if (!p->dead)
		peer_flush(p);
}

/* ---- for the owner ---- */

int peer_new(struct loop *l, int fd, const struct peer_events *ev, void *data, struct peer **ret)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct peer){.loop = l, .fd = fd, .events = *ev, .data = data};
	fd_nonblock(fd, true);
	p->source = loop_add_fd(l, fd, EPOLLIN, on_port, p);
	if (!p->source) {
		free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void peer_greeted(struct peer *p)
{
	p->greeted = true;
}

void peer_free(struct peer *p)
{
	struct err e = ERR_INIT;

	if (!p)
		return;
	p->dead = true;
	source_remove(&p->source);
	err_set(&e, EPIPE, "the VM has ended");
	while (p->requests) {
		struct request *q = p->requests;
		p->requests = q->next;
		q->fn(q->data, NULL, &e);
		free(q);
	}
	while (p->processes) {
		struct process *c = p->processes;
		p->processes = c->next;
		process_free(c);
	}
	close_fd(&p->fd);
	frame_reader_done(&p->in);
	buf_done(&p->out);
	buf_done(&p->control);
	free(p);
}
