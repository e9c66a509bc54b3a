/* A damaged database is made anew of the mirror; the files it had are kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "store/db-private.h"

#define NEW_FILE DB_FILE ".new"

static const char *const suffixes[] = {"-wal", "-shm", "", NULL};

int db_check(struct db *d, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "PRAGMA quick_check(1)", "");

	if (r == 0)
		r = stmt_step(s, e);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(stmt_str(s, 0), "ok") != 0)
		return err_set(e, EUCLEAN, "database %s/" DB_FILE " is damaged: %s: " DB_REMEDY, d->root,
			r ? stmt_str(s, 0) : "no answer");
	r = mirror_differs(d, e);
	return r > 0 ? err_set(e, EUCLEAN, "database %s/" DB_FILE " and %s/mirror do not say the same: " DB_REMEDY,
			       d->root, d->root)
		     : r;
}

/* 1: nothing is wrong with it, 0: it is damaged; *e says how. */
static int is_whole(int root_fd, const char *root, struct err *e)
{
	_cleanup_db_ struct db *d = NULL;
	int r = faccessat(root_fd, DB_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT
		? err_set(e, EUCLEAN, "database %s/" DB_FILE " is missing", root)
		: db_open(root_fd, root, &d, e);

	if (r == 0)
		r = db_check(d, e);
	return r == -EUCLEAN ? 0 : r < 0 ? r : 1;
}

static void remove_files(int root_fd, const char *name)
{
	char path[64];

	for (size_t i = 0; suffixes[i]; i++) {
		snprintf(path, sizeof(path), "%s%s", name, suffixes[i]);
		unlinkat(root_fd, path, 0);
	}
}

static int build(int root_fd, const char *root, struct db_rebuilt *ret, db_notice_fn *notice, void *data, struct err *e)
{
	_cleanup_db_ struct db *d = NULL;
	int r = db_open_file(root_fd, root, NEW_FILE, true, &d, e);

	if (r == 0)
		r = db_begin(d, e);
	if (r < 0)
		return r;
	r = db_end(d, mirror_load(d, ret, notice, data, e), e);
	/* its WAL goes into it when it is closed, so that it is one file */
	sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return r;
}

static int make_place(int root_fd, const char *root, char *ret, size_t size, struct err *e)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32];

	strftime(when, sizeof(when), "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
	for (int n = 0; n < 100; n++) {
		snprintf(ret, size, "damaged/%s-%d", when, n);
		int r = mkdir_p(root_fd, "damaged", 0700);
		if (r < 0)
			return err_errno(e, r, "make %s/damaged", root);
		if (mkdirat(root_fd, ret, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			return err_errno(e, errno, "make %s/%s", root, ret);
	}
	return err_set(e, EEXIST, "%s/damaged has too many entries", root);
}

/*
 * The WAL first: beside the new database it would be taken for that one's. The damaged file stays in its place until the new one is renamed over it, as
 * a command that found none would make one.
 */
static int exchange(int root_fd, const char *root, const char *place, struct err *e)
{
	char from[64], to[160];

	for (size_t i = 0; suffixes[i]; i++) {
		snprintf(from, sizeof(from), DB_FILE "%s", suffixes[i]);
		snprintf(to, sizeof(to), "%s/%s", place, from);
		int r = *suffixes[i] ? renameat(root_fd, from, root_fd, to) : linkat(root_fd, from, root_fd, to, 0);
		if (r < 0 && errno != ENOENT)
			return err_errno(e, errno, "keep %s/%s as %s/%s", root, from, root, to);
	}
	return renameat(root_fd, NEW_FILE, root_fd, DB_FILE) < 0 ? err_errno(e, errno, "rename %s/" NEW_FILE, root) : 0;
}

/* The mirror is to say what the new database says. */
static void set_aside(int root_fd, char *const *surplus, const char *place)
{
	strv_foreach(path, surplus) {
		_cleanup_free_ char *to = str_fmt("%s/%s", place, path);
		for (char *c = to ? to + strlen(place) + 1 : NULL; c && *c; c++)
			if (*c == '/')
				*c = '-';
		if (to)
			renameat(root_fd, path, root_fd, to);
	}
}

void db_rebuilt_done(struct db_rebuilt *r)
{
	free(r->kept);
	strv_free(r->surplus);
	*r = (struct db_rebuilt){0};
}

int db_rebuild(int root_fd, const char *root, bool force, struct db_rebuilt *ret, db_notice_fn *notice, void *data,
	struct err *e)
{
	struct err why = ERR_INIT;
	char place[80];
	int whole = is_whole(root_fd, root, &why);

	*ret = (struct db_rebuilt){0};
	if (whole < 0) {
		*e = why;
		return whole;
	}
	if (whole && !force)
		return 0;
	if (!whole)
		notice(data, why.msg);
	_cleanup_close_ int lock = fd_lock_file(root_fd, DB_LOCK, true, true);
	if (lock < 0)
		return err_errno(e, lock, "lock %s/" DB_LOCK, root);
	remove_files(root_fd, NEW_FILE);
	int r = build(root_fd, root, ret, notice, data, e);
	if (r == 0)
		r = make_place(root_fd, root, place, sizeof(place), e);
	if (r == 0)
		r = exchange(root_fd, root, place, e);
	if (r < 0) {
		remove_files(root_fd, NEW_FILE);
		db_rebuilt_done(ret);
		return r;
	}
	set_aside(root_fd, ret->surplus, place);
	ret->kept = str_fmt("%s/%s", root, place);
	return ret->kept ? 1 : err_nomem(e);
}
