/* What is done to a container that exists: attach, exec, signals, stop, wait, remove, rename, and figures of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "engine/engine-private.h"
#include "engine/netup.h"
#include "proto/frame.h"
#include "proto/monitor.h"

enum { STOP_SECONDS = 10, REMOVE_TRIES = 10 };

/* A request of u32 fields. */
static int pack(struct buf *b, const uint32_t *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (wire_add_u32(b, v[i]) < 0)
			return err_nomem(e);
	return 0;
}

/* Sends a request of u32 fields and waits for OK. */
static int simple(struct engine *g, const char *ref, uint8_t op, const uint32_t *v, size_t n, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0};
	int r = container_find_running(g, ref, &f, e);

	if (r == 0)
		r = pack(&b, v, n, e);
	return r < 0 ? r : monitor_simple(&f, op, b.data, b.len, e);
}

int engine_attach(struct engine *g, const char *ref, uint32_t streams, int *ret_client, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0}, answer = {0};
	_cleanup_close_ int sock = -1;
	struct frame a;
	int r = container_find(g, ref, &f, e);

	if (r == 0 && !f.running)
		r = err_set(e, ESRCH, "You cannot attach to a stopped container, start it first");
	if (r == 0 && f.live.phase == STATE_RESTARTING)
		r = err_set(e, EBUSY, "You cannot attach to a restarting container, wait until it is running");
	if (r == 0 && f.live.phase == STATE_PAUSED)
		r = err_set(e, EBUSY, "You cannot attach to a paused container, unpause it first");
	if (r == 0)
		r = pack(&b, &streams, 1, e);
	if (r == 0)
		r = monitor_call(&f, MONITOR_ATTACH, b.data, b.len, &sock, e);
	if (r == 0)
		r = monitor_answer(sock, &answer, &a, e);
	if (r < 0)
		return r;
	event_of(g, &f.row, f.record, "attach", NULL);
	*ret_client = steal_fd(&sock);
	return 0;
}

int engine_exec(struct engine *g, const char *ref, const json_t *body, unsigned rows, unsigned cols, int *ret_client,
	struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0}, encoded = {0};
	struct plan_process p = {0};
	uint32_t streams = MONITOR_STDOUT | MONITOR_STDERR;

	int r = container_find_running(g, ref, &f, e);
	if (r == 0 && f.live.phase == STATE_PAUSED)
		r = err_set(e, EBUSY, "Container %s is paused, unpause the container before exec", f.row.id);
	if (r == 0 && f.live.phase == STATE_RESTARTING)
		r = err_set(e, EBUSY, "Container %s is restarting, wait until the container is running", f.row.id);
	if (r == 0)
		r = engine_plan_exec(g, f.record, body, &p, e);
	p.rows = rows;
	p.cols = cols;
	if (json_flag(body, "AttachStdin"))
		streams |= MONITOR_STDIN;
	if (p.tty)
		streams |= MONITOR_TTY;
	if (r == 0 &&
		((r = plan_process_encode(&p, &encoded)) < 0 || (r = wire_add_u32(&b, streams)) < 0 ||
			(r = wire_add_bytes(&b, encoded.data, encoded.len)) < 0))
		r = plan_too_long(r, e);
	plan_process_done(&p);
	return r < 0 ? r : monitor_call(&f, MONITOR_EXEC, b.data, b.len, ret_client, e);
}

int engine_resize(struct engine *g, const char *ref, int proc, unsigned rows, unsigned cols, struct err *e)
{
	return simple(g, ref, MONITOR_RESIZE, (uint32_t[]){(uint32_t)proc, rows, cols}, 3, e);
}

int engine_signal_exec(struct engine *g, const char *ref, int proc, int sig, struct err *e)
{
	return simple(g, ref, MONITOR_SIGNAL, (uint32_t[]){(uint32_t)proc, (uint32_t)sig}, 2, e);
}

int engine_kill(struct engine *g, const char *ref, const char *sig, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0};
	int number = SIGKILL, status;

	if (!str_empty(sig) && parse_signal(sig, &number) < 0)
		return err_set(e, EINVAL, "Invalid signal: %s", sig);
	int r = container_find(g, ref, &f, e);
	if (r == 0 && !f.running)
		r = err_set(e, ESRCH, "Cannot kill container: %s: Container %s is not running", ref, f.row.id);
	if (r < 0)
		return r;
	if (number == SIGKILL) {
		r = monitor_wait(&f, MONITOR_KILL, NULL, 0, &status, e);
		return r == -ESRCH ? 0 : r;
	}
	r = pack(&b, (uint32_t[]){ISOLATE_MAIN, (uint32_t)number}, 2, e);
	return r < 0 ? r : monitor_simple(&f, MONITOR_SIGNAL, b.data, b.len, e);
}

int engine_pause(struct engine *g, const char *ref, bool on, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0};
	int r = container_find(g, ref, &f, e);

	if (r < 0)
		return r;
	if (!f.running)
		return err_set(e, ESRCH, "Container %s is not %s", f.row.id, on ? "running" : "paused");
	if (f.live.phase == STATE_RESTARTING)
		return err_set(e, EBUSY, "Container %s is restarting, wait until the container is running", f.row.id);
	if ((f.live.phase == STATE_PAUSED) == on)
		return err_set(e, EBUSY, "Container %s is %s paused", f.row.id, on ? "already" : "not");
	r = pack(&b, (uint32_t[]){on}, 1, e);
	return r < 0 ? r : monitor_simple(&f, MONITOR_PAUSE, b.data, b.len, e);
}

/* The body of MONITOR_STOP and MONITOR_RESTART. */
static int pack_stop(const struct found *f, const char *sig, int timeout, struct buf *b, struct err *e)
{
	const json_t *config = json_object_get(f->record, "Config");
	const char *own = json_str(config, "StopSignal");
	int number = SIGTERM;

	if (!str_empty(sig))
		parse_signal(sig, &number);
	else if (!str_empty(own))
		parse_signal(own, &number);
	if (timeout == -2)
		timeout = (int)json_int(config, "StopTimeout", STOP_SECONDS);
	return pack(b, (uint32_t[]){(uint32_t)number, timeout < 0 ? UINT32_MAX : (uint32_t)timeout}, 2, e);
}

static int check_signal(const char *sig, struct err *e)
{
	int number;

	return str_empty(sig) || parse_signal(sig, &number) == 0 ? 0 : err_set(e, EINVAL, "Invalid signal: %s", sig);
}

int engine_stop(struct engine *g, const char *ref, const char *sig, int timeout, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0};
	int status, r = check_signal(sig, e);

	if (r == 0)
		r = container_find(g, ref, &f, e);
	if (r < 0 || !f.running)
		return r;
	r = pack_stop(&f, sig, timeout, &b, e);
	if (r == 0)
		r = monitor_wait(&f, MONITOR_STOP, b.data, b.len, &status, e);
	return r == -ESRCH ? 0 : r;
}

int engine_restart(struct engine *g, const char *ref, const char *sig, int timeout, engine_notice_fn *notice,
	void *data, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_buf_ struct buf b = {0};
	int r = check_signal(sig, e);

	if (r == 0)
		r = container_find(g, ref, &f, e);
	if (r < 0)
		return r;
	if (f.running) {
		r = pack_stop(&f, sig, timeout, &b, e);
		if (r == 0)
			r = monitor_simple(&f, MONITOR_RESTART, b.data, b.len, e);
		/* else it ended by itself meanwhile */
		if (r != -ESRCH && r != -ECONNRESET)
			return r;
	}
	struct engine_start start = {.notice = notice, .notice_data = data};
	return engine_start(g, f.row.id, &start, NULL, e);
}

int engine_wait(struct engine *g, const char *ref, int *ret_status, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	int r = container_find(g, ref, &f, e);

	if (r == 0 && f.running) {
		r = monitor_wait(&f, MONITOR_WAIT, NULL, 0, ret_status, e);
		if (r != -ESRCH)
			return r;
		/* the monitor ended or was killed: what is recorded counts */
		_cleanup_free_ char *id = strdup(f.row.id);
		found_done(&f);
		f = (struct found){.run_dir = -1};
		r = container_find(g, id, &f, e);
	}
	if (r == 0)
		*ret_status = f.row.exit_code;
	return r;
}

static int refuse_removal(const struct found *f, struct err *e)
{
	bool paused = f->live.phase == STATE_PAUSED;

	return err_set(e, EBUSY,
		"You cannot remove a %s container %s. %s the container before attempting removal or force remove",
		f->live.phase == STATE_RESTARTING ? "restarting"
			: paused                  ? "paused"
						  : "running",
		f->row.id, paused ? "Unpause and then stop" : "Stop");
}

/* Takes a container for its removal, ending it if it runs. 1: it has gone by itself. */
static int take_for_removal(
	struct engine *g, const char *ref, bool force, struct found *f, int *ret_lock, struct err *e)
{
	char id[65] = "";

	for (int tries = 0; tries < REMOVE_TRIES; tries++) {
		int status, r = container_take(g, *id ? id : ref, force, f, ret_lock, e);
		if (r < 0)
			return r == -ENOENT && *id ? 1 : r;
		if (!f->running)
			return 0;
		if (!force)
			return refuse_removal(f, e);
		r = monitor_wait(f, MONITOR_KILL, NULL, 0, &status, e);
		if (r < 0 && r != -ESRCH && r != -EINTR) /* EINTR: it was about to start */
			return r;
		memcpy(id, f->row.id, sizeof(id));
		found_done(f);
		*f = (struct found){.run_dir = -1};
	}
	return err_set(e, EBUSY, "container %s: it does not end, or is started again and again", ref);
}

int engine_remove(struct engine *g, const char *ref, bool force, bool volumes, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_close_ int lock = -1;

	intents_sweep(g);
	int r = take_for_removal(g, ref, force, &f, &lock, e);
	if (r == 0)
		r = container_sweep(g, f.row.id, f.record, e);
	if (r == 0)
		r = container_delete(g, &f.row, f.record, volumes, e);
	if (r < 0 && lock >= 0)
		run_dir_remove(g, f.row.id);
	return r < 0 ? r : 0;
}

int engine_rename(struct engine *g, const char *ref, const char *name, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct db *db;

	if (*name == '/')
		name++;
	int r = name_check_length("container", name, e);
	if (r < 0)
		return r;
	if (!name_valid(name))
		return err_set(
			e, EINVAL, "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
	r = container_find(g, ref, &f, e);
	if (r == 0 && !strcmp(f.row.name, name))
		r = err_set(e, EINVAL, "Renaming a container with the same name as its current name");
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = containers_rename(db, f.row.id, name, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *old = steal_ptr(f.row.name);
	f.row.name = strdup(name);
	if (!f.row.name)
		return err_nomem(e);
	event_of(g, &f.row, f.record, "rename", json_pack("{s:o}", "oldName", json_sprintf("/%s", old)));
	if (f.running)
		event_actor_keep(g, &f);
	return netup_rename(g, &f, e);
}
