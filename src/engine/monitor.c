/* What a monitor writes down of the container that it holds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "engine/engine-private.h"
#include "engine/netup.h"

static int load(struct engine *g, const char *id, struct db **ret_db, struct container_row *row, struct err *e)
{
	int r = engine_db(g, ret_db, e);

	return r < 0 ? r : containers_find(*ret_db, id, row, e);
}

static int set_string(char **at, const char *s)
{
	free(*at);
	*at = strdup(s);
	return *at ? 0 : -ENOMEM;
}

static int open_run_dir(struct engine *g, const char *id)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	return openat(g->run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void take_restarts(struct engine *g, struct container_row *row)
{
	_cleanup_close_ int dir = open_run_dir(g, row->id);
	struct state s = {0};

	if (dir >= 0)
		state_read(dir, &s);
	row->restarts = s.restarts;
}

int engine_container_running(struct engine *g, const char *id, pid_t pid, const char *accel, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	char boot[37] = "";
	struct db *db;
	int r = load(g, id, &db, &row, e);

	if (r < 0)
		return r;
	proc_boot_id(boot);
	row.status = CONTAINER_RUNNING;
	row.pid = pid;
	row.exit_code = 0;
	row.oom = false;
	row.started_ns = clock_real_ns();
	row.by_hand = false;
	take_restarts(g, &row);
	if (set_string(&row.error, "") < 0 || set_string(&row.accel, accel) < 0 || set_string(&row.boot_id, boot) < 0)
		return err_nomem(e);
	return containers_set_state(db, &row, e);
}

/* Takes the start time from the state file, which is exact. */
static void take_start_time(struct engine *g, struct container_row *row)
{
	_cleanup_close_ int dir = open_run_dir(g, row->id);
	struct state s;

	if (dir >= 0 && state_read(dir, &s) == 0 && s.started_ns) {
		row->started_ns = s.started_ns;
		set_string(&row->accel, s.accel);
	}
}

/* The database cannot take it (a full disk): the run directory stays and tells. */
static int leave_word(struct engine *g, const char *id, int status)
{
	_cleanup_close_ int dir = open_run_dir(g, id);
	struct state s;

	if (dir < 0 || state_read(dir, &s) < 0)
		return -ENOENT;
	s.phase = STATE_ENDED;
	s.status = status;
	s.finished_ns = clock_real_ns();
	return state_write(dir, &s);
}

/* How it ended, in the row and in the database. */
static int record_end(
	struct engine *g, struct db *db, struct container_row *row, const struct engine_end *end, struct err *e)
{
	if (end->started) {
		take_start_time(g, row);
		row->finished_ns = clock_real_ns();
		row->status = CONTAINER_EXITED;
	}
	row->pid = 0;
	row->exit_code = end->status;
	row->oom = end->oom;
	row->by_hand = end->by_hand;
	row->restarts = end->restarts->count;
	return set_string(&row->error, end->error) < 0 ? err_nomem(e) : containers_set_state(db, row, e);
}

void engine_container_released(struct engine *g, const char *id)
{
	run_dir_remove(g, id);
	engine_close_db(g);
}

/* That it has died, and what follows from it. Its networks are gone with its row: they are read before. */
static void tell_end(struct engine *g, const struct container_row *row, const json_t *record, const json_t *networks,
	const struct engine_end *end)
{
	if (!end->started)
		return;
	if (end->oom)
		event_of(g, row, record, "oom", NULL);
	event_of(g, row, record, "die",
		json_pack("{s:o, s:o}", "exitCode", json_sprintf("%d", end->status), "execDuration",
			json_sprintf("%lld", (long long)end->ran_ms / 1000)));
	event_networks_write(g, "disconnect", networks, row->id);
	if (end->stopped)
		event_of(g, row, record, "stop", NULL);
}

int engine_container_ended(
	struct engine *g, const char *id, const struct engine_end *end, int64_t *ret_delay_ms, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	struct db *db;

	netup_stop(g, id);
	*ret_delay_ms = -1;
	int r = load(g, id, &db, &row, e);
	if (r == 0) {
		_cleanup_json_ json_t *record = json_loads(row.record, 0, NULL);
		_cleanup_json_ json_t *networks = event_networks(db, id);
		struct restart_policy policy = record_restart_policy(record);
		tell_end(g, &row, record, networks, end);
		if (!row.auto_remove && json_path(record, "Config.Healthcheck"))
			health_keep(g, id);
		if (end->restart) {
			*end->restarts = (struct restarts){0};
			*ret_delay_ms = end->started ? 0 : -1;
		} else if (end->started && !row.auto_remove) {
			*ret_delay_ms = restart_next(&policy, end->restarts, end->status, end->by_hand, end->ran_ms);
		}
		r = row.auto_remove && *ret_delay_ms < 0 ? container_delete(g, &row, record, true, e)
							 : record_end(g, db, &row, end, e);
	}
	bool known = r >= 0 || r == -ENOENT || !end->started;
	if (*ret_delay_ms < 0 && (known || leave_word(g, id, end->status) < 0))
		run_dir_remove(g, id);
	engine_close_db(g);
	return r;
}

int engine_container_given_up(struct engine *g, const char *id, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	struct db *db;
	int r = load(g, id, &db, &row, e);

	if (r == 0) {
		_cleanup_json_ json_t *record = json_loads(row.record, 0, NULL);
		row.by_hand = true;
		r = containers_set_state(db, &row, e);
		event_of(g, &row, record, "stop", NULL);
	}
	run_dir_remove(g, id);
	engine_close_db(g);
	return r;
}
