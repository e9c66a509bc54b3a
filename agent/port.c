/*
 * The port: frames in, control and data frames out.
 *
 * Two queues. Control frames go before data frames; a frame that is half written is finished first. The data
 * queue is filled only while port_has_room, so a host that does not read stalls the workload and not the
 * agent's memory. EOF is queued as data: it must not overtake what its stream has sent.
 */
#include "agent/agent.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	DATA_ROOM = 64 * 1024, /* queued data below which more is read */
	CHUNK = 32 * 1024,     /* what the kernel's virtio port takes with one write(2) */
};

static size_t queue_len(const struct queue *q)
{
	return q->b.len - q->sent;
}

static int queue_add(struct queue *q, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	if (q->sent && q->sent >= queue_len(q)) {
		memmove(q->b.data, q->b.data + q->sent, queue_len(q));
		q->b.len -= q->sent;
		q->sent = 0;
	}
	return frame_add(&q->b, type, stream, p, n);
}

int port_control(struct port *p, uint8_t type, uint16_t stream, const struct buf *payload)
{
	return queue_add(&p->control, type, stream, payload ? payload->data : NULL, payload ? payload->len : 0);
}

int port_data(struct port *p, uint8_t type, uint16_t stream, const void *data, size_t n)
{
	return queue_add(&p->data, type, stream, data, n);
}

bool port_has_room(const struct port *p)
{
	return queue_len(&p->data) < DATA_ROOM;
}

/* The bytes of the frames at the head of the data queue that fit one write together. */
static size_t whole_frames(const struct queue *q)
{
	size_t n = 0, left = queue_len(q);

	while (n < left) {
		uint32_t len;
		memcpy(&len, q->b.data + q->sent + n, sizeof(len));
		size_t frame = FRAME_HEADER + le32toh(len);
		if (n && n + frame > CHUNK)
			break;
		n += frame;
	}
	return n;
}

static bool next_frames(struct port *p)
{
	if (queue_len(&p->control)) {
		p->writing = &p->control;
		p->writing_left = queue_len(&p->control);
	} else if (queue_len(&p->data)) {
		p->writing = &p->data;
		p->writing_left = whole_frames(&p->data);
	}
	return p->writing_left > 0;
}

static int write_queued(struct port *p)
{
	while (p->writing_left || next_frames(p)) {
		struct queue *q = p->writing;
		ssize_t n = write(p->fd, q->b.data + q->sent, p->writing_left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		q->sent += (size_t)n;
		p->writing_left -= (size_t)n;
		if (!queue_len(q))
			q->sent = q->b.len = 0;
	}
	return 0;
}

int port_flush(struct port *p)
{
	int r = write_queued(p);
	bool want_out = r == -EAGAIN;

	if (r < 0 && !want_out)
		return r;
	if (want_out == p->want_out)
		return 0;
	p->want_out = want_out;
	return source_events(p->source, want_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void port_done(struct port *p)
{
	source_remove(&p->source);
	frame_reader_done(&p->in);
	buf_done(&p->control.b);
	buf_done(&p->data.b);
}
