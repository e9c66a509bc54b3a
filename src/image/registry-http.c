/* HTTP as registries are spoken to: what every transfer has in common. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "image/registry.h"

enum { TRIES = 4, CONNECT_TIMEOUT_S = 30, STALL_S = 60, REDIRECTS = 10, CHALLENGES_MAX = 16384 };

void response_done(struct response *r)
{
	buf_done(&r->body);
	buf_done(&r->challenge);
}

static void wait_before(unsigned n)
{
	long ms = 250L << (2 * n);

	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
	struct response *r = data;

	n *= size;
	if (n > r->max - r->body.len || buf_add(&r->body, p, n) < 0)
		return 0;
	return n;
}

/* The value of a header line if its name is this one. */
static const char *header_value(const char *line, size_t n, const char *name, size_t *ret_n)
{
	size_t len = strlen(name);

	if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	const char *p = line + len + 1, *end = line + n;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	*ret_n = (size_t)(end - p);
	return p;
}

bool http_note_challenge(struct buf *challenge, const char *line, size_t n)
{
	size_t len;
	const char *v = header_value(line, n, "www-authenticate", &len);

	if (!v || challenge->len + len >= CHALLENGES_MAX)
		return true;
	return (!challenge->len || buf_adds(challenge, ", ") >= 0) && buf_add(challenge, v, len) >= 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct response *r = data;
	const char *v;
	size_t len;

	n *= size;
	if (n > 5 && !strncmp(line, "HTTP/", 5)) { /* of the answer behind a redirect */
		r->type[0] = r->digest[0] = 0;
		buf_done(&r->challenge);
	}
	if ((v = header_value(line, n, "content-type", &len)) && len < sizeof(r->type)) {
		memcpy(r->type, v, len);
		r->type[len] = 0;
	}
	if ((v = header_value(line, n, "docker-content-digest", &len)) && len == DIGEST_LEN) {
		memcpy(r->digest, v, len);
		r->digest[len] = 0;
	}
	return http_note_challenge(&r->challenge, line, n) ? n : 0;
}

bool http_is_local(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL;
	bool local = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && reference_is_local(host);

	curl_free(host);
	curl_url_cleanup(u);
	return local;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
	_cleanup_free_ char *line = str_fmt("%s: %s", name, value);
	struct curl_slist *more = line ? curl_slist_append(list, line) : NULL;

	return more ? more : list;
}

struct curl_slist *http_prepare(CURL *c, const struct request *q)
{
	struct curl_slist *headers = NULL;
	bool local = http_is_local(q->url);

	curl_easy_reset(c);
	for (size_t i = 0; q->accept_manifests && manifest_media_types[i]; i++)
		headers = add_header(headers, "Accept", manifest_media_types[i]);
	if (q->authorization) /* curl leaves it out when a redirect leads to another host, port or scheme */
		headers = add_header(headers, "Authorization", q->authorization);
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "caisson");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, local ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, local ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
	if (local) {
		curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return headers;
}

bool http_transient(CURLcode code, long status)
{
	switch ((int)code) {
	case CURLE_OK:
		return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

int http_fail(CURLcode code, const char *detail, const char *url, struct err *e)
{
	/* the query of a redirect's URL may hold a signature: only what is before it is shown */
	int n = (int)strcspn(url, "?");

	return err_set(e, code == CURLE_OUT_OF_MEMORY ? ENOMEM : EIO, "Get \"%.*s\": %s", n, url,
		detail && *detail ? detail : curl_easy_strerror(code));
}

int http_get(CURL *c, const struct request *q, struct response *ret, struct err *e)
{
	char detail[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = http_prepare(c, q);
	CURLcode code;

	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, ret);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, ret);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
	for (unsigned i = 0;; i++) {
		response_done(ret);
		*ret = (struct response){.max = q->max};
		code = curl_easy_perform(c);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
		log_trace("image", "GET %s: %d, status %ld", q->url, code, ret->status);
		if (i + 1 == TRIES || !http_transient(code, ret->status))
			break;
		wait_before(i);
	}
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	if (code == CURLE_WRITE_ERROR)
		return err_set(e, EFBIG, "the registry's answer is larger than %zu bytes", q->max);
	ret->curl = code;
	return code == CURLE_OK ? 0 : http_fail(code, detail, q->url, e);
}

int http_status_error(long status, const struct buf *body, struct err *e)
{
	struct err ignored = ERR_INIT;
	_cleanup_json_ json_t *doc = body->len ? json_parse(body->data, body->len, "answer", &ignored) : NULL;
	const json_t *first = json_array_get(json_object_get(doc, "errors"), 0);
	const char *message = json_str(first, "message"), *code = json_str(first, "code");
	int number = status == 404 ? ENOENT : status == 401 || status == 403 ? EACCES : status == 429 ? EBUSY : EIO;

	if (!str_empty(message))
		return err_set(e, number, "%.300s", message);
	if (!str_empty(code))
		return err_set(e, number, "%.100s", code);
	switch (status) {
	case 401:
		return err_set(e, number, "unauthorized: authentication required");
	case 403:
		return err_set(e, number, "denied: requested access to the resource is denied");
	case 404:
		return err_set(e, number, "not found");
	default:
		return err_set(e, number, "the registry answered with status %ld", status);
	}
}
