/*
 * One direction of a process's stdio.
 *
 *   output:  guest --DATA--> pending (at most the window) --> pipe --> the monitor's reader
 *            guest <--CREDIT-- what went into the pipe
 *   input:   the monitor's writer --> pipe --> DATA --> guest, while there is credit
 *
 * A reader that stalls fills its pipe, then `pending`, and then there is no more credit: the guest's process blocks in write(2), and nothing here grows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "isolation/hyperv-private.h"
#include "proto/agent.h"

enum { GRANT_STEP = AGENT_WINDOW / 4, PIPE_LAST = 1 << 20 };

/* A terminal's socket has two streams on duplicates of one descriptor: its reader must see the end of the output whether or not input goes on. */
static void shut(struct stream *s)
{
	source_remove(&s->source);
	if (s->output && s->fd >= 0)
		shutdown(s->fd, SHUT_WR);
	close_fd(&s->fd);
}

/* Grants anew what was taken, in steps, so that a small write does not cost a frame. */
static void consumed(struct stream *s, size_t n)
{
	s->consumed += (uint32_t)n;
	if (s->consumed < GRANT_STEP || s->eof)
		return;
	uint8_t v[4] = {(uint8_t)s->consumed, (uint8_t)(s->consumed >> 8), (uint8_t)(s->consumed >> 16),
		(uint8_t)(s->consumed >> 24)};
	s->credit += s->consumed;
	s->consumed = 0;
	peer_send(s->peer, AGENT_CREDIT, s->id, v, sizeof(v));
}

/* Nobody reads our end: the guest's writer is to know, and what still comes is thrown away. */
static void reader_gone(struct stream *s)
{
	size_t n = s->pending.len;

	shut(s);
	s->gone = true;
	buf_done(&s->pending);
	if (!s->eof)
		peer_send(s->peer, AGENT_CLOSE, s->id, NULL, 0);
	consumed(s, n);
}

static void flush(struct stream *s)
{
	size_t done = 0;

	while (done < s->pending.len) {
		ssize_t n = write(s->fd, s->pending.data + done, s->pending.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			reader_gone(s);
			return;
		}
		done += (size_t)n;
	}
	if (done) {
		memmove(s->pending.data, s->pending.data + done, s->pending.len - done);
		s->pending.len -= done;
	}
	if (!s->pending.len)
		buf_done(&s->pending);
	consumed(s, done);
	if (s->eof && !s->pending.len)
		shut(s);
	else
		source_events(s->source, s->pending.len ? EPOLLOUT : 0);
	if (!s->pending.len)
		peer_stream_settled(s->peer, s->id);
}

static void on_output(void *data, int fd, uint32_t events)
{
	struct stream *s = data;

	(void)fd;
	if (events & (EPOLLERR | EPOLLHUP))
		reader_gone(s);
	else if (s->pending.len)
		flush(s);
	peer_kick(s->peer);
}

/* Once: a writer that has closed would be reported again and again while there is no credit to read its last bytes. */
static void on_input(void *data, int fd, uint32_t events)
{
	struct stream *s = data;

	(void)fd;
	(void)events;
	source_remove(&s->source);
	s->ready = true;
	peer_kick(s->peer);
}

struct stream *stream_new(struct peer *p, uint16_t id, bool output, int fd)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct stream){.peer = p, .id = id, .output = output, .fd = fd, .credit = AGENT_WINDOW};
	fd_nonblock(fd, true);
	s->source = loop_add_fd(peer_loop(p), fd, output ? 0 : EPOLLIN, output ? on_output : on_input, s);
	if (!s->source) {
		free(s);
		return NULL;
	}
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	shut(s);
	buf_done(&s->pending);
	free(s);
}

int stream_data(struct stream *s, const void *p, size_t n)
{
	if (!s->output || s->eof || n > s->credit)
		return -EPROTO;
	s->credit -= (uint32_t)n;
	if (s->gone) {
		consumed(s, n);
		return 0;
	}
	if (buf_add(&s->pending, p, n) < 0)
		return -ENOMEM;
	flush(s);
	return 0;
}

int stream_credit(struct stream *s, uint32_t n)
{
	if (s->output || n > AGENT_WINDOW || s->credit > AGENT_WINDOW - n)
		return -EPROTO;
	s->credit += n;
	return 0;
}

void stream_eof(struct stream *s)
{
	s->eof = true;
	if (s->fd >= 0 && !s->pending.len)
		shut(s);
	peer_stream_settled(s->peer, s->id);
}

void stream_close(struct stream *s)
{
	s->gone = true;
	shut(s);
}

/*
 * The process has ended, and its owner is told at once that what is left is in the pipe: make the pipe large enough for all that is outstanding (our
 * window, the guest's pipe and what the agent holds). Where that is refused, the reader's pace decides.
 */
void stream_hurry(struct stream *s)
{
	if (s->output && s->fd >= 0) {
		int v = 4 << 20;
		if (fcntl(s->fd, F_SETPIPE_SZ, PIPE_LAST) < 0)
			setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v));
		flush(s);
	}
}

bool stream_flushed(const struct stream *s)
{
	return s->gone || (s->eof && !s->pending.len);
}

int stream_take(struct stream *s, struct buf *b)
{
	uint8_t block[AGENT_DATA_MAX];

	if (s->output || s->fd < 0 || s->eof || s->gone || !s->ready || !s->credit)
		return 0;
	ssize_t n = read(s->fd, block, s->credit < sizeof(block) ? s->credit : sizeof(block));
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		s->ready = false;
		s->source = loop_add_fd(peer_loop(s->peer), s->fd, EPOLLIN, on_input, s);
		return s->source ? 0 : -ENOMEM;
	}
	if (n <= 0) {
		shut(s);
		s->eof = true;
		return frame_add(b, AGENT_EOF, s->id, NULL, 0) < 0 ? -ENOMEM : 1;
	}
	s->credit -= (uint32_t)n;
	return frame_add(b, AGENT_DATA, s->id, block, (size_t)n) < 0 ? -ENOMEM : 1;
}
