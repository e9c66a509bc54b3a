/* Images enter the database; their blobs are opened again. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "image/add.h"
#include "image/layers.h"
#include "image/manifest.h"
#include "store/db.h"

enum { BLOCK = 128 * 1024 };

static int check(struct image_row *row, struct err *e)
{
	_cleanup_free_ struct image_config *c = calloc(1, sizeof(*c));
	int r = c ? image_config_parse(row->config, strlen(row->config), row->n_layers, c, e) : err_nomem(e);

	if (r < 0)
		return r;
	json_decref(c->doc);
	row->created_ns = c->created_ns;
	for (size_t i = 0; i < row->n_layers; i++)
		if (strcmp(c->diff_ids[i], row->layers[i].diff_id) != 0)
			return err_set(e, EBADMSG, "image configuration: layer %zu is %s, not %s", i, c->diff_ids[i],
				row->layers[i].diff_id);
	return 0;
}

static int put(struct db *d, const struct image_row *row, struct err *e)
{
	for (size_t i = 0; i < row->n_layers; i++) {
		int r = layers_put(d, &row->layers[i], e);
		if (r < 0)
			return r;
	}
	return images_put(d, row, e);
}

int image_record(struct db *d, struct image_row *row, struct err *e)
{
	int r = check(row, e);

	if (r < 0)
		return r;
	if (digest_of(row->config, strlen(row->config), row->id) < 0)
		return err_set(e, EIO, "the digest could not be computed");
	row->size = 0;
	for (size_t i = 0; i < row->n_layers; i++)
		row->size += row->layers[i].size;
	row->tagged_ns = clock_real_ns();
	r = db_begin(d, e);
	return r < 0 ? r : db_end(d, put(d, row, e), e);
}

int layer_not_kept(const struct image_layer *l, struct err *e)
{
	return err_set(e, ENODATA, "layer %s: its archive is not here%s: pull or import the image again", l->diff_id,
		*l->blob ? "" : ", as an older version of caisson unpacked it");
}

static int open_blob(int blobs, const struct image_layer *l, int *ret_fd, struct err *e)
{
	struct stat st;

	if (!*l->blob)
		return layer_not_kept(l, e);
	_cleanup_close_ int fd = openat(blobs, l->blob + strlen("sha256:"), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return layer_not_kept(l, e);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "layer %s", l->diff_id);
	if (st.st_size != l->blob_size)
		return err_set(e, ENODATA,
			"layer %s: its archive has %lld bytes in place of %lld: pull or import the image again",
			l->diff_id, (long long)st.st_size, (long long)l->blob_size);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int layer_blob_open_unchecked(struct db *d, const struct image_layer *l, int *ret_fd, struct err *e)
{
	_cleanup_close_ int blobs = -1;
	int r = blobs_open(d, &blobs, e);

	return r < 0 ? r : open_blob(blobs, l, ret_fd, e);
}

int layer_blob_damaged(struct db *d, const struct image_layer *l, struct err *e)
{
	_cleanup_close_ int blobs = -1;
	int r = blobs_open(d, &blobs, e);

	if (r < 0)
		return r;
	unlinkat(blobs, l->blob + strlen("sha256:"), 0);
	return err_set(e, EBADMSG, "layer %s: its archive is damaged: pull or import the image again", l->diff_id);
}

static int digest_file(int fd, char ret[DIGEST_SIZE])
{
	_cleanup_free_ char *block = malloc(BLOCK);
	struct digest *digest = NULL;
	off_t at = 0;
	ssize_t n;

	if (!block || digest_new(&digest) < 0)
		return -ENOMEM;
	while ((n = pread(fd, block, BLOCK, at)) > 0 && digest_add(digest, block, (size_t)n) == 0)
		at += n;
	if (n != 0) {
		digest_free(digest);
		return n < 0 ? -errno : -EIO;
	}
	return digest_end(digest, ret);
}

int layer_blob_open(struct db *d, const struct image_layer *l, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char digest[DIGEST_SIZE];
	int r = layer_blob_open_unchecked(d, l, &fd, e);

	if (r < 0)
		return r;
	r = digest_file(fd, digest);
	if (r < 0)
		return err_errno(e, r, "layer %s", l->diff_id);
	if (strcmp(digest, l->blob) != 0)
		return layer_blob_damaged(d, l, e);
	*ret_fd = steal_fd(&fd);
	return 0;
}
