/*
 * Images that are here: found, described, removed. Light: no HTTP, no archives, no digests; those are in the program caisson-fetch (src/fetch),
 * which pulls, imports and builds EROFS files with the library imagefetch.
 *
 * Below ROOT: db.sqlite (store/images.h), layers/DIR (one per layer, as overlayfs wants it), erofs/HEX.erofs (one per image that was run in a VM).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "store/images.h"

struct db;

struct image {
	char *id; /* "sha256:..." */
	struct image_row row;
	json_t *doc;    /* the whole image configuration */
	json_t *config; /* its "config": Entrypoint, Cmd, Env, User, WorkingDir, Volumes, StopSignal, Labels, ExposedPorts; borrowed; may be NULL */
};
void image_done(struct image *i);
#define _cleanup_image_ __attribute__((cleanup(image_done)))

/* By reference, full id or unique prefix of an id, in docker's order. -ENOENT "No such image: REF", -ENOTUNIQ, -EINVAL. */
int image_find(struct db *d, const char *ref, struct image *ret, struct err *e);

/* The layers' directories, topmost first, absolute. */
int image_lower_dirs(const char *root, const struct image *i, char ***ret, struct err *e);
/* The image as one EROFS file; -ENOENT (with *e set) if `caisson-fetch erofs ID` has not made it yet. */
int image_erofs_path(int root_fd, const char *root, const struct image *i, char **ret, struct err *e);

/* Whether the image, found as `ref`, is for this platform. NULL or "": this machine's, -ENOEXEC; else -ENOENT. With docker's words. */
int image_check_platform(const struct image *i, const char *ref, const char *platform, struct err *e);

/* In the shape of GET /images/{name}/json. root: for GraphDriver. */
/* docker's: [{"Id", "Created" (seconds), "CreatedBy", "Size", "Comment", "Tags"}], the last step first. */
int image_history(const struct image *i, json_t **ret, struct err *e);
int image_inspect(const char *root, const struct image *i, json_t **ret, struct err *e);
/* In the shape of GET /images/json, newest first, and "CreatedNs". Dangling images have RepoTags []. */
int image_list(struct db *d, json_t **ret, struct err *e);

int image_tag(struct db *d, const char *ref, const char *new_ref, struct err *e);

/* A container that uses the image: 1 with *ret filled, 0, or -errno. Called inside the transaction of the removal. */
struct image_user {
	char id[65];
	bool running;
};
typedef int image_in_use_fn(void *data, const char *image_id, struct image_user *ret, struct err *e);
/*
 * As docker rmi: a name goes; with its last name the image, its unused layers and its EROFS file. *ret: [{"Untagged": name}, {"Deleted": id}...].
 * -EBUSY for a conflict, in docker's words. With `force` an image that a stopped container uses loses its names only, so that the container can
 * start again; a running one cannot be forced. *ret_freed (may be NULL): the bytes that are free when layers, blobs and the EROFS file have gone.
 */
int image_remove(struct db *d, const char *ref, bool force, image_in_use_fn *in_use, void *data, json_t **ret,
	int64_t *ret_freed, struct err *e);
