/*
 * Streams: a process's pipes or terminal on one side, DATA frames with credit on the other.
 *
 *   output   read only as far as the host's credit and the port's room go; otherwise the pipe is left alone,
 * fills, and stalls its writer input    written as far as the process takes it; the rest, at most
 * AGENT_WINDOW, waits; credit is granted for what was written
 *
 * An output that is left alone is taken out of the loop, as epoll reports a hang-up whether asked or not.
 * Each direction ends with the writer's EOF; a reader that is gone says CLOSE. Frames for a stream that has
 * ended are dropped: they were on their way.
 */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"

enum {
	OUT_MAX = AGENT_DATA_MAX - FRAME_HEADER, /* a frame that the kernel's virtio port takes as one */
	READS_PER_EVENT = 4,
	GRANT_AT = AGENT_WINDOW / 4,
};

static struct port *port_of(const struct stream *s)
{
	return &s->process->agent->port;
}

static uint16_t stream_id(const struct stream *s)
{
	return AGENT_STREAM(s->process->id, s - s->process->streams);
}

void stream_close(struct stream *s)
{
	source_remove(&s->source);
	close_fd(&s->fd);
	buf_done(&s->pending.b);
}

/* Out of memory: the host cannot be told the truth any more. */
static void check(struct stream *s, int r)
{
	if (r < 0)
		agent_fail(s->process->agent, r, "pass stdio on");
}

/* -- output: process to host -- */

static void output_end(struct stream *s)
{
	check(s, port_data(port_of(s), AGENT_EOF, stream_id(s), NULL, 0));
	stream_close(s);
}

static bool may_read(const struct stream *s)
{
	return s->discard || (s->credit && port_has_room(port_of(s)));
}

/* One read(2), passed on; whether there may be more. */
static bool output_read(struct stream *s)
{
	char data[OUT_MAX];
	size_t max = s->discard || s->credit > OUT_MAX ? OUT_MAX : s->credit;
	ssize_t n = read(s->fd, data, max);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* a terminal that nobody has open any more gives EIO */
		output_end(s);
		return false;
	}
	if (!s->discard) {
		s->credit -= (uint32_t)n;
		check(s, port_data(port_of(s), AGENT_DATA, stream_id(s), data, (size_t)n));
	}
	return (size_t)n == max;
}

static void on_output(void *data, int fd, uint32_t events)
{
	struct stream *s = data;

	(void)fd;
	(void)events;
	for (int i = 0; i < READS_PER_EVENT && s->fd >= 0 && may_read(s); i++)
		if (!output_read(s))
			break;
	if (s->fd >= 0 && !may_read(s))
		source_remove(&s->source);
}

void stream_resume(struct stream *s)
{
	if (s->fd < 0 || s->input || s->source || !may_read(s))
		return;
	s->source = loop_add_fd(s->process->agent->loop, s->fd, EPOLLIN, on_output, s);
	check(s, s->source ? 0 : -ENOMEM);
}

static int output_frame(struct stream *s, const struct frame *f)
{
	struct wire w = {f->payload, f->len, false};

	if (f->type == AGENT_CREDIT) {
		uint32_t n = wire_u32(&w);
		if (w.bad || w.left || n > AGENT_WINDOW - s->credit)
			return -EBADMSG;
		s->credit += n;
	} else if (f->type == AGENT_CLOSE && s->tty) {
		s->discard = true; /* to close the terminal would hang the process up */
	} else if (f->type == AGENT_CLOSE) {
		output_end(s);
	} else {
		return -EBADMSG;
	}
	stream_resume(s);
	return 0;
}

/* -- input: host to process -- */

static void input_end(struct stream *s, bool tell)
{
	if (tell)
		check(s, port_control(port_of(s), AGENT_CLOSE, stream_id(s), NULL));
	stream_close(s);
}

static void grant(struct stream *s, size_t n)
{
	_cleanup_buf_ struct buf b = {0};

	s->owed += (uint32_t)n;
	if (s->owed < GRANT_AT || s->eof)
		return;
	int r = wire_add_u32(&b, s->owed);
	if (r >= 0)
		r = port_control(port_of(s), AGENT_CREDIT, stream_id(s), &b);
	check(s, r);
	s->credit += s->owed;
	s->owed = 0;
}

/* Writes what the process takes: the number of bytes, or -errno if it takes nothing any more. */
static ssize_t input_write(struct stream *s, const void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = write(s->fd, (const char *)p + done, n - done);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN)
			break;
		if (k < 0)
			return -errno;
		done += (size_t)k;
	}
	grant(s, done);
	return (ssize_t)done;
}

static void on_input(void *data, int fd, uint32_t events)
{
	struct stream *s = data;
	struct queue *q = &s->pending;

	(void)fd;
	if (q->b.len && events & EPOLLOUT) {
		ssize_t n = input_write(s, q->b.data + q->sent, q->b.len - q->sent);
		if (n < 0) {
			input_end(s, true);
			return;
		}
		q->sent += (size_t)n;
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		input_end(s, !s->eof);
		return;
	}
	if (q->sent < q->b.len)
		return;
	q->sent = q->b.len = 0;
	if (s->eof)
		input_end(s, false);
	else
		check(s, source_events(s->source, 0));
}

static int input_data(struct stream *s, const uint8_t *p, size_t n)
{
	struct queue *q = &s->pending;

	if (s->eof || !n || n > AGENT_DATA_MAX || n > s->credit)
		return -EBADMSG;
	s->credit -= (uint32_t)n;
	if (!q->b.len) {
		ssize_t k = input_write(s, p, n);
		if (k < 0) {
			input_end(s, true);
			return 0;
		}
		p += k;
		n -= (size_t)k;
	}
	if (!n)
		return 0;
	if (q->sent) {
		memmove(q->b.data, q->b.data + q->sent, q->b.len - q->sent);
		q->b.len -= q->sent;
		q->sent = 0;
	}
	if (!q->b.len)
		check(s, source_events(s->source, EPOLLOUT));
	check(s, buf_add(&q->b, p, n));
	return 0;
}

static int input_frame(struct stream *s, const struct frame *f)
{
	if (f->type == AGENT_DATA)
		return input_data(s, f->payload, f->len);
	if (f->type != AGENT_EOF || s->eof)
		return -EBADMSG;
	s->eof = true;
	/* the master of a terminal stays open: its other end is the process's output too */
	if (!s->pending.b.len)
		input_end(s, false);
	return 0;
}

int stream_frame(struct stream *s, const struct frame *f)
{
	if (s->fd < 0)
		return 0;
	return s->input ? input_frame(s, f) : output_frame(s, f);
}

int stream_open(struct stream *s, struct process *p, int fd, bool input)
{
	int r = fd_nonblock(fd, true);

	*s = (struct stream){.process = p, .fd = fd, .input = input, .tty = p->tty >= 0, .credit = AGENT_WINDOW};
	if (r < 0)
		return r;
	/* an input waits for nothing but its reader's end, which epoll reports unasked */
	s->source = loop_add_fd(p->agent->loop, fd, input ? 0 : EPOLLIN, input ? on_input : on_output, s);
	return s->source ? 0 : -ENOMEM;
}
