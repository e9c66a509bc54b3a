/* Requests to the monitor: a table from the first frame of a connection to what it does. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "container/container-private.h"
#include "proto/look.h"

enum { EXEC_STARTING = -2 }; /* a client's proc until its number is known */

static void answer(struct client *k, int r, const struct err *e)
{
	if (r < 0)
		client_send_err(k, e);
	else
		client_send(k, MONITOR_OK, 0, NULL, 0);
	client_end(k);
}

static void refuse(struct client *k)
{
	struct err e = ERR_INIT;

	answer(k,
		err_set(&e, ESRCH,
			k->container->again_timer ? "Container %s is restarting, wait until the container is running"
						  : "container %s is not running",
			k->container->run->plan->name),
		&e);
}

static void request_attach(struct client *k, struct wire *w)
{
	k->streams = wire_u32(w);
	k->proc = ISOLATE_MAIN;
	k->role = CLIENT_STREAM;
	client_send(k, MONITOR_OK, 0, NULL, 0);
}

static void request_exec(struct client *k, struct wire *w)
{
	struct plan_process process = {0};
	struct err e = ERR_INIT;
	size_t n;

	k->streams = wire_u32(w);
	const char *p = wire_bytes(w, &n);
	int r = w->bad ? err_set(&e, EBADMSG, "damaged request") : plan_process_decode(&process, p, n, &e);
	if (r == 0) {
		/* set first: a backend may report the start before it returns */
		k->role = CLIENT_EXEC;
		k->proc = EXEC_STARTING;
		k->stdin_blocked = true;
		k->files = process.files_len > 0;
		r = k->container->ended
			? err_set(&e, ESRCH, "container %s is not running", k->container->run->plan->name)
			/* it would freeze before its execve(2), and be waited for */
			: k->container->state.phase == STATE_PAUSED && !k->files
			? err_set(&e, EBUSY, "container %s is paused, unpause the container before exec",
				  k->container->run->plan->name)
			: exec_begin(k->container, &process, false, &e);
		if (r >= 0 && k->role == CLIENT_EXEC)
			k->proc = r;
	}
	plan_process_done(&process);
	if (r < 0) {
		client_send_err(k, &e);
		client_end(k);
	}
}

static void request_signal(struct client *k, struct wire *w)
{
	struct err e = ERR_INIT;
	int proc = (int)wire_u32(w), sig = (int)wire_u32(w);

	if (proc == ISOLATE_MAIN && (container_signalled(k->container, sig) || k->container->again_timer))
		answer(k, 0, NULL); /* it does not run, and is not started again if that signal means so */
	else
		answer(k, isolate_signal(k->container->isolate, proc, sig, &e), &e);
}

static void request_resize(struct client *k, struct wire *w)
{
	struct err e = ERR_INIT;
	int proc = (int)wire_u32(w);
	unsigned rows = wire_u32(w), cols = wire_u32(w);

	answer(k, isolate_resize(k->container->isolate, proc, rows, cols, &e), &e);
}

static void request_wait(struct client *k, struct wire *w)
{
	(void)w;
	k->role = CLIENT_WAITER;
}

static void request_stop(struct client *k, struct wire *w)
{
	int sig = (int)wire_u32(w);
	uint32_t seconds = wire_u32(w);

	k->role = CLIENT_WAITER;
	container_stop(k->container, sig, seconds);
}

static void request_restart(struct client *k, struct wire *w)
{
	int sig = (int)wire_u32(w);
	uint32_t seconds = wire_u32(w);

	k->role = CLIENT_RESTARTER;
	container_restart(k->container, sig, seconds);
}

static void request_kill(struct client *k, struct wire *w)
{
	(void)w;
	k->role = CLIENT_WAITER;
	container_kill(k->container);
}

/* An answer may come after its asker has gone: requests in flight hold this instead of the client. */
struct pending {
	struct container *container;
	struct client *client;
};

static struct pending *pending_new(struct client *k)
{
	struct pending *p = malloc(sizeof(*p));

	if (p)
		*p = (struct pending){.container = k->container, .client = k};
	return p;
}

/* The client to answer; NULL if it has gone, or has been told of the failure. Frees p. */
static struct client *pending_done(struct pending *p, const struct err *e)
{
	struct client *k = p->container->clients;

	while (k && k != p->client)
		k = k->next;
	free(p);
	if (!k || k->dead)
		return NULL;
	if (!e)
		return k;
	answer(k, -e->code, e);
	return NULL;
}

/* Nobody will answer: r is why. */
static void pending_failed(struct client *k, struct pending *p, int r, const struct err *e)
{
	free(p);
	answer(k, r, e);
}

static void on_ps(void *data, char *const *lines, const struct err *e)
{
	struct client *k = pending_done(data, e);
	_cleanup_buf_ struct buf b = {0};

	if (!k)
		return;
	wire_add_u32(&b, (uint32_t)strv_len(lines));
	strv_foreach(s, lines) {
		if (b.len + strlen(s) + 16 < FRAME_MAX)
			wire_add_str(&b, s);
	}
	client_send(k, MONITOR_PS_LINES, 0, b.data, b.len);
	client_end(k);
}

static void request_ps(struct client *k, struct wire *w)
{
	struct err e = ERR_INIT;
	struct pending *p = pending_new(k);

	(void)w;
	k->role = CLIENT_ASKER;
	int r = p ? isolate_ps(k->container->isolate, on_ps, p, &e) : err_nomem(&e);
	if (r < 0)
		pending_failed(k, p, r, &e);
}

static void on_stats(void *data, const struct isolate_stats *s, const struct err *e)
{
	struct client *k = pending_done(data, e);
	_cleanup_buf_ struct buf b = {0};

	if (!k)
		return;
	const uint64_t v[] = {s->memory, s->memory_limit, s->cpu_ns, s->pids, s->host_memory, s->host_cpu_ns, s->disk,
		s->net_received, s->net_sent, s->io_read, s->io_written};
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		wire_add_u64(&b, v[i]);
	client_send(k, MONITOR_STATS_LINE, 0, b.data, b.len);
	client_end(k);
}

static void request_stats(struct client *k, struct wire *w)
{
	struct err e = ERR_INIT;
	struct pending *p = pending_new(k);

	(void)w;
	k->role = CLIENT_ASKER;
	int r = p ? isolate_stats(k->container->isolate, on_stats, p, &e) : err_nomem(&e);
	if (r < 0)
		pending_failed(k, p, r, &e);
}

static void on_look(void *data, const struct look *l, const struct err *e)
{
	struct client *k = pending_done(data, e);
	_cleanup_buf_ struct buf b = {0};

	if (!k)
		return;
	if (look_encode(l, &b) == 0)
		client_send(k, MONITOR_LOOK_BYTES, 0, b.data, b.len);
	client_end(k);
}

static void request_look(struct client *k, struct wire *w)
{
	struct err e = ERR_INIT;
	struct pending *p = pending_new(k);

	(void)w;
	k->role = CLIENT_ASKER;
	int r = p ? isolate_look(k->container->isolate, on_look, p, &e) : err_nomem(&e);
	if (r < 0)
		pending_failed(k, p, r, &e);
}

static void request_pause(struct client *k, struct wire *w)
{
	struct err e = ERR_INIT;

	answer(k, container_pause(k->container, wire_u32(w), &e), &e);
}

static void on_changed(void *data, const struct err *e)
{
	struct client *k = pending_done(data, e);

	if (k)
		answer(k, 0, NULL);
}

static void request_update(struct client *k, struct wire *w)
{
	struct pending *pending = pending_new(k);
	struct err e = ERR_INIT;
	struct plan plan = {0};
	size_t n;
	const char *p = wire_bytes(w, &n);

	k->role = CLIENT_ASKER;
	int r = !pending ? err_nomem(&e)
		: w->bad ? err_set(&e, EBADMSG, "damaged request")
			 : plan_decode(&plan, p, n, &e);
	if (r == 0)
		r = isolate_update(k->container->isolate, &plan, on_changed, pending, &e);
	plan_done(&plan);
	if (r < 0)
		pending_failed(k, pending, r, &e);
}

typedef int change_fn(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);

static void request_change(struct client *k, struct wire *w, change_fn *change)
{
	struct pending *pending = pending_new(k);
	struct err e = ERR_INIT;
	struct plan plan = {0};
	size_t n;
	const char *p = wire_bytes(w, &n);

	k->role = CLIENT_ASKER;
	int r = !pending ? err_nomem(&e)
		: w->bad ? err_set(&e, EBADMSG, "damaged request")
			 : plan_decode(&plan, p, n, &e);
	if (r == 0 && plan.interfaces_len != 1)
		r = err_set(&e, EBADMSG, "damaged request");
	if (r == 0)
		r = change(k->container->isolate, plan.interfaces, on_changed, pending, &e);
	plan_done(&plan);
	if (r < 0)
		pending_failed(k, pending, r, &e);
}

static void request_connect(struct client *k, struct wire *w)
{
	request_change(k, w, isolate_connect);
}

static void request_disconnect(struct client *k, struct wire *w)
{
	request_change(k, w, isolate_disconnect);
}

static void request_ports(struct client *k, struct wire *w)
{
	_cleanup_free_ char *address4 = wire_str(w), *address6 = wire_str(w);
	struct err e = ERR_INIT;

	if (w->bad) {
		answer(k, err_set(&e, EBADMSG, "damaged request"), &e);
		return;
	}
	ports_lead(k->container, address4, address6);
	answer(k, 0, NULL);
}

static void (*const requests[])(struct client *k, struct wire *w) = {
	[MONITOR_ATTACH] = request_attach,
	[MONITOR_EXEC] = request_exec,
	[MONITOR_SIGNAL] = request_signal,
	[MONITOR_RESIZE] = request_resize,
	[MONITOR_WAIT] = request_wait,
	[MONITOR_STOP] = request_stop,
	[MONITOR_PS] = request_ps,
	[MONITOR_STATS] = request_stats,
	[MONITOR_LOOK] = request_look,
	[MONITOR_PAUSE] = request_pause,
	[MONITOR_UPDATE] = request_update,
	[MONITOR_KILL] = request_kill,
	[MONITOR_CONNECT] = request_connect,
	[MONITOR_DISCONNECT] = request_disconnect,
	[MONITOR_PORTS] = request_ports,
	[MONITOR_RESTART] = request_restart,
};

/* A frame of a client whose request was answered already: only input counts. */
static void stream_frame(struct client *k, const struct frame *f)
{
	struct relay *r = relay_find(k->container, k->proc);

	if (f->stream != 0 || !(k->streams & MONITOR_STDIN) || !r)
		return;
	if (f->type == MONITOR_DATA) {
		k->stdin_blocked = !relay_input(r, f->payload, f->len);
	} else if (f->type == MONITOR_EOF && r) {
		k->streams &= ~(uint32_t)MONITOR_STDIN;
		if (k->proc != ISOLATE_MAIN || k->container->run->stdin_once)
			relay_input_end(r);
	}
}

void request_handle(struct client *k, const struct frame *f)
{
	struct wire w = {.p = f->payload, .left = f->len};

	if (k->role != CLIENT_IDLE) {
		stream_frame(k, f);
		return;
	}
	if (f->type >= sizeof(requests) / sizeof(*requests) || !requests[f->type]) {
		client_drop(k);
		return;
	}
	bool for_end = f->type == MONITOR_WAIT || f->type == MONITOR_STOP || f->type == MONITOR_KILL;
	if (k->container->finished && for_end) {
		client_send_u32(k, MONITOR_EXITED, (uint32_t)k->container->exit.status);
		client_end(k);
		return;
	}
	bool can = k->container->isolate || for_end ||
		(k->container->again_timer && (f->type == MONITOR_SIGNAL || f->type == MONITOR_RESTART));
	if (!can) {
		refuse(k);
		return;
	}
	requests[f->type](k, &w);
}

static void on_connection(void *data, int fd, uint32_t events)
{
	struct container *c = data;
	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (sock >= 0)
		client_new(c, sock);
}

int requests_listen(struct container *c, struct err *e)
{
	c->listener = unix_listen(c->run->run_dir, MONITOR_SOCKET, 0600);
	if (c->listener < 0)
		return err_errno(e, c->listener, "listen on %s", MONITOR_SOCKET);
	fd_nonblock(c->listener, true);
	c->listen_source = loop_add_fd(c->loop, c->listener, EPOLLIN, on_connection, c);
	return c->listen_source ? 0 : err_nomem(e);
}

void requests_unlisten(struct container *c)
{
	int sock;

	source_remove(&c->listen_source);
	while (c->listener >= 0 && (sock = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		client_new(c, sock);
	close_fd(&c->listener);
}

void requests_exec_started(struct container *c, int proc, struct isolate_io *io, const struct err *e)
{
	struct client *k = c->clients;
	struct err own = ERR_INIT;

	while (k && (k->role != CLIENT_EXEC || (k->proc != proc && k->proc != EXEC_STARTING)))
		k = k->next;
	if (!e && relay_new(c, proc, io, NULL, true) < 0) {
		err_nomem(&own);
		e = &own;
	}
	if (!k || k->dead) {
		if (!e && k && k->files)
			relay_abandon(c, proc);
		else if (!e) /* nobody will ever write to it */
			relay_input_end(relay_find(c, proc));
		return;
	}
	if (e) {
		client_send_err(k, e);
		client_end(k);
		return;
	}
	k->proc = proc;
	k->role = CLIENT_STREAM;
	client_send_u32(k, MONITOR_STARTED, (uint32_t)proc);
	if (!(k->streams & MONITOR_STDIN))
		relay_input_end(relay_find(c, proc));
	client_unblock(k);
}

void requests_exited(struct container *c, int proc, int status)
{
	for (struct client *k = c->clients; k; k = k->next) {
		if (k->dead)
			continue;
		if (proc == ISOLATE_MAIN &&
			(k->role == CLIENT_ASKER || k->role == CLIENT_EXEC ||
				(k->role == CLIENT_RESTARTER && !c->restart))) {
			refuse(k);
			continue;
		}
		bool concerned = k->role == CLIENT_STREAM ? k->proc == proc || proc == ISOLATE_MAIN
							  : k->role == CLIENT_WAITER && proc == ISOLATE_MAIN;
		if (!concerned)
			continue;
		/* an exec that dies with its container was killed */
		client_send_u32(
			k, MONITOR_EXITED, k->role == CLIENT_STREAM && k->proc != proc ? 137 : (uint32_t)status);
		client_end(k);
	}
}
