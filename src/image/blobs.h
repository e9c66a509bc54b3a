/* Layers come: their two places below ROOT, and the way there. The caller holds layers_lock. */
#pragma once

#include "image/manifest.h"
#include "image/progress.h"
#include "image/registry.h"
#include "image/unpack.h"
#include "store/images.h"

struct db;

/* Downloaded three at once, checked, unpacked two at once, put in place by rename.
 * ret[i] is filled for each of the manifest's layers, whether it was here or is new. *ret_new: how many are new. On failure nothing is left behind. */
int blobs_pull(struct db *d, struct registry *r, const struct manifest *m, const struct image_config *c,
	struct progress *p, struct image_layer *ret, size_t *ret_new, struct err *e);

/* place.c: a place for a layer that is being unpacked: a temporary directory in layers_fd, put in place by layer_place_keep. */
struct layer_place {
	int dir;       /* the layers' directory; borrowed */
	int fd;        /* of the temporary directory */
	char name[40]; /* "" when there is nothing to remove */
};
int layer_place_open(int layers_fd, struct layer_place *ret, struct err *e);
int layer_place_keep(struct layer_place *p, const char *diff_id, uint64_t size, struct image_layer *ret, struct err *e);
void layer_place_done(struct layer_place *p); /* removes the directory unless it was kept */

/* The same for a blob: a file in blobs_fd, to be written and read. */
struct blob_place {
	int dir; /* the blobs' directory; borrowed */
	int fd;
	char name[80];
};
int blob_place_open(int blobs_fd, struct blob_place *ret, struct err *e);
/* For a download: what an earlier one of this digest has left is in it, unless somebody else is at it. It is not checked. */
int blob_place_resume(int blobs_fd, const char *digest, struct blob_place *ret, struct err *e);
void blob_place_leave(struct blob_place *p); /* for the next blob_place_resume; layers_sweep removes it after a day */
/* A file that has another name, in another directory of the same file system; to be read. */
int blob_place_link(int blobs_fd, int from_dir, const char *from, struct blob_place *ret, struct err *e);
int blob_place_keep(struct blob_place *p, const char *digest, struct err *e);
void blob_place_done(struct blob_place *p);

/*
 * layer.c: a layer's stream in a file becomes a layer and a blob, side by side with others. Zero-initialised but for the descriptors: LAYER_JOB_INIT.
 */
struct layer_job {
	struct blob_place blob;  /* the stream as it came */
	struct blob_place plain; /* the stream that is kept in its stead: uncompressed */
	struct layer_place place;
	struct unpack_job unpack;
	char digest[DIGEST_SIZE], type[8];
};
#define LAYER_JOB_INIT ((struct layer_job){.blob.fd = -1, .plain.fd = -1, .place.fd = -1, .unpack.fd = -1})
/* j->blob has the whole stream, whose digest is known. */
int layer_job_start(struct layer_job *j, int layers_fd, int blobs_fd, const char *digest, struct err *e);
/* 1: goes on, *ret_used of the stream are done; 0: finished, both are in place. diff_id: NULL for anything. Waits for the next message. */
int layer_job_read(struct layer_job *j, const char *diff_id, uint64_t *ret_used, struct image_layer *ret,
	int64_t *ret_newest, struct err *e);
void layer_job_done(struct layer_job *j); /* ends it if it still runs; removes what was not kept */

/* Whether a layer is here with the blob that it needs. 1 with *ret filled, 0, or -errno. */
int layer_is_here(struct db *d, int blobs_fd, const char *diff_id, struct image_layer *ret, struct err *e);
