/* Containers as docker's API shows them: the list and the whole object. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine-private.h"

const char *container_status_name(const struct found *f)
{
	if (f->running)
		return f->live.phase == STATE_PAUSED        ? "paused"
			: f->live.phase == STATE_STARTING   ? "created"
			: f->live.phase == STATE_RESTARTING ? "restarting"
							    : "running";
	switch (f->row.status) {
	case CONTAINER_EXITED:
		return "exited";
	case CONTAINER_REMOVING:
		return "removing";
	case CONTAINER_CREATED:
	case CONTAINER_RUNNING: /* cannot be: it was settled */
		break;
	}
	return "created";
}

static bool is_up(const struct found *f)
{
	return f->running && f->live.phase != STATE_STARTING;
}

json_t *container_state_json(struct engine *g, const struct found *f)
{
	char started[40], finished[40];
	bool up = is_up(f), again = f->running && f->live.phase == STATE_RESTARTING;
	const char *status = container_status_name(f);

	clock_rfc3339(up ? f->live.started_ns : f->row.started_ns, started);
	clock_rfc3339(again ? f->live.finished_ns : f->row.finished_ns, finished);
	json_t *o = json_pack("{s:s, s:b, s:b, s:b, s:b, s:b, s:i, s:i, s:o, s:s, s:s}", "Status", status, "Running",
		up, "Paused", !strcmp(status, "paused"), "Restarting", again, "OOMKilled", (!up || again) && f->row.oom,
		"Dead", 0, "Pid", up ? (int)f->live.pid : 0, "ExitCode",
		again        ? f->live.status
			: up ? 0
			     : f->row.exit_code,
		"Error", json_from_str(up ? "" : f->row.error), "StartedAt", started, "FinishedAt", finished);
	json_t *health = health_json(g, f);
	if (health)
		json_object_set_new(o, "Health", health);
	return o;
}

/* What docker's Mounts array has: nothing that only the engine keeps there, and of tmpfs only those of --mount. */
static json_t *public_mounts(const json_t *record)
{
	static const char *const fields[] = {
		"Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation", NULL};
	json_t *mounts = json_array(), *m;
	size_t i;

	json_array_foreach(json_object_get(record, "Mounts"), i, m) {
		bool tmpfs = !strcmp(json_str(m, "Type"), "tmpfs");
		json_t *shown = json_object();
		if (tmpfs && json_object_get(json_path(record, "HostConfig.Tmpfs"), json_str(m, "Destination"))) {
			json_decref(shown);
			continue;
		}
		for (size_t k = 0; fields[k]; k++)
			if (json_object_get(m, fields[k]))
				json_object_set(shown, fields[k], json_object_get(m, fields[k]));
		if (tmpfs)
			json_object_set_new(shown, "Mode", json_string(""));
		json_array_append_new(mounts, shown);
	}
	return mounts;
}

static json_t *graph_driver(struct engine *g, const struct found *f)
{
	if (record_isolation(f->record) == ISOLATION_HYPERV)
		return json_pack("{s:s, s:{s:O, s:o}}", "Name", "erofs", "Data", "ImageFile",
			json_path(f->record, "Caisson.Erofs"), "DiskFile",
			json_sprintf("%s/containers/%s/disk.ext4", g->root, f->row.id));
	_cleanup_strv_ char **layers = json_strv(json_path(f->record, "Caisson.Layers"));
	_cleanup_buf_ struct buf b = {0};
	strv_foreach(s, layers)
		buf_addf(&b, "%s%s", b.len ? ":" : "", s);
	return json_pack("{s:s, s:{s:s, s:o}}", "Name", "overlay2", "Data", "LowerDir", b.data ? b.data : "",
		"UpperDir", json_sprintf("%s/containers/%s/upper", g->root, f->row.id));
}

/* What the container has written, and that with its image. */
static void add_sizes(struct engine *g, const struct found *f, json_t *o)
{
	_cleanup_image_ struct image image = {0};
	struct err none;
	uint64_t written = 0;

	if (container_written(g, f, &written) < 0)
		return;
	json_object_set_new(o, "SizeRw", json_integer((json_int_t)written));
	if (image_find(g->db, f->row.image_id, &image, &none) == 0)
		json_object_set_new(o, "SizeRootFs", json_integer((json_int_t)written + image.row.size));
}

int engine_inspect(struct engine *g, const char *ref, bool size, json_t **ret, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	int r = container_find(g, ref, &f, e);

	if (r < 0)
		return r;
	json_t *o = json_copy(f.record);
	if (size)
		add_sizes(g, &f, o);
	json_object_del(o, "Caisson");
	json_object_set_new(o, "Name", json_sprintf("/%s", f.row.name));
	json_object_set_new(o, "State", container_state_json(g, &f));
	json_object_set_new(o, "RestartCount", json_integer(f.running ? f.live.restarts : f.row.restarts));
	json_object_set_new(o, "Driver", json_string("overlay2"));
	json_object_set_new(o, "Platform", json_string("linux"));
	json_object_set_new(o, "LogPath", json_sprintf("%s/containers/%s/%s-json.log", g->root, f.row.id, f.row.id));
	json_object_set_new(o, "GraphDriver", graph_driver(g, &f));
	json_object_set_new(o, "Mounts", public_mounts(f.record));
	json_object_set_new(o, "NetworkSettings", network_settings_json(g, &f));
	json_object_set_new(o, "Acceleration", json_from_str(is_up(&f) ? f.live.accel : f.row.accel));
	inspect_complete(o);
	*ret = o;
	return o ? 0 : err_nomem(e);
}

/* "Up 3 minutes", "Exited (0) 2 hours ago", "Created" */
static void describe(struct engine *g, const struct found *f, char *ret, size_t size)
{
	_cleanup_json_ json_t *health = is_up(f) ? health_json(g, f) : NULL;
	const char *found = json_str(health, "Status");
	char ago[40];

	if (f->running && f->live.phase == STATE_RESTARTING) {
		clock_ago(f->live.finished_ns, ago);
		snprintf(ret, size, "Restarting (%d) %s ago", f->live.status, ago);
	} else if (is_up(f)) {
		clock_ago(f->live.started_ns, ago);
		if (f->live.phase == STATE_PAUSED)
			snprintf(ret, size, "Up %s (Paused)", ago);
		else if (found)
			snprintf(ret, size, "Up %s (%s%s)", ago, strcmp(found, "starting") ? "" : "health: ", found);
		else
			snprintf(ret, size, "Up %s", ago);
	} else if (!strcmp(container_status_name(f), "exited")) {
		clock_ago(f->row.finished_ns, ago);
		snprintf(ret, size, "Exited (%d) %s ago", f->row.exit_code, ago);
	} else {
		snprintf(ret, size, "Created");
	}
}

struct list {
	struct engine *engine;
	bool all;
	const json_t *filters;
	json_t *array;
	struct container_row *rows; /* copied first: settling one changes the table that is being read */
	size_t len;
};

static int collect(void *data, const struct container_row *row, struct err *e)
{
	struct list *l = data;
	struct container_row *rows = realloc(l->rows, (l->len + 1) * sizeof(*rows));

	if (!rows)
		return err_nomem(e);
	l->rows = rows;
	rows[l->len] = container_row_copy(row);
	l->len++;
	return 0;
}

static json_t *summary(struct engine *g, const struct found *f)
{
	const json_t *config = json_object_get(f->record, "Config"), *hc = json_object_get(f->record, "HostConfig");
	_cleanup_json_ json_t *settings = network_settings_json(g, f);
	_cleanup_buf_ struct buf command = {0};
	char status[96];
	size_t i;
	json_t *v, *labels = json_object_get(config, "Labels");

	buf_adds(&command, json_str(f->record, "Path") ? json_str(f->record, "Path") : "");
	json_array_foreach(json_object_get(f->record, "Args"), i, v)
		buf_addf(&command, " %s", json_string_value(v));
	describe(g, f, status, sizeof(status));
	return json_pack("{s:s, s:[o], s:o, s:s, s:o, s:I, s:o, s:O?, s:s, s:s, s:{s:s, s:s}, s:o, s:{s:o}}", "Id",
		f->row.id, "Names", json_sprintf("/%s", f->row.name), "Image", json_from_str(json_str(config, "Image")),
		"ImageID", f->row.image_id, "Command", json_from_str(command.data), "Created",
		(json_int_t)(f->row.created_ns / 1000000000), "Ports", publish_list(g, f), "Labels", labels, "State",
		container_status_name(f), "Status", status, "HostConfig", "NetworkMode", json_str(hc, "NetworkMode"),
		"Isolation", isolation_name(record_isolation(f->record)), "Mounts", public_mounts(f->record),
		"NetworkSettings", "Networks", json_incref(json_object_get(settings, "Networks")));
}

/* One whose record cannot be read: all that can be done to it is rm -f. */
static json_t *damaged(const char *id, const char *name, int64_t created_ns)
{
	return json_pack("{s:s, s:[o], s:s, s:s, s:s, s:I, s:[], s:{}, s:s, s:s, s:{s:s, s:s}, s:[]}", "Id", id,
		"Names", json_sprintf("/%s", name), "Image", "", "ImageID", "", "Command", "", "Created",
		(json_int_t)(created_ns / 1000000000), "Ports", "Labels", "State", "dead", "Status",
		"Dead (damaged record)", "HostConfig", "NetworkMode", "", "Isolation", "", "Mounts");
}

static int add_to_list(struct list *l, struct container_row *row, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	bool all = l->all || json_object_get(l->filters, "status") || json_object_get(l->filters, "exited");
	_cleanup_free_ char *name = strdup(row->name);
	int64_t created_ns = row->created_ns;
	char id[65];

	memcpy(id, row->id, sizeof(id));
	int r = container_settle(l->engine, row, &f, e);
	if (r == -ENOENT)
		return 0; /* removed meanwhile */
	if (r == -EBADMSG && name) {
		if (l->all && !json_object_size(l->filters))
			json_array_append_new(l->array, damaged(id, name, created_ns));
		return 0;
	}
	if (r < 0)
		return r;
	if ((all || is_up(&f)) && container_matches(l->engine, &f, l->filters))
		json_array_append_new(l->array, summary(l->engine, &f));
	return 0;
}

int engine_list(struct engine *g, bool all, const json_t *filters, json_t **ret, struct err *e)
{
	struct list l = {.engine = g, .all = all, .filters = filters, .array = json_array()};
	struct db *db;
	int r = container_filters_check(g, filters, e);

	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = containers_each(db, collect, &l, e);
	for (size_t i = 0; i < l.len; i++) {
		if (r == 0)
			r = add_to_list(&l, &l.rows[i], e);
		container_row_done(&l.rows[i]);
	}
	free(l.rows);
	if (r == 0)
		*ret = l.array;
	else
		json_decref(l.array);
	return r;
}
