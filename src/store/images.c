/* Images and layers in the database. */
#include "store/images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/db.h"

const char images_schema[] =
	"CREATE TABLE image (id TEXT PRIMARY KEY, config TEXT NOT NULL, manifest TEXT NOT NULL, manifest_digest TEXT "
	"NOT NULL,"
	" media_type TEXT NOT NULL, created_ns INTEGER NOT NULL, tagged_ns INTEGER NOT NULL, size INTEGER NOT NULL) "
	"WITHOUT ROWID;"
	"CREATE TABLE image_name (name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,"
	" is_digest INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX image_name_image ON image_name (image);"
	"CREATE TABLE layer (diff_id TEXT PRIMARY KEY, dir TEXT NOT NULL UNIQUE, size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE image_layer (image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE, position INTEGER NOT "
	"NULL,"
	" diff_id TEXT NOT NULL REFERENCES layer (diff_id), PRIMARY KEY (image, position)) WITHOUT ROWID;"
	"CREATE INDEX image_layer_diff_id ON image_layer (diff_id);";

const char images_blobs_schema[] = "ALTER TABLE layer ADD COLUMN blob TEXT NOT NULL DEFAULT '';"
				   "ALTER TABLE layer ADD COLUMN blob_type TEXT NOT NULL DEFAULT '';"
				   "ALTER TABLE layer ADD COLUMN blob_size INTEGER NOT NULL DEFAULT 0;";

void image_row_done(struct image_row *r)
{
	free(r->config);
	free(r->manifest);
	free(r->manifest_digest);
	free(r->media_type);
	strv_free(r->tags);
	strv_free(r->digests);
	free(r->layers);
	*r = (struct image_row){0};
}

static void copy_id(char *ret, size_t size, const char *s)
{
	size_t n = strnlen(s, size - 1);

	memcpy(ret, s, n);
	ret[n] = 0;
}

static int read_names(struct db *d, struct image_row *r, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int code =
		db_query(d, &s, e, "SELECT name, is_digest FROM image_name WHERE image = ? ORDER BY name", "s", r->id);

	while (code >= 0 && (code = stmt_step(s, e)) > 0)
		if (strv_push(stmt_int(s, 1) ? &r->digests : &r->tags, stmt_str(s, 0)) < 0)
			code = err_nomem(e);
	return code;
}

#define LAYER_COLUMNS "diff_id, dir, size, blob, blob_type, blob_size"

static void read_layer(struct stmt *s, struct image_layer *ret)
{
	copy_id(ret->diff_id, sizeof(ret->diff_id), stmt_str(s, 0));
	copy_id(ret->dir, sizeof(ret->dir), stmt_str(s, 1));
	ret->size = stmt_int(s, 2);
	copy_id(ret->blob, sizeof(ret->blob), stmt_str(s, 3));
	copy_id(ret->blob_type, sizeof(ret->blob_type), stmt_str(s, 4));
	ret->blob_size = stmt_int(s, 5);
}

static int read_layers(struct db *d, struct image_row *r, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int code = db_query(d, &s, e,
		"SELECT " LAYER_COLUMNS
		" FROM image_layer i JOIN layer l USING (diff_id) WHERE i.image = ? ORDER BY i.position",
		"s", r->id);

	while (code >= 0 && (code = stmt_step(s, e)) > 0) {
		struct image_layer *more = reallocarray(r->layers, r->n_layers + 1, sizeof(*more));
		if (!more)
			return err_nomem(e);
		r->layers = more;
		read_layer(s, &r->layers[r->n_layers++]);
	}
	return code;
}

#define COLUMNS "id, config, manifest, manifest_digest, media_type, created_ns, tagged_ns, size"

static int read_row(struct db *d, struct stmt *s, struct image_row *ret, struct err *e)
{
	struct image_row r = {0};

	copy_id(r.id, sizeof(r.id), stmt_str(s, 0));
	r.config = stmt_dup(s, 1);
	r.manifest = stmt_dup(s, 2);
	r.manifest_digest = stmt_dup(s, 3);
	r.media_type = stmt_dup(s, 4);
	r.created_ns = stmt_int(s, 5);
	r.tagged_ns = stmt_int(s, 6);
	r.size = stmt_int(s, 7);
	int code = r.config && r.manifest && r.manifest_digest && r.media_type ? 0 : err_nomem(e);
	if (code == 0)
		code = read_names(d, &r, e);
	if (code == 0)
		code = read_layers(d, &r, e);
	if (code < 0) {
		image_row_done(&r);
		return code;
	}
	*ret = r;
	return 0;
}

int images_by_name(struct db *d, const char *name, struct image_row *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e,
		"SELECT " COLUMNS " FROM image WHERE id = (SELECT image FROM image_name WHERE name = ?)", "s", name);

	if (r == 0)
		r = stmt_step(s, e);
	return r < 0 ? r : r == 0 ? -ENOENT : read_row(d, s, ret, e);
}

int images_by_id(struct db *d, const char *id, struct image_row *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	_cleanup_free_ char *low = str_fmt("sha256:%s", id + (str_starts(id, "sha256:") ? 7 : 0));
	_cleanup_free_ char *high = low ? str_fmt("%s~", low) : NULL; /* behind every digit */

	if (!high)
		return err_nomem(e);
	int r = db_query(d, &s, e, "SELECT " COLUMNS " FROM image WHERE id >= ? AND id < ? LIMIT 2", "ss", low, high);
	if (r == 0)
		r = stmt_step(s, e);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	struct image_row row;
	r = read_row(d, s, &row, e);
	if (r < 0)
		return r;
	r = stmt_step(s, e);
	if (r != 0) {
		image_row_done(&row);
		return r < 0 ? r : err_set(e, ENOTUNIQ, "image id prefix %s is ambiguous", id);
	}
	*ret = row;
	return 0;
}

int images_each(
	struct db *d, int (*fn)(void *data, const struct image_row *r, struct err *e), void *data, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int code = db_query(d, &s, e, "SELECT " COLUMNS " FROM image ORDER BY created_ns DESC, id", "");

	while (code >= 0 && (code = stmt_step(s, e)) > 0) {
		struct image_row r;
		code = read_row(d, s, &r, e);
		if (code < 0)
			return code;
		code = fn(data, &r, e);
		image_row_done(&r);
		if (code != 0)
			return code;
	}
	return code;
}

static int put_name(struct db *d, const char *id, const char *name, bool is_digest, struct err *e)
{
	int r = db_exec(d, e,
		"INSERT INTO image_name (name, image, is_digest) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
		"image = excluded.image",
		"ssi", name, id, (int64_t)is_digest);
	return r < 0 ? r : 0;
}

/* One that was loaded or imported without a manifest takes that of a registry. */
static int put_manifest(struct db *d, const struct image_row *r, struct err *e)
{
	int code = !*r->manifest
		? 0
		: db_exec(d, e,
			  "UPDATE image SET manifest = ?, manifest_digest = ?, media_type = ? WHERE id = ? AND "
			  "manifest = ''",
			  "ssss", r->manifest, r->manifest_digest, r->media_type, r->id);

	return code < 0 ? code : 0;
}

static int put_all(struct db *d, const struct image_row *r, struct err *e)
{
	int is_new = db_exec(d, e,
		"INSERT INTO image (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		"sssssiii", r->id, r->config, r->manifest, r->manifest_digest, r->media_type, r->created_ns,
		r->tagged_ns, r->size);

	if (is_new == 0 && put_manifest(d, r, e) < 0)
		return -e->code;
	for (size_t i = 0; is_new > 0 && i < r->n_layers; i++)
		if (db_exec(d, e, "INSERT INTO image_layer (image, position, diff_id) VALUES (?, ?, ?)", "sis", r->id,
			    (int64_t)i, r->layers[i].diff_id) < 0)
			return -e->code;
	strv_foreach(name, r->tags)
		if (is_new >= 0 && put_name(d, r->id, name, false, e) < 0)
			return -e->code;
	strv_foreach(name, r->digests)
		if (is_new >= 0 && put_name(d, r->id, name, true, e) < 0)
			return -e->code;
	return is_new;
}

int images_put(struct db *d, const struct image_row *r, struct err *e)
{
	int code = db_begin(d, e);

	return code < 0 ? code : db_end(d, put_all(d, r, e), e);
}

int images_tag(struct db *d, const char *id, const char *name, struct err *e)
{
	int r = db_begin(d, e);

	if (r < 0)
		return r;
	r = put_name(d, id, name, false, e);
	if (r == 0)
		r = db_exec(d, e, "UPDATE image SET tagged_ns = ? WHERE id = ?", "is", clock_real_ns(), id);
	r = db_end(d, r, e);
	return r < 0 ? r : 0;
}

int images_untag(struct db *d, const char *name, struct err *e)
{
	return db_exec(d, e, "DELETE FROM image_name WHERE name = ?", "s", name);
}

int images_delete(struct db *d, const char *id, struct err *e)
{
	int r = db_exec(d, e, "DELETE FROM image WHERE id = ?", "s", id);

	return r < 0 ? r : 0;
}

int layers_put(struct db *d, const struct image_layer *l, struct err *e)
{
	int r = db_exec(d, e,
		"INSERT INTO layer (" LAYER_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (diff_id) DO UPDATE SET "
		"blob = excluded.blob, blob_type = excluded.blob_type, blob_size = excluded.blob_size WHERE "
		"excluded.blob != ''",
		"ssissi", l->diff_id, l->dir, l->size, l->blob, l->blob_type, l->blob_size);

	return r < 0 ? r : 0;
}

int layers_find(struct db *d, const char *diff_id, struct image_layer *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT " LAYER_COLUMNS " FROM layer WHERE diff_id = ?", "s", diff_id);

	if (r == 0)
		r = stmt_step(s, e);
	if (r <= 0)
		return r;
	read_layer(s, ret);
	return 1;
}

int layers_forget_unused(struct db *d, struct err *e)
{
	int r = db_exec(d, e, "DELETE FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer)", "");

	return r < 0 ? r : 0;
}

static int read_sum(struct stmt *s, int64_t *ret, struct err *e)
{
	int r = stmt_step(s, e);

	if (r <= 0)
		return r;
	*ret = stmt_int(s, 0);
	return 0;
}

int layers_blobs_size(struct db *d, int64_t *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e, "SELECT sum(blob_size) FROM layer", "");

	return r < 0 ? r : read_sum(s, ret, e);
}

int layers_own_size(struct db *d, const char *image, int64_t *ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	int r = db_query(d, &s, e,
		"SELECT sum(size + blob_size) FROM layer WHERE diff_id IN (SELECT diff_id FROM image_layer WHERE image "
		"= ?1) AND diff_id NOT IN (SELECT diff_id FROM image_layer WHERE image != ?1)",
		"s", image);

	return r < 0 ? r : read_sum(s, ret, e);
}

static int read_texts(struct db *d, const char *sql, char ***ret, struct err *e)
{
	_cleanup_stmt_ struct stmt *s = NULL;
	_cleanup_strv_ char **texts = NULL;
	int r = db_query(d, &s, e, sql, "");

	while (r >= 0 && (r = stmt_step(s, e)) > 0)
		if (strv_push(&texts, stmt_str(s, 0)) < 0)
			r = err_nomem(e);
	if (r == 0)
		*ret = steal_ptr(texts);
	return r;
}

int layers_dirs(struct db *d, char ***ret, struct err *e)
{
	return read_texts(d, "SELECT dir FROM layer", ret, e);
}

int layers_blobs(struct db *d, char ***ret, struct err *e)
{
	return read_texts(d, "SELECT substr(blob, 8) FROM layer WHERE blob != ''", ret, e);
}
