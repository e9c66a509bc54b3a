/* Challenges. */
#include "image/auth.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/str.h"

void challenge_done(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	*c = (struct challenge){0};
}

static const char token_chars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t");
}

/* token or quoted-string behind '='; *s is moved behind it. */
static int take_value(const char **s, struct buf *ret)
{
	const char *p = *s;

	if (*p != '"') {
		size_t n = strspn(p, token_chars);
		*s = p + n;
		return buf_add(ret, p, n);
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (buf_add(ret, p, 1) < 0)
			return -ENOMEM;
	}
	*s = p + (*p == '"');
	return *p == '"' ? 0 : -EBADMSG;
}

static char **param_slot(struct challenge *c, const char *name, size_t n)
{
	if (n == 5 && !strncasecmp(name, "realm", n))
		return &c->realm;
	if (n == 7 && !strncasecmp(name, "service", n))
		return &c->service;
	return n == 5 && !strncasecmp(name, "scope", n) ? &c->scope : NULL;
}

/* The parameters of one challenge, up to the next scheme or the end. */
static int take_params(const char **s, struct challenge *c)
{
	for (;;) {
		const char *name = *s + strspn(*s, " \t,");
		size_t n = strspn(name, token_chars);
		const char *p = skip_space(name + n);
		if (!n || *p != '=') {
			*s = name;
			return 0;
		}
		_cleanup_buf_ struct buf value = {0};
		p = skip_space(p + 1);
		int r = take_value(&p, &value);
		if (r < 0)
			return r;
		char **slot = param_slot(c, name, n);
		if (slot && !*slot && !(*slot = strdup(value.len ? value.data : "")))
			return -ENOMEM;
		*s = p;
	}
}

static enum challenge_scheme scheme_of(const char *s, size_t n)
{
	if (n == 6 && !strncasecmp(s, "bearer", n))
		return CHALLENGE_BEARER;
	return n == 5 && !strncasecmp(s, "basic", n) ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

int challenge_parse(const char *header, struct challenge *ret, struct err *e)
{
	_cleanup_(challenge_done) struct challenge best = {0};
	const char *s = header;

	for (;;) {
		_cleanup_(challenge_done) struct challenge c = {0};
		s += strspn(s, " \t,");
		size_t n = strspn(s, token_chars);
		if (!*s)
			break;
		if (!n)
			return err_set(
				e, EBADMSG, "the registry's WWW-Authenticate header is not valid: %.100s", header);
		c.scheme = scheme_of(s, n);
		s += n;
		int r = take_params(&s, &c);
		if (r < 0)
			return err_set(e, -r, "the registry's WWW-Authenticate header is not valid: %.100s", header);
		if (c.scheme > best.scheme) {
			challenge_done(&best);
			best = c;
			c = (struct challenge){0};
		}
	}
	if (best.scheme == CHALLENGE_BEARER && str_empty(best.realm))
		return err_set(e, EBADMSG, "the registry asks for a token but does not say where from");
	*ret = best;
	best = (struct challenge){0};
	return 0;
}

char *auth_basic(const char *user, const char *password)
{
	_cleanup_free_ char *plain = str_fmt("%s:%s", user, password);
	_cleanup_free_ char *text = plain ? base64_encode(plain, strlen(plain)) : NULL;

	if (plain)
		explicit_bzero(plain, strlen(plain));
	return text ? str_fmt("Basic %s", text) : NULL;
}
