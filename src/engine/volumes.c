/* Volumes: named directories of the host that containers share, kept in ROOT/volumes/NAME/_data. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"

int volume_ensure(struct engine *g, const char *name, bool anonymous, const json_t *labels, struct err *e)
{
	char path[300];
	struct db *db;
	_cleanup_free_ char *text = json_dumps(labels ? labels : json_null(), JSON_COMPACT | JSON_ENCODE_ANY);
	struct volume_row row = {
		.name = (char *)name, .created_ns = clock_real_ns(), .anonymous = anonymous, .labels = text};

	if (!name_valid(name))
		return err_set(e, EINVAL,
			"create %s: \"%s\" includes invalid characters for a local volume name, only "
			"\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
			name, name);
	/* the row first: a directory that no row names would never go */
	int r = engine_db(g, &db, e);
	int added = r < 0 ? r : volumes_insert(db, &row, e);
	if (added < 0)
		return added;
	snprintf(path, sizeof(path), "volumes/%s/_data", name);
	r = mkdir_p(g->root_fd, path, 0755);
	if (r < 0 && added)
		volumes_delete(db, name, e);
	return r < 0 ? err_errno(e, r, "create volume %s", name) : added;
}

static json_t *volume_json(struct engine *g, const struct volume_row *row)
{
	char time[40];
	json_t *labels = row->labels ? json_loads(row->labels, JSON_DECODE_ANY, NULL) : json_null();

	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:n, s:s}", "CreatedAt", clock_rfc3339(row->created_ns, time),
		"Driver", "local", "Labels", labels ? labels : json_null(), "Mountpoint",
		json_sprintf("%s/volumes/%s/_data", g->root, row->name), "Name", row->name, "Options", "Scope",
		"local");
}

int engine_volume_create(struct engine *g, const char *name, const json_t *labels, json_t **ret, struct err *e)
{
	char generated[65];

	if (str_empty(name)) {
		if (random_id(generated) < 0)
			return err_set(e, EIO, "no random bytes");
		name = generated;
	}
	int r = volume_ensure(g, name, false, labels, e);
	return r < 0 ? r : engine_volume_inspect(g, name, ret, e);
}

struct list {
	struct engine *engine;
	json_t *array;
};

static int add_to_list(void *data, const struct volume_row *row, struct err *e)
{
	struct list *l = data;

	return json_array_append_new(l->array, volume_json(l->engine, row)) < 0 ? err_nomem(e) : 0;
}

int engine_volume_list(struct engine *g, json_t **ret, struct err *e)
{
	struct list l = {.engine = g, .array = json_array()};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = volumes_each(db, add_to_list, &l, e);
	if (r < 0)
		json_decref(l.array);
	else
		*ret = l.array;
	return r;
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

struct use {
	const char *name;
	char id[65];
};

static int find_use(void *data, const struct container_row *row, struct err *e)
{
	struct use *u = data;
	_cleanup_json_ json_t *record = json_loads(row->record, 0, NULL);
	size_t i;
	json_t *m;

	(void)e;
	json_array_foreach(json_object_get(record, "Mounts"), i, m) {
		const char *name = json_str(m, "Name");
		if (name && !strcmp(name, u->name)) {
			memcpy(u->id, row->id, sizeof(u->id));
			return 1;
		}
	}
	return 0;
}

static int remove_volume(struct engine *g, struct db *db, const char *name, struct err *e)
{
	struct use use = {.name = name};
	char path[300];
	int r = containers_each(db, find_use, &use, e);

	if (r < 0)
		return r;
	if (*use.id)
		return err_set(e, EBUSY, "remove %s: volume is in use - [%s]", name, use.id);
	snprintf(path, sizeof(path), "volumes/%s", name);
	r = rm_rf(g->root_fd, path);
	if (r < 0)
		return err_errno(e, r, "remove volume %s", name);
	return volumes_delete(db, name, e);
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
