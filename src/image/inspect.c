/* Images as docker's API shows them. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "image/image.h"
#include "image/ref.h"
#include "store/db.h"

static json_t *familiar_names(char *const *names)
{
	_cleanup_json_ json_t *a = json_array();

	strv_foreach(name, names) {
		_cleanup_free_ char *short_name = reference_familiar(name);
		if (!short_name || json_array_append_new(a, json_string(short_name)) < 0)
			return NULL;
	}
	return steal_ptr(a);
}

static json_t *root_fs(const struct image_row *r)
{
	_cleanup_json_ json_t *layers = json_array();

	for (size_t i = 0; i < r->n_layers; i++)
		if (json_array_append_new(layers, json_string(r->layers[i].diff_id)) < 0)
			return NULL;
	return json_pack("{s:s, s:O}", "Type", "layers", "Layers", layers);
}

static json_t *graph_driver(const char *root, const struct image *i, struct err *e)
{
	_cleanup_strv_ char **dirs = NULL;
	_cleanup_buf_ struct buf lower = {0};

	if (image_lower_dirs(root, i, &dirs, e) < 0)
		return NULL;
	for (char **d = dirs + 1; *d; d++)
		if (buf_addf(&lower, "%s%s", lower.len ? ":" : "", *d) < 0)
			return NULL;
	_cleanup_json_ json_t *data = json_pack("{s:s}", "UpperDir", dirs[0]);
	if (lower.len && json_set(data, "LowerDir", json_string(lower.data)) < 0)
		return NULL;
	return json_pack("{s:s, s:O}", "Name", "overlay2", "Data", data);
}

/* docker's Config always has its fields, null where the image says nothing. */
static json_t *config_of(const struct image *i)
{
	static const char *const strings[] = {"Hostname", "Domainname", "User", "WorkingDir", NULL};
	static const char *const others[] = {"Env", "Cmd", "Entrypoint", "Volumes", "Labels", "OnBuild", NULL};
	json_t *c = json_is_object(i->config) ? json_deep_copy(i->config) : json_object();

	for (size_t n = 0; strings[n]; n++)
		if (!json_object_get(c, strings[n]))
			json_object_set_new(c, strings[n], json_string(""));
	for (size_t n = 0; others[n]; n++)
		if (!json_object_get(c, others[n]))
			json_object_set_new(c, others[n], json_null());
	return c;
}

static void copy_text(json_t *to, const char *name, const json_t *from, const char *key)
{
	const char *s = json_str(from, key);

	json_object_set_new(to, name, json_from_str(s ? s : ""));
}

int image_inspect(const char *root, const struct image *i, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *o = json_object();
	char tagged[40];

	json_object_set_new(o, "Id", json_string(i->id));
	json_object_set_new(o, "RepoTags", familiar_names(i->row.tags));
	json_object_set_new(o, "RepoDigests", familiar_names(i->row.digests));
	json_object_set_new(o, "Parent", json_string(""));
	copy_text(o, "Comment", i->doc, "comment");
	copy_text(o, "Created", i->doc, "created");
	copy_text(o, "Author", i->doc, "author");
	json_object_set_new(o, "Config", config_of(i));
	copy_text(o, "Architecture", i->doc, "architecture");
	if (json_str(i->doc, "variant"))
		copy_text(o, "Variant", i->doc, "variant");
	copy_text(o, "Os", i->doc, "os");
	json_object_set_new(o, "Size", json_integer(i->row.size));
	json_object_set_new(o, "VirtualSize", json_integer(i->row.size));
	json_object_set_new(o, "GraphDriver", graph_driver(root, i, e));
	json_object_set_new(o, "RootFS", root_fs(&i->row));
	json_object_set_new(o, "Metadata", json_pack("{s:s}", "LastTagTime", clock_rfc3339(i->row.tagged_ns, tagged)));
	if (!json_object_get(o, "GraphDriver") || !json_object_get(o, "Metadata"))
		return e->code ? -e->code : err_nomem(e);
	*ret = steal_ptr(o);
	return 0;
}

/* One step, with what it added, if that was a layer. */
static json_t *history_step(const struct image *i, const json_t *step, size_t *layer)
{
	bool empty = json_flag(step, "empty_layer") || *layer >= i->row.n_layers;
	json_int_t size = empty ? 0 : (json_int_t)i->row.layers[(*layer)++].size;
	json_t *o = json_pack("{s:s, s:I, s:[]}", "Id", "<missing>", "Size", size, "Tags");
	const char *created = json_str(step, "created");
	int64_t ns = 0;

	if (!created || clock_parse(created, &ns) < 0)
		ns = 0;
	json_object_set_new(o, "Created", json_integer(ns / 1000000000));
	copy_text(o, "CreatedBy", step, "created_by");
	copy_text(o, "Comment", step, "comment");
	return o;
}

int image_history(const struct image *i, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *a = json_array();
	size_t k, layer = 0;
	json_t *step;

	json_array_foreach(json_object_get(i->doc, "history"), k, step)
		if (json_array_insert_new(a, 0, history_step(i, step, &layer)) < 0)
			return err_nomem(e);
	/* that of an image which says nothing of its steps */
	while (layer < i->row.n_layers)
		if (json_array_insert_new(a, 0, history_step(i, NULL, &layer)) < 0)
			return err_nomem(e);
	json_t *top = json_array_get(a, 0);
	if (top) {
		json_object_set_new(top, "Id", json_string(i->id));
		json_object_set_new(top, "Tags", familiar_names(i->row.tags));
	}
	*ret = steal_ptr(a);
	return 0;
}

static int list_one(void *data, const struct image_row *r, struct err *e)
{
	json_t *labels = NULL;
	_cleanup_json_ json_t *doc = json_parse(r->config, strlen(r->config), r->id, e);

	if (!doc)
		return -e->code;
	labels = json_path(doc, "config.Labels");
	json_t *o = json_pack("{s:s, s:s, s:o*, s:o*, s:I, s:I, s:I, s:I, s:i, s:i, s:O}", "Id", r->id, "ParentId", "",
		"RepoTags", familiar_names(r->tags), "RepoDigests", familiar_names(r->digests), "Created",
		(json_int_t)(r->created_ns / 1000000000), "CreatedNs", (json_int_t)r->created_ns, "Size",
		(json_int_t)r->size, "VirtualSize", (json_int_t)r->size, "SharedSize", -1, "Containers", -1, "Labels",
		json_is_object(labels) ? labels : json_null());
	return o && json_array_append_new(data, o) == 0 ? 0 : err_nomem(e);
}

int image_list(struct db *d, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *a = json_array();
	int r = a ? images_each(d, list_one, a, e) : err_nomem(e);

	if (r == 0)
		*ret = steal_ptr(a);
	return r;
}
