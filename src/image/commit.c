/*
 * An image made of another one and of what a container has changed. The layer comes first, then word that it has come whole: the rest of what is known,
 * which nobody sends who has seen it break off.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "image/add.h"
#include "image/fetch.h"
#include "image/layers.h"
#include "image/ref.h"
#include "store/db.h"

enum { CONFIG_MAX = 8 * 1024 * 1024 };

/* Of an archive without entries: no layer at all, as docker has it. */
static const char empty_layer[] = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/* {"config": ..., "created_by": ...} */
static int read_container(int fd, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = fd_read_to_end(fd, CONFIG_MAX, &b);

	if (r < 0)
		return err_errno(e, r, "read the container's configuration");
	if (!b.len)
		return err_set(e, EPIPE, "the container's files did not come whole");
	*ret = json_parse(b.data, b.len, "the container's configuration", e);
	return *ret ? 0 : -e->code;
}

static int check_changes(char *const *changes, struct err *e)
{
	_cleanup_json_ json_t *none = json_object();
	int r = 0;

	strv_foreach(change, changes)
		if (r == 0)
			r = import_change(none, change, e);
	return r;
}

static int add_history(
	json_t *doc, const struct commit_options *o, const char *created, const json_t *container, bool empty)
{
	json_t *history = json_object_get(doc, "history"), *step = json_object();
	const char *by = json_str(container, "created_by");

	if (!json_is_array(history)) {
		history = json_array();
		json_object_set_new(doc, "history", history);
	}
	int r = json_set(step, "created", json_string(created));
	if (r == 0 && o->author)
		r = json_set(step, "author", json_from_str(o->author));
	if (r == 0)
		r = json_set(step, "created_by", json_from_str(by ? by : ""));
	if (r == 0 && o->message)
		r = json_set(step, "comment", json_from_str(o->message));
	if (r == 0 && empty)
		r = json_set(step, "empty_layer", json_true());
	return json_array_append_new(history, step) < 0 ? -ENOMEM : r;
}

/* The parent's document with what is new. */
static int make_config(const struct image_row *parent, const struct commit_options *o, const struct image_layer *layer,
	const json_t *container, json_t **ret, struct err *e)
{
	static const char *const others[] = {
		"container", "container_config", "docker_version", "author", "comment", NULL};
	_cleanup_json_ json_t *doc = json_parse(parent->config, strlen(parent->config), "the image's configuration", e);
	bool empty = !strcmp(layer->diff_id, empty_layer);
	char created[40];
	int r = 0;

	if (!doc)
		return -e->code;
	json_t *config = json_deep_copy(json_object_get(container, "config"));
	for (size_t i = 0; others[i]; i++)
		json_object_del(doc, others[i]);
	clock_rfc3339(clock_real_ns(), created);
	if (json_set(doc, "created", json_string(created)) < 0 || json_set(doc, "config", config) < 0 ||
		(o->author && json_set(doc, "author", json_from_str(o->author)) < 0) ||
		(o->message && json_set(doc, "comment", json_from_str(o->message)) < 0) ||
		(!empty && json_array_append_new(json_path(doc, "rootfs.diff_ids"), json_string(layer->diff_id)) < 0) ||
		add_history(doc, o, created, container, empty) < 0)
		return err_nomem(e);
	strv_foreach(change, o->changes)
		if (r == 0)
			r = import_change(config, change, e);
	if (r == 0)
		*ret = steal_ptr(doc);
	return r;
}

static int record(struct db *d, const struct image_row *parent, const struct image_layer *layer, const json_t *doc,
	const char *name, char ret_id[DIGEST_SIZE], struct err *e)
{
	bool empty = !strcmp(layer->diff_id, empty_layer);
	_cleanup_free_ struct image_layer *layers = calloc(parent->n_layers + 1, sizeof(*layers));
	_cleanup_free_ char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	char *tags[] = {(char *)name, NULL};

	if (!layers || !text)
		return err_nomem(e);
	memcpy(layers, parent->layers, parent->n_layers * sizeof(*layers));
	layers[parent->n_layers] = *layer;
	struct image_row row = {.config = text,
		.manifest = (char *)"",
		.manifest_digest = (char *)"",
		.media_type = (char *)"",
		.tags = tags,
		.layers = layers,
		.n_layers = parent->n_layers + !empty};
	int r = image_record(d, &row, e);
	memcpy(ret_id, row.id, DIGEST_SIZE);
	return r < 0 ? r : 0;
}

static int commit_locked(
	struct db *d, const struct commit_options *o, const char *name, char ret_id[DIGEST_SIZE], struct err *e)
{
	_cleanup_(image_row_done) struct image_row parent = {0};
	_cleanup_json_ json_t *container = NULL, *doc = NULL;
	_cleanup_close_ int lock = -1;
	struct image_layer layer;
	int r = layers_lock(d, &lock, e);

	if (r == 0)
		r = layer_add(d, o->layer_fd, NULL, &layer, NULL, e);
	if (r == 0)
		r = read_container(o->container_fd, &container, e);
	/* now, as it must be there when the new one is */
	if (r == 0 && (r = images_by_id(d, o->parent, &parent, e)) == -ENOENT)
		err_set(e, ENOENT, "No such image: %s", o->parent);
	if (r == 0)
		r = make_config(&parent, o, &layer, container, &doc, e);
	return r < 0 ? r : record(d, &parent, &layer, doc, name, ret_id, e);
}

int image_commit(struct db *d, const struct commit_options *o, char ret_id[DIGEST_SIZE], struct err *e)
{
	_cleanup_reference_ struct reference parsed = {0};
	_cleanup_free_ char *name = NULL;
	int r = o->ref ? reference_parse(o->ref, &parsed, e) : 0;

	if (r == 0 && parsed.digest)
		r = err_set(e, EINVAL, "refusing to create a tag with a digest reference");
	if (r == 0)
		r = check_changes(o->changes, e);
	if (r == 0 && o->ref && !(name = reference_name(&parsed)))
		r = err_nomem(e);
	return r < 0 ? r : commit_locked(d, o, name, ret_id, e);
}
