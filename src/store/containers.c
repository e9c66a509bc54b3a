/* Containers in the database. */
#include "store/containers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "store/db.h"

const char containers_schema[] =
	"CREATE TABLE containers ("
	"id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image TEXT NOT NULL, record TEXT NOT NULL, created INTEGER "
	"NOT NULL,"
	"auto_remove INTEGER NOT NULL, status INTEGER NOT NULL, pid INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
	"oom INTEGER NOT NULL, error TEXT NOT NULL, started INTEGER NOT NULL, finished INTEGER NOT NULL,"
	"accel TEXT NOT NULL, boot TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX containers_image ON containers (image);";

const char containers_restarts_schema[] = "ALTER TABLE containers ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;"
					  "ALTER TABLE containers ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;";

#define COLUMNS                                                                                                  \
	"id, name, image, record, created, auto_remove, status, pid, exit_code, oom, error, started, finished, " \
	"accel, boot, restarts, by_hand"

void container_row_done(struct container_row *r)
{
	free(r->name);
	free(r->image_id);
	free(r->record);
	free(r->error);
	free(r->accel);
	free(r->boot_id);
	*r = (struct container_row){0};
}

static char *copy(const char *s)
{
	return strdup(s ? s : "");
}

struct container_row container_row_copy(const struct container_row *r)
{
	struct container_row c = *r;

	c.name = copy(r->name);
	c.image_id = copy(r->image_id);
	c.record = copy(r->record);
	c.error = copy(r->error);
	c.accel = copy(r->accel);
	c.boot_id = copy(r->boot_id);
	return c;
}

static int read_row(struct stmt *s, struct container_row *r, struct err *e)
{
	*r = (struct container_row){
		.name = stmt_dup(s, 1),
		.image_id = stmt_dup(s, 2),
		.record = stmt_dup(s, 3),
		.created_ns = stmt_int(s, 4),
		.auto_remove = stmt_int(s, 5),
		.status = (enum container_status)stmt_int(s, 6),
		.pid = (pid_t)stmt_int(s, 7),
		.exit_code = (int)stmt_int(s, 8),
		.oom = stmt_int(s, 9),
		.error = stmt_dup(s, 10),
		.started_ns = stmt_int(s, 11),
		.finished_ns = stmt_int(s, 12),
		.accel = stmt_dup(s, 13),
		.boot_id = stmt_dup(s, 14),
		.restarts = (uint32_t)stmt_int(s, 15),
		.by_hand = stmt_int(s, 16),
	};
	snprintf(r->id, sizeof(r->id), "%s", stmt_str(s, 0));
	if (r->name && r->image_id && r->record && r->error && r->accel && r->boot_id)
		return 0;
	container_row_done(r);
	return err_nomem(e);
}

static int in_use(struct db *d, const char *name, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	struct err none;
	bool known = db_query(d, &s, &none, "SELECT id FROM containers WHERE name = ?", "s", name) == 0 &&
		stmt_step(s, &none) > 0;

	return err_set(e, EEXIST,
		"Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or "
		"rename) that container to be able to reuse that name.",
		name, known ? stmt_str(s, 0) : "");
}

int containers_insert(struct db *d, const struct container_row *r, struct err *e)
{
	int k = db_exec(d, e, "INSERT INTO containers (" COLUMNS ") VALUES (?,?,?,?,?,?,?,0,0,0,'',0,0,'','',0,0)",
		"ssssiii", r->id, r->name, r->image_id, r->record, r->created_ns, (int64_t)r->auto_remove,
		(int64_t)CONTAINER_CREATED);

	if (k == -EEXIST)
		return in_use(d, r->name, e);
	return k < 0 ? k : 0;
}

static int read_found(struct stmt *s, void *row, struct err *e)
{
	return read_row(s, row, e);
}

static void drop_found(void *row)
{
	container_row_done(row);
}

int containers_find(struct db *d, const char *ref, struct container_row *ret, struct err *e)
{
	static const char *const queries[DB_FIND_QUERIES] = {
		"SELECT " COLUMNS " FROM containers WHERE id = ?1",
		"SELECT " COLUMNS " FROM containers WHERE name = ?1",
		"SELECT " COLUMNS " FROM containers WHERE " DB_ID_BEGINS,
	};
	int r = db_find(d, queries, ref, read_found, drop_found, ret, e);

	return r == -ENOTUNIQ  ? err_set(e, ENOTUNIQ, "multiple IDs found with provided prefix: %s", ref)
		: r == -ENOENT ? err_set(e, ENOENT, "No such container: %s", ref)
			       : r;
}

int containers_rename(struct db *d, const char *id, const char *name, struct err *e)
{
	int r = db_exec(d, e, "UPDATE containers SET name = ? WHERE id = ?", "ss", name, id);

	if (r == -EEXIST)
		return in_use(d, name, e);
	return r < 0 ? r : r ? 0 : err_set(e, ENOENT, "No such container: %s", id);
}

int containers_set_record(struct db *d, const char *id, const char *old, const char *record, struct err *e)
{
	return db_exec(d, e, "UPDATE containers SET record = ? WHERE id = ? AND record = ?", "sss", record, id, old);
}

int containers_set_state(struct db *d, const struct container_row *r, struct err *e)
{
	int k = db_exec(d, e,
		"UPDATE containers SET status=?, pid=?, exit_code=?, oom=?, error=?, started=?, finished=?, accel=?, "
		"boot=?, restarts=?, by_hand=? WHERE id=?",
		"iiiisiissiis", (int64_t)r->status, (int64_t)r->pid, (int64_t)r->exit_code, (int64_t)r->oom,
		r->error ? r->error : "", r->started_ns, r->finished_ns, r->accel ? r->accel : "",
		r->boot_id ? r->boot_id : "", (int64_t)r->restarts, (int64_t)r->by_hand, r->id);

	return k < 0 ? k : 0;
}

int containers_delete(struct db *d, const char *id, struct err *e)
{
	return db_exec(d, e, "DELETE FROM containers WHERE id = ?", "s", id);
}

int containers_each(
	struct db *d, int (*fn)(void *data, const struct container_row *r, struct err *e), void *data, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT " COLUMNS " FROM containers ORDER BY created DESC", "");

	while (r == 0 && (r = stmt_step(s, e)) > 0) {
		_cleanup_(container_row_done) struct container_row row = {0};
		r = read_row(s, &row, e);
		if (r == 0)
			r = fn(data, &row, e);
	}
	return r < 0 ? r : 0;
}

int containers_use_image(struct db *d, const char *image_id, char ret_id[65], struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT id FROM containers WHERE image = ? LIMIT 1", "s", image_id);

	if (r == 0)
		r = stmt_step(s, e);
	if (r > 0)
		snprintf(ret_id, 65, "%s", stmt_str(s, 0));
	return r;
}
