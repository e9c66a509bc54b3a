/* SHA-256 by OpenSSL, written as OCI writes digests. Only the programs that handle image content link this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_LEN  71 /* "sha256:" and 64 hex digits */
#define DIGEST_SIZE (DIGEST_LEN + 1)

struct digest; /* one computation */
int digest_new(struct digest **ret);
int digest_add(struct digest *d, const void *p, size_t n);
int digest_end(struct digest *d, char ret[DIGEST_SIZE]); /* frees d */
void digest_free(struct digest *d);
int digest_of(const void *p, size_t n, char ret[DIGEST_SIZE]);
bool digest_valid(const char *s); /* "sha256:" and 64 lower-case hex digits */
