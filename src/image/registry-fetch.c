/* Blobs on their way into files, several at once; each is checked while it comes. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/registry-private.h"

enum { TRIES = 5 };

struct fetch {
	CURL *curl;
	struct curl_slist *headers;
	struct descriptor what;
	char *url;
	int fd;
	unsigned failures, challenges;
	uint64_t bytes;
	struct digest *digest;
	struct buf answer, challenge; /* of an error */
	struct err err;               /* of the callbacks */
	char detail[CURL_ERROR_SIZE];
};

CURL *fetch_handle(struct fetch *f)
{
	return f->curl;
}

uint64_t fetch_bytes(const struct fetch *f)
{
	return f->bytes;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	curl_easy_cleanup(f->curl);
	curl_slist_free_all(f->headers);
	digest_free(f->digest);
	buf_done(&f->answer);
	buf_done(&f->challenge);
	free(f->url);
	free(f);
}

static size_t on_content(char *p, size_t size, size_t n, void *data)
{
	struct fetch *f = data;
	long status = 0;

	n *= size;
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return f->answer.len + n < 65536 && buf_add(&f->answer, p, n) < 0 ? 0 : n;
	if (n > (uint64_t)f->what.size - f->bytes) {
		err_set(&f->err, EBADMSG, "size does not match: more than the %lld bytes of the manifest",
			(long long)f->what.size);
		return 0;
	}
	int r = fd_write_all(f->fd, p, n);
	if (r < 0) {
		err_errno(&f->err, r, "write the download");
		return 0;
	}
	f->bytes += n;
	return digest_add(f->digest, p, n) < 0 ? 0 : n;
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct fetch *f = data;

	n *= size;
	if (n > 5 && !strncmp(line, "HTTP/", 5))
		buf_done(&f->challenge);
	return http_note_challenge(&f->challenge, line, n) ? n : 0;
}

/* Ready to start from the beginning. */
static int prepare(const struct registry *r, struct fetch *f, struct err *e)
{
	struct request q = {.url = f->url, .authorization = r->authorization};

	digest_free(f->digest);
	f->digest = NULL;
	f->bytes = 0;
	f->err = ERR_INIT;
	buf_done(&f->answer);
	if (digest_new(&f->digest) < 0)
		return err_nomem(e);
	if (ftruncate(f->fd, 0) < 0 || lseek(f->fd, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "empty the download");
	struct curl_slist *headers = http_prepare(f->curl, &q);
	curl_slist_free_all(f->headers);
	f->headers = headers;
	curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_content);
	curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->detail);
	return 0;
}

int registry_fetch(struct registry *r, const struct descriptor *d, int fd, struct fetch **ret, struct err *e)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return err_nomem(e);
	f->fd = fd;
	f->what = *d;
	f->curl = curl_easy_init();
	f->url = registry_blob_url(r, d);
	int code = f->curl && f->url ? prepare(r, f, e) : err_nomem(e);
	if (code < 0) {
		fetch_free(f);
		return code;
	}
	*ret = f;
	return 0;
}

static int check(struct fetch *f, struct err *e)
{
	char digest[DIGEST_SIZE];

	if (f->bytes != (uint64_t)f->what.size)
		return err_set(e, EBADMSG, "size does not match: expected %lld bytes, got %llu",
			(long long)f->what.size, (unsigned long long)f->bytes);
	if (digest_end(steal_ptr(f->digest), digest) < 0)
		return err_set(e, EIO, "the digest could not be computed");
	if (strcmp(digest, f->what.digest) != 0)
		return err_set(e, EBADMSG, "digest does not match: the content is %s", digest);
	return 0;
}

int registry_fetch_end(struct registry *r, struct fetch *f, CURLcode result, unsigned *ret_delay_ms, struct err *e)
{
	long status = 0;
	int code;

	*ret_delay_ms = 0;
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (f->err.code) {
		*e = f->err;
		return -e->code;
	}
	if (result == CURLE_OK && status == 200)
		return check(f, e);
	if (result == CURLE_OK && status == 401 && !f->challenges++) { /* the token has expired */
		code = registry_authenticate(r, &f->challenge, e);
		if (code == 0)
			code = prepare(r, f, e);
		return code < 0 ? code : 1;
	}
	if (http_transient(result, status) && ++f->failures < TRIES) {
		*ret_delay_ms = 250U << (f->failures - 1);
		code = prepare(r, f, e);
		return code < 0 ? code : 1;
	}
	return result == CURLE_OK ? http_status_error(status, &f->answer, e) : http_fail(result, f->detail, f->url, e);
}
