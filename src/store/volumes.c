/* Named volumes in the database. */
#include "store/volumes.h"

#include <errno.h>
#include <stdlib.h>

#include "store/db.h"

const char volumes_schema[] = "CREATE TABLE volumes ("
			      "name TEXT PRIMARY KEY, created INTEGER NOT NULL, anonymous INTEGER NOT NULL, labels "
			      "TEXT NOT NULL) WITHOUT ROWID;";

void volume_row_done(struct volume_row *r)
{
	free(r->name);
	free(r->labels);
	*r = (struct volume_row){0};
}

static int read_row(struct stmt *s, struct volume_row *r, struct err *e)
{
	*r = (struct volume_row){
		.name = stmt_dup(s, 0),
		.created_ns = stmt_int(s, 1),
		.anonymous = stmt_int(s, 2),
		.labels = stmt_dup(s, 3),
	};
	if (r->name && r->labels)
		return 0;
	volume_row_done(r);
	return err_nomem(e);
}

int volumes_insert(struct db *d, const struct volume_row *r, struct err *e)
{
	return db_exec(d, e, "INSERT OR IGNORE INTO volumes (name, created, anonymous, labels) VALUES (?,?,?,?)",
		"siis", r->name, r->created_ns, (int64_t)r->anonymous, r->labels ? r->labels : "null");
}

int volumes_find(struct db *d, const char *name, struct volume_row *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT name, created, anonymous, labels FROM volumes WHERE name = ?", "s", name);

	if (r == 0)
		r = stmt_step(s, e);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return read_row(s, ret, e);
}

int volumes_delete(struct db *d, const char *name, struct err *e)
{
	int r = db_exec(d, e, "DELETE FROM volumes WHERE name = ?", "s", name);

	return r < 0 ? r : 0;
}

int volumes_each(
	struct db *d, int (*fn)(void *data, const struct volume_row *r, struct err *e), void *data, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT name, created, anonymous, labels FROM volumes ORDER BY name", "");

	while (r == 0 && (r = stmt_step(s, e)) > 0) {
		_cleanup_(volume_row_done) struct volume_row row = {0};
		r = read_row(s, &row, e);
		if (r == 0)
			r = fn(data, &row, e);
	}
	return r < 0 ? r : 0;
}
