/* Challenges and credentials. */
#include "image/auth.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/json.h"

enum { AUTH_FILE_MAX = 1024 * 1024 };

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

/* What docker writes for a domain: the domain, or an URL with it. */
static bool key_matches(const char *key, const char *domain)
{
	if (!strcmp(domain, "docker.io") &&
		(!strcmp(key, "https://index.docker.io/v1/") || !strcmp(key, "index.docker.io")))
		return true;
	if (str_starts(key, "https://"))
		key += strlen("https://");
	else if (str_starts(key, "http://"))
		key += strlen("http://");
	size_t n = strcspn(key, "/");
	return strlen(domain) == n && !strncasecmp(key, domain, n);
}

/* "user:password" */
static char *decode(const char *base64)
{
	size_t n;
	_cleanup_free_ char *text = strlen(base64) > 65536 ? NULL : base64_decode(base64, &n);

	return text && strlen(text) == n && strchr(text, ':') ? steal_ptr(text) : NULL;
}

static int from_file(const char *path, const char *domain, char **ret, struct err *e)
{
	const char *key;
	json_t *entry;

	if (!path || access(path, F_OK) < 0)
		return 0;
	_cleanup_json_ json_t *doc = json_parse_file(AT_FDCWD, path, AUTH_FILE_MAX, e);
	if (!doc)
		return -e->code;
	json_object_foreach(json_object_get(doc, "auths"), key, entry) {
		const char *auth = json_str(entry, "auth");
		if (!key_matches(key, domain) || str_empty(auth))
			continue;
		*ret = decode(auth);
		return *ret ? 0 : err_set(e, EINVAL, "%s: the credentials for %s are not valid", path, key);
	}
	return 0;
}

int auth_credentials(const char *domain, char **ret, struct err *e)
{
	const char *home = getenv("HOME"), *docker = getenv("DOCKER_CONFIG"), *run = getenv("XDG_RUNTIME_DIR"),
		   *own = getenv("REGISTRY_AUTH_FILE");
	_cleanup_free_ char *in_run = str_fmt("%s/containers/auth.json", run ? run : "");
	_cleanup_free_ char *in_home = str_fmt("%s/.config/containers/auth.json", home ? home : "");
	_cleanup_free_ char *in_docker =
		docker ? str_fmt("%s/config.json", docker) : str_fmt("%s/.docker/config.json", home ? home : "");
	const char *files[] = {own, run ? in_run : NULL, home ? in_home : NULL, docker || home ? in_docker : NULL};

	*ret = NULL;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !*ret; i++) {
		int r = from_file(files[i], domain, ret, e);
		if (r < 0)
			return r;
	}
	return 0;
}

char *auth_basic(const char *user_password)
{
	_cleanup_free_ char *text = base64_encode(user_password, strlen(user_password));

	return text ? str_fmt("Basic %s", text) : NULL;
}
