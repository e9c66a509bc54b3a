/* Pushing: an image's blobs, as they are kept, then its manifest under each tag. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "image/add.h"
#include "image/fetch.h"
#include "image/image.h"
#include "image/progress.h"
#include "image/ref.h"
#include "image/registry.h"

struct push {
	struct db *db;
	const struct push_options *options;
	struct reference ref;
	char *repository; /* canonical */
	struct registry *registry;
	struct image image; /* of the tag that is on its way */
	struct image_manifest manifest;
	struct progress *progress;
	char *mount_from; /* another repository of the registry that has some of the layers, or NULL */
	char mounted[300];
};

static void forget_image(struct push *p)
{
	image_done(&p->image);
	image_manifest_done(&p->manifest);
	progress_free(steal_ptr(p->progress));
}

static void push_done(struct push *p)
{
	forget_image(p);
	registry_free(p->registry);
	reference_done(&p->ref);
	free(p->repository);
	free(p->mount_from);
}

/* ---- which images ---- */

struct tag_list {
	const struct push *p;
	char **tags;
};

static int add_tag(void *data, const struct image_row *r, struct err *e)
{
	struct tag_list *list = data;
	size_t n = strlen(list->p->repository);

	strv_foreach(name, r->tags)
		if (!strncmp(name, list->p->repository, n) && name[n] == ':' &&
			strv_push(&list->tags, name + n + 1) < 0)
			return err_nomem(e);
	return 0;
}

/* The tags to push: that of the reference, or all that the repository has here. */
static int find_tags(struct push *p, char ***ret, struct err *e)
{
	struct tag_list list = {.p = p};
	int r = images_each(p->db, add_tag, &list, e);
	_cleanup_strv_ char **tags = list.tags;

	if (r < 0)
		return r;
	if (p->options->all_tags && tags) {
		*ret = steal_ptr(tags);
		return 0;
	}
	_cleanup_free_ char *familiar = reference_familiar(p->repository);
	if (p->options->all_tags || !strv_has(tags, p->ref.tag))
		return err_set(e, ENOENT, "An image does not exist locally with the tag: %s",
			familiar ? familiar : p->repository);
	return strv_push(ret, p->ref.tag) < 0 ? err_nomem(e) : 0;
}

/* ---- layers ---- */

struct source {
	const struct push *p;
	const struct image_row *row;
	char *path;
};

static bool shares_layer(const struct image_row *a, const struct image_row *b)
{
	for (size_t i = 0; i < a->n_layers; i++)
		for (size_t k = 0; k < b->n_layers; k++)
			if (*a->layers[i].blob && !strcmp(a->layers[i].blob, b->layers[k].blob))
				return true;
	return false;
}

/* A repository of the same registry that an image with some of these layers came from. */
static int look_for_source(void *data, const struct image_row *r, struct err *e)
{
	struct source *s = data;

	strv_foreach(name, s->path || !shares_layer(s->row, r) ? NULL : r->digests) {
		_cleanup_reference_ struct reference ref = {0};
		if (s->path || reference_parse(name, &ref, e) < 0 || strcmp(ref.domain, s->p->ref.domain) != 0 ||
			!strcmp(ref.path, s->p->ref.path))
			continue;
		s->path = steal_ptr(ref.path);
	}
	*e = ERR_INIT;
	return 0;
}

struct sending {
	struct push *push;
	size_t line;
	uint64_t size;
};

static void on_sent(void *data, uint64_t bytes)
{
	struct sending *s = data;

	progress_set(s->push->progress, s->line, "Pushing", bytes, s->size);
}

static int send_layer(struct push *p, const struct image_layer *l, size_t line, struct err *e)
{
	struct descriptor d = {.size = l->blob_size};
	struct sending sending = {.push = p, .line = line, .size = (uint64_t)l->blob_size};
	_cleanup_close_ int fd = -1;

	memcpy(d.digest, l->blob, DIGEST_SIZE);
	int r = registry_has_blob(p->registry, l->blob, e);
	if (r > 0)
		progress_set(p->progress, line, "Layer already exists", 0, 0);
	if (r == 0 && p->mount_from) {
		r = registry_mount(p->registry, l->blob, p->mount_from, e);
		if (r > 0)
			progress_set(p->progress, line, p->mounted, 0, 0);
	}
	if (r != 0)
		return r < 0 ? r : 0;
	r = layer_blob_open(p->db, l, &fd, e);
	if (r == 0)
		r = registry_upload(p->registry, &d, fd, on_sent, &sending, e);
	if (r == 0)
		progress_set(p->progress, line, "Pushed", 0, 0);
	return r;
}

static int send_layers(struct push *p, struct err *e)
{
	const struct image_row *row = &p->image.row;
	size_t n = row->n_layers;

	if (progress_new(p->options->out, n, &p->progress) < 0)
		return err_nomem(e);
	for (size_t i = n; i-- > 0;) {
		progress_id(p->progress, n - 1 - i, row->layers[i].diff_id);
		progress_set(p->progress, n - 1 - i, "Preparing", 0, 0);
	}
	for (size_t i = n; i-- > 0;) {
		int r = send_layer(p, &row->layers[i], n - 1 - i, e);
		if (r < 0)
			return err_wrap(e, "layer %s", row->layers[i].diff_id);
	}
	return 0;
}

/* ---- the rest ---- */

static int text_file(const char *text)
{
	_cleanup_close_ int fd = memfd_create("config", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	return r < 0 ? r : steal_fd(&fd);
}

static int send_config(struct push *p, struct err *e)
{
	const char *text = p->image.row.config;
	struct descriptor d = {.size = (int64_t)strlen(text)};

	memcpy(d.digest, p->image.id, DIGEST_SIZE);
	int r = registry_has_blob(p->registry, p->image.id, e);
	if (r != 0)
		return r < 0 ? r : 0;
	_cleanup_close_ int fd = text_file(text);
	return fd < 0 ? err_errno(e, fd, "the image's configuration")
		      : registry_upload(p->registry, &d, fd, NULL, NULL, e);
}

/* The image has this digest in this repository now. */
static int note_digest(struct push *p, struct err *e)
{
	_cleanup_free_ char *name = str_fmt("%s@%s", p->repository, p->manifest.digest);
	char *digests[] = {name, NULL};
	struct image_row row = p->image.row;

	row.tags = NULL;
	row.digests = digests;
	int r = name ? images_put(p->db, &row, e) : err_nomem(e);
	return r < 0 ? r : 0;
}

static int open_registry(struct push *p, struct err *e)
{
	struct source s = {.p = p, .row = &p->image.row};
	int r = images_each(p->db, look_for_source, &s, e);

	if (r < 0)
		return r;
	p->mount_from = s.path;
	if (s.path)
		snprintf(p->mounted, sizeof(p->mounted), "Mounted from %.280s", s.path);
	return registry_open(&p->ref, p->options->http, REGISTRY_PUSH, s.path, &p->registry, e);
}

static int push_tag(struct push *p, const char *tag, struct err *e)
{
	_cleanup_free_ char *name = str_fmt("%s:%s", p->repository, tag);
	int r = name ? image_find(p->db, name, &p->image, e) : err_nomem(e);

	if (r == 0)
		r = image_manifest(&p->image.row, MANIFEST_ANY, &p->manifest, e);
	if (r == 0 && !p->registry)
		r = open_registry(p, e);
	if (r == 0)
		r = send_layers(p, e);
	if (r == 0)
		r = send_config(p, e);
	if (r == 0)
		r = registry_put_manifest(
			p->registry, tag, p->manifest.text.data, p->manifest.text.len, p->manifest.media_type, e);
	if (r == 0)
		r = note_digest(p, e);
	if (r == 0)
		progress_say(
			p->options->out, "%s: digest: %s size: %zu\n", tag, p->manifest.digest, p->manifest.text.len);
	forget_image(p);
	return r;
}

static int check_reference(struct push *p, const char *ref, struct err *e)
{
	int r = reference_parse(ref, &p->ref, e);

	if (r < 0)
		return r;
	if (p->options->all_tags && !p->ref.tag_is_default)
		return err_set(e, EINVAL, "tag can't be used with --all-tags/-a");
	if (p->ref.digest)
		return err_set(e, EINVAL, "cannot push a digest reference");
	p->repository = reference_repository(&p->ref);
	return p->repository ? 0 : err_nomem(e);
}

int image_push(struct db *d, const char *ref, const struct push_options *o, char **ret_name, struct err *e)
{
	_cleanup_(push_done) struct push p = {.db = d, .options = o};
	_cleanup_strv_ char **tags = NULL;
	int r = check_reference(&p, ref, e);

	if (r == 0)
		r = find_tags(&p, &tags, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *familiar = reference_familiar(p.repository);
	if (p.ref.tag_is_default && !o->all_tags)
		progress_say(p.options->out, "Using default tag: %s\n", p.ref.tag);
	progress_say(p.options->out, "The push refers to repository [%s]\n", p.repository);
	strv_foreach(tag, tags) {
		r = push_tag(&p, tag, e);
		if (r == -EACCES)
			return err_wrap(e, "push access denied for %s, which may require 'caisson login%s%s'", familiar,
				!strcmp(p.ref.domain, "docker.io") ? "" : " ",
				!strcmp(p.ref.domain, "docker.io") ? "" : p.ref.domain);
		if (r < 0)
			return err_wrap(e, "push %s:%s", familiar, tag);
	}
	*ret_name = o->all_tags ? steal_ptr(p.repository) : reference_name(&p.ref);
	return *ret_name ? 0 : err_nomem(e);
}
