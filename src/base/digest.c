/* SHA-256 as OCI writes digests. */
#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct digest {
	EVP_MD_CTX *ctx;
};

int digest_new(struct digest **ret)
{
	struct digest *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx || EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1) {
		digest_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

int digest_add(struct digest *d, const void *p, size_t n)
{
	return EVP_DigestUpdate(d->ctx, p, n) == 1 ? 0 : -EIO;
}

int digest_end(struct digest *d, char ret[DIGEST_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int ok = EVP_DigestFinal_ex(d->ctx, sum, &n);

	digest_free(d);
	if (ok != 1 || n != 32)
		return -EIO;
	memcpy(ret, "sha256:", 7);
	for (unsigned i = 0; i < n; i++) {
		ret[7 + 2 * i] = hex[sum[i] >> 4];
		ret[8 + 2 * i] = hex[sum[i] & 15];
	}
	ret[DIGEST_LEN] = 0;
	return 0;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

int digest_of(const void *p, size_t n, char ret[DIGEST_SIZE])
{
	struct digest *d;
	int r = digest_new(&d);

	if (r < 0)
		return r;
	r = digest_add(d, p, n);
	if (r < 0) {
		digest_free(d);
		return r;
	}
	return digest_end(d, ret);
}

bool digest_valid(const char *s)
{
	return s && strlen(s) == DIGEST_LEN && !strncmp(s, "sha256:", 7) && strspn(s + 7, "0123456789abcdef") == 64;
}
