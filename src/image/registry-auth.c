/* Who we are to a registry: what its challenges ask for, and login. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "image/auth.h"
#include "image/registry-private.h"

/* "service=...&scope=..." behind a separator, as a query or as a form. */
static int token_query(struct registry *r, const struct challenge *c, struct buf *ret)
{
	_cleanup_free_ char *scope = r->path ? str_fmt("repository:%s:%s", r->path, r->actions) : strdup("");
	char *const values[][2] = {{"service", c->service}, {"scope", scope}, {"scope", r->mount_scope},
		{"account", r->path ? NULL : r->credentials.user}};

	if (!scope)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (str_empty(values[i][1]))
			continue;
		char *escaped = curl_easy_escape(r->curl, values[i][1], 0);
		int code = escaped ? buf_addf(ret, "%s%s=%s", ret->len ? "&" : "", values[i][0], escaped) : -ENOMEM;
		curl_free(escaped);
		if (code < 0)
			return code;
	}
	return buf_adds(ret, "&client_id=caisson");
}

/* GET REALM?service=...&scope=..., with user and password if there are any (distribution, spec/auth/token). */
static int get_with_password(
	struct registry *r, const struct challenge *c, const char *query, struct response *ret, struct err *e)
{
	bool login = !r->path;
	_cleanup_free_ char *url = str_fmt(
		"%s%c%s%s", c->realm, strchr(c->realm, '?') ? '&' : '?', query, login ? "&offline_token=true" : "");
	_cleanup_free_ char *basic =
		r->credentials.secret ? auth_basic(r->credentials.user, r->credentials.secret) : NULL;

	if (!url || (r->credentials.secret && !basic))
		return err_nomem(e);
	struct request q = {.options = r->options, .url = url, .authorization = basic, .max = REGISTRY_ANSWER_MAX};
	return http_do(r->curl, &q, ret, e);
}

/* POST REALM with the identity token (spec/auth/oauth). */
static int get_with_token(
	struct registry *r, const struct challenge *c, const char *query, struct response *ret, struct err *e)
{
	char *escaped = curl_easy_escape(r->curl, r->credentials.secret, 0);
	_cleanup_free_ char *form =
		escaped ? str_fmt("grant_type=refresh_token&refresh_token=%s&%s", escaped, query) : NULL;

	curl_free(escaped);
	if (!form)
		return err_nomem(e);
	struct request q = {.options = r->options,
		.method = "POST",
		.url = c->realm,
		.content_type = "application/x-www-form-urlencoded",
		.body = form,
		.body_len = strlen(form),
		.stay = true,
		.max = REGISTRY_ANSWER_MAX};
	return http_do(r->curl, &q, ret, e);
}

static int use_token(struct registry *r, const struct buf *body, struct err *e)
{
	_cleanup_json_ json_t *doc = json_parse(body->data, body->len, "the token service's answer", e);
	const char *token = json_str(doc, "token") ? json_str(doc, "token") : json_str(doc, "access_token"),
		   *identity = json_str(doc, "refresh_token");

	if (!doc)
		return -e->code;
	if (str_empty(token) || strpbrk(token, "\r\n"))
		return err_set(e, EBADMSG, "the token service's answer has no token");
	free(r->authorization);
	r->authorization = str_fmt("Bearer %s", token);
	free(r->identity);
	r->identity = str_empty(identity) ? NULL : strdup(identity);
	return r->authorization ? 0 : err_nomem(e);
}

static int get_token(struct registry *r, const struct challenge *c, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	_cleanup_buf_ struct buf query = {0};

	if (token_query(r, c, &query) < 0)
		return err_nomem(e);
	int code = r->credentials.is_token ? get_with_token(r, c, query.data, &answer, e)
					   : get_with_password(r, c, query.data, &answer, e);
	if (code < 0)
		return code;
	if (answer.status != 200)
		return registry_status_error(r, &answer, e);
	return use_token(r, &answer.body, e);
}

int registry_status_error(const struct registry *r, const struct response *answer, struct err *e)
{
	int code = http_status_error(answer->status, answer->retry_after_s, &answer->body, e);

	if (code == -EACCES && r->no_credentials.code)
		return err_set(e, EACCES, "%.400s (no credentials: %.400s)", strdupa(e->msg), r->no_credentials.msg);
	return code;
}

int registry_authenticate(struct registry *r, const struct buf *header, struct err *e)
{
	_cleanup_(challenge_done) struct challenge c = {0};
	struct response none = {.status = 401};
	int code = challenge_parse(header->len ? header->data : "", &c, e);

	if (code < 0)
		return code;
	switch (c.scheme) {
	case CHALLENGE_BEARER:
		return get_token(r, &c, e);
	case CHALLENGE_BASIC:
		if (!r->credentials.secret || r->credentials.is_token)
			return registry_status_error(r, &none, e);
		free(r->authorization);
		r->authorization = auth_basic(r->credentials.user, r->credentials.secret);
		return r->authorization ? 0 : err_nomem(e);
	case CHALLENGE_NONE:
	default:
		return err_set(e, EACCES, "the registry asks for a kind of authentication that is not supported");
	}
}

/* Whether the registry takes what it asked for. */
static int try_it(struct registry *r, struct err *e)
{
	_cleanup_(response_done) struct response answer = {0};
	struct request q = {
		.options = r->options, .url = r->base, .authorization = r->authorization, .max = REGISTRY_ANSWER_MAX};
	int code = r->authorization ? http_do(r->curl, &q, &answer, e) : 0;

	if (code == 0 && r->authorization && answer.status != 200)
		code = registry_status_error(r, &answer, e);
	return code;
}

int registry_login(const char *domain, const struct http_options *options, const struct credentials *c,
	char **ret_identity, struct err *e)
{
	struct reference ref = {.domain = (char *)domain};
	struct registry *r;
	int code = registry_new(&ref, options, &r, e);

	if (code < 0)
		return code;
	r->credentials =
		(struct credentials){.user = strdup(c->user), .secret = strdup(c->secret), .is_token = c->is_token};
	code = r->credentials.user && r->credentials.secret ? registry_connect(r, e) : err_nomem(e);
	if (code == 0)
		code = try_it(r, e);
	if (code == -EACCES)
		err_wrap(e, "Get \"%s\"", r->base);
	if (code == 0)
		*ret_identity = steal_ptr(r->identity);
	registry_free(r);
	return code;
}
