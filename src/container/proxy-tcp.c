/*
 * A published TCP port: each connection is a pair of sockets, and bytes go from one to the other through a pipe by splice(2), never through this
 * process's memory.
 *
 *        client socket ---> pipe ---> target socket
 *           side[0]   <--- pipe <---     side[1]
 *
 * A side's pipe holds what was read from its socket and not yet taken by the other. While it holds anything the socket is not read, so a slow reader
 * stops the sender through the kernel's windows. A pipe belongs to a side only as long as it holds something; an idle connection is two descriptors.
 *
 * The end of a side's data goes on as shutdown(SHUT_WR) once its pipe is empty, and the connection is over when that has happened both ways. Errors of
 * either socket become a reset of the other one.
 *
 * epoll reports errors and hang-ups also of a socket from which nothing is wanted. If such a side's data waits for the other side, its source goes until
 * something is wanted again (`quiet`); otherwise the connection is dead. Nothing is ever polled in vain.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "container/proxy-private.h"

enum {
	LAST_ROUNDS = 128, /* when the container has ended */
	RETRY_MS = 100,    /* when descriptors or memory have run out */
};

enum { CLIENT, TARGET };

struct side {
	struct conn *conn;
	int fd;
	struct source *source;
	uint32_t events; /* what `source` waits for */
	int pipe[2];     /* -1: none */
	size_t held;     /* in the pipe */
	bool eof;        /* nothing more can be read */
	bool ended;      /* and the other side was told */
	bool starved;    /* no pipe could be had; see retry_later */
	bool quiet;
};

struct conn {
	struct proxy *proxy;
	struct conn *next, **at;
	bool connected;
	struct side side[2];
};

static struct side *other(struct side *s)
{
	return &s->conn->side[s == &s->conn->side[CLIENT]];
}

/* ---- pipes ---- */

static int pipe_take(struct proxy *p, int ret[2])
{
	if (p->spare[0] >= 0) {
		ret[0] = steal_fd(&p->spare[0]);
		ret[1] = steal_fd(&p->spare[1]);
		return 0;
	}
	if (pipe2(ret, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	if (ret[0] < p->pipe_max && ret[1] < p->pipe_max)
		return 0;
	close_fd(&ret[0]);
	close_fd(&ret[1]);
	return -EMFILE;
}

/* It is empty. */
static void pipe_give(struct proxy *p, int pipe[2])
{
	if (p->spare[0] < 0 && pipe[0] >= 0) {
		p->spare[0] = steal_fd(&pipe[0]);
		p->spare[1] = steal_fd(&pipe[1]);
	}
	close_fd(&pipe[0]);
	close_fd(&pipe[1]);
}

/* ---- one connection ---- */

static void listen_again(struct proxy *p)
{
	bool on = p->count < PROXY_CONNS_MAX && !p->timer;

	if (p->source && on != p->listening)
		source_events(p->source, on ? EPOLLIN : 0);
	p->listening = on;
}

static void conn_free(struct conn *c, bool reset)
{
	struct proxy *p = c->proxy;

	for (int i = 0; i < 2; i++) {
		struct side *s = &c->side[i];
		if (reset && s->fd >= 0)
			setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
		source_remove(&s->source);
		close_fd(&s->fd);
		close_fd(&s->pipe[0]);
		close_fd(&s->pipe[1]);
	}
	if (c->next)
		c->next->at = c->at;
	*c->at = c->next;
	free(c);
	p->count--;
	listen_again(p);
}

static void on_side(void *data, int fd, uint32_t events);

/* Waits for what can move forward. */
static int side_wait(struct side *s)
{
	const struct side *o = other(s);
	const struct conn *c = s->conn;
	uint32_t want = 0;

	if (!c->connected)
		want = s == &c->side[TARGET] ? EPOLLOUT : 0;
	else
		want = (s->eof || s->held || s->starved ? 0 : EPOLLIN) | (o->held ? (uint32_t)EPOLLOUT : 0);
	if (want)
		s->quiet = false;
	if (s->quiet) {
		source_remove(&s->source);
	} else if (!s->source) {
		s->source = loop_add_fd(c->proxy->loop, s->fd, want, on_side, s);
		if (!s->source)
			return -ENOMEM;
	} else if (want != s->events) {
		source_events(s->source, want);
	}
	s->events = want;
	return 0;
}

static void conn_wait(struct conn *c)
{
	if (c->side[CLIENT].ended && c->side[TARGET].ended)
		conn_free(c, false);
	else if (side_wait(&c->side[CLIENT]) < 0 || side_wait(&c->side[TARGET]) < 0)
		conn_free(c, true);
}

static void on_retry(void *data)
{
	struct proxy *p = data;

	p->timer = NULL;
	listen_again(p);
	for (struct conn *c = p->conns, *next; c; c = next) {
		next = c->next;
		c->side[CLIENT].starved = c->side[TARGET].starved = false;
		conn_wait(c);
	}
}

/* What has run out may be given back by another port, or by the rest of the process. */
static void retry_later(struct proxy *p)
{
	if (!p->timer)
		p->timer = loop_add_timer(p->loop, RETRY_MS, on_retry, p);
}

/*
 * Fills the empty pipe. splice stops for good where a byte of urgent data is: it says "nothing there", while epoll goes on to say the contrary, or "the
 * end". Then one piece is read in the ordinary way, which passes over it.
 */
static int fill(struct side *s, bool ready)
{
	ssize_t n = splice(s->fd, NULL, s->pipe[1], NULL, PROXY_CHUNK, SPLICE_F_NONBLOCK);

	if (n == 0 || (n < 0 && errno == EAGAIN && ready)) {
		char data[4096]; /* an empty pipe takes that much whole */
		n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0)
			n = write(s->pipe[1], data, (size_t)n);
	}
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	s->eof = n == 0;
	s->held = (size_t)n;
	return 0;
}

static int drain(struct side *s)
{
	ssize_t n = splice(s->pipe[0], NULL, other(s)->fd, NULL, s->held, SPLICE_F_NONBLOCK);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	s->held -= (size_t)n;
	return 0;
}

/* Moves data from s to the other side. `ready`: epoll says that s can be read. 0, or -errno of a broken connection. */
static int pump(struct side *s, int rounds, bool ready)
{
	struct proxy *p = s->conn->proxy;
	int r = 0;

	for (; r == 0 && rounds > 0 && (s->held || !s->eof); rounds--) {
		if (s->pipe[0] < 0 && pipe_take(p, s->pipe) < 0) {
			s->starved = true;
			retry_later(p);
			return 0;
		}
		if (!s->held)
			r = fill(s, ready);
		ready = false;
		if (r == 0 && s->held)
			r = drain(s);
	}
	if (!s->held)
		pipe_give(p, s->pipe);
	if (s->eof && !s->held && !s->ended) {
		s->ended = true;
		shutdown(other(s)->fd, SHUT_WR);
	}
	return r == -EAGAIN ? 0 : r;
}

static bool connect_done(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	c->connected = getsockopt(c->side[TARGET].fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && !error;
	return c->connected;
}

static void on_side(void *data, int fd, uint32_t events)
{
	struct side *s = data;
	struct conn *c = s->conn;
	bool broken = events & (EPOLLERR | EPOLLHUP);
	int r = 0;

	(void)fd;
	if (broken && !s->events) {
		s->quiet = s->held || s->starved;
		r = s->quiet ? 0 : -ECONNRESET;
	} else if (!c->connected && !connect_done(c)) {
		r = -ECONNREFUSED;
	} else {
		if (broken || events & EPOLLIN)
			r = pump(s, PROXY_ROUNDS, events & EPOLLIN);
		if (r == 0 && (broken || events & EPOLLOUT))
			r = pump(other(s), PROXY_ROUNDS, false);
	}
	if (r < 0)
		conn_free(c, true);
	else
		conn_wait(c);
}

/* ---- new connections ---- */

/* As those of a Go program: what is small is sent at once, and who has vanished is found out. */
static void set_options(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){60}, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){15}, sizeof(int));
}

/* On its way to the target, or refused already. */
static int connect_target(struct proxy *p)
{
	int fd = socket(p->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	set_options(fd);
	if (connect(fd, (struct sockaddr *)&p->to, p->to_len) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -ECONNREFUSED;
	}
	return fd;
}

static void conn_new(struct proxy *p, int client)
{
	struct conn *c = calloc(1, sizeof(*c));
	int target = c && p->to_len ? connect_target(p) : -ECONNREFUSED;

	if (!c) {
		close(client);
		return;
	}
	c->proxy = p;
	for (int i = 0; i < 2; i++)
		c->side[i] = (struct side){.conn = c, .fd = i == CLIENT ? client : target, .pipe = {-1, -1}};
	c->next = p->conns;
	c->at = &p->conns;
	if (c->next)
		c->next->at = &c->next;
	p->conns = c;
	p->count++;
	if (target < 0)
		conn_free(c, true);
	else
		conn_wait(c);
}

static void on_listener(void *data, int fd, uint32_t events)
{
	struct proxy *p = data;
	int probe = proxy_take_fd(fcntl(fd, F_DUPFD_CLOEXEC, 0), p->fd_max);

	(void)events;
	if (probe < 0) {
		retry_later(p);
		listen_again(p);
		return;
	}
	close(probe);
	for (int i = 0; i < PROXY_ACCEPTS && p->count < PROXY_CONNS_MAX; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client >= 0) {
			conn_new(p, client);
		} else if (errno != ECONNABORTED && errno != EINTR) {
			if (errno != EAGAIN)
				retry_later(p);
			break;
		}
	}
	listen_again(p);
}

int proxy_tcp_start(struct proxy *p)
{
	p->spare[0] = p->spare[1] = -1;
	set_options(p->fd); /* those who are accepted inherit them */
	p->listening = true;
	p->source = loop_add_fd(p->loop, p->fd, EPOLLIN, on_listener, p);
	return p->source ? 0 : -ENOMEM;
}

void proxy_tcp_end(struct proxy *p)
{
	while (p->conns) {
		struct side *s = &p->conns->side[TARGET];
		bool whole = p->conns->connected && pump(s, LAST_ROUNDS, true) == 0 && s->ended;
		conn_free(p->conns, !whole);
	}
	pipe_give(p, p->spare);
}
