/*
 * To a registry: blobs and manifests (distribution-spec, "Push").
 *
 *	HEAD blobs/DIGEST                        it is there
 *	POST blobs/uploads/?mount=DIGEST&from=   201: taken over from another repository; 202: Location is where to send it
 *	PUT  LOCATION?digest=DIGEST              all of it; a registry that does not take so much at once (413) gets it by PATCH in parts first
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/registry-private.h"

enum { TRIES = 4, PART = 4 * 1024 * 1024, TOO_LARGE = 413 };

struct part {
	int fd;
	off_t at, end;
	registry_sent_fn *sent;
	void *data;
};

static size_t on_read(char *p, size_t size, size_t n, void *data)
{
	struct part *part = data;
	off_t left = part->end - part->at;

	n *= size;
	ssize_t k = pread(part->fd, p, (off_t)n < left ? n : (size_t)left, part->at);
	if (k < 0 || (k == 0 && left))
		return CURL_READFUNC_ABORT;
	part->at += k;
	if (part->sent)
		part->sent(part->data, (uint64_t)part->at);
	return (size_t)k;
}

/* "https://host:port/path?query" of a Location header, which may be relative. */
static char *resolve(const struct registry *r, const struct buf *location)
{
	CURLU *u = curl_url();
	char *url = NULL, *ret = NULL;

	if (u && location->len && curl_url_set(u, CURLUPART_URL, r->base, 0) == CURLUE_OK &&
		curl_url_set(u, CURLUPART_URL, location->data, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK)
		ret = strdup(url);
	curl_free(url);
	curl_url_cleanup(u);
	return ret;
}

/* Whether a place for an upload is the registry's own, which gets the authorization. */
static bool is_own(const struct registry *r, const char *url)
{
	size_t n = strlen(r->base) - strlen("/v2/");

	return !strncmp(url, r->base, n) && (url[n] == '/' || url[n] == '?');
}

/* Sends a part of the file; 0 whatever the status is. */
static int send_part(
	struct registry *r, const char *method, const char *url, struct part *part, struct response *ret, struct err *e)
{
	char detail[CURL_ERROR_SIZE] = "";
	_cleanup_free_ char *range = !strcmp(method, "PATCH")
		? str_fmt("Content-Range: %lld-%lld", (long long)part->at, (long long)part->end - 1)
		: NULL;
	struct request q = {.options = r->options,
		.method = method,
		.url = url,
		.authorization = is_own(r, url) ? r->authorization : NULL,
		.content_type = "application/octet-stream",
		.max = REGISTRY_ANSWER_MAX};
	struct http_watch watch;
	struct curl_slist *headers = http_prepare(r->curl, &q, &watch), *more = curl_slist_append(headers, "Expect:");

	headers = more ? more : headers;
	if (range && (more = curl_slist_append(headers, range)))
		headers = more;
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(r->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(r->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(part->end - part->at));
	curl_easy_setopt(r->curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(r->curl, CURLOPT_READDATA, part);
	/* One that was kept may be closed just now: libcurl 7.88 then sends the request again, but not what was read of the file. We try again ourselves. */
	curl_easy_setopt(r->curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(r->curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, detail);
	*ret = (struct response){.max = q.max};
	http_collect(r->curl, ret);
	ret->curl = curl_easy_perform(r->curl);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_easy_reset(r->curl);
	curl_slist_free_all(headers);
	return ret->curl == CURLE_OK ? 0 : http_fail(ret->curl, detail, &q, e);
}

/* *url moves on to where the next part goes. */
static int send_in_parts(struct registry *r, char **url, const struct part *whole, struct response *ret, struct err *e)
{
	for (off_t at = 0; at < whole->end; at += PART) {
		struct part part = *whole;
		part.at = at;
		part.end = whole->end - at < PART ? whole->end : at + PART;
		response_done(ret);
		int code = send_part(r, "PATCH", *url, &part, ret, e);
		if (code < 0 || ret->status != 202)
			return code;
		char *next = resolve(r, &ret->location);
		if (!next)
			return err_set(e, EBADMSG, "the registry does not say where the upload goes on");
		free(*url);
		*url = next;
	}
	return 0;
}

/* One try: 0 and *ret is the answer that ended it. */
static int upload_once(struct registry *r, const struct descriptor *d, struct part *whole, bool in_parts,
	struct response *ret, struct err *e)
{
	_cleanup_(response_done) struct response begin = {0};
	_cleanup_free_ char *start = str_fmt("%s%s/blobs/uploads/", r->base, r->path), *url = NULL;
	struct request q = {.method = "POST", .url = start, .max = REGISTRY_ANSWER_MAX};
	struct part last = *whole;
	int code = start ? registry_do(r, &q, &begin, e) : err_nomem(e);

	if (code < 0)
		return code;
	url = resolve(r, &begin.location);
	if (!url)
		return err_set(e, EBADMSG, "the registry does not say where to upload to");
	if (in_parts) {
		code = send_in_parts(r, &url, whole, ret, e);
		if (code < 0 || ret->status != 202)
			return code;
		last.at = last.end;
	}
	_cleanup_free_ char *put = str_fmt("%s%cdigest=%s", url, strchr(url, '?') ? '&' : '?', d->digest);
	response_done(ret);
	return put ? send_part(r, "PUT", put, &last, ret, e) : err_nomem(e);
}

int registry_upload(
	struct registry *r, const struct descriptor *d, int fd, registry_sent_fn *sent, void *data, struct err *e)
{
	struct part whole = {.fd = fd, .end = d->size, .sent = sent, .data = data};
	bool in_parts = false;

	for (unsigned failures = 1;; failures++) {
		_cleanup_(response_done) struct response answer = {0};
		int code = upload_once(r, d, &whole, in_parts, &answer, e);
		if (code == 0 && answer.status == 201)
			return 0;
		if (code < 0 && answer.curl == CURLE_OK)
			return code;
		int delay = http_retry_ms(failures, answer.retry_after_s);
		bool again = http_transient(answer.curl, answer.status);
		if (answer.status == TOO_LARGE && !in_parts) {
			again = in_parts = true;
			delay = 0;
		} else if (answer.status == 401 && failures == 1) { /* the token has expired */
			code = registry_authenticate(r, &answer.challenge, e);
			if (code < 0)
				return code;
			again = true;
			delay = 0;
		}
		if (!again || failures >= TRIES || delay < 0)
			return code < 0 ? code : registry_status_error(r, &answer, e);
		*e = ERR_INIT;
		nanosleep(&(struct timespec){.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000L}, NULL);
	}
}

int registry_has_blob(struct registry *r, const char *digest, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	_cleanup_free_ char *url = str_fmt("%s%s/blobs/%s", r->base, r->path, digest);
	struct request q = {.method = "HEAD", .url = url, .max = REGISTRY_ANSWER_MAX};
	int code = url ? registry_do(r, &q, &answer, e) : err_nomem(e);

	if (code == -ENOENT) {
		*e = ERR_INIT;
		return 0;
	}
	return code < 0 ? code : 1;
}

int registry_mount(struct registry *r, const char *digest, const char *from, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0}, gone = {0};
	_cleanup_free_ char *url = str_fmt("%s%s/blobs/uploads/?mount=%s&from=%s", r->base, r->path, digest, from);
	struct request q = {.method = "POST", .url = url, .max = REGISTRY_ANSWER_MAX};
	struct err ignored = ERR_INIT;
	int code = url ? registry_do(r, &q, &answer, e) : err_nomem(e);

	if (code < 0 || answer.status == 201)
		return code < 0 ? code : 1;
	/* it has begun an upload instead, which is not for us */
	_cleanup_free_ char *upload = resolve(r, &answer.location);
	struct request end = {.method = "DELETE", .url = upload, .max = REGISTRY_ANSWER_MAX};
	if (upload && is_own(r, upload))
		registry_do(r, &end, &gone, &ignored);
	return 0;
}

int registry_put_manifest(
	struct registry *r, const char *tag, const char *text, size_t n, const char *media_type, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	_cleanup_free_ char *url = str_fmt("%s%s/manifests/%s", r->base, r->path, tag);
	struct request q = {.method = "PUT",
		.url = url,
		.content_type = media_type,
		.body = text,
		.body_len = n,
		.max = REGISTRY_ANSWER_MAX};

	return url ? registry_do(r, &q, &answer, e) : err_nomem(e);
}
