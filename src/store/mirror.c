/*
 * The mirror: every row of the database as a file (db-private.h).
 *
 * A trigger of each table calls the SQL function mirror(table, key, key), which notes the row. Before the outermost transaction is committed, the noted rows
 * are read and their files replaced or removed, so that no two commands write the same file at once. A command that is killed in between leaves a file
 * ahead of its row, which counts only if the database is damaged just then. JSON is made and read by SQLite.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "store/db-private.h"

#define MIRROR "mirror"

enum { FILE_MAX = 16 * 1024 * 1024, NAME_CHARS = 120 };

/* What a row refers to comes first. */
static const struct table {
	const char *name, *key, *key2;
	const char *directory; /* of ROOT: without one of the key's name in it the row is forgotten */
	size_t counted;        /* in struct db_rebuilt */
	const char *needs;     /* a query of the text ?1: without a row of it this row is forgotten */
} tables[] = {
	{"image", "id", NULL, NULL, offsetof(struct db_rebuilt, images)},
	{"layer", "diff_id", NULL, NULL, 0},
	{"image_name", "name", NULL, NULL, 0},
	{"image_layer", "image", "position", NULL, 0},
	{"containers", "id", NULL, "containers", offsetof(struct db_rebuilt, containers)},
	{"volumes", "name", NULL, "volumes", offsetof(struct db_rebuilt, volumes)},
	{"networks", "id", NULL, NULL, offsetof(struct db_rebuilt, networks)},
	{"endpoints", "container", "network", NULL, 0,
		"SELECT 1 FROM containers WHERE id = json_extract(?1, '$.container')"},
};
enum { TABLES = sizeof(tables) / sizeof(*tables) };

struct mark {
	const struct table *table;
	char *key, *key2; /* key2: "" for none */
};

/* ---- files ---- */

/* mirror/TABLE/KEY: with '/' and '.' escaped, and long ones cut and told apart by a hash. A file with a dot is half written. */
static char *file_of(const struct mark *m)
{
	_cleanup_buf_ struct buf b = {0};
	_cleanup_free_ char *whole = str_fmt("%s%s%s", m->key, *m->key2 ? " " : "", m->key2);
	size_t n = whole ? strlen(whole) : 0;
	int r = whole ? buf_addf(&b, MIRROR "/%s/", m->table->name) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n && i < NAME_CHARS; i++) {
		bool plain = !strchr("/%.", whole[i]);
		r = plain ? buf_add(&b, whole + i, 1) : buf_addf(&b, "%%%02x", (unsigned char)whole[i]);
	}
	if (r == 0 && n > NAME_CHARS)
		r = buf_addf(&b, "~%016llx", (unsigned long long)hash_add(HASH_INIT, whole, n));
	return r < 0 ? NULL : steal_ptr(b.data);
}

static int write_file(struct db *d, const struct mark *m, const char *path, const char *text, struct err *e)
{
	char directory[64];
	int r = file_replace(d->root_fd, path, text, strlen(text), 0600);

	if (r == -ENOENT) {
		snprintf(directory, sizeof(directory), MIRROR "/%s", m->table->name);
		r = mkdir_p(d->root_fd, directory, 0700);
		if (r == 0)
			r = file_replace(d->root_fd, path, text, strlen(text), 0600);
	}
	return r < 0 ? err_errno(e, r, "write %s/%s", d->root, path) : 0;
}

/* ---- the rows that a transaction changes ---- */

void mirror_forget(struct db *d)
{
	for (size_t i = 0; i < d->marks_len; i++) {
		free(d->marks[i].key);
		free(d->marks[i].key2);
	}
	free(d->marks);
	d->marks = NULL;
	d->marks_len = 0;
}

static int note(struct db *d, const char *table, const char *key, const char *key2)
{
	const struct table *t = tables;

	while (t < tables + TABLES && strcmp(t->name, table) != 0)
		t++;
	if (t == tables + TABLES)
		return -EINVAL;
	for (size_t i = 0; i < d->marks_len; i++)
		if (d->marks[i].table == t && !strcmp(d->marks[i].key, key) && !strcmp(d->marks[i].key2, key2))
			return 0;
	struct mark *more = realloc(d->marks, (d->marks_len + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	d->marks = more;
	more[d->marks_len] = (struct mark){t, strdup(key), strdup(key2)};
	if (!more[d->marks_len].key || !more[d->marks_len].key2) {
		free(more[d->marks_len].key);
		free(more[d->marks_len].key2);
		return -ENOMEM;
	}
	d->marks_len++;
	return 0;
}

static const char *text_of(sqlite3_value *v)
{
	const char *text = (const char *)sqlite3_value_text(v);

	return text ? text : "";
}

static void on_change(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct db *d = sqlite3_user_data(c);

	(void)n;
	if (!d->building && note(d, text_of(v[0]), text_of(v[1]), text_of(v[2])) < 0)
		sqlite3_result_error_nomem(c);
}

int mirror_open(struct db *d, struct err *e)
{
	int r = sqlite3_create_function_v2(
		d->sql, "mirror", 3, SQLITE_UTF8 | SQLITE_INNOCUOUS, d, on_change, NULL, NULL, NULL);

	return r == SQLITE_OK ? 0 : db_fail(d, e);
}

static int make_trigger(struct db *d, const struct table *t, const char *when, const char *row, struct err *e)
{
	_cleanup_free_ char *sql = str_fmt("CREATE TRIGGER IF NOT EXISTS mirror_%s_%s AFTER %s ON %s BEGIN "
					   "SELECT mirror('%s', %s.%s, %s%s%s); END",
		t->name, when, when, t->name, t->name, row, t->key, t->key2 ? row : "", t->key2 ? "." : "",
		t->key2 ? t->key2 : "NULL");

	return sql ? db_run(d, sql, e) : err_nomem(e);
}

int mirror_begin(struct db *d, struct err *e)
{
	for (const struct table *t = tables; t < tables + TABLES; t++) {
		_cleanup_free_ char *all = str_fmt(
			"SELECT mirror('%s', %s, %s) FROM %s", t->name, t->key, t->key2 ? t->key2 : "NULL", t->name);
		int r = all ? make_trigger(d, t, "INSERT", "new", e) : err_nomem(e);
		if (r == 0)
			r = make_trigger(d, t, "UPDATE", "new", e);
		if (r == 0)
			r = make_trigger(d, t, "DELETE", "old", e);
		if (r == 0)
			r = db_run(d, all, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "'a', a, 'b', b": the arguments of json_object() for a row of the table. */
static int columns_of(struct db *d, const struct table *t, struct buf *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT name FROM pragma_table_info(?)", "s", t->name);

	while (r == 0 && (r = stmt_step(s, e)) > 0)
		r = buf_addf(ret, "%s'%s', %s", ret->len ? ", " : "", stmt_str(s, 0), stmt_str(s, 0)) < 0 ? err_nomem(e)
													  : 0;
	return r;
}

/* 1: *ret is the row's text, 0: there is no such row. */
static int read_row(struct db *d, const struct mark *m, char **ret, struct err *e)
{
	_cleanup_buf_ struct buf columns = {0};
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = columns_of(d, m->table, &columns, e);

	if (r < 0)
		return r;
	_cleanup_free_ char *sql =
		str_fmt("SELECT json_object(%s) || char(10) FROM %s WHERE %s = ?1 AND (?2 = '' OR ?2 = %s)",
			columns.data, m->table->name, m->table->key, m->table->key2 ? m->table->key2 : "''");
	r = sql ? db_query(d, &s, e, sql, "ss", m->key, m->key2) : err_nomem(e);
	if (r == 0)
		r = stmt_step(s, e);
	if (r > 0)
		*ret = stmt_dup(s, 0);
	return r > 0 && !*ret ? err_nomem(e) : r;
}

int mirror_flush(struct db *d, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < d->marks_len; i++) {
		const struct mark *m = &d->marks[i];
		_cleanup_free_ char *path = file_of(m), *text = NULL;
		r = path ? read_row(d, m, &text, e) : err_nomem(e);
		if (r > 0)
			r = write_file(d, m, path, text, e);
		else if (r == 0 && unlinkat(d->root_fd, path, 0) < 0 && errno != ENOENT)
			r = err_errno(e, errno, "remove %s/%s", d->root, path);
	}
	return r < 0 ? r : 0;
}

/* ---- reading it ---- */

typedef int file_fn(struct db *d, const struct table *t, const char *path, const char *text, void *data, struct err *e);

/* Calls fn for every file of a table; text is NULL for one that cannot be read. */
static int each_file(struct db *d, const struct table *t, file_fn *fn, void *data, struct err *e)
{
	char path[400];

	snprintf(path, sizeof(path), MIRROR "/%s", t->name);
	_cleanup_closedir_ DIR *directory = dir_open(d->root_fd, path);
	struct dirent *entry;
	int r = 0;

	while (r >= 0 && directory && (entry = readdir(directory))) {
		_cleanup_buf_ struct buf b = {0};
		if (strchr(entry->d_name, '.'))
			continue;
		snprintf(path, sizeof(path), MIRROR "/%s/%s", t->name, entry->d_name);
		bool readable = file_read(d->root_fd, path, FILE_MAX, &b) == 0 && b.len;
		r = fn(d, t, path, readable ? b.data : NULL, data, e);
	}
	return r < 0 ? r : 0;
}

bool mirror_is_empty(int root_fd)
{
	for (const struct table *t = tables; t < tables + TABLES; t++) {
		char path[64];
		snprintf(path, sizeof(path), MIRROR "/%s", t->name);
		if (dir_has_files(root_fd, path))
			return false;
	}
	return true;
}

/* "a, b" of the file's columns that the table has, and "json_extract(?1, '$.a'), ..." */
static int shared_columns(
	struct db *d, const struct table *t, const char *text, struct buf *names, struct buf *values, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e,
		"SELECT name FROM pragma_table_info(?1) WHERE name IN (SELECT key FROM json_each(?2)) AND "
		"json_type(?2) = 'object'",
		"ss", t->name, text);

	while (r == 0 && (r = stmt_step(s, e)) > 0) {
		const char *name = stmt_str(s, 0), *comma = names->len ? ", " : "";
		r = buf_addf(names, "%s%s", comma, name) < 0 ||
				buf_addf(values, "%sjson_extract(?1, '$.%s')", comma, name) < 0
			? err_nomem(e)
			: 0;
	}
	return r < 0 ? r : names->len ? 0 : err_set(e, EBADMSG, "it has no column of the table");
}

/* Whether what the row is about is there; true for a text that is no JSON, which is for others to say. */
static bool is_wanted(struct db *d, const struct table *t, const char *text)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	_cleanup_free_ char *key = str_fmt("SELECT json_extract(?1, '$.%s')", t->key);
	struct err none;
	const char *sql = t->needs ? t->needs : key;

	if ((!t->directory && !t->needs) || !sql || db_query(d, &s, &none, sql, "s", text) < 0)
		return true;
	int r = stmt_step(s, &none);
	if (r <= 0 || t->needs)
		return r;
	_cleanup_free_ char *path = path_join(t->directory, stmt_str(s, 0));
	return path && faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

struct loading {
	struct db_rebuilt *done;
	db_notice_fn *notice;
	void *data;
};

static int insert_file(struct db *d, const struct table *t, const char *text, struct err *e)
{
	_cleanup_buf_ struct buf names = {0}, values = {0};
	int r = shared_columns(d, t, text, &names, &values, e);

	if (r < 0)
		return r;
	_cleanup_free_ char *sql = str_fmt("INSERT INTO %s (%s) SELECT %s", t->name, names.data, values.data);
	return sql ? db_exec(d, e, sql, "s", text) : err_nomem(e);
}

static int load_file(struct db *d, const struct table *t, const char *path, const char *text, void *data, struct err *e)
{
	struct loading *l = data;
	struct err why = ERR_INIT;

	if (text && !is_wanted(d, t, text))
		return strv_push(&l->done->surplus, path) < 0 ? err_nomem(e) : 0;
	int r = text ? insert_file(d, t, text, &why) : err_set(&why, EBADMSG, "it cannot be read");
	if (r == -ENOMEM || r == -ENOSPC)
		return err_set(e, -r, "%s", why.msg);
	if (r < 0) {
		_cleanup_free_ char *line = str_fmt("%s/%s is left out: %s", d->root, path, why.msg);
		l->done->left_out++;
		if (!line || strv_push(&l->done->surplus, path) < 0)
			return err_nomem(e);
		l->notice(l->data, line);
	} else if (t->counted) {
		++*(size_t *)((char *)l->done + t->counted);
	}
	return 0;
}

int mirror_load(struct db *d, struct db_rebuilt *ret, db_notice_fn *notice, void *data, struct err *e)
{
	struct loading l = {ret, notice, data};
	int r = 0;

	for (const struct table *t = tables; r == 0 && t < tables + TABLES; t++)
		r = each_file(d, t, load_file, &l, e);
	return r;
}

static int count_file(
	struct db *d, const struct table *t, const char *path, const char *text, void *data, struct err *e)
{
	(void)d, (void)t, (void)path, (void)text, (void)e;
	++*(size_t *)data;
	return 0;
}

/* Whether every row of the table has its file, with this content, and there are no more files. */
static int table_differs(struct db *d, const struct table *t, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	_cleanup_free_ char *sql = str_fmt("SELECT %s, %s FROM %s", t->key, t->key2 ? t->key2 : "''", t->name);
	size_t files = 0, rows = 0;
	int r = sql ? each_file(d, t, count_file, &files, e) : err_nomem(e);

	if (r == 0)
		r = db_query(d, &s, e, sql, "");
	while (r == 0 && (r = stmt_step(s, e)) > 0) {
		struct mark m = {t, (char *)stmt_str(s, 0), (char *)stmt_str(s, 1)};
		_cleanup_buf_ struct buf b = {0};
		_cleanup_free_ char *path = file_of(&m), *text = NULL;
		r = path ? read_row(d, &m, &text, e) : err_nomem(e);
		if (r < 0)
			return r;
		if (!text || file_read(d->root_fd, path, FILE_MAX, &b) < 0 || !b.data || strcmp(b.data, text) != 0)
			return 1;
		rows++;
		r = 0;
	}
	return r < 0 ? r : files != rows;
}

int mirror_differs(struct db *d, struct err *e)
{
	int r = 0;

	for (const struct table *t = tables; r == 0 && t < tables + TABLES; t++)
		r = table_differs(d, t, e);
	return r;
}
