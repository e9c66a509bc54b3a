/*
 * The database below the root directory: ROOT/db.sqlite, SQLite in WAL mode. Every command opens it, does little, and closes it, many at once: writers
 * wait for each other (up to a minute), readers wait for nobody. One file per noun holds its SQL and its schema; this one holds what they share.
 *
 * Functions return 0 (or what is said) or -errno with *e set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct db;
struct stmt;

/* root is kept as given, for the paths that others build with it; root_fd stays the caller's and must live as long as the database is open. */
int db_open(int root_fd, const char *root, struct db **ret, struct err *e);
void db_close(struct db *d); /* NULL is fine; an open transaction is rolled back */
static inline void cleanup_db(struct db **d)
{
	db_close(*d);
}
#define _cleanup_db_ _cleanup_(cleanup_db)

/* What is to be done about a damaged database; part of every error (-EUCLEAN) that says there is one. */
#define DB_REMEDY "'caisson system rebuild' makes a new one of the mirror and keeps the damaged file"

/* Reads all of it, and compares it with the mirror. -EUCLEAN: something is wrong. */
int db_check(struct db *d, struct err *e);

struct db_rebuilt {
	char *kept;     /* the directory with the damaged files */
	char **surplus; /* files of the mirror that are kept there, too, as nothing became of them */
	size_t containers, images, volumes, networks;
	size_t left_out; /* files of the mirror that were no good: one notice each */
};
void db_rebuilt_done(struct db_rebuilt *r);
typedef void db_notice_fn(void *data, const char *text);
/*
 * Makes a new database of ROOT/mirror, where every row is a file too, and puts it in the place of the damaged one, which is kept in ROOT/damaged.
 * 1: done; 0: nothing is wrong with the one there is, and force is not set.
 */
int db_rebuild(int root_fd, const char *root, bool force, struct db_rebuilt *ret, db_notice_fn *notice, void *data,
	struct err *e);

const char *db_root(const struct db *d);
int db_root_fd(const struct db *d);

/* A write transaction, from BEGIN IMMEDIATE on. They nest: only the outermost one counts, and a rollback inside fails its commit. */
int db_begin(struct db *d, struct err *e);
int db_commit(struct db *d, struct err *e);
void db_rollback(struct db *d);
/* At the end of a function: commits if r >= 0, else rolls back. Returns r or the error of the commit. */
int db_end(struct db *d, int r, struct err *e);

/*
 * `types` has a letter for each parameter: 's' const char * (NULL is NULL), 'i' int64_t (cast what is narrower).
 * db_exec runs a statement that gives no rows and returns the number of rows it changed; -EEXIST for a violated UNIQUE or PRIMARY KEY.
 */
int db_exec(struct db *d, struct err *e, const char *sql, const char *types, ...);
int db_query(struct db *d, struct stmt **ret, struct err *e, const char *sql, const char *types, ...);
int stmt_step(struct stmt *s, struct err *e); /* 1: a row, 0: the end */
int64_t stmt_int(struct stmt *s, int column);
const char *stmt_str(struct stmt *s, int column); /* "" for NULL; lives until the next step */
char *stmt_dup(struct stmt *s, int column);       /* the caller frees; NULL: out of memory */
void stmt_done(struct stmt *s);
static inline void cleanup_stmt(struct stmt **s)
{
	stmt_done(*s);
}
#define _cleanup_stmt_ _cleanup_(cleanup_stmt)

/*
 * The row that a user means. queries: by what he may have called it in full, and last by the beginning of an id, which is tried for hexadecimal digits only;
 * ?1 is the reference. read fills *row, done empties it again.
 * -ENOENT: there is none; -ENOTUNIQ: the beginning of several; *e is the caller's to set for both.
 */
typedef int stmt_read_fn(struct stmt *s, void *row, struct err *e);
enum { DB_FIND_QUERIES = 3 };
/* ':' follows '9' and 'g' follows 'f': a range instead of LIKE, for the index */
#define DB_ID_BEGINS "id >= ?1 AND id < ?1 || 'g' LIMIT 2"
int db_find(struct db *d, const char *const queries[DB_FIND_QUERIES], const char *ref, stmt_read_fn *read,
	void (*done)(void *row), void *row, struct err *e);
