/*
 * Loading: from an archive to images in the database. The archive's files go to a temporary directory in ROOT/blobs; a layer's file gets its second name,
 * that of its digest, when it has been unpacked and found to be what the configuration says.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/json.h"
#include "image/add.h"
#include "image/load.h"
#include "image/blobs.h"
#include "image/fetch.h"
#include "image/layers.h"
#include "image/ref.h"
#include "store/db.h"
#include "store/events.h"

struct load {
	struct db *db;
	FILE *out, *progress;
	int lock, layers, blobs;
	struct layer_place files; /* a temporary directory of the blobs' */
	struct members members;
	struct load_images images;
};

static void load_done(struct load *l)
{
	load_images_done(&l->images);
	members_done(&l->members);
	layer_place_done(&l->files);
	close_fd(&l->blobs);
	close_fd(&l->layers);
	close_fd(&l->lock);
}

static int unpack(struct load *l, const struct member *m, const char *diff_id, struct progress *p, size_t line,
	struct image_layer *ret, struct err *e)
{
	_cleanup_(layer_job_done) struct layer_job job = LAYER_JOB_INIT;
	uint64_t used;
	int64_t newest;
	char name[16];

	snprintf(name, sizeof(name), "%u", m->number);
	int r = blob_place_link(l->blobs, l->files.fd, name, &job.blob, e);
	if (r == 0)
		r = layer_job_start(&job, l->layers, l->blobs, m->digest, e);
	while (r == 0 && (r = layer_job_read(&job, diff_id, &used, ret, &newest, e)) > 0) {
		progress_set(p, line, "Loading layer", used, m->size);
		r = 0;
	}
	return r < 0 ? err_wrap(e, "layer %s", m->name) : 0;
}

static int get_layers(struct load *l, const struct load_image *i, const struct image_config *c, struct image_layer *ret,
	struct err *e)
{
	struct progress *p = NULL;
	int r = progress_new(l->progress, i->n_layers, &p) < 0 ? err_nomem(e) : 0;

	for (size_t k = 0; r == 0 && k < i->n_layers; k++) {
		progress_id(p, k, c->diff_ids[k]);
		size_t same = 0;
		while (strcmp(c->diff_ids[same], c->diff_ids[k]) != 0)
			same++;
		if (same < k) {
			ret[k] = ret[same];
			continue;
		}
		r = layer_is_here(l->db, l->blobs, c->diff_ids[k], &ret[k], e);
		if (r == 0)
			r = unpack(l, i->layers[k], c->diff_ids[k], p, k, &ret[k], e);
		progress_set(p, k, r > 0 ? "Already exists" : "Loaded", 0, 0);
		r = r < 0 ? r : 0;
	}
	progress_free(p);
	return r;
}

static int record(struct load *l, const struct load_image *i, const struct buf *config, struct image_layer *layers,
	char ret_id[DIGEST_SIZE], struct err *e)
{
	_cleanup_buf_ struct buf manifest = {0};
	int r = i->manifest ? load_text(l->files.fd, i->manifest, MANIFEST_MAX, &manifest, e) : 0;
	struct image_row row = {.config = config->data,
		.manifest = i->manifest ? manifest.data : (char *)"",
		.manifest_digest = i->manifest ? (char *)i->manifest->digest : (char *)"",
		.media_type = i->manifest ? (char *)i->media_type : (char *)"",
		.layers = layers,
		.n_layers = i->n_layers,
		.tags = i->names};

	if (r == 0)
		r = image_record(l->db, &row, e);
	memcpy(ret_id, row.id, DIGEST_SIZE);
	return r < 0 ? r : 0;
}

/* docker's line for a name that moves. */
static int tell_moved(struct load *l, const char *name, const char *familiar, const char *id, struct err *e)
{
	struct image_row row = {0};
	int r = images_by_name(l->db, name, &row, e);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && strcmp(row.id, id) != 0)
		fprintf(l->out, "The image %s already exists, renaming the old one with ID %s to empty string\n",
			familiar, row.id);
	image_row_done(&row);
	return r;
}

static int tell_names(struct load *l, const struct load_image *i, const char *id, bool moved, struct err *e)
{
	strv_foreach(name, i->names) {
		_cleanup_free_ char *familiar = reference_familiar(name);
		int r = !familiar ? err_nomem(e) : moved ? tell_moved(l, name, familiar, id, e) : 0;
		if (r < 0)
			return r;
		if (!moved)
			fprintf(l->out, "Loaded image: %s\n", familiar);
	}
	if (!i->names && !moved)
		fprintf(l->out, "Loaded image ID: %s\n", id);
	if (!moved)
		event_image(db_root_fd(l->db), "load", id, id);
	return 0;
}

static int load_one(struct load *l, const struct load_image *i, struct image_config *c, struct err *e)
{
	_cleanup_buf_ struct buf config = {0};
	struct image_layer layers[LAYERS_MAX];
	char id[DIGEST_SIZE];

	int r = load_text(l->files.fd, i->config, CONFIG_MAX, &config, e);
	if (r == 0)
		r = image_config_parse(config.data, config.len, i->n_layers, c, e);
	if (r == 0 && !i->n_layers)
		r = err_set(e, EBADMSG, "an image without layers");
	if (r == 0)
		r = get_layers(l, i, c, layers, e);
	if (r < 0)
		return err_wrap(e, "%s", i->names ? i->names[0] : i->config->name);
	r = tell_names(l, i, i->config->digest, true, e);
	if (r == 0)
		r = record(l, i, &config, layers, id, e);
	return r < 0 ? r : tell_names(l, i, id, false, e);
}

static int load(struct load *l, int fd, struct err *e)
{
	_cleanup_free_ struct image_config *c = calloc(1, sizeof(*c));

	int r = c ? layers_lock(l->db, &l->lock, e) : err_nomem(e);
	if (r == 0)
		r = layers_open(l->db, &l->layers, e);
	if (r == 0)
		r = blobs_open(l->db, &l->blobs, e);
	if (r == 0)
		r = layer_place_open(l->blobs, &l->files, e);
	if (r == 0)
		r = load_open(fd, l->files.fd, &l->members, e);
	if (r == 0)
		r = load_list(&l->members, l->files.fd, &l->images, e);
	for (size_t i = 0; r == 0 && i < l->images.n; i++) {
		r = load_one(l, &l->images.list[i], c, e);
		json_decref(c->doc);
		c->doc = NULL;
	}
	return r;
}

int image_load(struct db *d, int fd, FILE *out, FILE *progress, struct err *e)
{
	_cleanup_(load_done) struct load l = {
		.db = d, .out = out, .progress = progress, .lock = -1, .layers = -1, .blobs = -1, .files.fd = -1};

	return load(&l, fd, e);
}
