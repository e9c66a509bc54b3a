/*
 * Saving: images become one archive that is an OCI image layout and, by its manifest.json, docker's as well. Layers are in it as they are kept, each once;
 * the same images give the same bytes.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "image/add.h"
#include "image/fetch.h"
#include "image/image.h"
#include "image/layers.h"
#include "image/ref.h"
#include "store/db.h"

enum { BLOCK = 128 * 1024 };

struct item {
	struct image image;
	char **names; /* canonical; only those asked for */
	struct image_manifest manifest;
};

struct save {
	struct db *db;
	int lock;
	struct item *items;
	size_t n;
	struct archive *tar;
	char **written; /* digests */
};

static void save_done(struct save *s)
{
	for (size_t i = 0; i < s->n; i++) {
		image_done(&s->items[i].image);
		strv_free(s->items[i].names);
		image_manifest_done(&s->items[i].manifest);
	}
	free(s->items);
	strv_free(s->written);
	if (s->tar)
		archive_write_free(s->tar);
	close_fd(&s->lock);
}

/* ---- which images ---- */

/* The image's item, made if it was not asked for before. Takes the image. */
static struct item *item_of(struct save *s, struct image *image, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->items[i].image.id, image->id)) {
			image_done(image);
			return &s->items[i];
		}
	struct item *more = reallocarray(s->items, s->n + 1, sizeof(*more));
	if (!more) {
		image_done(image);
		err_nomem(e);
		return NULL;
	}
	s->items = more;
	s->items[s->n] = (struct item){.image = *image};
	*image = (struct image){0};
	return &s->items[s->n++];
}

static int add(struct save *s, const char *ref, const char *name, struct err *e)
{
	struct image image;
	int r = image_find(s->db, ref, &image, e);
	struct item *item = r < 0 ? NULL : item_of(s, &image, e);

	if (!item)
		return -e->code;
	return name && !strv_has(item->names, name) && strv_push(&item->names, name) < 0 ? err_nomem(e) : 0;
}

struct collect {
	const char *repository;
	char **names;
};

static int collect_names(void *data, const struct image_row *row, struct err *e)
{
	struct collect *c = data;
	size_t n = strlen(c->repository);

	strv_foreach(tag, row->tags) {
		if (!strncmp(tag, c->repository, n) && tag[n] == ':' && !strchr(tag + n, '/') &&
			strv_push(&c->names, tag) < 0)
			return err_nomem(e);
	}
	return 0;
}

/* As docker: a repository without a tag is all its tags; a digest or an id is the image without a name. */
static int add_ref(struct save *s, const char *ref, struct err *e)
{
	_cleanup_reference_ struct reference parsed = {0};
	struct err ignored = ERR_INIT;

	if (reference_parse(ref, &parsed, &ignored) < 0 || parsed.digest)
		return add(s, ref, NULL, e);
	_cleanup_free_ char *name = reference_name(&parsed), *repository = reference_repository(&parsed);
	if (!name || !repository)
		return err_nomem(e);
	if (!parsed.tag_is_default)
		return add(s, ref, name, e);
	struct collect c = {.repository = repository};
	int r = images_each(s->db, collect_names, &c, e);
	strv_foreach(tag, c.names) {
		if (r == 0)
			r = add(s, tag, tag, e);
	}
	if (r == 0 && !c.names)
		r = add(s, ref, NULL, e);
	strv_free(c.names);
	return r;
}

/* ---- the archive ---- */

static int tar_fail(const struct save *s, struct err *e)
{
	int code = archive_errno(s->tar);

	if (code > 0 && code < 4096)
		return err_errno(e, code, "write the archive");
	return err_set(e, EIO, "write the archive: %s", archive_error_string(s->tar));
}

static int add_header(struct save *s, const char *name, unsigned type, int64_t size, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();

	if (!entry)
		return err_nomem(e);
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_mtime(entry, 0, 0);
	archive_entry_set_size(entry, size);
	int r = archive_write_header(s->tar, entry);
	archive_entry_free(entry);
	return r == ARCHIVE_OK ? 0 : tar_fail(s, e);
}

static int add_text(struct save *s, const char *name, const char *text, size_t n, struct err *e)
{
	int r = add_header(s, name, AE_IFREG, (int64_t)n, e);

	if (r == 0 && archive_write_data(s->tar, text, n) != (la_ssize_t)n)
		r = tar_fail(s, e);
	return r;
}

static int add_json(struct save *s, const char *name, const json_t *doc, struct err *e)
{
	_cleanup_free_ char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	return text ? add_text(s, name, text, strlen(text), e) : err_nomem(e);
}

static char *blob_name(const char *digest)
{
	return str_fmt("blobs/sha256/%s", digest + strlen("sha256:"));
}

/* 1: it must be written, 0: it has been. */
static int is_new(struct save *s, const char *digest, struct err *e)
{
	if (strv_has(s->written, digest))
		return 0;
	return strv_push(&s->written, digest) < 0 ? err_nomem(e) : 1;
}

static int add_blob(struct save *s, const char *digest, const char *text, size_t n, struct err *e)
{
	_cleanup_free_ char *name = blob_name(digest);
	int r = name ? is_new(s, digest, e) : err_nomem(e);

	return r <= 0 ? r : add_text(s, name, text, n, e);
}

/* The content is what its name says, or the archive must not be used. */
static int copy_layer(struct save *s, const struct image_layer *l, int fd, struct err *e)
{
	_cleanup_free_ char *block = malloc(BLOCK);
	struct digest *digest = NULL;
	char seen[DIGEST_SIZE];
	ssize_t n;
	int r = block && digest_new(&digest) == 0 ? 0 : err_nomem(e);

	while (r == 0 && (n = fd_read_full(fd, block, BLOCK)) != 0) {
		if (n < 0)
			r = err_errno(e, (int)n, "layer %s", l->diff_id);
		else if (archive_write_data(s->tar, block, (size_t)n) != n)
			r = tar_fail(s, e);
		else if (digest_add(digest, block, (size_t)n) < 0)
			r = err_set(e, EIO, "the digest could not be computed");
	}
	if (r < 0) {
		digest_free(digest);
		return r;
	}
	if (digest_end(digest, seen) < 0)
		return err_set(e, EIO, "the digest could not be computed");
	return strcmp(seen, l->blob) != 0 ? layer_blob_damaged(s->db, l, e) : 0;
}

static int add_layer(struct save *s, const struct image_layer *l, struct err *e)
{
	_cleanup_free_ char *name = blob_name(l->blob);
	_cleanup_close_ int fd = -1;
	int r = name ? is_new(s, l->blob, e) : err_nomem(e);

	if (r <= 0)
		return r;
	r = layer_blob_open_unchecked(s->db, l, &fd, e);
	if (r == 0)
		r = add_header(s, name, AE_IFREG, l->blob_size, e);
	return r < 0 ? r : copy_layer(s, l, fd, e);
}

/* ---- what describes it ---- */

static json_t *index_entry(const struct item *i, const char *name)
{
	json_t *j = json_pack("{s:s, s:s, s:I}", "mediaType", i->manifest.media_type, "digest", i->manifest.digest,
		"size", (json_int_t)i->manifest.text.len);

	if (j && name)
		json_object_set_new(j, "annotations",
			json_pack("{s:s, s:s}", "io.containerd.image.name", name, "org.opencontainers.image.ref.name",
				name));
	return j;
}

/* One entry for each name. */
static json_t *make_index(const struct save *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++) {
		strv_foreach(name, s->items[i].names)
			json_array_append_new(list, index_entry(&s->items[i], name));
		if (!s->items[i].names)
			json_array_append_new(list, index_entry(&s->items[i], NULL));
	}
	return json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", "application/vnd.oci.image.index.v1+json",
		"manifests", list);
}

static json_t *docker_entry(const struct item *i)
{
	const struct image_row *row = &i->image.row;
	_cleanup_free_ char *config = blob_name(row->id);
	json_t *tags = i->names ? json_array() : json_null(), *layers = json_array();

	strv_foreach(name, i->names) {
		_cleanup_free_ char *familiar = reference_familiar(name);
		json_array_append_new(tags, json_string(familiar ? familiar : name));
	}
	for (size_t k = 0; k < row->n_layers; k++) {
		_cleanup_free_ char *name = blob_name(row->layers[k].blob);
		json_array_append_new(layers, json_string(name ? name : ""));
	}
	return json_pack("{s:s, s:o, s:o}", "Config", config ? config : "", "RepoTags", tags, "Layers", layers);
}

static json_t *make_docker(const struct save *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(list, docker_entry(&s->items[i]));
	return list;
}

/* First what is small and says where the rest is, for those who read a stream. */
static int write_description(struct save *s, struct err *e)
{
	_cleanup_json_ json_t *layout = json_pack("{s:s}", "imageLayoutVersion", "1.0.0"), *index = make_index(s),
			      *docker = make_docker(s);

	int r = add_json(s, "oci-layout", layout, e);
	if (r == 0)
		r = add_json(s, "index.json", index, e);
	if (r == 0)
		r = add_json(s, "manifest.json", docker, e);
	if (r == 0)
		r = add_header(s, "blobs/", AE_IFDIR, 0, e);
	return r < 0 ? r : add_header(s, "blobs/sha256/", AE_IFDIR, 0, e);
}

static int write_image(struct save *s, const struct item *i, struct err *e)
{
	const struct image_row *row = &i->image.row;

	int r = add_blob(s, i->manifest.digest, i->manifest.text.data, i->manifest.text.len, e);
	if (r == 0)
		r = add_blob(s, row->id, row->config, strlen(row->config), e);
	for (size_t k = 0; r == 0 && k < row->n_layers; k++)
		r = add_layer(s, &row->layers[k], e);
	return r;
}

static int write_all(struct save *s, int fd, struct err *e)
{
	s->tar = archive_write_new();
	if (!s->tar)
		return err_nomem(e);
	archive_write_set_format_pax_restricted(s->tar);
	archive_write_set_bytes_per_block(s->tar, BLOCK);
	archive_write_set_bytes_in_last_block(s->tar, 10240);
	if (archive_write_open_fd(s->tar, fd) != ARCHIVE_OK)
		return tar_fail(s, e);
	int r = write_description(s, e);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = write_image(s, &s->items[i], e);
	if (r < 0)
		archive_write_fail(s->tar); /* no end that makes it look whole */
	else if (archive_write_close(s->tar) != ARCHIVE_OK)
		r = tar_fail(s, e);
	return r;
}

int image_save(struct db *d, char *const *refs, int fd, struct err *e)
{
	_cleanup_(save_done) struct save s = {.db = d, .lock = -1};
	int r = layers_lock(d, &s.lock, e);

	strv_foreach(ref, refs) {
		if (r == 0)
			r = add_ref(&s, ref, e);
	}
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		r = image_manifest(&s.items[i].image.row, MANIFEST_OCI, &s.items[i].manifest, e);
		if (r < 0)
			err_wrap(e, "%s", s.items[i].names ? s.items[i].names[0] : s.items[i].image.id);
	}
	return r < 0 ? r : write_all(&s, fd, e);
}
