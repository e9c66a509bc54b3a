/*
 * One repository of one registry, by distribution's HTTP API V2 (distribution.github.io/distribution/spec/api). https with the system's authorities;
 * registries on this host (reference_is_local) may have any certificate or none at all. Credentials and tokens go to the registry's own host, and to the
 * token service that it names; never along with a redirect.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "image/manifest.h"
#include "image/ref.h"

struct registry;

int registry_open(const struct reference *ref, struct registry **ret, struct err *e);
void registry_free(struct registry *r);

/* The manifest behind a tag or digest; with a digest the content is checked. -ENOENT: unknown. *ret_type may be "". */
int registry_manifest(struct registry *r, const char *tag_or_digest, struct buf *ret, char ret_type[128],
	char ret_digest[DIGEST_SIZE], struct err *e);
/* A small blob in memory, its size and digest checked. */
int registry_blob(struct registry *r, const struct descriptor *d, struct buf *ret, struct err *e);

/*
 * A blob on its way into a file, for curl_multi. The size and digest are checked while it comes. After curl says that a transfer has ended,
 * registry_fetch_end says what that means: 0 whole and right, 1 to be tried again (the handle is ready for that), -errno.
 */
struct fetch;
int registry_fetch(struct registry *r, const struct descriptor *d, int fd, struct fetch **ret, struct err *e);
CURL *fetch_handle(struct fetch *f);
uint64_t fetch_bytes(const struct fetch *f);
int registry_fetch_end(struct registry *r, struct fetch *f, CURLcode result, unsigned *ret_delay_ms, struct err *e);
void fetch_free(struct fetch *f);

/* registry-http.c */
struct response {
	long status;
	CURLcode curl;
	char type[128];
	struct buf body, challenge;
	char digest[DIGEST_SIZE];
	size_t max;
};
void response_done(struct response *r);
struct request {
	const char *url, *authorization; /* authorization: may be NULL */
	bool accept_manifests;
	size_t max;
};
/* Whether the URL's host is this one: only such may be spoken to without TLS, or with a certificate that nobody signed. */
bool http_is_local(const char *url);
/* Keeps a header line that asks for authentication; false: no memory. */
bool http_note_challenge(struct buf *challenge, const char *line, size_t n);
/* Sets what every transfer has. The list is the caller's, to be freed after the transfer. */
struct curl_slist *http_prepare(CURL *c, const struct request *q);
/* One GET, repeated when the failure looks passing. 0 whatever the status is. */
int http_get(CURL *c, const struct request *q, struct response *ret, struct err *e);
bool http_transient(CURLcode code, long status);
int http_fail(CURLcode code, const char *detail, const char *url, struct err *e);
/* The error that a status and the body's {"errors": [...]} mean. */
int http_status_error(long status, const struct buf *body, struct err *e);
