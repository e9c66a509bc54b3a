/*
 * Finding a container and its true state.
 *
 * The row in the database says what was true when it last changed; the run directory says what is true now (container/state.h):
 *
 *   row        run directory           truth
 *   any        none                    not running; a row that says "running" is of a monitor that was killed, or of an earlier boot
 *   any        lock held, state        running (its monitor answers)
 *   any        lock held, no state     about to start, or its end is being recorded; or, with a socket, it is held for its files (files.c)
 *   any        lock free               its monitor was killed: what is left is swept, the row says "exited" from now on
 */
#include <dirent.h>
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
#include "engine/netup.h"
#include "proto/monitor.h"

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
	_cleanup_close_ int dir = open_run_dir(g, id);
	_cleanup_closedir_ DIR *d = dir < 0 ? NULL : dir_open(dir, ".");
	struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, STATE_LOCK) != 0 && strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0)
			rm_rf(dir, entry->d_name);
	/* the lock last: from then on another command may make one of its own here, and the directory stays */
	unlinkat(dir, STATE_LOCK, 0);
	unlinkat(g->run_fd, path, AT_REMOVEDIR);
}

static int make_run_dir(struct engine *g, const char *id, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	int r = mkdir_p(g->run_fd, path, 0700);
	return r < 0 ? err_errno(e, r, "make %s/%s", g->run, path) : 0;
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

	netup_sweep(g, id);
	container_dir(g, id, &dir);
	int r = isolation_sweep(record_isolation(record), &g->host, id,
		json_str(json_object_get(record, "HostConfig"), "CgroupParent"), dir);
	return r < 0 ? err_errno(e, r, "container %.12s: end what its killed monitor left", id) : 0;
}

/* How it ended: as its monitor left word if it could not record it, else unknown. */
static void set_end(struct container_row *row, const struct state *live)
{
	bool known = live->phase == STATE_ENDED || live->phase == STATE_RESTARTING;

	row->status = CONTAINER_EXITED;
	row->exit_code = known ? live->status : DIED_STATUS;
	row->pid = 0;
	row->finished_ns = known ? live->finished_ns : clock_real_ns();
	free(row->error);
	row->restarts = live->restarts;
	row->by_hand = false;
	row->error = strdup(live->phase == STATE_ENDED ? "" : "the container's monitor was killed");
}

/* Its monitor is dead and the caller has its lock: ends what it left and writes down that it has ended. */
static int put_right(struct engine *g, struct container_row *row, int run_dir, struct err *e)
{
	_cleanup_json_ json_t *record = json_loads(row->record, 0, NULL);
	struct state live = {0};
	struct err full;
	struct db *db;

	log_trace("engine", "container %s: its monitor is gone", row->name);
	int r = container_sweep(g, row->id, record, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r < 0)
		return r;
	bool tried = state_read(run_dir, &live) != -ENOENT;
	if (row->auto_remove && (tried || row->status == CONTAINER_RUNNING)) {
		r = container_delete(g, row, record, true, e);
		return r < 0 ? r : err_set(e, ENOENT, "No such container: %s", row->name);
	}
	if (live.phase >= STATE_RUNNING || row->status == CONTAINER_RUNNING) {
		if (live.started_ns)
			row->started_ns = live.started_ns;
		set_end(row, &live);
		r = containers_set_state(db, row, &full);
		/* on a full disk what is known must do, or nothing could be removed from it; the run directory keeps it */
		if (r == -ENOSPC || r == -EIO)
			return 0;
		if (r < 0)
			*e = full;
	}
	if (r == 0)
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
		/* the row was read earlier: only now it tells of the end that removed the directory */
		int r = reread(g, row, e);
		if (r < 0 || row->status != CONTAINER_RUNNING)
			return r < 0 ? r : 1;
		/* the host went down; whoever locks the directory that is made now puts it right */
		return make_run_dir(g, row->id, e);
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
	int state = state_read(f->run_dir, &f->live);
	if (state == -ENOENT) { /* about to start, or its end is recorded */
		int r = reread(g, row, e);
		return r < 0 ? r : 1;
	}
	if (state < 0) /* damaged, but somebody holds it: its socket tells */
		f->live = (struct state){.phase = STATE_RUNNING, .pid = row->pid, .started_ns = row->started_ns};
	else if (kill(f->live.monitor, 0) < 0 && errno == ESRCH)
		return 0; /* another command is putting it right */
	f->running = true;
	return 1;
}

/* The same without a look at the record, which may be damaged: then ret->record is NULL. */
static int settle(struct engine *g, struct container_row *row, struct found *ret, struct err *e)
{
	struct found f = {.run_dir = -1};
	int r = 0;

	for (int tries = 0; r == 0 && tries < WAIT_TRIES; tries++) {
		if (tries)
			usleep(WAIT_US);
		r = settle_once(g, row, &f, e);
	}
	if (r <= 0) {
		found_done(&f);
		return r ? r : err_set(e, EBUSY, "container %s: busy", row->name);
	}
	f.record = json_loads(row->record, 0, NULL);
	f.row = steal_row(row);
	*ret = f;
	return 0;
}

static int find(struct engine *g, const char *ref, struct found *ret, struct err *e)
{
	struct container_row row = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = containers_find(db, *ref == '/' ? ref + 1 : ref, &row, e);
	if (r == 0)
		r = settle(g, &row, ret, e);
	container_row_done(&row);
	return r;
}

static int check_record(struct found *f, struct err *e)
{
	if (json_is_object(json_object_get(f->record, "Config")) &&
		json_is_object(json_object_get(f->record, "HostConfig")))
		return 0;
	err_set(e, EBADMSG, "container %s: its record is damaged: remove it with rm -f", f->row.name);
	found_done(f);
	*f = (struct found){.run_dir = -1};
	return -EBADMSG;
}

int container_settle(struct engine *g, struct container_row *row, struct found *ret, struct err *e)
{
	int r = settle(g, row, ret, e);

	return r < 0 ? r : check_record(ret, e);
}

int container_find(struct engine *g, const char *ref, struct found *ret, struct err *e)
{
	int r = find(g, ref, ret, e);

	return r < 0 ? r : check_record(ret, e);
}

int container_find_running(struct engine *g, const char *ref, struct found *ret, struct err *e)
{
	int r = container_find(g, ref, ret, e);

	return r == 0 && !ret->running ? err_set(e, ESRCH, "container %s is not running", ret->row.id) : r;
}

struct container_row steal_row(struct container_row *row)
{
	struct container_row r = *row;

	*row = (struct container_row){0};
	return r;
}

/* One try to lock a container that was found not to run. -EAGAIN: look at it again. */
static int hold_once(struct engine *g, const char *id, int *ret_lock, struct err *e)
{
	struct state s;
	int made = make_run_dir(g, id, e);
	if (made < 0)
		return made;
	_cleanup_close_ int dir = open_run_dir(g, id);
	if (dir < 0)
		return dir == -ENOENT ? -EAGAIN : err_errno(e, dir, "open the run directory of container %.12s", id);
	_cleanup_close_ int lock = fd_lock_file(dir, STATE_LOCK, true, false);
	if (lock == -EWOULDBLOCK || lock == -ENOENT)
		return -EAGAIN;
	if (lock < 0)
		return err_errno(e, lock, "lock container %.12s", id);
	/* it ran meanwhile, and its monitor was killed; but an end that cannot be recorded holds up nobody */
	int r = state_read(dir, &s);
	if (r != -ENOENT && (r < 0 || s.phase != STATE_ENDED))
		return -EAGAIN;
	if (r == 0)
		unlinkat(dir, STATE_FILE, 0);
	*ret_lock = steal_fd(&lock);
	return 0;
}

/* It does not run, but a command is at work on its files, for as long as that takes. */
static bool busy_with_files(struct engine *g, const char *id)
{
	_cleanup_close_ int dir = open_run_dir(g, id);

	return dir >= 0 && faccessat(dir, MONITOR_SOCKET, F_OK, 0) == 0 && faccessat(dir, STATE_FILE, F_OK, 0) < 0;
}

int container_take(struct engine *g, const char *ref, bool damaged, struct found *ret, int *ret_lock, struct err *e)
{
	for (int tries = 0; tries < WAIT_TRIES; tries++) {
		_cleanup_(found_done) struct found f = {.run_dir = -1};
		if (tries)
			usleep(WAIT_US);
		int r = damaged ? find(g, ref, &f, e) : container_find(g, ref, &f, e);
		if (r < 0)
			return r;
		*ret_lock = -1;
		if (!f.running) {
			r = hold_once(g, f.row.id, ret_lock, e);
			if (r == -EAGAIN) {
				if (busy_with_files(g, f.row.id))
					tries = 0;
				continue;
			}
			if (r == 0)
				r = reread(g, &f.row, e);
			if (r == -ENOENT)
				run_dir_remove(g, f.row.id);
		}
		if (r < 0) {
			close_fd(ret_lock);
			return r;
		}
		*ret = f;
		f = (struct found){.run_dir = -1};
		return 0;
	}
	return err_set(e, EBUSY, "container %s: another command holds it", ref);
}

static int remove_files(struct engine *g, const char *id, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	int r = rm_rf(g->root_fd, path);
	return r < 0 ? err_errno(e, r, "remove %s/%s", g->root, path) : 0;
}

/* The container, and with it its addresses. */
static int delete_rows(struct db *db, const char *id, struct err *e)
{
	int r = endpoints_delete(db, id, NULL, e);

	return r < 0 ? r : containers_delete(db, id, e);
}

int container_delete(
	struct engine *g, const struct container_row *row, const json_t *record, bool volumes, struct err *e)
{
	_cleanup_(intent_done) struct intent intent = {.fd = -1};
	struct err none;
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r < 0)
		return r;
	/* a full disk that has no room for the note must not keep files on it */
	intent_begin(g, row->id, volumes ? record : NULL, &intent, &none);
	/* files first: a command that is killed in between leaves a container that can be removed again */
	r = remove_files(g, row->id, e);
	if (r == 0)
		r = db_begin(db, e);
	if (r == 0)
		r = db_end(db, delete_rows(db, row->id, e), e);
	if (r >= 0) {
		intent_undo(g, &intent);
		event_of(g, row, record, "destroy", NULL);
	}
	return r < 0 ? r : 0;
}

void container_discard(struct engine *g, const char *id)
{
	struct err none;

	remove_files(g, id, &none);
	run_dir_remove(g, id);
}
