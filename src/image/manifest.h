/*
 * Manifests and image configurations: docker's schema 2 and OCI's (image-spec, manifest.md, image-index.md, config.md). All of it is hostile text:
 * media types, digests, sizes and counts are checked here, so that what is in these structs can be used as it is.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "image/platform.h"

enum {
	MANIFEST_MAX = 4 * 1024 * 1024,
	CONFIG_MAX = 8 * 1024 * 1024,
	LAYERS_MAX = 127, /* docker's limit, too: what overlayfs takes in one page of options */
};

/* What registries may send, for the Accept header; ends in NULL. */
extern const char *const manifest_media_types[];

struct descriptor {
	char digest[DIGEST_SIZE];
	int64_t size;
};

struct manifest {
	const char *media_type; /* one of manifest_media_types */
	struct descriptor config;
	struct descriptor layers[LAYERS_MAX];
	size_t n_layers;
};
/* content_type: the HTTP header, "" if there is none. If the text is an index, returns 1 and *ret_child is the manifest for the platform
 * (ret is then untouched); -ENOENT: it has none. */
int manifest_parse(const char *text, size_t n, const char *content_type, const struct platform *platform,
	struct manifest *ret, struct descriptor *ret_child, struct err *e);

/* {"mediaType", "digest", "size"}: checked. `what` names it in errors; types: the media types that it may have, NULL for any. */
int descriptor_parse(
	const json_t *j, const char *what, const char *const *types, struct descriptor *ret, struct err *e);

/* The configuration of an image with n layers; diff_ids is filled. */
struct image_config {
	json_t *doc; /* the caller's */
	char diff_ids[LAYERS_MAX][DIGEST_SIZE];
	int64_t created_ns;
};
int image_config_parse(const char *text, size_t n, size_t n_layers, struct image_config *ret, struct err *e);
int image_config_check_platform(const struct image_config *c, const struct platform *platform, struct err *e);
