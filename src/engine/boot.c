/* Starting again what --restart asks for: after a boot of the host, or when monitors were killed. */
#include <errno.h>
#include <string.h>

#include "engine/engine-private.h"

/* The containers there are, the oldest first: the others may need its network. */
struct waiting {
	struct container_row *rows;
	bool *done;
	size_t len;
};

static int collect(void *data, const struct container_row *row, struct err *e)
{
	struct waiting *w = data;
	struct container_row *rows = reallocarray(w->rows, w->len + 1, sizeof(*rows));

	if (!rows)
		return err_nomem(e);
	w->rows = rows;
	memmove(rows + 1, rows, w->len * sizeof(*rows));
	rows[0] = container_row_copy(row);
	w->len++;
	return 0;
}

static void waiting_done(struct waiting *w)
{
	for (size_t i = 0; i < w->len; i++)
		container_row_done(&w->rows[i]);
	free(w->rows);
	free(w->done);
}

/* 1: it was started, 0: it need not be. Its true state is found first. */
static int start_one(
	struct engine *g, const struct container_row *row, engine_notice_fn *notice, void *data, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct engine_start start = {.notice = notice, .notice_data = data};
	int r = container_find(g, row->id, &f, e);

	if (r == -ENOENT)
		return 0; /* --rm: it was removed now, if not before */
	if (r < 0)
		return r;
	struct restart_policy policy = record_restart_policy(f.record);
	if (f.running || f.row.status != CONTAINER_EXITED || !restart_at_boot(&policy, f.row.exit_code, f.row.by_hand))
		return 0;
	r = engine_start(g, row->id, &start, NULL, e);
	return r < 0 ? r : 1;
}

int engine_system_restart(struct engine *g, engine_started_fn *fn, engine_notice_fn *notice, void *data, struct err *e)
{
	_cleanup_(waiting_done) struct waiting w = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = containers_each(db, collect, &w, e);
	if (r < 0)
		return r;
	w.done = calloc(w.len + 1, sizeof(*w.done));
	if (!w.done)
		return err_nomem(e);
	/* one may have failed because it needs another, as with --network=container:NAME: once more for as long as any comes up */
	for (bool more = true, last = false; more || !last;) {
		last = !more;
		more = false;
		for (size_t i = 0; i < w.len; i++) {
			struct err own = ERR_INIT;
			int k = w.done[i] ? 0 : start_one(g, &w.rows[i], notice, data, &own);
			if (k < 0 && !last)
				continue;
			if (k != 0)
				fn(data, w.rows[i].name, k < 0 ? &own : NULL);
			w.done[i] = true;
			more |= k > 0;
			if (k < 0)
				r = 1;
		}
	}
	return r;
}
