/*
 * The health check of a running container: a probe at a time, run as an exec. One that does not end in time is killed and counts as failed at
 * once, whenever it ends.
 *
 *   health_begin --> wait --> probe --> (its end | the timeout) --> wait ...
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "container/container-private.h"

enum { RETRY_MS = 1000, AT_ONCE = 64 * 1024 };

struct health {
	struct container *container;
	struct source *timer;
	int proc; /* of the probe that is waited for; 0: none, -1: it is starting */
	int out[2];
	struct source *sources[2];
	struct buf output;
	bool cut;
	int64_t start_ns;
	uint64_t start_ran_ms;
	struct health_state state;
};

static uint64_t ran_ms(const struct container *c)
{
	return clock_mono_ms() - c->started_ms;
}

static void on_probe_timer(void *data);

static void wait_next(struct health *h)
{
	const struct container *c = h->container;

	source_remove(&h->timer);
	h->timer = loop_add_timer(c->loop, health_wait_ms(&h->state, c->run->health, ran_ms(c)), on_probe_timer, h);
}

static void close_output(struct health *h)
{
	for (int i = 0; i < 2; i++) {
		source_remove(&h->sources[i]);
		close_fd(&h->out[i]);
	}
}

/* What is there now, but no more at once: a probe that writes without an end is not to keep the loop from anything else. */
static void take_output(struct health *h, int i)
{
	char block[4096];
	ssize_t n;

	for (size_t done = 0; h->out[i] >= 0 && (n = read(h->out[i], block, sizeof(block))) != 0; done += (size_t)n) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			break;
		size_t room = HEALTH_OUTPUT_MAX - h->output.len, take = (size_t)n < room ? (size_t)n : room;
		h->cut |= take < (size_t)n;
		buf_add(&h->output, block, take);
		if (done >= AT_ONCE)
			return;
	}
	source_remove(&h->sources[i]);
	close_fd(&h->out[i]);
}

static void on_probe_output(void *data, int fd, uint32_t events)
{
	struct health *h = data;

	(void)events;
	take_output(h, fd == h->out[0] ? 0 : 1);
}

/* The probe is over; text in place of what it has written, unless NULL. */
static void conclude(struct health *h, int status, const char *text)
{
	struct container *c = h->container;
	enum health_status before = h->state.status;
	struct health_result result = {.start_ns = h->start_ns, .end_ns = clock_real_ns(), .status = status};

	close_output(h);
	result.output =
		text ? strdup(text) : str_fmt("%s%s", h->output.data ? h->output.data : "", h->cut ? "..." : "");
	h->output.len = 0;
	buf_done(&h->output);
	h->cut = false;
	h->proc = 0;
	health_add(&h->state, c->run->health, &result, h->start_ran_ms);
	c->run->hooks.health(c->run->hooks.data, &h->state, h->state.status != before);
	wait_next(h);
}

static void on_probe_timeout(void *data)
{
	struct health *h = data;
	uint64_t ms = h->container->run->health->timeout_ms;
	struct err none;
	char text[64];

	h->timer = NULL;
	if (h->proc > 0)
		isolate_signal(h->container->isolate, h->proc, SIGKILL, &none);
	if (ms < 1000)
		snprintf(text, sizeof(text), "Health check exceeded timeout (%llums)", (unsigned long long)ms);
	else
		snprintf(text, sizeof(text), "Health check exceeded timeout (%gs)", (double)ms / 1000);
	conclude(h, -1, text);
}

static void on_probe_timer(void *data)
{
	struct health *h = data;
	struct container *c = h->container;
	struct err e = ERR_INIT;

	h->timer = NULL;
	if (c->ended)
		return;
	if (c->state.phase == STATE_PAUSED) {
		h->timer = loop_add_timer(c->loop, RETRY_MS, on_probe_timer, h);
		return;
	}
	h->start_ns = clock_real_ns();
	h->start_ran_ms = ran_ms(c);
	h->proc = -1;
	h->timer = loop_add_timer(c->loop, c->run->health->timeout_ms, on_probe_timeout, h);
	int r = exec_begin(c, &c->run->health->probe, true, &e);
	if (r < 0)
		conclude(h, -1, e.msg);
	else if (h->proc == -1)
		h->proc = r;
}

void health_started(struct container *c, int proc, struct isolate_io *io, const struct err *e)
{
	struct health *h = c->health;

	/* one that was given up meanwhile ends unheard */
	if (!h || (h->proc != proc && h->proc != -1)) {
		if (io && !e) {
			close_fd(&io->in);
			close_fd(&io->out);
			close_fd(&io->err);
		}
		if (!e)
			isolate_signal(c->isolate, proc, SIGKILL, &(struct err){0});
		return;
	}
	if (e) {
		conclude(h, -1, e->msg);
		return;
	}
	h->proc = proc;
	close_fd(&io->in);
	h->out[0] = io->out;
	h->out[1] = io->err;
	*io = ISOLATE_IO_INIT;
	for (int i = 0; i < 2; i++) {
		if (h->out[i] < 0)
			continue;
		fd_nonblock(h->out[i], true);
		h->sources[i] = loop_add_fd(c->loop, h->out[i], EPOLLIN, on_probe_output, h);
	}
}

void health_ended(struct container *c, int proc, int status)
{
	struct health *h = c->health;

	if (!h || h->proc != proc)
		return;
	for (int i = 0; i < 2; i++)
		take_output(h, i);
	conclude(h, status, NULL);
}

int health_begin(struct container *c)
{
	const struct health_check *check = c->run->health;

	if (!check || !check->probe.argv || c->health || c->ended)
		return 0;
	struct health *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	*h = (struct health){.container = c, .out = {-1, -1}};
	c->health = h;
	c->run->hooks.health(c->run->hooks.data, &h->state, false);
	wait_next(h);
	return 0;
}

void health_end(struct container *c)
{
	struct health *h = c->health;

	if (!h)
		return;
	source_remove(&h->timer);
	close_output(h);
	buf_done(&h->output);
	health_state_done(&h->state);
	free(steal_ptr(c->health));
}
