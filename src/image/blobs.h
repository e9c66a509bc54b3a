/* Layers come: downloaded three at once, checked, unpacked two at once, put in place by rename. The caller holds layers_lock. */
#pragma once

#include "image/manifest.h"
#include "image/progress.h"
#include "image/registry.h"
#include "store/images.h"

struct db;

/* ret[i] is filled for each of the manifest's layers, whether it was here or is new. *ret_new: how many are new. On failure nothing is left behind. */
int blobs_pull(struct db *d, struct registry *r, const struct manifest *m, const struct image_config *c,
	struct progress *p, struct image_layer *ret, size_t *ret_new, struct err *e);

/* A place for a layer that is being unpacked: a temporary directory in layers_fd, put in place by layer_place_keep. */
struct layer_place {
	int dir;       /* the layers' directory; borrowed */
	int fd;        /* of the temporary directory */
	char name[40]; /* "" when there is nothing to remove */
};
int layer_place_open(int layers_fd, struct layer_place *ret, struct err *e);
int layer_place_keep(struct layer_place *p, const char *diff_id, uint64_t size, struct image_layer *ret, struct err *e);
void layer_place_done(struct layer_place *p); /* removes the directory unless it was kept */

/* A file without a name in layers_fd. */
int layers_tmpfile(int layers_fd, struct err *e);
