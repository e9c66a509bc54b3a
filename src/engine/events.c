/*
 * Events of containers, and reading the journal of all events.
 *
 * What a running container's events say of it (its name, image, labels, networks) is in its run directory, in "actor": its monitor needs no
 * database for them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "engine/engine-private.h"
#include "store/journal.h"

enum { ACTOR_MAX = 1024 * 1024, POLL_MS = 1000 };

#define ACTOR_FILE "actor"

struct networks_of {
	struct db *db;
	json_t *array;
};

static int add_network(void *data, const struct endpoint_row *p, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	struct networks_of *o = data;
	int r = networks_find(o->db, p->network, &n, e);

	return r < 0 ? r : json_array_append_new(o->array, json_pack("[s,s]", n.id, n.name)) < 0 ? err_nomem(e) : 0;
}

json_t *event_networks(struct db *db, const char *id)
{
	struct networks_of o = {.db = db, .array = json_array()};
	struct err none;

	endpoints_of_container(db, id, add_network, &o, &none);
	return o.array;
}

void event_networks_write(struct engine *g, const char *action, const json_t *networks, const char *container)
{
	size_t i;
	json_t *n;

	json_array_foreach((json_t *)networks, i, n)
		event_network(g->root_fd, action, json_string_value(json_array_get(n, 0)),
			json_string_value(json_array_get(n, 1)), container);
}

static int open_run_dir(struct engine *g, const char *id)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	return openat(g->run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void event_actor_keep(struct engine *g, const struct found *f)
{
	_cleanup_json_ json_t *actor = event_actor(f->row.name, f->record);
	_cleanup_close_ int dir = open_run_dir(g, f->row.id);
	struct err none;
	struct db *db;

	if (dir < 0)
		return;
	if (engine_db(g, &db, &none) == 0)
		json_object_set_new(actor, "networks", event_networks(db, f->row.id));
	_cleanup_free_ char *text = json_dumps(actor, JSON_COMPACT);
	if (text)
		file_replace(dir, ACTOR_FILE, text, strlen(text), 0600);
}

void engine_container_event(struct engine *g, const char *id, const char *action, const char *const *attributes)
{
	_cleanup_close_ int dir = open_run_dir(g, id);
	struct err none;
	_cleanup_json_ json_t *actor = dir < 0 ? NULL : json_parse_file(dir, ACTOR_FILE, ACTOR_MAX, &none);
	json_t *extra = json_object();

	for (; attributes && attributes[0]; attributes += 2)
		json_object_set_new(extra, attributes[0], json_from_str(attributes[1]));
	if (!strcmp(action, "start"))
		event_networks_write(g, "connect", json_object_get(actor, "networks"), id);
	event_container(g->root_fd, id, actor, action, extra);
}

void event_of(
	struct engine *g, const struct container_row *row, const json_t *record, const char *action, json_t *extra)
{
	_cleanup_json_ json_t *actor = event_actor(row->name, record);

	event_container(g->root_fd, row->id, actor, action, extra);
}

/* ---- reading ---- */

static const char *attribute(const json_t *m, const char *key)
{
	const char *s = json_str(json_path(m, "Actor.Attributes"), key);

	return s ? s : "";
}

/* docker's: an action that is followed by what was run or found is named without that. */
static bool is_action(const char *action, const char *value)
{
	static const char *const open_ended[] = {"exec_create", "exec_start", "health_status", NULL};

	return str_in(value, open_ended) ? str_starts(action, value) : !strcmp(action, value);
}

static bool is_image(const char *s, const char *value)
{
	const char *slash = strrchr(s, '/'), *tag = strchr(slash ? slash : s, ':');

	return !strcmp(s, value) || (tag && strlen(value) == (size_t)(tag - s) && str_starts(s, value));
}

static bool has_label(const json_t *m, const char *value)
{
	const char *equals = strchr(value, '=');
	_cleanup_free_ char *key = strndup(value, equals ? (size_t)(equals - value) : strlen(value));
	const char *own = key ? json_str(json_path(m, "Actor.Attributes"), key) : NULL;

	return own && (!equals || !strcmp(own, equals + 1));
}

static bool matches(const void *data, const char *key, const char *value)
{
	const json_t *m = data;
	const char *type = json_str(m, "Type"), *id = json_string_value(json_path(m, "Actor.ID"));
	enum isolation_kind kind;
	struct err none;

	if (!strcmp(key, "type"))
		return !strcmp(type, value);
	if (!strcmp(key, "event"))
		return is_action(json_str(m, "Action"), value);
	if (!strcmp(key, "scope"))
		return !strcmp(json_str(m, "scope"), value);
	if (!strcmp(key, "label"))
		return has_label(m, value);
	if (!strcmp(key, "image"))
		return is_image(id, value) || is_image(attribute(m, strcmp(type, "image") ? "image" : "name"), value);
	if (!strcmp(key, "isolation")) {
		const char *own = json_str(m, "isolation");
		return own && isolation_parse(value, &kind, &none) == 0 &&
			!strcmp(own, isolation_name(kind == ISOLATION_DEFAULT ? ISOLATION_PROCESS : kind));
	}
	/* container, network, volume; docker goes by the id and the name of whatever the event is of */
	return str_starts(id, value) || (*attribute(m, "name") && str_starts(attribute(m, "name"), value));
}

int engine_events_check(const json_t *filters, struct err *e)
{
	static const char *const keys[] = {
		"container", "event", "image", "isolation", "label", "network", "scope", "type", "volume", NULL};
	enum isolation_kind kind;
	const char *key;
	json_t *values, *v;
	size_t i;

	json_object_foreach((json_t *)filters, key, values) {
		if (!str_in(key, keys))
			return err_set(e, EINVAL, "invalid filter '%s'", key);
		json_array_foreach(values, i, v) {
			if (!strcmp(key, "isolation") && isolation_parse(json_string_value(v), &kind, e) < 0)
				return -EINVAL;
		}
	}
	return 0;
}

bool engine_event_matches(const json_t *message, const json_t *filters)
{
	return filters_match(filters, matches, message);
}

/* Hands on what is there. 1: the end is reached. */
static int deliver(struct journal_reader *j, const struct engine_events *o, struct err *e)
{
	const char *text;
	int64_t ns;
	int r;

	while ((r = journal_next(j, &ns, &text)) > 0) {
		if (o->until_ns && ns > o->until_ns)
			return 1;
		if (ns < o->since_ns)
			continue;
		_cleanup_json_ json_t *m = event_message(ns, text);
		if (!m || !engine_event_matches(m, o->filters))
			continue;
		r = o->fn(o->data, m, e);
		if (r)
			return r;
	}
	if (r < 0)
		return err_errno(e, r, "read the journal of events");
	return o->until_ns && clock_real_ns() > o->until_ns;
}

/* Until an event is written, the end is due, or nobody reads stdout any more (1). */
static int wait_more(int notify, const struct engine_events *o)
{
	struct pollfd p[] = {{.fd = notify, .events = POLLIN}, {.fd = o->reader, .events = 0}};
	int64_t left = o->until_ns ? (o->until_ns - clock_real_ns()) / 1000000 + 1 : POLL_MS;
	char drain[4096];

	poll(p, 2, left < 0 ? 0 : left > POLL_MS ? POLL_MS : (int)left);
	while (read(notify, drain, sizeof(drain)) > 0)
		;
	return p[1].revents & (POLLERR | POLLHUP | POLLNVAL) ? 1 : 0;
}

int engine_events(struct engine *g, const struct engine_events *o, struct err *e)
{
	_cleanup_journal_ struct journal_reader j = {.dir = -1};
	_cleanup_close_ int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct engine_events now = *o;
	char path[64];

	int r = engine_events_check(o->filters, e);
	if (r < 0)
		return r;
	r = journal_open(g->root_fd, &j);
	if (r < 0)
		return err_errno(e, r, "open the journal of events in %s/events", g->root);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", j.dir);
	if (notify < 0 || inotify_add_watch(notify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return err_errno(e, errno, "watch the journal of events");
	/* without bounds only what comes is of interest */
	const char *text;
	while (r == 0 && !o->since_ns && !o->until_ns && journal_next(&j, &now.since_ns, &text) > 0)
		;
	now.since_ns = o->since_ns;
	while ((r = deliver(&j, &now, e)) == 0 && !wait_more(notify, &now))
		;
	return r < 0 ? r : 0;
}
