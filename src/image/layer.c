/* A layer's stream becomes a directory of ROOT/layers and a file of ROOT/blobs. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/add.h"
#include "image/blobs.h"
#include "image/layers.h"
#include "store/db.h"

enum { BLOCK = 128 * 1024 };

/* What the stream is compressed with, by its first bytes; false: with what no media type stands for. */
static bool has_type(int fd, char ret[8])
{
	static const struct {
		const char *magic, *type;
		bool known;
	} table[] = {{"\x1f\x8b", "gzip", true}, {"\x28\xb5\x2f\xfd", "zstd", true}, {"BZh", "", false},
		{"\3757zXZ", "", false}};
	char head[8] = {0};

	ret[0] = 0;
	if (pread(fd, head, sizeof(head), 0) < 0)
		return true; /* whoever unpacks it will say why */
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!memcmp(head, table[i].magic, strlen(table[i].magic))) {
			strcpy(ret, table[i].type);
			return table[i].known;
		}
	return true;
}

int layer_job_start(struct layer_job *j, int layers_fd, int blobs_fd, const char *digest, struct err *e)
{
	int r = 0;

	if (lseek(j->blob.fd, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "read the layer");
	memcpy(j->digest, digest, DIGEST_SIZE);
	if (!has_type(j->blob.fd, j->type))
		r = blob_place_open(blobs_fd, &j->plain, e);
	if (r == 0)
		r = layer_place_open(layers_fd, &j->place, e);
	return r < 0 ? r : unpack_job_start(j->blob.fd, j->place.fd, j->plain.fd, &j->unpack, e);
}

static int keep_blob(struct layer_job *j, const char *diff_id, struct image_layer *ret, struct err *e)
{
	bool plain = j->plain.fd >= 0;
	struct blob_place *kept = plain ? &j->plain : &j->blob;
	struct stat st;

	if (fstat(kept->fd, &st) < 0)
		return err_errno(e, errno, "read the layer");
	ret->blob_size = st.st_size;
	snprintf(ret->blob, sizeof(ret->blob), "%s", plain ? diff_id : j->digest);
	snprintf(ret->blob_type, sizeof(ret->blob_type), "%s", j->type);
	return blob_place_keep(kept, ret->blob, e);
}

int layer_job_read(struct layer_job *j, const char *diff_id, uint64_t *ret_used, struct image_layer *ret,
	int64_t *ret_newest, struct err *e)
{
	struct unpack_result result;
	struct image_layer layer;
	int r = unpack_job_read(&j->unpack, ret_used, &result, e);

	if (r != 0)
		return r;
	if (diff_id && strcmp(result.diff_id, diff_id) != 0)
		return err_set(e, EBADMSG, "digest does not match: the image says %s, the content is %s", diff_id,
			result.diff_id);
	r = layer_place_keep(&j->place, result.diff_id, result.size, &layer, e);
	if (r == 0)
		r = keep_blob(j, result.diff_id, &layer, e);
	if (r < 0)
		return r;
	layer_job_done(j);
	*ret = layer;
	*ret_newest = result.newest;
	return 0;
}

void layer_job_done(struct layer_job *j)
{
	unpack_job_done(&j->unpack);
	layer_place_done(&j->place);
	blob_place_done(&j->plain);
	blob_place_done(&j->blob);
}

int layer_is_here(struct db *d, int blobs_fd, const char *diff_id, struct image_layer *ret, struct err *e)
{
	struct image_layer l;
	struct stat st;
	int r = layers_find(d, diff_id, &l, e);

	if (r <= 0)
		return r;
	if (!*l.blob || fstatat(blobs_fd, l.blob + strlen("sha256:"), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		st.st_size != l.blob_size)
		return 0;
	*ret = l;
	return 1;
}

/* Into the blob's file, with the digest taken on the way. What the file system keeps for its administrator is not taken: a container's hole has any size. */
static int take_stream(int from, int to, char ret_digest[DIGEST_SIZE], struct err *e)
{
	_cleanup_free_ char *block = malloc(BLOCK);
	struct digest *digest = NULL;
	struct statvfs v;
	uint64_t left;
	ssize_t n = 0;

	if (fstatvfs(to, &v) < 0)
		return err_errno(e, errno, "the file system for images");
	left = (uint64_t)v.f_bavail * v.f_frsize;
	int r = block && digest_new(&digest) == 0 ? 0 : err_nomem(e);
	while (r == 0 && (n = fd_read_full(from, block, BLOCK)) > 0) {
		r = (uint64_t)n > left ? -ENOSPC : fd_write_all(to, block, (size_t)n);
		left -= (uint64_t)n;
		if (r < 0)
			err_errno(e, r, "write the layer");
		else if (digest_add(digest, block, (size_t)n) < 0)
			r = err_set(e, EIO, "the digest could not be computed");
	}
	if (n < 0)
		r = err_errno(e, (int)n, "read the archive");
	if (r < 0)
		digest_free(digest);
	else if (digest_end(digest, ret_digest) < 0)
		r = err_set(e, EIO, "the digest could not be computed");
	return r;
}

static int add(struct layer_job *j, int layers, int blobs, int tar_fd, const char *diff_id, struct image_layer *ret,
	int64_t *ret_newest, struct err *e)
{
	char digest[DIGEST_SIZE];
	uint64_t used;
	int r = blob_place_open(blobs, &j->blob, e);

	if (r == 0)
		r = take_stream(tar_fd, j->blob.fd, digest, e);
	if (r == 0)
		r = layer_job_start(j, layers, blobs, digest, e);
	while (r == 0 && (r = layer_job_read(j, diff_id, &used, ret, ret_newest, e)) > 0)
		r = 0;
	return r;
}

int layer_add(
	struct db *d, int tar_fd, const char *diff_id, struct image_layer *ret, int64_t *ret_newest, struct err *e)
{
	_cleanup_close_ int layers = -1, blobs = -1;
	_cleanup_(layer_job_done) struct layer_job job = LAYER_JOB_INIT; /* before the directories are closed */
	int64_t newest;

	int r = layers_open(d, &layers, e);
	if (r == 0)
		r = blobs_open(d, &blobs, e);
	return r < 0 ? r : add(&job, layers, blobs, tar_fd, diff_id, ret, ret_newest ? ret_newest : &newest, e);
}
