/*
 * Relays: a process's output to the log and to the attached clients, a client's input to the process.
 *
 * Nothing is dropped and nothing grows: a client that does not read stops the relay from reading the process's output (its pipe fills, it blocks), a process
 * that does not read its stdin stops the monitor from reading that client. Only once the process has ended the relay takes all that is left, which is at most
 * what its pipes held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "container/container-private.h"

struct output {
	struct relay *relay;
	int fd; /* -1: at its end */
	struct source *source;
	enum log_stream log_stream;
	uint16_t stream; /* the monitor protocol's */
};

struct relay {
	struct relay *next;
	struct container *container;
	int proc;
	bool tty;
	bool spoken; /* there was output */
	bool draining;
	bool close_stdin_with_client;
	struct log_writer *log; /* borrowed; NULL: none */
	struct output out[2];
	int in; /* -1: closed; with a terminal the same descriptor as out[0].fd */
	struct source *in_source;
	struct buf pending; /* input that the process has not taken */
	bool in_ended;
};

static void on_output(void *data, int fd, uint32_t events);

struct relay *relay_find(const struct container *c, int proc)
{
	for (struct relay *r = c->relays; r; r = r->next)
		if (r->proc == proc)
			return r;
	return NULL;
}

bool relay_open(const struct relay *r)
{
	return r->out[0].fd >= 0 || r->out[1].fd >= 0;
}

static bool stalled(const struct relay *r)
{
	if (r->draining)
		return false;
	for (const struct client *k = r->container->clients; k; k = k->next)
		if (!k->dead && k->proc == r->proc && client_backlog(k) >= RELAY_BACKLOG_MAX)
			return true;
	return false;
}

/* With a terminal input and output share one descriptor, so one source waits for both. */
static void update_sources(struct relay *r)
{
	bool hold = stalled(r);

	for (int i = 0; i < 2; i++) {
		struct output *o = &r->out[i];
		uint32_t want = (hold ? 0 : (uint32_t)EPOLLIN) | (r->tty && r->pending.len ? (uint32_t)EPOLLOUT : 0);
		if (o->fd < 0)
			continue;
		if (!want)
			source_remove(&o->source);
		else if (o->source)
			source_events(o->source, want);
		else
			o->source = loop_add_fd(r->container->loop, o->fd, want, on_output, o);
	}
}

static void output_end(struct output *o)
{
	struct relay *r = o->relay;

	source_remove(&o->source);
	if (r->tty)
		r->in = -1;
	close_fd(&o->fd);
	for (struct client *k = r->container->clients; k; k = k->next)
		if (k->proc == r->proc && !k->dead && k->streams & (MONITOR_STDOUT | MONITOR_STDERR))
			client_send(k, MONITOR_EOF, o->stream, NULL, 0);
}

/* Reads once. How much; 0: nothing there now, or the end. */
static size_t output_read(struct output *o)
{
	static char data[MONITOR_DATA_MAX];
	struct relay *r = o->relay;
	ssize_t n = read(o->fd, data, sizeof(data));
	uint32_t bit = o->stream == 2 ? MONITOR_STDERR : MONITOR_STDOUT;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* a terminal's end is EIO */
		output_end(o);
		return 0;
	}
	if (r->proc == ISOLATE_MAIN && !r->spoken)
		timing_end(r->container->run->timing, TIMING_FIRST_BYTE);
	r->spoken = true;
	if (r->log)
		log_writer_add(r->log, o->log_stream, data, (size_t)n);
	for (struct client *k = r->container->clients; k; k = k->next)
		if (k->proc == r->proc && !k->dead && k->streams & bit)
			client_send(k, MONITOR_DATA, o->stream, data, (size_t)n);
	return (size_t)n;
}

/* Writes what is pending. */
static void input_flush(struct relay *r)
{
	size_t done = 0;

	while (r->in >= 0 && done < r->pending.len) {
		ssize_t n = write(r->in, r->pending.data + done, r->pending.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				done = r->pending.len; /* it reads no more: what follows is thrown away */
			break;
		}
		done += (size_t)n;
	}
	if (r->in < 0)
		done = r->pending.len;
	if (done) {
		memmove(r->pending.data, r->pending.data + done, r->pending.len - done);
		r->pending.len -= done;
	}
	if (!r->pending.len)
		buf_done(&r->pending);
	if (!r->pending.len && r->in_ended && !r->tty) {
		source_remove(&r->in_source);
		close_fd(&r->in);
	}
}

static void unblock_clients(struct relay *r)
{
	for (struct client *k = r->container->clients; k; k = k->next) {
		if (k->proc == r->proc && k->stdin_blocked && !r->pending.len)
			client_unblock(k);
	}
}

static void on_input_room(void *data, int fd, uint32_t events)
{
	struct relay *r = data;

	(void)fd;
	(void)events;
	input_flush(r);
	if (r->pending.len)
		return;
	source_remove(&r->in_source);
	unblock_clients(r);
}

static void on_output(void *data, int fd, uint32_t events)
{
	struct output *o = data;
	struct relay *r = o->relay;

	(void)fd;
	if (r->tty && events & EPOLLOUT) {
		input_flush(r);
		if (!r->pending.len)
			unblock_clients(r);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		output_read(o);
	if (!relay_open(r))
		container_relay_ended(r->container, r->proc);
	else
		update_sources(r);
}

int relay_new(
	struct container *c, int proc, struct isolate_io *io, struct log_writer *log, bool close_stdin_with_client)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct relay){
		.container = c,
		.proc = proc,
		.tty = io->tty,
		.log = log,
		.close_stdin_with_client = close_stdin_with_client,
		.in = io->in,
	};
	r->out[0] =
		(struct output){.relay = r, .fd = io->tty ? io->in : io->out, .stream = 1, .log_stream = LOG_STDOUT};
	r->out[1] = (struct output){.relay = r, .fd = io->tty ? -1 : io->err, .stream = 2, .log_stream = LOG_STDERR};
	*io = ISOLATE_IO_INIT;
	for (int i = 0; i < 2; i++)
		if (r->out[i].fd >= 0)
			fd_nonblock(r->out[i].fd, true);
	if (r->in >= 0)
		fd_nonblock(r->in, true);
	r->next = c->relays;
	c->relays = r;
	update_sources(r);
	return 0;
}

bool relay_input(struct relay *r, const void *p, size_t n)
{
	if (r->in < 0 || r->in_ended)
		return true;
	if (buf_add(&r->pending, p, n) < 0)
		return true;
	input_flush(r);
	if (!r->pending.len)
		return true;
	if (r->tty)
		update_sources(r);
	else if (!r->in_source)
		r->in_source = loop_add_fd(r->container->loop, r->in, EPOLLOUT, on_input_room, r);
	return false;
}

void relay_input_end(struct relay *r)
{
	r->in_ended = !r->tty;
	input_flush(r);
}

void relay_abandon(struct container *c, int proc)
{
	struct relay *r = relay_find(c, proc);

	if (!r)
		return;
	relay_input_end(r);
	for (int i = 0; i < 2; i++) {
		source_remove(&r->out[i].source);
		close_fd(&r->out[i].fd);
	}
}

void relay_client_gone(struct container *c, const struct client *k)
{
	struct relay *r = relay_find(c, k->proc);

	if (!r)
		return;
	if (k->files) {
		relay_abandon(c, k->proc);
		return;
	}
	if (r->close_stdin_with_client && k->streams & MONITOR_STDIN)
		relay_input_end(r);
	update_sources(r);
}

void relay_resume(struct container *c, int proc)
{
	struct relay *r = relay_find(c, proc);

	if (r)
		update_sources(r);
}

/* What the pipe holds now and not more: a process that was left behind may go on writing. */
static void output_drain(struct output *o)
{
	int held = 0;

	if (o->fd < 0 || ioctl(o->fd, FIONREAD, &held) < 0)
		held = 0;
	for (size_t left = (size_t)held, n; left; left -= n < left ? n : left) {
		n = output_read(o);
		if (!n)
			return;
	}
	if (o->fd >= 0)
		output_read(o); /* the end, if it is there */
}

void relay_drain(struct relay *r)
{
	r->draining = true;
	for (int i = 0; i < 2; i++)
		output_drain(&r->out[i]);
	update_sources(r);
}

static void destroy(struct relay *r)
{
	source_remove(&r->in_source);
	for (int i = 0; i < 2; i++) {
		source_remove(&r->out[i].source);
		if (r->tty && r->in == r->out[i].fd)
			r->in = -1;
		close_fd(&r->out[i].fd);
	}
	close_fd(&r->in);
	buf_done(&r->pending);
	free(r);
}

void relay_free(struct container *c, int proc)
{
	for (struct relay **p = &c->relays; *p; p = &(*p)->next) {
		struct relay *r = *p;
		if (r->proc != proc)
			continue;
		*p = r->next;
		destroy(r);
		return;
	}
}

void relays_free(struct container *c)
{
	while (c->relays) {
		struct relay *r = c->relays;
		relay_drain(r);
		c->relays = r->next;
		destroy(r);
	}
}
