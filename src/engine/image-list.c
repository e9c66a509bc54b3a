/* The list of images, with docker's filters. */
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine-private.h"

int image_wants_dangling(const json_t *filters, bool *ret, struct err *e)
{
	const json_t *values = json_object_get(filters, "dangling");
	const char *text = json_string_value(json_array_get(values, 0));

	if (values && (json_array_size(values) != 1 || !text || parse_bool(text, ret) < 0))
		return err_set(e, EINVAL, "invalid filter 'dangling=[%s]'", text ? text : "");
	return 0;
}

/* What the filters mean, worked out before images are looked at. */
struct wanted {
	const json_t *filters;
	bool by_dangling, dangling;
	int64_t before_ns, since_ns; /* of the image that was named; 0: none */
};

static int created_of(struct engine *g, const json_t *filters, const char *key, int64_t *ret, struct err *e)
{
	const json_t *refs = json_object_get(filters, key);
	_cleanup_image_ struct image image = {0};
	struct db *db;

	if (!refs)
		return 0;
	if (json_array_size(refs) != 1 || !json_string_value(json_array_get(refs, 0)))
		return err_set(e, EINVAL, "invalid filter '%s': one image is needed", key);
	int r = engine_db(g, &db, e);
	if (r == 0)
		r = image_find(db, json_string_value(json_array_get(refs, 0)), &image, e);
	if (r == 0)
		*ret = image.row.created_ns;
	return r;
}

static int read_filters(struct engine *g, const json_t *filters, struct wanted *ret, struct err *e)
{
	static const char *const known[] = {"before", "dangling", "label", "reference", "since", "until", NULL};
	int r = prune_filters_check(filters, known, e);

	*ret = (struct wanted){.filters = filters, .by_dangling = json_object_get(filters, "dangling")};
	if (r == 0)
		r = image_wants_dangling(filters, &ret->dangling, e);
	if (r == 0)
		r = created_of(g, filters, "before", &ret->before_ns, e);
	return r < 0 ? r : created_of(g, filters, "since", &ret->since_ns, e);
}

/* reference.FamiliarMatch: the whole name, or the repository alone. */
static bool name_matches(const char *name, const json_t *patterns)
{
	const char *digest = strchr(name, '@'), *end = digest ? digest : strrchr(name, ':');
	_cleanup_free_ char *repository = end ? strndup(name, (size_t)(end - name)) : NULL;
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)patterns, i, v) {
		const char *pattern = json_string_value(v);
		if (pattern &&
			(!fnmatch(pattern, name, FNM_PATHNAME) ||
				(repository && !fnmatch(pattern, repository, FNM_PATHNAME))))
			return true;
	}
	return false;
}

/* Only the names that match are shown. */
static void keep_names(json_t *image, const char *key, const json_t *patterns)
{
	json_t *names = json_object_get(image, key);

	for (size_t i = json_array_size(names); i-- > 0;)
		if (!name_matches(json_string_value(json_array_get(names, i)), patterns))
			json_array_remove(names, i);
}

static bool matches(json_t *image, const struct wanted *w)
{
	const json_t *references = json_object_get(w->filters, "reference");
	int64_t created = json_int(image, "CreatedNs", 0);
	bool dangling = !json_array_size(json_object_get(image, "RepoTags"));

	if ((w->before_ns && created >= w->before_ns) || (w->since_ns && created <= w->since_ns) ||
		(w->by_dangling && w->dangling != dangling) ||
		!prune_matches(w->filters, json_object_get(image, "Labels"), created))
		return false;
	if (!references)
		return true;
	keep_names(image, "RepoTags", references);
	keep_names(image, "RepoDigests", references);
	return json_array_size(json_object_get(image, "RepoTags")) ||
		json_array_size(json_object_get(image, "RepoDigests"));
}

int engine_image_list(struct engine *g, bool all, const json_t *filters, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *kept = json_array();
	struct wanted wanted;
	struct db *db;
	size_t i;
	json_t *image;

	(void)all; /* there are no intermediate images */
	int r = engine_db(g, &db, e);
	if (r == 0)
		r = read_filters(g, filters, &wanted, e);
	if (r == 0)
		r = image_list(db, &list, e);
	json_array_foreach(list, i, image) {
		if (r == 0 && matches(image, &wanted) && json_array_append(kept, image) < 0)
			r = err_nomem(e);
		json_object_del(image, "CreatedNs");
	}
	if (r == 0)
		*ret = steal_ptr(kept);
	return r;
}
