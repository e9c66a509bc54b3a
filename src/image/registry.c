/* One repository of one registry: finding it, manifests, tags and small blobs. */
#include "image/registry.h"
#include "image/registry-private.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"

enum { PAGES_MAX = 1000 };

int registry_do(struct registry *r, struct request *q, struct response *ret, struct err *e)
{
	for (int i = 0;; i++) {
		q->options = r->options;
		q->authorization = r->authorization;
		int code = http_do(r->curl, q, ret, e);
		if (code < 0)
			return code;
		if (ret->status >= 200 && ret->status < 300)
			return 0;
		if (ret->status != 401 || i > 0)
			return registry_status_error(r, ret, e);
		code = registry_authenticate(r, &ret->challenge, e);
		if (code < 0)
			return code;
	}
}

static int get(struct registry *r, const char *url, bool manifest, size_t max, struct response *ret, struct err *e)
{
	struct request q = {.url = url, .accept_manifests = manifest, .max = max};
	int code = registry_do(r, &q, ret, e);

	return code == 0 && ret->status != 200 ? err_set(e, EIO, "the registry answered with status %ld", ret->status)
					       : code;
}

/* GET /v2/ tells whether this is a registry, and makes it ask for authentication. */
static int ping(struct registry *r, const char *scheme, struct response *ret, struct err *e)
{
	free(r->base);
	r->base = str_fmt("%s://%s/v2/", scheme, r->host);
	if (!r->base)
		return err_nomem(e);
	struct request q = {.options = r->options, .url = r->base, .max = REGISTRY_ANSWER_MAX};
	return http_do(r->curl, &q, ret, e);
}

int registry_connect(struct registry *r, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	int code = ping(r, "https", &answer, e);

	if (code < 0 && http_is_insecure(r->base, r->options) && answer.curl != CURLE_COULDNT_CONNECT &&
		answer.curl != CURLE_COULDNT_RESOLVE_HOST)
		code = ping(r, "http", &answer, e);
	if (code < 0)
		return code;
	if (answer.status == 401)
		return registry_authenticate(r, &answer.challenge, e);
	if (answer.status == 200)
		return 0;
	code = http_status_error(answer.status, answer.retry_after_s, &answer.body, e);
	return answer.status == 429 || answer.status >= 500
		? err_wrap(e, "%s", r->host)
		: err_set(e, EIO, "%s is not a registry: it answered with status %ld", r->host, answer.status);
}

int registry_new(const struct reference *ref, const struct http_options *options, struct registry **ret, struct err *e)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(e);
	r->host = strdup(reference_host(ref));
	r->path = ref->path ? strdup(ref->path) : NULL;
	r->curl = curl_easy_init();
	r->options = options;
	r->actions = "pull";
	if (!r->host || (ref->path && !r->path) || !r->curl) {
		registry_free(r);
		return err_nomem(e);
	}
	*ret = r;
	return 0;
}

int registry_open(const struct reference *ref, const struct http_options *options, const char *actions,
	const char *mount_from, struct registry **ret, struct err *e)
{
	struct registry *r;
	int code = registry_new(ref, options, &r, e);

	if (code < 0)
		return code;
	r->actions = actions;
	r->mount_scope = mount_from ? str_fmt("repository:%s:pull", mount_from) : NULL;
	/* most images need none: that there are none is told when they would have been needed */
	if ((mount_from && !r->mount_scope) ||
		credentials_find(ref->domain, &r->credentials, &r->no_credentials) == -ENOMEM)
		code = err_nomem(e);
	if (code == 0)
		code = registry_connect(r, e);
	if (code < 0) {
		registry_free(r);
		return code;
	}
	*ret = r;
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	curl_easy_cleanup(r->curl);
	free(r->host);
	free(r->path);
	free(r->base);
	free(r->authorization);
	free(r->mount_scope);
	free(r->identity);
	credentials_done(&r->credentials);
	free(r);
}

static int check_content(const struct buf *b, const char *want, char ret[DIGEST_SIZE], struct err *e)
{
	if (digest_of(b->data ? b->data : "", b->len, ret) < 0)
		return err_set(e, EIO, "the digest could not be computed");
	if (want && strcmp(ret, want) != 0)
		return err_set(e, EBADMSG, "digest does not match: expected %s, got %s", want, ret);
	return 0;
}

int registry_manifest(struct registry *r, const char *tag_or_digest, struct buf *ret, char ret_type[128],
	char ret_digest[DIGEST_SIZE], struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	_cleanup_free_ char *url = str_fmt("%s%s/manifests/%s", r->base, r->path, tag_or_digest);
	const char *want = digest_valid(tag_or_digest) ? tag_or_digest : NULL;

	if (!url)
		return err_nomem(e);
	int code = get(r, url, true, MANIFEST_MAX, &answer, e);
	if (code < 0)
		return code == -EFBIG ? err_wrap(e, "manifest") : code;
	if (!want && digest_valid(answer.digest))
		want = answer.digest;
	code = check_content(&answer.body, want, ret_digest, e);
	if (code < 0)
		return err_wrap(e, "manifest");
	memcpy(ret_type, answer.type, sizeof(answer.type));
	*ret = answer.body;
	answer.body = (struct buf){0};
	return 0;
}

char *registry_blob_url(const struct registry *r, const struct descriptor *d)
{
	return str_fmt("%s%s/blobs/%s", r->base, r->path, d->digest);
}

int registry_blob(struct registry *r, const struct descriptor *d, struct buf *ret, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	_cleanup_free_ char *url = registry_blob_url(r, d);
	char digest[DIGEST_SIZE];

	if (!url)
		return err_nomem(e);
	int code = get(r, url, false, (size_t)d->size, &answer, e);
	if (code == 0 && answer.body.len != (size_t)d->size)
		code = err_set(e, EBADMSG, "size does not match: expected %lld bytes, got %zu", (long long)d->size,
			answer.body.len);
	if (code == 0)
		code = check_content(&answer.body, d->digest, digest, e);
	if (code < 0)
		return err_wrap(e, "blob %s", d->digest);
	*ret = answer.body;
	answer.body = (struct buf){0};
	return 0;
}

/* The URL of the next page of a list: `</v2/a/tags/list?n=100&last=x>; rel="next"` (RFC 8288). 1: *ret is set, 0: this was the last one. */
static int next_page(const struct registry *r, const struct buf *link, char **ret, struct err *e)
{
	const char *begin = link->len ? strchr(link->data, '<') : NULL, *end = begin ? strchr(begin, '>') : NULL;

	if (!end || !strstr(end, "next"))
		return 0;
	_cleanup_free_ char *target = strndup(begin + 1, (size_t)(end - begin - 1));
	if (!target)
		return err_nomem(e);
	if (!str_starts(target, "/v2/")) /* the credentials are not for others */
		return err_set(e, EBADMSG, "the registry's list of tags goes on at %.100s", target);
	*ret = str_fmt("%.*s%s", (int)(strlen(r->base) - strlen("/v2/")), r->base, target);
	return *ret ? 1 : err_nomem(e);
}

static int add_tags(const struct response *answer, char ***tags, struct err *e)
{
	_cleanup_json_ json_t *doc = json_parse(answer->body.data, answer->body.len, "the registry's list of tags", e);
	_cleanup_strv_ char **page = json_strv(json_object_get(doc, "tags"));

	if (!doc)
		return -e->code;
	strv_foreach(tag, page)
		if (!reference_tag_valid(tag))
			return err_set(e, EBADMSG, "the registry's list of tags has '%.128s', which is none", tag);
	return strv_push_all(tags, page) < 0 ? err_nomem(e) : 0;
}

int registry_tags(struct registry *r, char ***ret, struct err *e)
{
	_cleanup_strv_ char **tags = NULL;
	_cleanup_free_ char *url = str_fmt("%s%s/tags/list", r->base, r->path);
	int more = url ? 1 : err_nomem(e);

	for (unsigned pages = 0; more > 0; pages++) {
		_cleanup_(response_done) struct response answer = {0};
		int code = pages < PAGES_MAX ? get(r, url, false, REGISTRY_ANSWER_MAX, &answer, e)
					     : err_set(e, EFBIG, "the registry's list of tags has no end");
		if (code == 0)
			code = add_tags(&answer, &tags, e);
		if (code < 0)
			return code;
		free(steal_ptr(url));
		more = next_page(r, &answer.link, &url, e);
	}
	if (more == 0)
		*ret = steal_ptr(tags);
	return more;
}
