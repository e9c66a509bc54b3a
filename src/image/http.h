/* HTTP as registries are spoken to: what every transfer has in common. The caller is registry.c and its kin. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

/* What the user says of registries; borrowed by whoever speaks to one. */
struct http_options {
	char *const *insecure; /* "host[:port]": may speak plain http, or have a certificate that nobody signed */
	unsigned timeout_s;    /* without a byte; 0: a minute */
};

struct response {
	long status;
	CURLcode curl;
	unsigned retry_after_s; /* 0: not said */
	char type[128];
	struct buf body, challenge;
	struct buf link, location; /* of these headers */
	char digest[DIGEST_SIZE];
	size_t max;
};
void response_done(struct response *r);

struct request {
	const struct http_options *options;
	const char *method;                      /* NULL: GET */
	const char *url, *authorization, *range; /* the last two may be NULL */
	const char *content_type;                /* of the body */
	const void *body;                        /* NULL: none */
	size_t body_len;
	bool accept_manifests;
	bool stay;  /* a redirect is an answer as any other: the body is for nobody else */
	size_t max; /* of the answer's body */
};

/* "host[:port]" of an URL; the caller frees; NULL: it has none. */
char *http_host(const char *url);
/* Whether the URL's host may be spoken to without TLS, or with a certificate that nobody signed: this machine, or one that the options name. */
bool http_is_insecure(const char *url, const struct http_options *o);
/* Keeps a header line that asks for authentication; false: no memory. */
bool http_note_challenge(struct buf *challenge, const char *line, size_t n);
/* The value of a header line if its name is this one (lower case), *ret_n bytes; else NULL. */
const char *http_header_value(const char *line, size_t n, const char *name, size_t *ret_n);
/* "Retry-After: 120" of a header line into *ret, in seconds; a date is none. */
void http_note_retry_after(unsigned *ret, const char *line, size_t n);
/* "bytes 100-199/200" (RFC 9110, 14.4): -EBADMSG. */
int http_content_range(const char *s, size_t n, uint64_t *ret_first, uint64_t *ret_total);
/* Ends a transfer that does not move for limit_s: curl's own limit looks at the average of the last seconds. Lives as long as the transfer. */
struct http_watch {
	uint64_t since_ms, limit_s;
	curl_off_t moved;
};
/* Sets what every transfer has. The list is the caller's, to be freed after the transfer. */
struct curl_slist *http_prepare(CURL *c, const struct request *q, struct http_watch *watch);
/* Whether this is what became of a transfer because nothing came. */
bool http_is_stall(CURLcode code);
/* The answer goes into *ret, whose max is set. */
void http_collect(CURL *c, struct response *ret);
/* One request, repeated when the failure looks passing. 0 whatever the status is. */
int http_do(CURL *c, const struct request *q, struct response *ret, struct err *e);

bool http_transient(CURLcode code, long status);
/* How long to wait before the next try when this many (1...) have failed; -1: longer than anybody would wait. */
int http_retry_ms(unsigned failures, unsigned retry_after_s);
/* The error that a curl code means, with what to do about it. */
int http_fail(CURLcode code, const char *detail, const struct request *q, struct err *e);
/* The error that a status and the body's {"errors": [...]} mean: -EACCES, -ENOENT, -EBUSY for 429, else -EIO. */
int http_status_error(long status, unsigned retry_after_s, const struct buf *body, struct err *e);
