/*
 * Images in the database: their configuration and manifest as the registry sent them, the names that lead to them, and the layers they are made of.
 * A layer's files are in ROOT/layers/DIR, the stream that they were unpacked from in ROOT/blobs/HEX (image/layers.h). Names are canonical
 * ("docker.io/library/busybox:latest", image/ref.h makes them).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct db;

enum { LAYER_DIR_LEN = 32 }; /* a layer's directory is named by the first digits of its diff id */

struct image_layer {
	char diff_id[72];
	char dir[LAYER_DIR_LEN + 1];
	int64_t size;      /* of its files */
	char blob[72];     /* digest of the stream that is kept; "": a version that kept none has unpacked it */
	char blob_type[8]; /* how it is compressed: "gzip", "zstd", "" */
	int64_t blob_size;
};

struct image_row {
	char id[72];                /* digest of the configuration */
	char *config;               /* JSON text */
	char *manifest;             /* JSON text; "" for an imported image */
	char *manifest_digest;      /* "" likewise */
	char *media_type;           /* of the manifest */
	int64_t created_ns;         /* as the configuration says */
	int64_t tagged_ns;          /* when it was pulled or tagged last */
	int64_t size;               /* of all layers, unpacked */
	char **tags;                /* canonical names with a tag */
	char **digests;             /* canonical names with a digest */
	struct image_layer *layers; /* lowest first */
	size_t n_layers;
};
void image_row_done(struct image_row *r);

extern const char images_schema[], images_blobs_schema[];

/* By canonical name. -ENOENT leaves *e unset: the caller knows what the user wrote. */
int images_by_name(struct db *d, const char *name, struct image_row *ret, struct err *e);
/* By full id ("sha256:" and 64 digits) or a unique prefix of its digits. -ENOENT as above; -ENOTUNIQ. */
int images_by_id(struct db *d, const char *id, struct image_row *ret, struct err *e);
/* Newest first; fn returns 0 to go on. */
int images_each(
	struct db *d, int (*fn)(void *data, const struct image_row *r, struct err *e), void *data, struct err *e);

/* Inserts the image unless it is there, with its layers (one without a manifest takes that), and makes its tags and digests lead to it (a tag moves).
 * 1: the image is new, 0: it existed. */
int images_put(struct db *d, const struct image_row *r, struct err *e);
/* Makes a canonical name with a tag lead to the image. */
int images_tag(struct db *d, const char *id, const char *name, struct err *e);
int images_untag(struct db *d, const char *name, struct err *e); /* 1: it was there, 0: not */
int images_delete(struct db *d, const char *id, struct err *e); /* with its names; its layers stay until layers_sweep */

/* A layer that is unpacked in its directory. A layer has one blob: one given replaces what is known. */
int layers_put(struct db *d, const struct image_layer *l, struct err *e);
int layers_find(struct db *d, const char *diff_id, struct image_layer *ret, struct err *e); /* 1, 0: not there */
/* Forgets the layers that no image uses. */
int layers_forget_unused(struct db *d, struct err *e);
/* The directories of all known layers, and the names of the blobs' files. */
int layers_dirs(struct db *d, char ***ret, struct err *e);
int layers_blobs(struct db *d, char ***ret, struct err *e);
/* The bytes of all blobs; those of the files and blobs of layers that only this image has. */
int layers_blobs_size(struct db *d, int64_t *ret, struct err *e);
int layers_own_size(struct db *d, const char *image, int64_t *ret, struct err *e);
