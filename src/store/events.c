/* Events: from what was done to a line of the journal, and back. */
#include "store/events.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "store/journal.h"

enum { ACTION_MAX = 4096 };

static int append(int root_fd, const json_t *o)
{
	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);

	return text ? journal_append(root_fd, text) : -ENOMEM;
}

/* What is left of attributes that are too long together. */
static json_t *short_attributes(const json_t *attributes)
{
	static const char *const kept[] = {
		"image", "name", "exitCode", "signal", "execID", "container", "type", "driver", "oldName", NULL};
	json_t *o = json_object();

	for (size_t i = 0; kept[i]; i++) {
		json_t *v = json_object_get(attributes, kept[i]);
		if (v && json_string_length(v) < ACTION_MAX)
			json_object_set(o, kept[i], v);
	}
	return o;
}

static void write_event(int root_fd, const char *type, const char *action, const char *id, const json_t *attributes,
	const char *isolation)
{
	_cleanup_free_ char *cut = strndup(action, ACTION_MAX);
	_cleanup_json_ json_t *shown = attributes ? json_incref((json_t *)attributes) : json_object();
	_cleanup_json_ json_t *o = json_pack("{s:s, s:o, s:{s:o, s:O}}", "Type", type, "Action",
		json_from_str(cut ? cut : ""), "Actor", "ID", json_from_str(id), "Attributes", shown);

	if (isolation)
		json_object_set_new(o, "isolation", json_from_str(isolation));
	int r = o ? append(root_fd, o) : -ENOMEM;
	if (r == -E2BIG) {
		json_object_set_new(json_object_get(o, "Actor"), "Attributes", short_attributes(attributes));
		r = append(root_fd, o);
	}
	if (r < 0)
		log_trace("events", "%s %s of %s: %s", type, action, id, strerror(-r));
}

void event_write(int root_fd, const char *type, const char *action, const char *id, const json_t *attributes)
{
	write_event(root_fd, type, action, id, attributes, NULL);
}

json_t *event_actor(const char *name, const json_t *record)
{
	const char *image = json_string_value(json_path(record, "Config.Image"));
	const char *isolation = json_string_value(json_path(record, "HostConfig.Isolation"));
	json_t *labels = json_path(record, "Config.Labels"), *attributes = json_object();

	if (json_is_object(labels))
		json_object_update(attributes, labels);
	json_object_set_new(attributes, "image", json_from_str(image));
	json_object_set_new(attributes, "name", json_from_str(name));
	return json_pack(
		"{s:o, s:o}", "isolation", json_from_str(isolation ? isolation : "process"), "attributes", attributes);
}

void event_container(int root_fd, const char *id, const json_t *actor, const char *action, json_t *extra)
{
	_cleanup_json_ json_t *attributes = json_copy(json_object_get(actor, "attributes")), *more = extra;

	if (!attributes)
		attributes = json_object();
	if (more)
		json_object_update(attributes, more);
	write_event(root_fd, "container", action, id, attributes, json_str(actor, "isolation"));
}

void event_image(int root_fd, const char *action, const char *id, const char *name)
{
	_cleanup_json_ json_t *attributes = json_pack("{s:o}", "name", json_from_str(name));

	event_write(root_fd, "image", action, id, attributes);
}

void event_network(int root_fd, const char *action, const char *id, const char *name, const char *container)
{
	_cleanup_json_ json_t *attributes = json_pack("{s:o, s:s}", "name", json_from_str(name), "type", "bridge");

	if (container)
		json_object_set_new(attributes, "container", json_from_str(container));
	event_write(root_fd, "network", action, id, attributes);
}

void event_volume(int root_fd, const char *action, const char *name)
{
	_cleanup_json_ json_t *attributes = json_pack("{s:s}", "driver", "local");

	event_write(root_fd, "volume", action, name, attributes);
}

json_t *event_message(int64_t ns, const char *text)
{
	_cleanup_json_ json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *type = json_str(o, "Type"), *action = json_str(o, "Action");
	json_t *actor = json_object_get(o, "Actor");
	const char *id = json_str(actor, "ID");
	json_t *attributes = json_object_get(actor, "Attributes");

	if (!type || !action || !id || !json_is_object(attributes))
		return NULL;
	_cleanup_json_ json_t *m = json_object();
	bool container = !strcmp(type, "container");
	/* docker's older fields, which it still fills for these two */
	if (container || !strcmp(type, "image")) {
		json_object_set_new(m, "status", json_string(action));
		json_object_set_new(m, "id", json_string(id));
	}
	if (container && json_str(attributes, "image"))
		json_object_set(m, "from", json_object_get(attributes, "image"));
	json_object_update(m, o);
	json_object_set_new(m, "scope", json_string("local"));
	json_object_set_new(m, "time", json_integer(ns / 1000000000));
	json_object_set_new(m, "timeNano", json_integer(ns));
	return steal_ptr(m);
}
