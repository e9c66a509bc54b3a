/*
 * One container's life: start, run, end, and from there to the next start if its policy wants one. The lock, the socket and the state are held from
 * the first start to the last end:
 *
 *   begin --> begin_run --> main_exited --> finish --> leave
 *                 ^                           |          ^
 *                 +-------- on_again <-- wait_again -----+ (stop, kill)
 */
#include "container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "container/container-private.h"
#include "proto/timing.h"

enum {
	DRAIN_MS = 2000, /* for output that is still on its way when its process has ended */
	KILL_MS = 2000,  /* for a workload that was killed to be gone */
	DURABLE_MS = 50, /* a container that ends sooner is never recorded as running */
};

void container_event(struct container *c, const char *action, const char *const *attributes)
{
	if (!c->run->files_only)
		c->run->hooks.event(c->run->hooks.data, action, attributes);
}

static void event_kill(struct container *c, int sig)
{
	char number[12];

	snprintf(number, sizeof(number), "%d", sig);
	container_event(c, "kill", (const char *const[]){"signal", number, NULL});
}

/* Once told, steps are forgotten: those that follow are told later. */
static void tell_timing(struct container *c)
{
	struct timing *t = c->run->timing;
	_cleanup_buf_ struct buf b = {0};

	if (!t || timing_encode(t, &b) < 0)
		return;
	for (struct client *k = c->clients; k; k = k->next)
		if (k->timed)
			client_send(k, MONITOR_TIMING, 0, b.data, b.len);
	t->len = 0;
}

/* Gives the container up, and only then tells those who wait. */
static void leave(struct container *c)
{
	requests_unlisten(c);
	close(c->run->lock);
	c->finished = true;
	tell_timing(c);
	for (struct client *k = c->clients; k && c->start_error.code; k = k->next) {
		/* one that was started again has run: who waits is told how that ended */
		if (c->state.finished_ns && k->role != CLIENT_RESTARTER)
			continue;
		client_send_err(k, &c->start_error);
		client_end(k);
	}
	c->restart = false;
	requests_exited(c, ISOLATE_MAIN, c->exit.status);
}

static int begin_run(struct container *c, struct err *e);
static void start_failed(struct container *c, const struct err *e);

static void on_again(void *data)
{
	struct container *c = data;
	struct err e = ERR_INIT;

	c->again_timer = NULL;
	c->exit = (struct isolate_exit){0};
	int r = c->run->hooks.again(c->run->hooks.data, &e);
	if (r == 0)
		r = begin_run(c, &e);
	if (r < 0)
		start_failed(c, &e);
}

static void wait_again(struct container *c, uint64_t delay_ms)
{
	c->state.phase = STATE_RESTARTING;
	c->state.pid = 0;
	c->state.finished_ns = clock_real_ns();
	c->state.status = c->exit.status;
	c->state.restarts = c->restart ? 0 : c->state.restarts + 1;
	state_write(c->run->run_dir, &c->state);
	c->ended = c->killed = c->stopped = false;
	tell_timing(c);
	requests_exited(c, ISOLATE_MAIN, c->exit.status);
	c->again_timer = loop_add_timer(c->loop, delay_ms, on_again, c);
}

/* Records the end. */
static void finish(struct container *c)
{
	const struct container_run *run = c->run;
	struct container_end end = {
		.status = c->exit.status,
		.oom = c->exit.oom,
		.error = c->exit.reason,
		.started = !c->start_error.code,
		.by_hand = c->by_hand,
		.stopped = c->stopped,
		.restart = c->restart,
		.ran_ms = clock_mono_ms() - c->started_ms,
		.err = &c->start_error,
	};

	source_remove(&c->finish_timer);
	source_remove(&c->stop_timer);
	source_remove(&c->running_timer);
	relays_free(c);
	health_end(c);
	execs_free(c);
	ports_close(c);
	log_writer_free(steal_ptr(c->log));
	isolate_free(steal_ptr(c->isolate));
	int64_t delay = run->hooks.ended(run->hooks.data, &end);
	if (delay >= 0)
		wait_again(c, (uint64_t)delay);
	else
		leave(c);
}

/* Somebody asks for the end. Whether it is done with that: it has ended, and was to be started again. */
static bool end_by_hand(struct container *c)
{
	c->by_hand = true;
	c->restart = false;
	if (!c->again_timer)
		return false;
	source_remove(&c->again_timer);
	c->run->hooks.given_up(c->run->hooks.data);
	leave(c);
	return true;
}

static void on_finish_timer(void *data)
{
	struct container *c = data;

	c->finish_timer = NULL;
	finish(c);
}

/* Never at once: the caller may stand in a callback of the backend that finish frees. */
static void finish_in(struct container *c, uint64_t ms)
{
	source_remove(&c->finish_timer);
	c->finish_timer = loop_add_timer(c->loop, ms, on_finish_timer, c);
}

void container_relay_ended(struct container *c, int proc)
{
	if (proc == ISOLATE_MAIN && c->ended && !c->finished)
		finish_in(c, 0);
}

static void on_running_timer(void *data)
{
	struct container *c = data;

	c->running_timer = NULL;
	c->run->hooks.running(c->run->hooks.data, c->state.pid, c->state.accel);
	health_begin(c);
}

static void record_running(struct container *c)
{
	c->state.phase = STATE_RUNNING;
	if (c->run->files_only)
		return;
	c->state.pid = isolate_pid(c->isolate);
	c->state.started_ns = clock_real_ns();
	c->started_ms = clock_mono_ms();
	strncpy(c->state.accel, isolate_accel(c->isolate), sizeof(c->state.accel) - 1);
	state_write(c->run->run_dir, &c->state);
	c->running_timer = loop_add_timer(c->loop, DURABLE_MS, on_running_timer, c);
}

static void start_failed(struct container *c, const struct err *e)
{
	c->start_error = *e;
	c->ended = true;
	c->exit.status = e->status ? e->status : 128;
	finish_in(c, 0);
}

static void on_started(void *data, struct isolate_io *io, const struct err *e)
{
	struct container *c = data;
	struct err own = ERR_INIT;

	if (!e && relay_new(c, ISOLATE_MAIN, io, c->log, c->run->stdin_once) < 0) {
		err_nomem(&own);
		e = &own;
	}
	if (!e) {
		int r = ports_open(c);
		if (r < 0) {
			err_errno(&own, r, "serve the published ports");
			e = &own;
		}
	}
	if (e) {
		start_failed(c, e);
		return;
	}
	record_running(c);
	tell_timing(c);
	for (struct client *k = c->clients; k; k = k->next) {
		if (k->role == CLIENT_RESTARTER && !k->dead) {
			client_send(k, MONITOR_OK, 0, NULL, 0);
			client_end(k);
		}
		if (k->role != CLIENT_STARTER)
			continue;
		k->role = CLIENT_STREAM;
		client_send_u32(k, MONITOR_STARTED, ISOLATE_MAIN);
		client_unblock(k);
	}
	container_event(c, "start", NULL);
	if (c->restart)
		container_event(c, "restart", NULL);
	c->restart = false;
}

static void on_exec_started(void *data, int proc, struct isolate_io *io, const struct err *e)
{
	exec_started(data, proc, io, e);
}

static void main_exited(struct container *c, const struct isolate_exit *x)
{
	struct relay *r = relay_find(c, ISOLATE_MAIN);

	c->ended = true;
	c->exit = *x;
	if (r)
		relay_drain(r);
	timing_end(c->run->timing, TIMING_EXIT);
	finish_in(c, r && relay_open(r) ? DRAIN_MS : 0);
}

static void on_exited(void *data, int proc, const struct isolate_exit *x)
{
	struct container *c = data;
	struct relay *r = relay_find(c, proc);

	if (proc == ISOLATE_MAIN) {
		main_exited(c, x);
		return;
	}
	if (r)
		relay_drain(r);
	exec_ended(c, proc, x->status);
	relay_free(c, proc);
	malloc_trim(0); /* what a busy exec's backlog took */
}

static int on_attach(
	void *data, const struct plan_interface *f, pid_t pid, const char *parked, int *ret_tap, struct err *e)
{
	const struct container_hooks *h = &((struct container *)data)->run->hooks;

	return h->attach(h->data, f, pid, parked, ret_tap, e);
}

static int on_detach(void *data, const char *port, bool park, struct err *e)
{
	const struct container_hooks *h = &((struct container *)data)->run->hooks;

	return h->detach(h->data, port, park, e);
}

static void on_notice(void *data, const char *text)
{
	struct container *c = data;

	for (struct client *k = c->clients; k; k = k->next)
		if (k->role == CLIENT_STARTER)
			client_send(k, MONITOR_NOTICE, 0, text, strlen(text));
}

static void on_phase(void *data, enum timing_phase phase)
{
	const struct container *c = data;

	timing_end(c->run->timing, phase);
}

static void kill_workload(struct container *c);

static void on_stop_timeout(void *data)
{
	struct container *c = data;

	c->stop_timer = NULL;
	kill_workload(c);
}

/* Of several who ask for a stop the most impatient counts. */
static void kill_in(struct container *c, uint64_t ms)
{
	uint64_t due = clock_mono_ms() + ms;

	if (c->stop_timer && c->stop_due <= due)
		return;
	source_remove(&c->stop_timer);
	c->stop_timer = loop_add_timer(c->loop, ms, on_stop_timeout, c);
	c->stop_due = due;
}

int container_pause(struct container *c, bool on, struct err *e)
{
	int r = isolate_pause(c->isolate, on, e);

	if (r < 0)
		return r;
	c->state.phase = on ? STATE_PAUSED : STATE_RUNNING;
	state_write(c->run->run_dir, &c->state);
	container_event(c, on ? "pause" : "unpause", NULL);
	return 0;
}

/* One that stands still cannot end. */
static void go_on(struct container *c)
{
	struct err e = ERR_INIT;

	if (c->state.phase == STATE_PAUSED)
		container_pause(c, false, &e);
}

/* docker's rule: without a stop signal of the container's own any signal counts. */
bool container_signalled(struct container *c, int sig)
{
	int own = c->run->plan->stop_signal;

	if (!c->again_timer)
		event_kill(c, sig);
	return (sig == SIGKILL || !own || sig == own) && end_by_hand(c);
}

/*
 * The workload is killed by its own kernel, which in a VM then still writes to the disk what it has cached. What does not end by that, or is
 * killed once more, is cut off.
 */
static void kill_workload(struct container *c)
{
	struct err e = ERR_INIT;

	if (c->ended)
		return;
	go_on(c);
	if (!c->killed)
		event_kill(c, SIGKILL);
	if (!c->killed && isolate_signal(c->isolate, ISOLATE_MAIN, SIGKILL, &e) == 0) {
		c->killed = true;
		kill_in(c, KILL_MS);
	} else {
		isolate_kill(c->isolate, &e);
	}
}

/* Sends the signal, and kills what does not end by it. */
static void end_with(struct container *c, int sig, uint32_t seconds)
{
	struct err e = ERR_INIT;

	c->stopped = true;
	if (c->ended)
		return;
	go_on(c);
	/* a container that is still starting has no process that could be asked */
	if (seconds == 0 || isolate_signal(c->isolate, ISOLATE_MAIN, sig, &e) < 0)
		kill_workload(c);
	else
		event_kill(c, sig);
	if (seconds && seconds != UINT32_MAX)
		kill_in(c, (uint64_t)seconds * 1000);
}

void container_stop(struct container *c, int sig, uint32_t seconds)
{
	if (!end_by_hand(c))
		end_with(c, sig, seconds);
}

void container_restart(struct container *c, int sig, uint32_t seconds)
{
	bool starting = c->state.phase == STATE_STARTING || c->state.phase == STATE_RESTARTING;

	c->by_hand = false;
	c->restart = true;
	c->state.restarts = 0;
	if (c->again_timer) {
		source_remove(&c->again_timer);
		c->again_timer = loop_add_timer(c->loop, 0, on_again, c);
	} else if (!starting) { /* else that start is as good as another */
		end_with(c, sig, seconds);
	}
}

void container_kill(struct container *c)
{
	if (!end_by_hand(c))
		kill_workload(c);
}

static int begin_run(struct container *c, struct err *e)
{
	const struct container_run *run = c->run;
	static const struct isolate_events events = {
		.started = on_started,
		.exec_started = on_exec_started,
		.exited = on_exited,
		.attach = on_attach,
		.detach = on_detach,
		.notice = on_notice,
		.phase = on_phase,
	};
	int r = 0;

	if (run->log_name)
		r = log_writer_new(run->dir, run->log_name, &run->log, &c->log, e);
	if (r == 0)
		r = isolate_new(run->kind, run->host, run->plan, run->dir, c->loop, &events, c, &c->isolate, e);
	return r < 0 ? r : isolate_start(c->isolate, e);
}

static int begin(struct container *c, struct err *e)
{
	const struct container_run *run = c->run;

	if (run->client >= 0) {
		struct client *k = client_new(c, run->client);
		if (!k)
			return err_nomem(e);
		k->role = CLIENT_STARTER;
		k->timed = run->timing;
		k->stdin_blocked = true;
		k->proc = ISOLATE_MAIN;
		k->streams = run->client_streams;
		client_update(k);
	}
	int r = requests_listen(c, e);
	if (r < 0)
		return r;
	c->state = (struct state){.phase = STATE_STARTING, .monitor = getpid()};
	proc_boot_id(c->state.boot_id);
	r = run->files_only ? 0 : state_write(run->run_dir, &c->state);
	if (r < 0)
		return err_errno(e, r, "write the container's state");
	timing_end(run->timing, TIMING_MONITOR);
	return begin_run(c, e);
}

int container_run(const struct container_run *run, struct err *e)
{
	struct container c = {.run = run, .listener = -1};

	signal(SIGPIPE, SIG_IGN);
	int r = loop_new(&c.loop);
	if (r < 0)
		return err_errno(e, r, "make an event loop");
	r = begin(&c, e);
	if (r < 0)
		start_failed(&c, e);
	while (!c.finished || c.clients) {
		clients_sweep(&c);
		if (c.finished && !c.clients)
			break;
		r = loop_once(c.loop, -1);
		if (r < 0)
			break;
	}
	loop_free(c.loop);
	return 0;
}
