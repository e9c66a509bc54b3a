/*
 * One repository of one registry, by distribution's HTTP API V2 (distribution.github.io/distribution/spec/api). https with the system's authorities;
 * registries on this host (reference_is_local), and those that the options name, may have any certificate or none at all. Credentials and tokens go
 * to the registry's own host, and to the token service that it names; never along with a redirect.
 */
#pragma once

#include "image/http.h"
#include "image/manifest.h"
#include "image/ref.h"

struct credentials;
struct registry;

/* options are borrowed for as long as the registry is open. actions: REGISTRY_PULL or REGISTRY_PUSH; mount_from: the path of a repository there whose blobs
 * are to be mounted, or NULL. */
#define REGISTRY_PULL "pull"
#define REGISTRY_PUSH "pull,push"
int registry_open(const struct reference *ref, const struct http_options *options, const char *actions,
	const char *mount_from, struct registry **ret, struct err *e);
void registry_free(struct registry *r);
/* Whether the registry of a domain takes these. *ret_identity (the caller frees) is an identity token to keep in place of the password, or NULL.
 * -EACCES: it does not. */
int registry_login(const char *domain, const struct http_options *options, const struct credentials *c,
	char **ret_identity, struct err *e);

/* The manifest behind a tag or digest; with a digest the content is checked. -ENOENT: unknown. *ret_type may be "". */
int registry_manifest(struct registry *r, const char *tag_or_digest, struct buf *ret, char ret_type[128],
	char ret_digest[DIGEST_SIZE], struct err *e);
/* All tags of the repository, in the registry's order. -ENOENT: unknown. */
int registry_tags(struct registry *r, char ***ret, struct err *e);
/* A small blob in memory, its size and digest checked. */
int registry_blob(struct registry *r, const struct descriptor *d, struct buf *ret, struct err *e);

/*
 * A blob on its way into a file, for curl_multi. What the file has already is not asked for again, if the server can do that. The size and digest are
 * checked while it comes. After curl says that a transfer has ended, or if there is none to do as fetch_is_whole, registry_fetch_end says what that
 * means: 0 whole and right, 1 to be tried again (the handle is ready for that), -errno.
 */
struct fetch;
int registry_fetch(struct registry *r, const struct descriptor *d, int fd, struct fetch **ret, struct err *e);
CURL *fetch_handle(struct fetch *f);
uint64_t fetch_bytes(const struct fetch *f); /* that are in the file */
bool fetch_is_whole(const struct fetch *f);
int registry_fetch_end(struct registry *r, struct fetch *f, CURLcode result, unsigned *ret_delay_ms, struct err *e);
/* Whether what is in the file is good to go on from another time. */
bool fetch_may_go_on(const struct fetch *f);
void fetch_free(struct fetch *f);

/* registry-push.c. 1: it is there, or is now, 0: it is not. */
int registry_has_blob(struct registry *r, const char *digest, struct err *e);
int registry_mount(struct registry *r, const char *digest, const char *from, struct err *e);
/* The file's first d->size bytes; the registry checks the digest. sent (may be NULL) is told how many have been sent. */
typedef void registry_sent_fn(void *data, uint64_t bytes);
int registry_upload(
	struct registry *r, const struct descriptor *d, int fd, registry_sent_fn *sent, void *data, struct err *e);
int registry_put_manifest(
	struct registry *r, const char *tag, const char *text, size_t n, const char *media_type, struct err *e);
