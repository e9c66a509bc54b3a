/*
 * Finding a container and its true state.
 *
 * The row in the database says what was true when it last changed; the run directory says what is true now (container/state.h):
 *
 *   row        run directory           truth
 *   any        none                    not running; a row that says "running" is of a monitor that was killed, or of an earlier boot
 *   any        lock held, state        running (its monitor answers)
 *   any        lock held, no state     about to start, or its end is being recorded
 *   any        lock free               its monitor was killed: what is left is swept, the row says "exited" from now on
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "engine/engine-private.h"

enum { DIED_STATUS = 255, WAIT_TRIES = 1000, WAIT_US = 5000 };

void found_done(struct found *f)
{
	container_row_done(&f->row);
	json_decref(f->record);
	close_fd(&f->run_dir);
}

int container_dir(struct engine *g, const char *id, int *ret_fd)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	*ret_fd = openat(g->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int open_run_dir(struct engine *g, const char *id)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	int fd = openat(g->run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void run_dir_remove(struct engine *g, const char *id)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	rm_rf(g->run_fd, path);
}

/* The row as it is now, in place of the one in *row. */
static int reread(struct engine *g, struct container_row *row, struct err *e)
{
	struct container_row now = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = containers_find(db, row->id, &now, e);
	if (r < 0)
		return r;
	container_row_done(row);
	*row = now;
	return 0;
}

int container_sweep(struct engine *g, const char *id, const json_t *record, struct err *e)
{
	_cleanup_close_ int dir = -1;

	container_dir(g, id, &dir);
	int r = isolation_sweep(record_isolation(record), &g->host, id, json_str(json_object_get(record, "HostConfig"), "CgroupParent"), dir);
	return r < 0 ? err_errno(e, r, "container %.12s: end what its killed monitor left", id) : 0;
}

/* Its monitor is dead and nobody holds it: ends what it left and writes down that it has ended. */
static int put_right(struct engine *g, struct container_row *row, int run_dir, struct err *e)
{
	_cleanup_json_ json_t *record = json_loads(row->record, 0, NULL);
	struct db *db;
	struct state live = {0};

	log_trace("engine", "container %s: its monitor is gone", row->name);
	if (run_dir >= 0) {
		int r = container_sweep(g, row->id, record, e);
		if (r < 0)
			return r;
		if (state_read(run_dir, &live) == 0 && live.started_ns)
			row->started_ns = live.started_ns;
	}
	bool ran = row->status == CONTAINER_RUNNING || live.phase >= STATE_RUNNING;
	int r = engine_db(g, &db, e);
	if (r < 0)
		return r;
	if (ran && row->auto_remove) {
		r = container_delete(g, row, record, true, e);
		run_dir_remove(g, row->id);
		return r < 0 ? r : err_set(e, ENOENT, "No such container: %s", row->name);
	}
	if (ran) {
		row->status = CONTAINER_EXITED;
		row->exit_code = DIED_STATUS;
		row->pid = 0;
		row->finished_ns = clock_real_ns();
		free(row->error);
		row->error = strdup("the container's monitor was killed");
		r = containers_set_state(db, row, e);
	}
	run_dir_remove(g, row->id);
	return r;
}

/* One look. 1: settled, 0: look again in a moment, -errno. */
static int settle_once(struct engine *g, struct container_row *row, struct found *f, struct err *e)
{
	close_fd(&f->run_dir);
	f->running = false;
	f->run_dir = open_run_dir(g, row->id);
	if (f->run_dir == -ENOENT) {
		if (row->status != CONTAINER_RUNNING)
			return 1;
		/* it may have ended since the row was read */
		int r = reread(g, row, e);
		if (r < 0 || row->status != CONTAINER_RUNNING)
			return r < 0 ? r : 1;
		r = put_right(g, row, -1, e);
		return r < 0 ? r : 1;
	}
	if (f->run_dir < 0)
		return err_errno(e, f->run_dir, "run directory of container %s", row->name);
	_cleanup_close_ int lock = fd_lock_file(f->run_dir, STATE_LOCK, true, false);
	if (lock == -ENOENT)
		return 0; /* removed meanwhile */
	if (lock >= 0) {
		int r = reread(g, row, e);
		if (r == 0)
			r = put_right(g, row, f->run_dir, e);
		close_fd(&f->run_dir);
		return r < 0 ? r : 1;
	}
	if (lock != -EWOULDBLOCK)
		return err_errno(e, lock, "lock of container %s", row->name);
	if (state_read(f->run_dir, &f->live) < 0)
		return 1; /* about to start, or about to be gone */
	if (kill(f->live.monitor, 0) < 0 && errno == ESRCH)
		return 0; /* another command is putting it right */
	f->running = true;
	return 1;
}

int container_settle(struct engine *g, struct container_row *row, struct found *ret, struct err *e)
{
	struct found f = {.run_dir = -1};
	int r = 0;

	for (int tries = 0; r == 0 && tries < WAIT_TRIES; tries++) {
		if (tries)
			usleep(WAIT_US);
		r = settle_once(g, row, &f, e);
	}
	if (r > 0) {
		f.record = json_loads(row->record, 0, NULL);
		f.row = steal_row(row);
		if (f.record) {
			*ret = f;
			return 0;
		}
		r = err_set(e, EBADMSG, "container %s: its record is damaged", f.row.name);
	}
	found_done(&f);
	return r ? r : err_set(e, EBUSY, "container %s: busy", row->name);
}

int container_find(struct engine *g, const char *ref, struct found *ret, struct err *e)
{
	struct container_row row = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = containers_find(db, *ref == '/' ? ref + 1 : ref, &row, e);
	if (r == 0)
		r = container_settle(g, &row, ret, e);
	container_row_done(&row);
	return r;
}

struct container_row steal_row(struct container_row *row)
{
	struct container_row r = *row;

	*row = (struct container_row){0};
	return r;
}

int container_hold(struct engine *g, const char *id, int *ret_run_dir, int *ret_lock, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	for (int tries = 0; tries < WAIT_TRIES; tries++) {
		struct state s;
		int r = mkdir_p(g->run_fd, path, 0700);
		if (r < 0)
			return err_errno(e, r, "make %s/%s", g->run, path);
		_cleanup_close_ int dir = open_run_dir(g, id);
		if (dir == -ENOENT)
			continue;
		if (dir < 0)
			return err_errno(e, dir, "open %s/%s", g->run, path);
		int lock = fd_lock_file(dir, STATE_LOCK, true, false);
		if (lock >= 0) {
			*ret_run_dir = steal_fd(&dir);
			*ret_lock = lock;
			return 0;
		}
		if (lock == -EWOULDBLOCK && state_read(dir, &s) == 0 && kill(s.monitor, 0) == 0)
			return err_set(e, EBUSY, "container %.12s is running", id);
		if (lock != -EWOULDBLOCK && lock != -ENOENT)
			return err_errno(e, lock, "lock %s/%s", g->run, path);
		usleep(WAIT_US);
	}
	return err_set(e, EBUSY, "container %.12s: another command holds it", id);
}

/* Anonymous volumes of a removed container. */
static void remove_volumes(struct engine *g, const json_t *record)
{
	size_t i;
	json_t *m;
	struct err none;

	json_array_foreach(json_object_get(record, "Mounts"), i, m)
		if (json_flag(m, "Anonymous"))
			engine_volume_remove(g, json_str(m, "Name"), true, &none);
}

static int remove_files(struct engine *g, const char *id, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	int r = rm_rf(g->root_fd, path);
	return r < 0 ? err_errno(e, r, "remove %s/%s", g->root, path) : 0;
}

int container_delete(struct engine *g, const struct container_row *row, const json_t *record, bool volumes, struct err *e)
{
	struct db *db;
	int r = engine_db(g, &db, e);

	/* files first: a command that is killed in between leaves a container that can be removed again */
	if (r == 0)
		r = remove_files(g, row->id, e);
	if (r == 0)
		r = containers_delete(db, row->id, e);
	if (r >= 0 && volumes)
		remove_volumes(g, record);
	return r < 0 ? r : 0;
}

void container_discard(struct engine *g, const char *id, const json_t *record)
{
	struct err none;

	remove_files(g, id, &none);
	if (record)
		remove_volumes(g, record);
}
