/*
 * Layers and images come into being and are read again: what pull, import, load, commit, save and push share. In libimagefetch, for the program
 * caisson-fetch.
 *
 *	layers_lock(d, &lock, e);                       held until the image is recorded
 *	layer_add(d, tar_fd, NULL, &layer, NULL, e);    ROOT/layers/DIR and ROOT/blobs/HEX are there
 *	image_record(d, &row, e);                       the image is, in one transaction
 *
 * Who is killed between the first and the last leaves files that the next layers_lock removes.
 */
#pragma once

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"
#include "store/images.h"

struct db;

/*
 * A layer of a tar stream (a pipe will do), plain or compressed as libarchive reads it. The stream is kept as it comes; one of bzip2 or xz, which no
 * media type stands for, is kept uncompressed. diff_id: what it must be, else -EBADMSG; NULL: anything. *ret_newest (may be NULL): the latest time
 * of an entry, in seconds. The layer is not in the database yet: image_record puts it there.
 */
int layer_add(
	struct db *d, int tar_fd, const char *diff_id, struct image_layer *ret, int64_t *ret_newest, struct err *e);

/*
 * The image and its layers, in one transaction. Given: config (its "rootfs.diff_ids" are the layers'), layers, n_layers, tags, digests, and manifest,
 * manifest_digest and media_type ("" if there is none). Filled in: id, size, created_ns, tagged_ns. 1: the image is new, 0: it was there.
 */
int image_record(struct db *d, struct image_row *row, struct err *e);

/*
 * The layer's stream, from its beginning; the caller closes. Its size is checked, and by layer_blob_open its digest too: what is damaged is removed, so that
 * a pull brings it again. -ENODATA, naming the remedy, if it is not here.
 */
int layer_blob_open(struct db *d, const struct image_layer *l, int *ret_fd, struct err *e);
int layer_blob_open_unchecked(struct db *d, const struct image_layer *l, int *ret_fd, struct err *e);
/* Errors that name the remedy: -ENODATA; -EBADMSG, and what is known to be damaged goes. */
int layer_not_kept(const struct image_layer *l, struct err *e);
int layer_blob_damaged(struct db *d, const struct image_layer *l, struct err *e);

/*
 * The manifest that describes the image by the blobs that are kept: the one that it came with, if that names just those (and is OCI's, with
 * MANIFEST_OCI), else one that is made, docker's for MANIFEST_ANY unless a layer is zstd's. The same image and blobs give the same text.
 */
enum manifest_kind { MANIFEST_ANY, MANIFEST_OCI };
struct image_manifest {
	struct buf text;
	char digest[DIGEST_SIZE];
	const char *media_type; /* a constant */
};
int image_manifest(const struct image_row *row, enum manifest_kind kind, struct image_manifest *ret, struct err *e);
void image_manifest_done(struct image_manifest *m);
#define _cleanup_image_manifest_ __attribute__((cleanup(image_manifest_done)))
