/* Removing what nobody uses: stopped containers and volumes; and the filters that every prune takes. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "engine/engine-private.h"

int prune_filters_check(const json_t *filters, const char *const known[], struct err *e)
{
	const json_t *until = json_object_get(filters, "until");
	const char *key, *text = json_string_value(json_array_get(until, 0));
	int64_t ns;
	json_t *v;

	json_object_foreach((json_t *)filters, key, v)
		if (!str_in(key, known))
			return err_set(e, EINVAL, "invalid filter '%s'", key);
	if (json_array_size(until) > 1)
		return err_set(e, EINVAL, "more than one until filter specified");
	if (until && (!text || clock_parse(text, &ns) < 0))
		return err_set(e, EINVAL,
			"invalid filter 'until=%s': a time as 2024-05-01T12:00:00, or an age as 24h, is needed",
			text ? text : "");
	return 0;
}

bool label_matches(const json_t *labels, const char *value)
{
	size_t n = strcspn(value, "=");
	_cleanup_free_ char *name = strndup(value, n);
	const char *has = name ? json_str(labels, name) : NULL;

	return has && (!value[n] || !strcmp(has, value + n + 1));
}

static bool all_labels_match(const json_t *labels, const json_t *values)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)values, i, v)
		if (!json_is_string(v) || !label_matches(labels, json_string_value(v)))
			return false;
	return true;
}

bool prune_matches(const json_t *filters, const json_t *labels, int64_t created_ns)
{
	const json_t *without = json_object_get(filters, "label!");
	const char *until = json_string_value(json_array_get(json_object_get(filters, "until"), 0));
	int64_t ns;

	if (until && (clock_parse(until, &ns) < 0 || created_ns > ns))
		return false;
	return all_labels_match(labels, json_object_get(filters, "label")) &&
		(!without || !all_labels_match(labels, without));
}

/* ---- containers ---- */

/* One that was started, removed or damaged meanwhile stays out of the list. */
static int prune_container(struct engine *g, const char *id, json_t *deleted, int64_t *reclaimed, struct err *e)
{
	_cleanup_json_ json_t *record = NULL;
	int r = engine_inspect(g, id, true, &record, e);

	if (r == 0)
		r = engine_remove(g, id, false, false, e);
	if (r == -EBUSY || r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	*reclaimed += json_int(record, "SizeRw", 0);
	return json_array_append_new(deleted, json_string(id)) < 0 ? err_nomem(e) : 0;
}

int engine_container_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e)
{
	static const char *const known[] = {"label", "label!", "until", NULL};
	static const char *const stopped[] = {"created", "exited", "dead", NULL};
	_cleanup_json_ json_t *list = NULL, *deleted = json_array();
	int64_t reclaimed = 0;
	size_t i;
	json_t *c;

	int r = prune_filters_check(filters, known, e);
	if (r == 0)
		r = engine_list(g, true, NULL, &list, e);
	json_array_foreach(list, i, c) {
		if (r == 0 && str_in(json_str(c, "State"), stopped) &&
			prune_matches(filters, json_object_get(c, "Labels"), json_int(c, "Created", 0) * 1000000000))
			r = prune_container(g, json_str(c, "Id"), deleted, &reclaimed, e);
	}
	if (r == 0)
		*ret = json_pack("{s:O, s:I}", "ContainersDeleted", deleted, "SpaceReclaimed", (json_int_t)reclaimed);
	return r;
}

/* ---- volumes ---- */

static int prune_volume(struct engine *g, const char *name, json_t *deleted, int64_t *reclaimed, struct err *e)
{
	uint64_t size = volume_size(g, name);
	int r = engine_volume_remove(g, name, false, e);

	if (r == -EBUSY || r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	*reclaimed += (int64_t)size;
	return json_array_append_new(deleted, json_string(name)) < 0 ? err_nomem(e) : 0;
}

static int wants_all(const json_t *filters, bool *ret, struct err *e)
{
	const json_t *all = json_object_get(filters, "all");
	const char *text = json_string_value(json_array_get(all, 0));

	*ret = false;
	if (all && (json_array_size(all) > 1 || !text || parse_bool(text, ret) < 0))
		return err_set(e, EINVAL, "invalid filter 'all=%s': true or false is needed", text ? text : "");
	return 0;
}

int engine_volume_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e)
{
	static const char *const known[] = {"all", "label", "label!", NULL};
	static const char unused[] = "{\"dangling\": [\"true\"]}";
	_cleanup_json_ json_t *list = NULL, *deleted = json_array(), *dangling = json_loads(unused, 0, NULL);
	int64_t reclaimed = 0;
	bool all;
	size_t i;
	json_t *v;

	int r = prune_filters_check(filters, known, e);
	if (r == 0)
		r = wants_all(filters, &all, e);
	if (r == 0)
		r = engine_volume_list(g, dangling, &list, e);
	json_array_foreach(list, i, v) {
		const json_t *labels = json_object_get(v, "Labels");
		if (r == 0 && (all || json_object_get(labels, VOLUME_ANONYMOUS)) && prune_matches(filters, labels, 0))
			r = prune_volume(g, json_str(v, "Name"), deleted, &reclaimed, e);
	}
	if (r == 0)
		*ret = json_pack("{s:O, s:I}", "VolumesDeleted", deleted, "SpaceReclaimed", (json_int_t)reclaimed);
	return r;
}
