/* Connections to the monitor: frames out with a backlog, frames in to the request they belong to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "container/container-private.h"
#include "proto/agent.h"

void client_drop(struct client *k)
{
	if (k->dead)
		return;
	k->dead = true;
	source_remove(&k->source);
	close_fd(&k->fd);
	relay_client_gone(k->container, k);
}

void clients_sweep(struct container *c)
{
	for (struct client **p = &c->clients; *p;) {
		struct client *k = *p;
		if (!k->dead) {
			p = &k->next;
			continue;
		}
		*p = k->next;
		frame_reader_done(&k->in);
		buf_done(&k->out);
		free(k);
	}
}

size_t client_backlog(const struct client *k)
{
	return k->out.len - k->sent;
}

static void flush(struct client *k)
{
	while (k->sent < k->out.len) {
		ssize_t n = send(k->fd, k->out.data + k->sent, k->out.len - k->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				client_drop(k);
			return;
		}
		k->sent += (size_t)n;
	}
	k->out.len = k->sent = 0;
	if (k->out.size > RELAY_BACKLOG_MAX)
		buf_done(&k->out);
	if (k->last)
		client_drop(k);
}

/* Handles the frames that are there, as far as its process takes input. */
static void handle_frames(struct client *k)
{
	struct frame f;
	int r = 0;

	while (!k->dead && !k->stdin_blocked && (r = frame_next(&k->in, &f)) > 0)
		request_handle(k, &f);
	if (r == -EBADMSG)
		client_drop(k);
}

void client_unblock(struct client *k)
{
	k->stdin_blocked = false;
	handle_frames(k);
	client_update(k);
}

static void on_client(void *data, int fd, uint32_t events)
{
	struct client *k = data;

	if (events & EPOLLOUT) {
		bool stalled = client_backlog(k) >= RELAY_BACKLOG_MAX;
		flush(k);
		if (!k->dead && stalled && client_backlog(k) < RELAY_BACKLOG_MAX)
			relay_resume(k->container, k->proc);
	}
	if (!k->dead && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		int r = frame_fill(&k->in, fd);
		handle_frames(k);
		if (r == 0 || (r < 0 && r != -EAGAIN && r != -EINTR))
			client_drop(k);
	}
	client_update(k);
}

void client_update(struct client *k)
{
	if (k->dead)
		return;
	uint32_t want = (k->stdin_blocked ? 0 : (uint32_t)EPOLLIN) | (client_backlog(k) ? (uint32_t)EPOLLOUT : 0);

	if (want == k->events)
		return;
	/* without interest there must be no source: a hang-up would be reported again and again */
	if (!want)
		source_remove(&k->source);
	else if (k->source)
		source_events(k->source, want);
	else
		k->source = loop_add_fd(k->container->loop, k->fd, want, on_client, k);
	k->events = want;
}

struct client *client_new(struct container *c, int fd)
{
	struct client *k = calloc(1, sizeof(*k));

	if (!k) {
		close(fd);
		return NULL;
	}
	*k = (struct client){.container = c, .fd = fd, .proc = -1, .next = c->clients};
	c->clients = k;
	fd_nonblock(fd, true);
	client_update(k);
	return k;
}

void client_send(struct client *k, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	if (k->dead || k->last)
		return;
	/* the consumed front is cut off before the buffer grows */
	if (k->sent > RELAY_BACKLOG_MAX) {
		memmove(k->out.data, k->out.data + k->sent, k->out.len - k->sent);
		k->out.len -= k->sent;
		k->sent = 0;
	}
	if (frame_add(&k->out, type, stream, p, n) < 0) {
		client_drop(k);
		return;
	}
	flush(k);
	client_update(k);
}

void client_send_u32(struct client *k, uint8_t type, uint32_t v)
{
	_cleanup_buf_ struct buf b = {0};

	if (wire_add_u32(&b, v) == 0)
		client_send(k, type, 0, b.data, b.len);
}

void client_send_err(struct client *k, const struct err *e)
{
	_cleanup_buf_ struct buf b = {0};

	if (agent_err_encode(&b, e) == 0)
		client_send(k, MONITOR_FAILED, 0, b.data, b.len);
}

void client_end(struct client *k)
{
	if (k->dead)
		return;
	k->last = true;
	if (!client_backlog(k))
		client_drop(k);
	else
		client_update(k);
}
