/* The database: opening, migrations, transactions, statements. */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/str.h"
#include "store/containers.h"
#include "store/db-private.h"
#include "store/images.h"
#include "store/networks.h"
#include "store/volumes.h"

enum {
	BUSY_TIMEOUT_MS = 60000,
	/* The index of the WAL is rebuilt by whoever opens the database first: a short WAL keeps that under a millisecond. */
	CHECKPOINT_PAGES = 128,
	RESERVE = 1024 * 1024,
};

#define RESERVE_FILE "db.reserve"

struct stmt {
	struct db *db;
	sqlite3_stmt *s;
};

/* migrations[n] leads from version n to n + 1; each is a NULL-terminated list of SQL texts. Never change one that was released. */
static const char *const version_1[] = {images_schema, containers_schema, volumes_schema, NULL};
static const char *const version_2[] = {networks_schema, NULL};
static const char *const version_3[] = {images_blobs_schema, NULL};
static const char *const version_4[] = {containers_restarts_schema, NULL};
/* the mirror, which every migration sees to */
static const char *const version_5[] = {NULL};
static const char *const *const migrations[] = {version_1, version_2, version_3, version_4, version_5};
enum { VERSION = sizeof(migrations) / sizeof(migrations[0]) };

static int sql_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_CONSTRAINT:
		return EEXIST;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_CANTOPEN:
		return ENOENT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EUCLEAN;
	default:
		return EIO;
	}
}

int db_fail(const struct db *d, struct err *e)
{
	int code = sql_errno(sqlite3_extended_errcode(d->sql));
	struct statvfs v;

	bool known = fstatvfs(d->root_fd, &v) == 0;

	if ((code == ENOENT || code == EROFS) && known && v.f_flag & ST_RDONLY)
		return err_set(e, EROFS,
			"database %s/%s: %s: mount it writable, or choose another directory with --root", d->root,
			d->file, strerror(EROFS));
	if (code == EIO && known && !v.f_bavail)
		return err_set(e, ENOSPC, "database %s/db.sqlite: %s", d->root, strerror(ENOSPC));
	if (code == EUCLEAN)
		return err_set(
			e, code, "database %s/%s is damaged: %s: " DB_REMEDY, d->root, d->file, sqlite3_errmsg(d->sql));
	return err_set(e, code, "database %s/db.sqlite: %s", d->root, sqlite3_errmsg(d->sql));
}

int db_run(const struct db *d, const char *sql, struct err *e)
{
	return sqlite3_exec(d->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(d, e);
}

static int get_version(struct db *d, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "PRAGMA user_version", "");

	if (r < 0)
		return r;
	r = stmt_step(s, e);
	if (r <= 0)
		return r < 0 ? r : err_set(e, EUCLEAN, "database %s/db.sqlite has no version", d->root);
	int64_t version = stmt_int(s, 0);
	if (version < 0 || version > VERSION)
		return err_set(e, EPROTO,
			"database %s/db.sqlite was written by a newer version of caisson (%lld, this one knows %d)",
			d->root, (long long)version, VERSION);
	return (int)version;
}

static int migrate_from(struct db *d, int version, struct err *e)
{
	char pragma[64];

	for (; version < VERSION; version++)
		for (const char *const *text = migrations[version]; *text; text++) {
			int r = db_run(d, *text, e);
			if (r < 0)
				return r;
		}
	int r = mirror_begin(d, e);
	if (r < 0)
		return r;
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", VERSION);
	return db_run(d, pragma, e);
}

/* Changing the journal's mode does not wait for other users as transactions do: the lock file makes them wait. */
static int migrate(struct db *d, struct err *e)
{
	_cleanup_close_ int lock = d->building ? -1 : fd_lock_file(d->root_fd, DB_LOCK, true, true);

	if (lock < 0 && !d->building)
		return err_errno(e, lock, "lock %s/" DB_LOCK, d->root);
	int version = get_version(d, e);
	if (version < 0 || version == VERSION)
		return version < 0 ? version : 0;
	if (!version && !d->building && !mirror_is_empty(d->root_fd))
		return err_set(e, EUCLEAN, "database %s/%s is empty, and %s/mirror is not: " DB_REMEDY, d->root,
			d->file, d->root);
	int r = db_run(d, "PRAGMA journal_mode = WAL", e);
	if (r < 0)
		return r;
	r = db_begin(d, e);
	return r < 0 ? r : db_end(d, migrate_from(d, version, e), e);
}

/*
 * SQLite's own checkpoint leaves the WAL in place, to be used from its beginning by the next transaction of the same process; but of a command that makes one
 * transaction there is none, and the next one to open the database does not know any more that all of it was copied. So it is cut off, unless
 * somebody reads it.
 */
static int cut_wal(void *data, sqlite3 *sql, const char *name, int pages)
{
	(void)data;
	if (pages < CHECKPOINT_PAGES)
		return SQLITE_OK;
	sqlite3_busy_timeout(sql, 0);
	sqlite3_wal_checkpoint_v2(sql, name, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(sql, BUSY_TIMEOUT_MS);
	return SQLITE_OK;
}

static int configure(struct db *d, struct err *e)
{
	sqlite3_busy_timeout(d->sql, BUSY_TIMEOUT_MS);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	sqlite3_wal_hook(d->sql, cut_wal, NULL);
	return db_run(d, "PRAGMA synchronous = NORMAL", e);
}

/*
 * Room for the WAL, its index, the mirror and the journal on a full disk, so that containers can be removed from it: given up when the disk is full,
 * taken again later.
 */
static void keep_reserve(int root_fd)
{
	struct statvfs v;
	struct stat st;

	if (fstatvfs(root_fd, &v) < 0)
		return;
	uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
	if (room < RESERVE) {
		unlinkat(root_fd, RESERVE_FILE, 0);
	} else if (room > 8ULL * RESERVE && fstatat(root_fd, RESERVE_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		_cleanup_close_ int fd =
			openat(root_fd, RESERVE_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0 && fallocate(fd, 0, 0, RESERVE) < 0)
			unlinkat(root_fd, RESERVE_FILE, 0);
	}
}

int db_open_file(int root_fd, const char *root, const char *file, bool building, struct db **ret, struct err *e)
{
	_cleanup_db_ struct db *d = calloc(1, sizeof(*d));
	_cleanup_free_ char *path = str_fmt("%s/%s", root, file);

	if (!d || !path)
		return err_nomem(e);
	keep_reserve(root_fd);
	d->root_fd = root_fd;
	d->file = file;
	d->building = building;
	d->root = strdup(root);
	if (!d->root)
		return err_nomem(e);
	if (sqlite3_open_v2(path, &d->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK)
		return d->sql ? db_fail(d, e) : err_nomem(e);
	int r = configure(d, e);
	if (r == 0)
		r = mirror_open(d, e);
	if (r < 0)
		return r;
	r = get_version(d, e);
	if (r >= 0 && r < VERSION)
		r = migrate(d, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(d);
	return 0;
}

int db_open(int root_fd, const char *root, struct db **ret, struct err *e)
{
	return db_open_file(root_fd, root, DB_FILE, false, ret, e);
}

void db_close(struct db *d)
{
	if (!d)
		return;
	mirror_forget(d);
	sqlite3_close_v2(d->sql);
	free(d->root);
	free(d);
}

const char *db_root(const struct db *d)
{
	return d->root;
}

int db_root_fd(const struct db *d)
{
	return d->root_fd;
}

int db_begin(struct db *d, struct err *e)
{
	if (!d->depth) {
		int r = db_run(d, "BEGIN IMMEDIATE", e);
		if (r < 0)
			return r;
		d->failed = false;
	}
	d->depth++;
	return 0;
}

int db_commit(struct db *d, struct err *e)
{
	if (d->depth > 1) {
		d->depth--;
		return 0;
	}
	if (d->failed) {
		db_rollback(d);
		return err_set(e, ECANCELED, "database %s/db.sqlite: a part of the change failed", d->root);
	}
	int r = mirror_flush(d, e);
	if (r == 0)
		r = db_run(d, "COMMIT", e);
	if (r < 0) {
		struct err none;
		sqlite3_exec(d->sql, "ROLLBACK", NULL, NULL, NULL);
		mirror_flush(d, &none); /* the files as they were */
	}
	mirror_forget(d);
	d->depth = 0;
	return r;
}

void db_rollback(struct db *d)
{
	d->failed = true;
	if (--d->depth)
		return;
	sqlite3_exec(d->sql, "ROLLBACK", NULL, NULL, NULL);
	mirror_forget(d);
}

int db_end(struct db *d, int r, struct err *e)
{
	if (r < 0) {
		db_rollback(d);
		return r;
	}
	int code = db_commit(d, e);
	return code < 0 ? code : r;
}

static int bind(struct stmt *s, const char *types, va_list ap)
{
	int r = SQLITE_OK;

	for (int i = 1; *types && r == SQLITE_OK; types++, i++) {
		if (*types == 's') {
			const char *text = va_arg(ap, const char *);
			r = text ? sqlite3_bind_text(s->s, i, text, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(s->s, i);
		} else {
			r = sqlite3_bind_int64(s->s, i, va_arg(ap, int64_t));
		}
	}
	return r;
}

static int prepare(struct db *d, struct stmt **ret, struct err *e, const char *sql, const char *types, va_list ap)
{
	_cleanup_stmt_ struct stmt *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->db = d;
	if (sqlite3_prepare_v2(d->sql, sql, -1, &s->s, NULL) != SQLITE_OK || bind(s, types, ap) != SQLITE_OK)
		return db_fail(d, e);
	*ret = steal_ptr(s);
	return 0;
}

int db_query(struct db *d, struct stmt **ret, struct err *e, const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	int r = prepare(d, ret, e, sql, types, ap);
	va_end(ap);
	return r;
}

static int exec(struct db *d, struct err *e, const char *sql, const char *types, va_list ap)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = prepare(d, &s, e, sql, types, ap);

	if (r == 0)
		r = stmt_step(s, e);
	return r < 0 ? r : sqlite3_changes(d->sql);
}

int db_exec(struct db *d, struct err *e, const char *sql, const char *types, ...)
{
	va_list ap;
	bool alone = !d->depth; /* then in a transaction, as the mirror is written before its commit */
	int r = alone ? db_begin(d, e) : 0;

	if (r < 0)
		return r;
	va_start(ap, types);
	r = exec(d, e, sql, types, ap);
	va_end(ap);
	return alone ? db_end(d, r, e) : r;
}

int stmt_step(struct stmt *s, struct err *e)
{
	int r = sqlite3_step(s->s);

	return r == SQLITE_ROW ? 1 : r == SQLITE_DONE ? 0 : db_fail(s->db, e);
}

int64_t stmt_int(struct stmt *s, int column)
{
	return sqlite3_column_int64(s->s, column);
}

const char *stmt_str(struct stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s->s, column);

	return text ? text : "";
}

char *stmt_dup(struct stmt *s, int column)
{
	return strdup(stmt_str(s, column));
}

void stmt_done(struct stmt *s)
{
	if (!s)
		return;
	sqlite3_finalize(s->s);
	free(s);
}

/* ---- look-ups ---- */

enum { FULL_ID = 64 };

static int find_one(struct db *d, const char *sql, const char *ref, stmt_read_fn *read, void (*done)(void *row),
	void *row, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, sql, "s", ref);

	if (r == 0)
		r = stmt_step(s, e);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = read(s, row, e);
	if (r == 0 && stmt_step(s, e) > 0) {
		done(row);
		r = -ENOTUNIQ;
	}
	return r;
}

int db_find(struct db *d, const char *const queries[DB_FIND_QUERIES], const char *ref, stmt_read_fn *read,
	void (*done)(void *row), void *row, struct err *e)
{
	size_t n = strlen(ref);
	bool prefix = n && n < FULL_ID && strspn(ref, "0123456789abcdef") == n;
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < (size_t)DB_FIND_QUERIES - !prefix; i++)
		r = find_one(d, queries[i], ref, read, done, row, e);
	return r;
}
