/*
 * What images an archive has. docker's manifest.json counts if there is one, as names are complete there; an archive that is an OCI layout as well gives the
 * manifests that its index has for the same configurations.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/json.h"
#include "image/load.h"
#include "image/ref.h"

#define NAME_ANNOTATION "io.containerd.image.name"
#define REF_ANNOTATION  "org.opencontainers.image.ref.name"

struct listing {
	const struct members *members;
	int dir;
	struct platform platform;
	struct load_images *images;
};

void load_images_done(struct load_images *a)
{
	for (size_t i = 0; i < a->n; i++)
		strv_free(a->list[i].names);
	free(a->list);
	*a = (struct load_images){0};
}

static struct load_image *add_image(struct listing *l, struct err *e)
{
	struct load_images *a = l->images;

	if (a->n == IMAGES_MAX) {
		err_set(e, E2BIG, "the archive has more than %d images", IMAGES_MAX);
		return NULL;
	}
	struct load_image *more = reallocarray(a->list, a->n + 1, sizeof(*more));
	if (!more) {
		err_nomem(e);
		return NULL;
	}
	a->list = more;
	a->list[a->n] = (struct load_image){0};
	return &a->list[a->n++];
}

int load_text(int dir_fd, const struct member *m, size_t max, struct buf *ret, struct err *e)
{
	char name[16];

	if (m->size > max)
		return err_set(e, EFBIG, "%s has %llu bytes, more than %zu", m->name, (unsigned long long)m->size, max);
	snprintf(name, sizeof(name), "%u", m->number);
	int r = file_read(dir_fd, name, max, ret);
	if (r < 0)
		return err_errno(e, r, "%s", m->name);
	return ret->len && strlen(ret->data) == ret->len ? 0 : err_set(e, EBADMSG, "%s is no text", m->name);
}

static json_t *read_json(const struct listing *l, const char *name, struct err *e)
{
	_cleanup_buf_ struct buf text = {0};
	const struct member *m;

	if (members_find(l->members, name, &m, e) < 0 || load_text(l->dir, m, MANIFEST_MAX, &text, e) < 0)
		return NULL;
	return json_parse(text.data, text.len, name, e);
}

/* ---- docker's manifest.json ---- */

static int add_tag(struct load_image *i, const json_t *tag, struct err *e)
{
	_cleanup_reference_ struct reference ref = {0};
	const char *s = json_string_value(tag);

	if (!s || reference_parse(s, &ref, e) < 0 || ref.digest || ref.tag_is_default)
		return err_set(e, EBADMSG, "manifest.json: invalid tag '%.100s'", s ? s : "");
	_cleanup_free_ char *name = reference_name(&ref);
	return name && strv_push(&i->names, name) == 0 ? 0 : err_nomem(e);
}

static int find_named(
	const struct listing *l, const json_t *name, const char *what, const struct member **ret, struct err *e)
{
	const char *s = json_string_value(name);

	if (str_empty(s))
		return err_set(e, EBADMSG, "manifest.json: an image without %s", what);
	int r = members_find(l->members, s, ret, e);
	return r < 0 ? err_wrap(e, "manifest.json: %s", what) : 0;
}

static int docker_image(struct listing *l, const json_t *j, struct err *e)
{
	const json_t *layers = json_object_get(j, "Layers"), *tags = json_object_get(j, "RepoTags");
	struct load_image *i = add_image(l, e);
	size_t k;
	json_t *x;

	int r = i ? find_named(l, json_object_get(j, "Config"), "Config", &i->config, e) : -e->code;
	if (r == 0 && json_array_size(layers) > LAYERS_MAX)
		r = err_set(e, EFBIG, "manifest.json: %zu layers, more than %d", json_array_size(layers), LAYERS_MAX);
	json_array_foreach(layers, k, x) {
		if (r == 0)
			r = find_named(l, x, "Layers", &i->layers[i->n_layers++], e);
	}
	json_array_foreach(tags, k, x) {
		if (r == 0)
			r = add_tag(i, x, e);
	}
	return r;
}

static int docker_list(struct listing *l, struct err *e)
{
	_cleanup_json_ json_t *doc = read_json(l, "manifest.json", e);
	size_t k;
	json_t *x;

	if (!doc)
		return -e->code;
	if (!json_array_size(doc))
		return err_set(e, EBADMSG, "manifest.json has no images");
	json_array_foreach(doc, k, x) {
		int r = docker_image(l, x, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- OCI image layout (image-spec, image-layout.md) ---- */

static int find_blob(const struct listing *l, const struct descriptor *d, const struct member **ret, struct err *e)
{
	char name[128];

	snprintf(name, sizeof(name), "blobs/sha256/%s", d->digest + strlen("sha256:"));
	int r = members_find(l->members, name, ret, e);
	if (r < 0)
		return r;
	if (strcmp((*ret)->digest, d->digest) != 0)
		return err_set(e, EBADMSG, "%s: digest does not match: the content is %s", name, (*ret)->digest);
	if ((*ret)->size != (uint64_t)d->size)
		return err_set(e, EBADMSG, "%s: size does not match: expected %lld bytes, got %llu", name,
			(long long)d->size, (unsigned long long)(*ret)->size);
	return 0;
}

/* The manifest that a descriptor leads to, through an index to that of this machine. */
static int find_manifest(const struct listing *l, struct descriptor what, const struct member **ret_member,
	struct manifest *ret, struct err *e)
{
	for (int depth = 0; depth < 2; depth++) {
		_cleanup_buf_ struct buf text = {0};
		int r = find_blob(l, &what, ret_member, e);
		if (r == 0)
			r = load_text(l->dir, *ret_member, MANIFEST_MAX, &text, e);
		if (r == 0)
			r = manifest_parse(text.data, text.len, "", &l->platform, ret, &what, e);
		if (r <= 0)
			return r;
	}
	return err_set(e, EBADMSG, "manifest: an index within an index");
}

static int add_annotation(struct load_image *i, const json_t *descriptor, struct err *e)
{
	const json_t *annotations = json_object_get(descriptor, "annotations");
	const char *s = json_str(annotations, NAME_ANNOTATION);
	_cleanup_reference_ struct reference ref = {0};
	struct err ignored = ERR_INIT;

	if (!s)
		s = json_str(annotations, REF_ANNOTATION);
	if (!s || reference_parse(s, &ref, &ignored) < 0 || ref.digest)
		return 0; /* any text may stand there */
	_cleanup_free_ char *name = reference_name(&ref);
	return name && strv_push(&i->names, name) == 0 ? 0 : err_nomem(e);
}

static int oci_image(struct listing *l, const json_t *j, struct err *e)
{
	_cleanup_free_ struct manifest *m = calloc(1, sizeof(*m));
	struct load_image *i = add_image(l, e);
	struct descriptor what;

	int r = !i ? -e->code : m ? descriptor_parse(j, "index.json", NULL, &what, e) : err_nomem(e);
	if (r == 0)
		r = find_manifest(l, what, &i->manifest, m, e);
	if (r == 0)
		r = find_blob(l, &m->config, &i->config, e);
	for (size_t k = 0; r == 0 && k < m->n_layers; k++)
		r = find_blob(l, &m->layers[k], &i->layers[i->n_layers++], e);
	if (r == 0) {
		i->media_type = m->media_type;
		r = add_annotation(i, j, e);
	}
	return r;
}

/* Not an image: what build tools put beside one. */
static bool is_attestation(const json_t *j)
{
	const char *os = json_str(json_object_get(j, "platform"), "os");

	return os && !strcmp(os, "unknown");
}

static int oci_list(struct listing *l, struct err *e)
{
	_cleanup_json_ json_t *layout = read_json(l, "oci-layout", e);
	_cleanup_json_ json_t *doc = layout ? read_json(l, "index.json", e) : NULL;
	size_t k;
	json_t *x;

	if (!doc)
		return -e->code;
	const char *version = json_str(layout, "imageLayoutVersion");
	if (!version || !str_starts(version, "1."))
		return err_set(e, ENOTSUP, "oci-layout: version '%.40s' of the image layout is not supported",
			version ? version : "");
	json_array_foreach(json_object_get(doc, "manifests"), k, x) {
		int r = is_attestation(x) ? 0 : oci_image(l, x, e);
		if (r < 0)
			return r;
	}
	return l->images->n ? 0 : err_set(e, EBADMSG, "index.json has no images");
}

/* ---- both ---- */

static bool has(const struct members *m, const char *name)
{
	const struct member *ignored;
	struct err e = ERR_INIT;

	return members_find(m, name, &ignored, &e) == 0;
}

static bool same_content(const struct load_image *a, const struct load_image *b)
{
	bool same = a->n_layers == b->n_layers && !strcmp(a->config->digest, b->config->digest);

	for (size_t i = 0; same && i < a->n_layers; i++)
		same = !strcmp(a->layers[i]->digest, b->layers[i]->digest);
	return same;
}

/* An index that is wrong does no harm to what docker reads. */
static void add_manifests(struct listing *l)
{
	struct load_images *docker = l->images, oci = {0};
	struct err ignored = ERR_INIT;

	l->images = &oci;
	if (oci_list(l, &ignored) == 0)
		for (size_t i = 0; i < docker->n; i++)
			for (size_t k = 0; k < oci.n; k++) {
				struct load_image *a = &docker->list[i], *b = &oci.list[k];
				if (a->manifest || !same_content(a, b))
					continue;
				a->manifest = b->manifest;
				a->media_type = b->media_type;
			}
	load_images_done(&oci);
	l->images = docker;
}

int load_list(const struct members *m, int dir_fd, struct load_images *ret, struct err *e)
{
	struct load_images images = {0};
	struct listing l = {.members = m, .dir = dir_fd, .images = &images};
	int r = platform_parse(NULL, &l.platform, e);

	if (r < 0)
		return r;
	if (has(m, "manifest.json")) {
		r = docker_list(&l, e);
		if (r == 0 && has(m, "index.json"))
			add_manifests(&l);
	} else if (has(m, "index.json")) {
		r = oci_list(&l, e);
	} else {
		r = err_set(e, EBADMSG, "not an archive of images: there is neither manifest.json nor index.json");
	}
	if (r < 0)
		load_images_done(&images);
	else
		*ret = images;
	return r;
}
