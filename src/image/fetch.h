/* What the program caisson-fetch does: pull, import, load, save, and EROFS files. */
#pragma once

#include <stdbool.h>
#include <jansson.h>
#include <stdio.h>

#include "base/digest.h"
#include "base/err.h"

struct db;
struct image;

struct http_options;
struct pull_options {
	const struct http_options *http;
	const char *platform; /* NULL: this machine's */
	bool all_tags;        /* of the repository that the reference names without a tag */
	FILE *out;            /* docker's lines; NULL: none */
};
/* *ret_name (the caller frees): the canonical name; with all_tags the repository's. ret_id: the image's id, of the last tag. */
int image_pull(struct db *d, const char *ref, const struct pull_options *o, char ret_id[DIGEST_SIZE], char **ret_name,
	struct err *e);

struct push_options {
	const struct http_options *http;
	bool all_tags; /* of the repository that the reference names without a tag */
	FILE *out;     /* docker's lines; NULL: none */
};
/* *ret_name as for image_pull. The image has the digest that it got there among its names then. */
int image_push(struct db *d, const char *ref, const struct push_options *o, char **ret_name, struct err *e);

/* A root file system's tar, compressed or not, becomes an image of one layer. changes: Dockerfile instructions; ref: NULL for none; platform:
 * NULL for this machine's. */
int image_import(struct db *d, int tar_fd, const char *ref, const char *platform, char *const *changes,
	const char *message, char ret_id[DIGEST_SIZE], struct err *e);
/* What a container changed, on its image. author, message, ref: NULL for none. */
struct commit_options {
	const char *parent; /* the image's id */
	int layer_fd;       /* an archive, with the whiteouts of layers */
	int container_fd;   /* then {"config": ..., "created_by": ...}; nothing if the archive broke off */
	const char *author, *message, *ref;
	char *const *changes;
};
int image_commit(struct db *d, const struct commit_options *o, char ret_id[DIGEST_SIZE], struct err *e);
/* import-change.c: one `--change` applied to {"Cmd": ...}. */
int import_change(json_t *config, const char *change, struct err *e);

/*
 * An archive's images (docker's archives, OCI layouts; plain or compressed) become ours. out: docker's lines; progress: the layers' (NULL: none).
 * What was loaded before an image that is wrong stays.
 */
int image_load(struct db *d, int fd, FILE *out, FILE *progress, struct err *e);
/* Images by name or id, as one archive that `load`, docker and whoever reads OCI layouts take. */
int image_save(struct db *d, char *const *refs, int fd, struct err *e);

/* Makes ROOT/erofs/HEX.erofs of an image unless it is there. Many may try at once: one does it, the others wait. */
int image_build_erofs(struct db *d, const struct image *i, struct err *e);
