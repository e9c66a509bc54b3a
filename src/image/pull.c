/* Pulling: from a reference to an image in the database. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "image/add.h"
#include "image/blobs.h"
#include "image/fetch.h"
#include "image/layers.h"
#include "store/db.h"

struct pull {
	struct db *db;
	const struct pull_options *options;
	struct reference ref;
	struct platform platform;
	struct registry *registry;
	struct buf manifest_text, config_text;
	struct manifest manifest;
	struct image_config config;
	char digest[DIGEST_SIZE]; /* of what the tag leads to: the index if there is one */
	char image_digest[DIGEST_SIZE];
	struct progress *progress;
	int lock;
	bool is_new;
};

static void pull_done(struct pull *p)
{
	reference_done(&p->ref);
	registry_free(p->registry);
	buf_done(&p->manifest_text);
	buf_done(&p->config_text);
	json_decref(p->config.doc);
	progress_free(p->progress);
	close_fd(&p->lock);
}

static int get_manifest(struct pull *p, struct err *e)
{
	char type[128];
	struct descriptor child;

	int r = registry_manifest(
		p->registry, p->ref.digest ? p->ref.digest : p->ref.tag, &p->manifest_text, type, p->digest, e);
	if (r < 0)
		return r;
	memcpy(p->image_digest, p->digest, sizeof(p->digest));
	r = manifest_parse(p->manifest_text.data, p->manifest_text.len, type, &p->platform, &p->manifest, &child, e);
	if (r <= 0)
		return r;
	buf_done(&p->manifest_text);
	r = registry_manifest(p->registry, child.digest, &p->manifest_text, type, p->image_digest, e);
	if (r == 0)
		r = manifest_parse(
			p->manifest_text.data, p->manifest_text.len, type, &p->platform, &p->manifest, &child, e);
	return r > 0 ? err_set(e, EBADMSG, "manifest: an index within an index") : r;
}

static int get_config(struct pull *p, struct err *e)
{
	int r = registry_blob(p->registry, &p->manifest.config, &p->config_text, e);

	if (r == 0)
		r = image_config_parse(p->config_text.data, p->config_text.len, p->manifest.n_layers, &p->config, e);
	return r < 0 ? r : image_config_check_platform(&p->config, &p->platform, e);
}

static int record(struct pull *p, struct image_layer *layers, struct err *e)
{
	_cleanup_free_ char *repository = reference_repository(&p->ref);
	_cleanup_free_ char *tag = repository && !p->ref.digest ? reference_name(&p->ref) : NULL;
	_cleanup_free_ char *digest = repository ? str_fmt("%s@%s", repository, p->digest) : NULL;
	char *tags[] = {tag, NULL}, *digests[] = {digest, NULL};
	struct image_row row = {.config = p->config_text.data,
		.manifest = p->manifest_text.data,
		.manifest_digest = p->image_digest,
		.media_type = (char *)p->manifest.media_type,
		.tags = tags,
		.digests = digests,
		.layers = layers,
		.n_layers = p->manifest.n_layers};

	if (!digest || (!tag && !p->ref.digest))
		return err_nomem(e);
	if (strlen(row.config) != p->config_text.len || strlen(row.manifest) != p->manifest_text.len)
		return err_set(e, EBADMSG, "the image's configuration has a NUL in it");
	int r = image_record(p->db, &row, e);
	return r < 0 ? r : 0;
}

/* Whether the reference leads to this image already. */
static int is_up_to_date(struct pull *p, struct err *e)
{
	struct image_row row = {0};
	_cleanup_free_ char *name = reference_name(&p->ref);
	int r = name ? images_by_name(p->db, name, &row, e) : err_nomem(e);

	if (r == 0)
		r = !strcmp(row.id, p->manifest.config.digest);
	image_row_done(&row);
	return r == -ENOENT ? 0 : r;
}

static int get_layers(struct pull *p, struct err *e)
{
	struct image_layer layers[LAYERS_MAX];
	size_t n_new;

	int r = layers_lock(p->db, &p->lock, e);
	if (r < 0)
		return r;
	if (progress_new(p->options->out, p->manifest.n_layers, &p->progress) < 0)
		return err_nomem(e);
	r = blobs_pull(p->db, p->registry, &p->manifest, &p->config, p->progress, layers, &n_new, e);
	if (r == 0)
		r = record(p, layers, e);
	return r < 0 ? r : 0;
}

/* What one tag brought is not the next one's. */
static void forget_image(struct pull *p)
{
	buf_done(&p->manifest_text);
	buf_done(&p->config_text);
	json_decref(p->config.doc);
	p->config.doc = NULL;
	progress_free(steal_ptr(p->progress));
	close_fd(&p->lock);
}

static int pull_one(struct pull *p, struct err *e)
{
	int r = get_manifest(p, e);

	if (r < 0)
		return r;
	progress_say(p->options->out, "%s: Pulling from %s\n", p->ref.digest ? p->ref.digest : p->ref.tag, p->ref.path);
	r = is_up_to_date(p, e);
	if (r < 0)
		return r;
	p->is_new = p->is_new || r == 0;
	r = get_config(p, e);
	if (r == 0)
		r = get_layers(p, e);
	if (r == 0)
		progress_say(p->options->out, "Digest: %s\n", p->digest);
	return r;
}

static int pull_all(struct pull *p, struct err *e)
{
	_cleanup_strv_ char **tags = NULL;
	int r = registry_tags(p->registry, &tags, e);

	if (r == 0 && !tags)
		return err_set(e, ENOENT, "the registry has no tag of it");
	strv_foreach(tag, tags) {
		free(p->ref.tag);
		p->ref.tag = strdup(tag);
		if (r == 0)
			r = p->ref.tag ? pull_one(p, e) : err_nomem(e);
		if (r < 0)
			return err_wrap(e, "%s", tag);
		forget_image(p);
	}
	return r;
}

/* docker's words for what a registry refuses or does not have. */
static int explain(const struct pull *p, const char *familiar, struct err *e)
{
	const char *host = !strcmp(p->ref.domain, "docker.io") ? "" : p->ref.domain;

	if (e->code == EACCES)
		return err_wrap(e,
			"pull access denied for %s, repository does not exist or may require 'caisson login%s%s'",
			familiar, *host ? " " : "", host);
	if (e->code == ENOENT && str_starts(e->msg, "name unknown"))
		return err_wrap(e, "repository %s not found", familiar);
	if (e->code == ENOENT && str_starts(e->msg, "manifest unknown"))
		return err_wrap(e, "manifest for %s not found", familiar);
	return err_wrap(e, "pull %s", familiar);
}

static int check_reference(struct pull *p, const char *ref, struct err *e)
{
	int r = reference_parse(ref, &p->ref, e);

	if (r == 0 && p->options->all_tags && !p->ref.tag_is_default)
		return err_set(e, EINVAL, "tag can't be used with --all-tags/-a");
	return r < 0 ? r : platform_parse(p->options->platform, &p->platform, e);
}

int image_pull(struct db *d, const char *ref, const struct pull_options *o, char ret_id[DIGEST_SIZE], char **ret_name,
	struct err *e)
{
	_cleanup_(pull_done) struct pull p = {.db = d, .options = o, .lock = -1};

	int r = check_reference(&p, ref, e);
	if (r < 0)
		return r;
	if (p.ref.tag_is_default && !o->all_tags)
		progress_say(p.options->out, "Using default tag: %s\n", p.ref.tag);
	_cleanup_free_ char *name = o->all_tags ? reference_repository(&p.ref) : reference_name(&p.ref);
	_cleanup_free_ char *familiar = name ? reference_familiar(name) : NULL;
	if (!familiar)
		return err_nomem(e);
	r = registry_open(&p.ref, o->http, REGISTRY_PULL, NULL, &p.registry, e);
	if (r == 0)
		r = o->all_tags ? pull_all(&p, e) : pull_one(&p, e);
	if (r < 0)
		return explain(&p, familiar, e);
	progress_say(p.options->out, "Status: %s for %s\n", p.is_new ? "Downloaded newer image" : "Image is up to date",
		familiar);
	memcpy(ret_id, p.manifest.config.digest, DIGEST_SIZE);
	*ret_name = steal_ptr(name);
	return 0;
}
