/* Importing a root file system's tar. The same tar, changes and message give the same image: its date is that of the newest file. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "image/add.h"
#include "image/fetch.h"
#include "image/layers.h"
#include "image/manifest.h"
#include "image/ref.h"
#include "store/db.h"

static json_t *make_config(
	json_t *config, const struct platform *platform, const char *diff_id, int64_t newest, const char *message)
{
	char created[40];

	clock_rfc3339(newest * 1000000000, created);
	json_t *doc = json_pack("{s:s, s:s, s:s, s:O, s:{s:s, s:[s]}, s:[{s:s, s:o}]}", "architecture", platform->arch,
		"os", platform->os, "created", created, "config", config, "rootfs", "type", "layers", "diff_ids",
		diff_id, "history", "created", created, "comment", json_from_str(message ? message : ""));
	if (!doc || json_set(doc, "comment", json_from_str(message ? message : "")) < 0) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}

static int record(
	struct db *d, struct image_layer *layer, json_t *doc, const char *name, char ret_id[DIGEST_SIZE], struct err *e)
{
	_cleanup_free_ char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	char *tags[] = {(char *)name, NULL};
	struct image_row row = {.config = text,
		.manifest = (char *)"",
		.manifest_digest = (char *)"",
		.media_type = (char *)"",
		.tags = tags,
		.layers = layer,
		.n_layers = 1};

	int r = text ? image_record(d, &row, e) : err_nomem(e);
	memcpy(ret_id, row.id, DIGEST_SIZE);
	return r < 0 ? r : 0;
}

static int import_locked(struct db *d, int tar_fd, const char *name, json_t *config, const struct platform *platform,
	const char *message, char ret_id[DIGEST_SIZE], struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct image_layer layer;
	int64_t newest = 0;

	int r = layers_lock(d, &lock, e);
	if (r == 0)
		r = layer_add(d, tar_fd, NULL, &layer, &newest, e);
	if (r < 0)
		return r;
	if (newest >= INT64_MAX / 1000000000)
		newest = 0;
	_cleanup_json_ json_t *doc = make_config(config, platform, layer.diff_id, newest, message);
	return doc ? record(d, &layer, doc, name, ret_id, e) : err_nomem(e);
}

int image_import(struct db *d, int tar_fd, const char *ref, const char *platform, char *const *changes,
	const char *message, char ret_id[DIGEST_SIZE], struct err *e)
{
	struct platform p;
	_cleanup_reference_ struct reference parsed = {0};
	_cleanup_json_ json_t *config = json_object();
	_cleanup_free_ char *name = NULL;
	int r = ref ? reference_parse(ref, &parsed, e) : 0;

	if (r == 0)
		r = platform_parse(platform, &p, e);
	if (r == 0 && parsed.digest)
		r = err_set(e, EINVAL, "cannot import digest reference: %s", ref);
	strv_foreach(change, changes)
		if (r == 0)
			r = import_change(config, change, e);
	if (r < 0)
		return r;
	if (ref && !(name = reference_name(&parsed)))
		return err_nomem(e);
	return import_locked(d, tar_fd, name, config, &p, message, ret_id, e);
}
