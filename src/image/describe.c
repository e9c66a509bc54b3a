/* The manifest of an image, as its blobs are kept. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "image/add.h"
#include "image/manifest.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

void image_manifest_done(struct image_manifest *m)
{
	buf_done(&m->text);
}

/* Whether the manifest that the image came with names just the blobs that are kept. */
static bool is_true(const struct image_row *row, enum manifest_kind kind)
{
	_cleanup_free_ struct manifest *m = calloc(1, sizeof(*m));
	struct platform any = {0};
	struct descriptor child;
	struct err ignored = ERR_INIT;

	if (!m || !*row->manifest || (kind == MANIFEST_OCI && !str_starts(row->media_type, OCI)) ||
		manifest_parse(row->manifest, strlen(row->manifest), row->media_type, &any, m, &child, &ignored) != 0)
		return false;
	bool same = m->n_layers == row->n_layers && !strcmp(m->config.digest, row->id);
	for (size_t i = 0; same && i < m->n_layers; i++)
		same = !strcmp(m->layers[i].digest, row->layers[i].blob) &&
			m->layers[i].size == row->layers[i].blob_size;
	return same;
}

static json_t *layer_descriptor(const struct image_layer *l, bool oci)
{
	_cleanup_free_ char *type = str_fmt("%s%s%s", oci ? OCI "layer.v1.tar" : DOCKER "image.rootfs.diff.tar",
		!*l->blob_type ? ""
			: oci  ? "+"
			       : ".",
		l->blob_type);

	return type
		? json_pack("{s:s, s:I, s:s}", "mediaType", type, "size", (json_int_t)l->blob_size, "digest", l->blob)
		: NULL;
}

static json_t *make(const struct image_row *row, bool oci, struct err *e)
{
	_cleanup_json_ json_t *layers = json_array();

	for (size_t i = 0; i < row->n_layers; i++) {
		const struct image_layer *l = &row->layers[i];
		if (!*l->blob) {
			layer_not_kept(l, e);
			return NULL;
		}
		if (json_array_append_new(layers, layer_descriptor(l, oci)) < 0) {
			err_nomem(e);
			return NULL;
		}
	}
	json_t *doc = json_pack("{s:i, s:s, s:{s:s, s:I, s:s}, s:O}", "schemaVersion", 2, "mediaType",
		oci ? OCI "manifest.v1+json" : DOCKER "distribution.manifest.v2+json", "config", "mediaType",
		oci ? OCI "config.v1+json" : DOCKER "container.image.v1+json", "size", (json_int_t)strlen(row->config),
		"digest", row->id, "layers", layers);
	if (!doc)
		err_nomem(e);
	return doc;
}

static bool has_zstd(const struct image_row *row)
{
	for (size_t i = 0; i < row->n_layers; i++)
		if (!strcmp(row->layers[i].blob_type, "zstd"))
			return true;
	return false;
}

static const char *constant_type(const char *type)
{
	for (size_t i = 0; manifest_media_types[i]; i++)
		if (!strcmp(type, manifest_media_types[i]))
			return manifest_media_types[i];
	return NULL;
}

int image_manifest(const struct image_row *row, enum manifest_kind kind, struct image_manifest *ret, struct err *e)
{
	_cleanup_image_manifest_ struct image_manifest m = {0};

	if (is_true(row, kind)) {
		m.media_type = constant_type(row->media_type);
		if (buf_adds(&m.text, row->manifest) < 0)
			return err_nomem(e);
	} else {
		_cleanup_json_ json_t *doc = make(row, kind == MANIFEST_OCI || has_zstd(row), e);
		_cleanup_free_ char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
		if (!doc)
			return -e->code;
		if (!text || buf_adds(&m.text, text) < 0)
			return err_nomem(e);
		m.media_type = constant_type(json_str(doc, "mediaType"));
	}
	if (digest_of(m.text.data, m.text.len, m.digest) < 0)
		return err_set(e, EIO, "the digest could not be computed");
	*ret = m;
	m = (struct image_manifest){0};
	return 0;
}
