/* HTTP as registries are spoken to: requests, what passes and what does not, and what to say about it. */
#include "image/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "image/manifest.h"
#include "image/ref.h"

enum { TRIES = 5, CONNECT_TIMEOUT_S = 30, STALL_S = 60, REDIRECTS = 10, HEADER_MAX = 16384, WAIT_MAX_S = 60 };

void response_done(struct response *r)
{
	buf_done(&r->body);
	buf_done(&r->challenge);
	buf_done(&r->link);
	buf_done(&r->location);
}

static unsigned stall_s(const struct request *q)
{
	return q->options && q->options->timeout_s ? q->options->timeout_s : STALL_S;
}

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
	struct response *r = data;

	n *= size;
	if (n > r->max - r->body.len || buf_add(&r->body, p, n) < 0)
		return 0;
	return n;
}

const char *http_header_value(const char *line, size_t n, const char *name, size_t *ret_n)
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

/* Appends the value of a header if this line has it; several are parted by commas (RFC 9110, 5.3). */
static bool note(struct buf *b, const char *name, const char *line, size_t n)
{
	size_t len;
	const char *v = http_header_value(line, n, name, &len);

	if (!v || b->len + len >= HEADER_MAX)
		return true;
	return (!b->len || buf_adds(b, ", ") >= 0) && buf_add(b, v, len) >= 0;
}

bool http_note_challenge(struct buf *challenge, const char *line, size_t n)
{
	return note(challenge, "www-authenticate", line, n);
}

void http_note_retry_after(unsigned *ret, const char *line, size_t n)
{
	size_t len;
	const char *v = http_header_value(line, n, "retry-after", &len);
	_cleanup_free_ char *text = v ? strndup(v, len) : NULL;
	uint32_t s;

	if (text && parse_u32(text, &s) == 0)
		*ret = s;
}

int http_content_range(const char *s, size_t n, uint64_t *ret_first, uint64_t *ret_total)
{
	_cleanup_free_ char *text = strndup(s, n);
	char *p = text;
	const char *unit = strsep(&p, " "), *from = strsep(&p, "-"), *to = strsep(&p, "/");
	uint64_t first, last, total;

	if (!p || strcasecmp(unit, "bytes") != 0 || parse_u64(from, &first) < 0 || parse_u64(to, &last) < 0 ||
		parse_u64(p, &total) < 0 || first > last || last >= total)
		return -EBADMSG;
	*ret_first = first;
	*ret_total = total;
	return 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct response *r = data;
	const char *v;
	size_t len;

	n *= size;
	if (n > 5 && !strncmp(line, "HTTP/", 5)) { /* of the answer behind a redirect */
		r->type[0] = r->digest[0] = 0;
		r->retry_after_s = 0;
		buf_done(&r->challenge);
		buf_done(&r->link);
		buf_done(&r->location);
	}
	if ((v = http_header_value(line, n, "content-type", &len)) && len < sizeof(r->type)) {
		memcpy(r->type, v, len);
		r->type[len] = 0;
	}
	if ((v = http_header_value(line, n, "docker-content-digest", &len)) && len == DIGEST_LEN) {
		memcpy(r->digest, v, len);
		r->digest[len] = 0;
	}
	http_note_retry_after(&r->retry_after_s, line, n);
	return note(&r->link, "link", line, n) && note(&r->location, "location", line, n) &&
			http_note_challenge(&r->challenge, line, n)
		? n
		: 0;
}

static char *url_part(const char *url, bool with_port)
{
	CURLU *u = curl_url();
	char *host = NULL, *port = NULL, *ret = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		bool has_port = with_port && curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK;
		ret = str_fmt("%s%s%s", host, has_port ? ":" : "", has_port ? port : "");
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return ret;
}

char *http_host(const char *url)
{
	return url_part(url, true);
}

bool http_is_insecure(const char *url, const struct http_options *o)
{
	_cleanup_free_ char *bare = url_part(url, false);
	_cleanup_free_ char *host = http_host(url);

	if (!bare || !host)
		return false;
	strv_foreach(name, o ? o->insecure : NULL)
		if (!strcasecmp(name, host))
			return true;
	return reference_is_local(bare);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
	_cleanup_free_ char *line = str_fmt("%s: %s", name, value);
	struct curl_slist *more = line ? curl_slist_append(list, line) : NULL;

	return more ? more : list;
}

static void set_body(CURL *c, const struct request *q)
{
	if (!q->method)
		return;
	if (!strcmp(q->method, "HEAD")) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
		return;
	}
	curl_easy_setopt(c, CURLOPT_POST, 1L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body ? q->body : "");
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
}

static int on_progress(void *data, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	struct http_watch *w = data;
	uint64_t now = clock_mono_ms();

	(void)down_all;
	(void)up_all;
	if (!w->since_ms || down + up != w->moved) {
		w->since_ms = now;
		w->moved = down + up;
	}
	return now - w->since_ms >= w->limit_s * 1000;
}

bool http_is_stall(CURLcode code)
{
	return code == CURLE_ABORTED_BY_CALLBACK || code == CURLE_OPERATION_TIMEDOUT;
}

struct curl_slist *http_prepare(CURL *c, const struct request *q, struct http_watch *watch)
{
	struct curl_slist *headers = NULL;
	bool insecure = http_is_insecure(q->url, q->options);

	curl_easy_reset(c);
	for (size_t i = 0; q->accept_manifests && manifest_media_types[i]; i++)
		headers = add_header(headers, "Accept", manifest_media_types[i]);
	if (q->authorization) /* curl leaves it out when a redirect leads to another host, port or scheme */
		headers = add_header(headers, "Authorization", q->authorization);
	if (q->content_type)
		headers = add_header(headers, "Content-Type", q->content_type);
	set_body(c, q);
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_RANGE, q->range);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "caisson");
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)CURL_MAX_READ_SIZE);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, q->stay ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, insecure ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, insecure ? "http,https" : "https");
	curl_easy_setopt(
		c, CURLOPT_CONNECTTIMEOUT, (long)(stall_s(q) < CONNECT_TIMEOUT_S ? stall_s(q) : CONNECT_TIMEOUT_S));
	*watch = (struct http_watch){.limit_s = stall_s(q)};
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, watch);
	if (insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	_cleanup_free_ char *bare = url_part(q->url, false);
	if (bare && reference_is_local(bare))
		curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
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
	case CURLE_ABORTED_BY_CALLBACK:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

int http_retry_ms(unsigned failures, unsigned retry_after_s)
{
	if (retry_after_s > WAIT_MAX_S)
		return -1;
	return retry_after_s ? (int)(retry_after_s * 1000) : (int)(250U << (failures < 8 ? failures - 1 : 7));
}

int http_fail(CURLcode code, const char *detail, const struct request *q, struct err *e)
{
	/* the query of a redirect's URL may hold a signature: only what is before it is shown */
	int n = (int)strcspn(q->url, "?");
	const char *text = detail && *detail ? detail : curl_easy_strerror(code), *remedy = "";
	_cleanup_free_ char *host = http_host(q->url), *own = NULL;

	if (code == CURLE_OUT_OF_MEMORY)
		return err_nomem(e);
	if (code == CURLE_PEER_FAILED_VERIFICATION) {
		remedy = own =
			str_fmt("; add the certificate of its authority to the system's (update-ca-certificates), or "
				"name %s in insecure-registries of caisson.conf to trust any",
				host ? host : "it");
	} else if (code == CURLE_SSL_CONNECT_ERROR && strstr(text, "wrong version number")) {
		text = "server gave HTTP response to HTTPS client";
		remedy = own = str_fmt("; name %s in insecure-registries of caisson.conf to speak to it without TLS",
			host ? host : "it");
	} else if (http_is_stall(code)) {
		text = own = str_fmt("the registry has sent nothing for %u s", stall_s(q));
		remedy = "; try again later, or allow it more with registry-timeout in caisson.conf";
	} else if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING) {
		remedy = "; try again later";
	}
	return err_set(e, http_is_stall(code) ? ETIMEDOUT : EIO, "%s \"%.*s\": %s%s", q->method ? q->method : "Get", n,
		q->url, text ? text : "timeout", remedy ? remedy : "");
}

void http_collect(CURL *c, struct response *ret)
{
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, ret);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, ret);
}

static CURLcode perform(CURL *c, const struct request *q, struct http_watch *watch, struct response *ret)
{
	watch->since_ms = 0;
	response_done(ret);
	*ret = (struct response){.max = q->max};
	CURLcode code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
	log_trace("image", "%s %s: %d, status %ld", q->method ? q->method : "GET", q->url, code, ret->status);
	return code;
}

int http_do(CURL *c, const struct request *q, struct response *ret, struct err *e)
{
	char detail[CURL_ERROR_SIZE] = "";
	struct http_watch watch;
	struct curl_slist *headers = http_prepare(c, q, &watch);
	CURLcode code;

	http_collect(c, ret);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
	for (unsigned failures = 1;; failures++) {
		code = perform(c, q, &watch, ret);
		/* who does not answer at all is not asked for minutes */
		unsigned tries = http_is_stall(code) ? 2 : TRIES;
		int delay = http_retry_ms(failures, ret->retry_after_s);
		if (failures >= tries || delay < 0 || !http_transient(code, ret->status))
			break;
		nanosleep(&(struct timespec){.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000L}, NULL);
	}
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	ret->curl = code;
	if (code == CURLE_WRITE_ERROR)
		return err_set(e, EFBIG, "the registry's answer is larger than %zu bytes", q->max);
	return code == CURLE_OK ? 0 : http_fail(code, detail, q, e);
}

/* "denied: requested access to the resource is denied": code and message as docker writes them; "" if the body has none. */
static void own_words(const struct buf *body, char *ret, size_t size)
{
	struct err ignored = ERR_INIT;
	_cleanup_json_ json_t *doc = body->len ? json_parse(body->data, body->len, "answer", &ignored) : NULL;
	const json_t *first = json_array_get(json_object_get(doc, "errors"), 0);
	const char *message = json_str(first, "message"), *code = json_str(first, "code");
	/* of a token service */
	const char *details = json_str(doc, "details");

	snprintf(ret, size, "%.100s%s%.300s", code ? code : "", !str_empty(code) && !str_empty(message) ? ": " : "",
		message ? message : "");
	for (char *p = ret; code && *p && *p != ':'; p++)
		*p = *p == '_' ? ' ' : (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	if (!*ret)
		snprintf(ret, size, "%.300s", details ? details : "");
	for (char *p = ret; *p; p++) /* it goes to a terminal */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

int http_status_error(long status, unsigned retry_after_s, const struct buf *body, struct err *e)
{
	char words[512];

	own_words(body, words, sizeof(words));
	switch (status) {
	case 401:
		return err_set(e, EACCES, "%s", *words ? words : "unauthorized: authentication required");
	case 403:
		return err_set(e, EACCES, "%s", *words ? words : "denied: requested access to the resource is denied");
	case 404:
		return err_set(e, ENOENT, "%s", *words ? words : "not found");
	case 429:
		if (retry_after_s)
			return err_set(e, EBUSY, "%s; the registry asks to wait for %u s",
				*words ? words : "toomanyrequests: too many requests", retry_after_s);
		return err_set(e, EBUSY, "%s; try again later, or log in for a higher limit",
			*words ? words : "toomanyrequests: too many requests");
	default:
		return err_set(e, EIO, "%s%sthe registry answered with status %ld%s", words, *words ? ": " : "", status,
			status >= 500 ? "; try again later" : "");
	}
}
