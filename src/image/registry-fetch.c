/*
 * Blobs on their way into files, several at once; each is checked while it comes.
 *
 *	file     |<-- bytes: written, and in the digest -->|                    |<- what.size
 *	request                                    Range: bytes=N-
 *
 * What is in the file already, from an earlier try or an earlier pull, is taken into the digest and not asked for again. A server that sends everything
 * all the same has it written anew; one that sends another part than was asked for is asked for everything. If what was put together of parts does not have the
 * right digest, it is fetched once more as a whole: a part may have been another registry's, or damaged on the disk.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/registry-private.h"

/* STALLS: whoever says nothing is not asked for as long as one who breaks off; PROGRESS: bytes after which the count of failures begins anew. */
enum { TRIES = 5, STALLS = 2, TRIES_ALL = 50, PROGRESS = 256 * 1024, BLOCK = 128 * 1024 };

struct fetch {
	CURL *curl;
	struct curl_slist *headers;
	struct descriptor what;
	char *url;
	int fd;
	unsigned failures, stalls, tries, challenges, retry_after_s;
	uint64_t bytes, best;          /* best: of all tries so far */
	bool begun;                    /* the answer's content has */
	bool in_parts;                 /* not all of the file is of this request */
	bool range_right, range_wrong; /* what came is what was asked for; is not */
	struct digest *digest;
	struct http_watch watch;
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

bool fetch_is_whole(const struct fetch *f)
{
	return f->bytes == (uint64_t)f->what.size;
}

bool fetch_may_go_on(const struct fetch *f)
{
	return f->bytes && !f->err.code; /* it is longer than it may be, or the disk is full */
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

/* The file is empty, and so is the digest. */
static int start_over(struct fetch *f, struct err *e)
{
	digest_free(f->digest);
	f->digest = NULL;
	f->bytes = 0;
	f->in_parts = false;
	if (digest_new(&f->digest) < 0)
		return err_nomem(e);
	if (ftruncate(f->fd, 0) < 0 || lseek(f->fd, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "empty the download");
	return 0;
}

/* The first bytes of an answer: do they go on from what is here? */
static int begin_content(struct fetch *f, long status)
{
	f->begun = true;
	if (status == 200)
		return f->bytes ? start_over(f, &f->err) : 0;
	f->range_wrong = !f->range_right;
	return f->range_right ? 0 : -EBADMSG;
}

static size_t on_content(char *p, size_t size, size_t n, void *data)
{
	struct fetch *f = data;
	long status = 0;

	n *= size;
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 206)
		return f->answer.len + n < 65536 && buf_add(&f->answer, p, n) < 0 ? 0 : n;
	if (!f->begun && begin_content(f, status) < 0)
		return 0;
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
	uint64_t first, total;
	size_t len;

	n *= size;
	if (n > 5 && !strncmp(line, "HTTP/", 5)) {
		buf_done(&f->challenge);
		f->retry_after_s = 0;
		f->range_right = false;
	}
	http_note_retry_after(&f->retry_after_s, line, n);
	const char *v = http_header_value(line, n, "content-range", &len);
	if (v)
		f->range_right = http_content_range(v, len, &first, &total) == 0 && first == f->bytes &&
			total == (uint64_t)f->what.size;
	return http_note_challenge(&f->challenge, line, n) ? n : 0;
}

/* Ready to ask for what is missing. */
static int prepare(const struct registry *r, struct fetch *f, struct err *e)
{
	_cleanup_free_ char *range = f->bytes ? str_fmt("%llu-", (unsigned long long)f->bytes) : NULL;
	struct request q = {.options = r->options, .url = f->url, .authorization = r->authorization, .range = range};

	if (f->bytes && !range)
		return err_nomem(e);
	f->in_parts = f->bytes > 0;
	f->begun = f->range_wrong = false;
	f->err = ERR_INIT;
	buf_done(&f->answer);
	struct curl_slist *headers = http_prepare(f->curl, &q, &f->watch);
	curl_slist_free_all(f->headers);
	f->headers = headers;
	curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_content);
	curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->detail);
	return 0;
}

static int prepare_whole(const struct registry *r, struct fetch *f, struct err *e)
{
	int code = start_over(f, e);

	return code < 0 ? code : prepare(r, f, e);
}

/* What the file has already goes into the digest. */
static int take_kept(struct fetch *f, struct err *e)
{
	_cleanup_free_ char *block = malloc(BLOCK);
	struct stat st;
	ssize_t n;

	if (!block || digest_new(&f->digest) < 0)
		return err_nomem(e);
	if (fstat(f->fd, &st) < 0 || lseek(f->fd, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "read the download");
	if (st.st_size > f->what.size)
		return start_over(f, e);
	while ((n = read(f->fd, block, BLOCK)) > 0) {
		if (digest_add(f->digest, block, (size_t)n) < 0)
			return err_set(e, EIO, "the digest could not be computed");
		f->bytes += (uint64_t)n;
	}
	f->best = f->bytes;
	return n < 0 ? err_errno(e, errno, "read the download") : 0;
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
	int code = f->curl && f->url ? take_kept(f, e) : err_nomem(e);
	if (code == 0)
		code = prepare(r, f, e);
	if (code < 0) {
		fetch_free(f);
		return code;
	}
	*ret = f;
	return 0;
}

/* All of it is here. */
static int check(const struct registry *r, struct fetch *f, struct err *e)
{
	char digest[DIGEST_SIZE];
	bool in_parts = f->in_parts;

	if (digest_end(steal_ptr(f->digest), digest) < 0)
		return err_set(e, EIO, "the digest could not be computed");
	if (!strcmp(digest, f->what.digest))
		return 0;
	int code = start_over(f, e); /* nobody is to go on from it */
	if (code < 0)
		return code;
	if (!in_parts)
		return err_set(e, EBADMSG, "digest does not match: the content is %s", digest);
	code = prepare(r, f, e);
	return code < 0 ? code : 1;
}

static bool try_again(struct fetch *f, CURLcode result, long status, unsigned *ret_delay_ms)
{
	if (!http_transient(result, status) || ++f->tries >= TRIES_ALL)
		return false;
	if (f->bytes >= f->best + PROGRESS) {
		f->best = f->bytes;
		f->failures = f->stalls = 0;
	}
	f->failures++;
	f->stalls += http_is_stall(result);
	int delay = http_retry_ms(f->failures, f->retry_after_s);
	*ret_delay_ms = delay < 0 ? 0 : (unsigned)delay;
	return f->failures < TRIES && f->stalls < STALLS && delay >= 0;
}

int registry_fetch_end(struct registry *r, struct fetch *f, CURLcode result, unsigned *ret_delay_ms, struct err *e)
{
	struct request q = {.options = r->options, .url = f->url};
	long status = 0;
	int code = 0;

	*ret_delay_ms = 0;
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (f->err.code) {
		*e = f->err;
		return -e->code;
	}
	if (fetch_is_whole(f) && (f->begun || !status || (result == CURLE_OK && status == 200)))
		return check(r, f, e);
	if (result == CURLE_OK && (status == 200 || status == 206))
		return err_set(e, EBADMSG, "size does not match: expected %lld bytes, got %llu",
			(long long)f->what.size, (unsigned long long)f->bytes);
	bool other_part = f->range_wrong || (result == CURLE_OK && status == 416 && f->bytes);
	if (other_part && ++f->tries < TRIES_ALL)
		code = prepare_whole(r, f, e);
	else if (result == CURLE_OK && status == 401 && !f->challenges++) { /* the token has expired */
		code = registry_authenticate(r, &f->challenge, e);
		if (code == 0)
			code = prepare(r, f, e);
	} else if (try_again(f, result, status, ret_delay_ms))
		code = prepare(r, f, e);
	else
		return result == CURLE_OK ? http_status_error(status, f->retry_after_s, &f->answer, e)
					  : http_fail(result, f->detail, &q, e);
	return code < 0 ? code : 1;
}
