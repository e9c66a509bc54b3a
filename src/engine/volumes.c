/* Volumes: named directories of the host that containers share, kept in ROOT/volumes/NAME/_data. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"

#define REMOVED ".removed-" /* and a number: no name of a volume begins so */

/* In a transaction, as a removal takes the directory away in one; it may have taken the row meanwhile. */
static int make_directory(struct engine *g, struct db *db, const struct volume_row *row, struct err *e)
{
	_cleanup_free_ char *path = str_fmt("volumes/%s/_data", row->name);
	int r = volumes_insert(db, row, e);

	if (r < 0 || !path)
		return r < 0 ? r : err_nomem(e);
	r = mkdir_p(g->root_fd, path, 0755);
	return r < 0 ? err_errno(e, r, "create volume %s", row->name) : 0;
}

int volume_ensure(struct engine *g, const char *name, bool anonymous, const json_t *labels, struct err *e)
{
	struct db *db;
	_cleanup_free_ char *text = json_dumps(labels ? labels : json_null(), JSON_COMPACT | JSON_ENCODE_ANY);
	struct volume_row row = {
		.name = (char *)name, .created_ns = clock_real_ns(), .anonymous = anonymous, .labels = text};

	int r = name_check_length("volume", name, e);
	if (r < 0)
		return r;
	if (!name_valid(name))
		return err_set(e, EINVAL,
			"create %s: \"%s\" includes invalid characters for a local volume name, only "
			"\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
			name, name);
	/* the row first: a directory that no row names would never go */
	r = engine_db(g, &db, e);
	int added = r < 0 ? r : volumes_insert(db, &row, e);
	if (added >= 0)
		r = db_begin(db, e);
	if (added < 0 || r < 0)
		return added < 0 ? added : r;
	r = db_end(db, make_directory(g, db, &row, e), e);
	if (r < 0 && added) {
		struct err none;
		volumes_delete(db, name, &none);
	}
	if (r == 0 && added)
		event_volume(g->root_fd, "create", name);
	return r < 0 ? r : added;
}

/* What the user gave; and that it was made for a container, as docker tells it. */
static json_t *labels_json(const struct volume_row *row)
{
	json_t *labels = row->labels ? json_loads(row->labels, JSON_DECODE_ANY, NULL) : NULL;

	if (row->anonymous && !json_is_object(labels)) {
		json_decref(labels);
		labels = json_object();
	}
	if (row->anonymous)
		json_object_set_new(labels, VOLUME_ANONYMOUS, json_string(""));
	return labels ? labels : json_null();
}

static json_t *volume_json(struct engine *g, const struct volume_row *row)
{
	char time[40];
	json_t *options = NULL;

	volume_options_read(g, row->name, &options);
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:s}", "CreatedAt", clock_rfc3339(row->created_ns, time),
		"Driver", "local", "Labels", labels_json(row), "Mountpoint",
		json_sprintf("%s/volumes/%s/_data", g->root, row->name), "Name", row->name, "Options",
		options ? options : json_null(), "Scope", "local");
}

int engine_volume_create(struct engine *g, const json_t *body, json_t **ret, struct err *e)
{
	const json_t *options = json_object_get(body, "DriverOpts");
	const char *name = json_str(body, "Name"), *driver = json_str(body, "Driver");
	bool anonymous = str_empty(name);
	char generated[65];

	if (!str_empty(driver) && strcmp(driver, "local") != 0)
		return err_set(e, ENOTSUP, "create %s: error looking up volume plugin %s: there is only 'local'",
			name ? name : "", driver);
	int r = volume_options_check(options, e);
	if (r == 0 && anonymous && random_id(generated) < 0)
		r = err_set(e, EIO, "no random bytes");
	if (anonymous)
		name = generated;
	int added = r < 0 ? r : volume_ensure(g, name, anonymous, json_object_get(body, "Labels"), e);
	if (added > 0)
		r = volume_options_write(g, name, options, e);
	if (added > 0 && r < 0)
		volume_discard(g, name);
	if (added >= 0 && r == 0)
		r = engine_volume_inspect(g, name, ret, e);
	return added < 0 ? added : r;
}

int engine_volume_inspect(struct engine *g, const char *name, json_t **ret, struct err *e)
{
	_cleanup_(volume_row_done) struct volume_row row = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = volumes_find(db, name, &row, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "get %s: no such volume", name);
	if (r < 0)
		return r;
	*ret = volume_json(g, &row);
	return *ret ? 0 : err_nomem(e);
}

uint64_t volume_size(struct engine *g, const char *name)
{
	_cleanup_free_ char *path = str_fmt("volumes/%s/_data", name);
	uint64_t size = 0;

	return path && tree_size(g->root_fd, path, &size) == 0 ? size : 0;
}

/* ---- who uses them ---- */

/* {"volume": ["id of a container"...]} */
static int note_uses(void *data, const struct container_row *row, struct err *e)
{
	_cleanup_json_ json_t *record = json_loads(row->record, 0, NULL);
	json_t *uses = data, *m;
	size_t i;

	json_array_foreach(json_object_get(record, "Mounts"), i, m) {
		const char *name = json_str(m, "Name");
		json_t *ids = str_empty(name) ? NULL : json_object_get(uses, name);
		if (str_empty(name))
			continue;
		if (!ids && json_set(uses, name, ids = json_array()) < 0)
			return err_nomem(e);
		json_array_append_new(ids, json_string(row->id));
	}
	return 0;
}

int volume_uses(struct db *db, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *uses = json_object();
	int r = containers_each(db, note_uses, uses, e);

	if (r == 0)
		*ret = steal_ptr(uses);
	return r;
}

/* ---- the list ---- */

struct list {
	struct engine *engine;
	const json_t *filters;
	json_t *uses;
	json_t *array;
};

struct matching {
	const json_t *volume, *uses;
};

static bool on_filter(const void *data, const char *key, const char *value)
{
	const struct matching *m = data;
	const char *name = json_str(m->volume, "Name");
	bool wanted;

	if (!strcmp(key, "name"))
		return filter_text(value, name);
	if (!strcmp(key, "driver"))
		return !strcmp(value, "local");
	if (!strcmp(key, "dangling"))
		return parse_bool(value, &wanted) == 0 && wanted == !json_object_get(m->uses, name);
	return label_matches(json_object_get(m->volume, "Labels"), value);
}

static int check_filters(const json_t *filters, struct err *e)
{
	static const char *const known[] = {"dangling", "driver", "label", "name", NULL};
	const char *key;
	json_t *values, *v;
	size_t i;
	bool wanted;

	json_object_foreach((json_t *)filters, key, values) {
		if (!str_in(key, known))
			return err_set(e, EINVAL, "invalid filter '%s'", key);
		json_array_foreach(values, i, v)
			if (!json_is_string(v) ||
				(!strcmp(key, "dangling") && parse_bool(json_string_value(v), &wanted) < 0))
				return err_set(e, EINVAL, "invalid filter '%s=%s'", key,
					json_is_string(v) ? json_string_value(v) : "");
	}
	return 0;
}

static int add_to_list(void *data, const struct volume_row *row, struct err *e)
{
	struct list *l = data;
	_cleanup_json_ json_t *volume = volume_json(l->engine, row);

	if (!volume)
		return err_nomem(e);
	if (!filters_match(l->filters, on_filter, &(struct matching){volume, l->uses}))
		return 0;
	return json_array_append(l->array, volume) < 0 ? err_nomem(e) : 0;
}

int engine_volume_list(struct engine *g, const json_t *filters, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *uses = NULL, *array = json_array();
	struct list l = {.engine = g, .filters = filters, .array = array};
	struct db *db;

	int r = check_filters(filters, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0 && json_object_get(filters, "dangling"))
		r = volume_uses(db, &uses, e);
	l.uses = uses;
	if (r == 0)
		r = volumes_each(db, add_to_list, &l, e);
	if (r == 0)
		*ret = steal_ptr(array);
	return r;
}

/* ---- removal ---- */

/* The files of this one, and of those whose removal was killed. */
static void remove_files(struct engine *g)
{
	_cleanup_closedir_ DIR *d = dir_open(g->root_fd, "volumes");
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (str_starts(entry->d_name, REMOVED))
			rm_rf(dirfd(d), entry->d_name);
}

/* In a transaction, as a creation makes sure of its volumes in the one that makes its row: either sees the other. */
static int take_away(
	struct engine *g, struct db *db, const char *name, const char *path, const char *gone, struct err *e)
{
	_cleanup_json_ json_t *uses = NULL;
	int r = volume_uses(db, &uses, e);
	const json_t *ids = json_object_get(uses, name);

	if (r < 0)
		return r;
	if (ids)
		return err_set(e, EBUSY, "remove %s: volume is in use - [%s]", name,
			json_string_value(json_array_get(ids, 0)));
	r = volumes_delete(db, name, e);
	if (r == 0 && renameat(g->root_fd, path, g->root_fd, gone) < 0 && errno != ENOENT)
		r = err_errno(e, errno, "remove volume %s", name);
	return r;
}

static int remove_volume(struct engine *g, struct db *db, const char *name, struct err *e)
{
	_cleanup_free_ char *path = str_fmt("volumes/%s", name);
	char random[65];
	int r = random_id(random);
	_cleanup_free_ char *gone = str_fmt("volumes/" REMOVED "%s", random);

	if (!path || !gone)
		return err_nomem(e);
	if (r == 0)
		r = db_begin(db, e);
	if (r < 0)
		return r;
	r = db_end(db, take_away(g, db, name, path, gone, e), e);
	if (r == 0) {
		remove_files(g);
		event_volume(g->root_fd, "destroy", name);
	} else {
		renameat2(g->root_fd, gone, g->root_fd, path, RENAME_NOREPLACE);
	}
	return r;
}

int engine_volume_remove(struct engine *g, const char *name, bool force, struct err *e)
{
	_cleanup_(volume_row_done) struct volume_row row = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = volumes_find(db, name, &row, e);
	if (r == -ENOENT)
		return force ? 0 : err_set(e, ENOENT, "get %s: no such volume", name);
	return r < 0 ? r : remove_volume(g, db, row.name, e);
}

void volume_discard(struct engine *g, const char *name)
{
	struct err none;
	struct db *db;

	if (name_valid(name) && engine_db(g, &db, &none) == 0)
		remove_volume(g, db, name, &none);
}
