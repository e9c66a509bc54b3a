/* The parts of src/store as they see each other. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "store/db.h"

struct mark; /* mirror.c */

struct db {
	sqlite3 *sql;
	int root_fd, depth;
	bool failed;        /* an inner transaction was rolled back */
	bool building;      /* of the mirror: it is read, not written */
	const char *file;   /* its name in the root directory */
	struct mark *marks; /* rows that this transaction has changed */
	size_t marks_len;
	char *root;
};

#define DB_FILE "db.sqlite"
#define DB_LOCK "db.lock"

/* db.c */
int db_fail(const struct db *d, struct err *e); /* the error that SQLite has just had */
int db_run(const struct db *d, const char *sql, struct err *e);
/* locked: the caller has the lock DB_LOCK; building: an empty database is no surprise, and the mirror is left alone. */
int db_open_file(int root_fd, const char *root, const char *file, bool building, struct db **ret, struct err *e);

/*
 * mirror.c: each row of the database is also a file of ROOT/mirror, a JSON object of its columns, from which db_rebuild makes a new database when this one
 * is damaged. Triggers note which rows a transaction changes; their files are written before it is committed.
 */
int mirror_open(struct db *d, struct err *e);  /* makes the triggers' function known */
int mirror_begin(struct db *d, struct err *e); /* after a migration: triggers for all tables, and all rows are noted */
int mirror_flush(struct db *d, struct err *e); /* writes the files of the noted rows */
void mirror_forget(struct db *d);              /* the noted rows */
bool mirror_is_empty(int root_fd);
int mirror_differs(
	struct db *d, struct err *e); /* 1: a row and its file are not the same, or one is without the other; 0 */
int mirror_load(struct db *d, struct db_rebuilt *ret, db_notice_fn *notice, void *data, struct err *e);
