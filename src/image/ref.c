/* Image references. */
#include "image/ref.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128, INPUT_MAX_LEN = 1024 };

static const char default_domain[] = "docker.io";

void reference_done(struct reference *r)
{
	free(r->domain);
	free(r->path);
	free(r->tag);
	free(r->digest);
	*r = (struct reference){0};
}

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* [a-z0-9]+ parts with separators between: one of "_", ".", "__", or any number of "-". */
static bool path_component_valid(const char *s, size_t n)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;
		while (i < n && is_lower_alnum(s[i]))
			i++;
		if (i == start)
			return false;
		if (i == n)
			return true;
		if (s[i] == '-')
			while (i < n && s[i] == '-')
				i++;
		else if (s[i] == '_')
			i += i + 1 < n && s[i + 1] == '_' ? 2 : 1;
		else if (s[i] == '.')
			i++;
		else
			return false;
	}
}

static bool path_valid(const char *path)
{
	for (;;) {
		size_t n = strcspn(path, "/");
		if (!path_component_valid(path, n))
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

static bool host_valid(const char *s, size_t n)
{
	if (n && s[0] == '[') {
		if (n < 4 || s[n - 1] != ']')
			return false;
		for (size_t i = 1; i < n - 1; i++)
			if (!isxdigit((unsigned char)s[i]) && s[i] != ':')
				return false;
		return true;
	}
	for (size_t start = 0;;) {
		size_t end = start;
		while (end < n && s[end] != '.')
			end++;
		if (end == start || !is_alnum(s[start]) || !is_alnum(s[end - 1]))
			return false;
		for (size_t i = start; i < end; i++)
			if (!is_alnum(s[i]) && s[i] != '-')
				return false;
		if (end == n)
			return true;
		start = end + 1;
	}
}

static bool domain_valid(const char *s)
{
	const char *end = *s == '[' ? strchr(s, ']') : NULL;
	const char *colon = strchr(end ? end : s, ':');
	size_t n = colon ? (size_t)(colon - s) : strlen(s);

	if (colon && (!colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1)))
		return false;
	return host_valid(s, n);
}

bool reference_tag_valid(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > TAG_MAX_LEN || *s == '.' || *s == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-')
			return false;
	return true;
}

static bool sha256_valid(const char *s)
{
	return strlen(s) == 71 && str_starts(s, "sha256:") && strspn(s + 7, "0123456789abcdef") == 64;
}

/* Domain and path of a name without tag and digest. */
static int split_name(const char *name, struct reference *r)
{
	const char *slash = strchr(name, '/');
	_cleanup_free_ char *first = strndup(name, slash ? (size_t)(slash - name) : 0);
	bool has_domain = false;

	if (!first)
		return -ENOMEM;
	if (slash) {
		has_domain = strpbrk(first, ".:") || !strcmp(first, "localhost");
		for (const char *c = first; *c; c++)
			has_domain |= isupper((unsigned char)*c) != 0;
	}
	const char *path = has_domain ? slash + 1 : name;
	r->domain = strdup(!has_domain || !strcmp(first, "index.docker.io") ? default_domain : first);
	if (!r->domain)
		return -ENOMEM;
	r->path = !strcmp(r->domain, default_domain) && !strchr(path, '/') ? str_fmt("library/%s", path) : strdup(path);
	return r->path ? 0 : -ENOMEM;
}

static int check_name(const char *s, const char *name, const struct reference *r, struct err *e)
{
	if (strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64)
		return err_set(
			e, EINVAL, "invalid repository name (%s), cannot specify 64-byte hexadecimal strings", name);
	for (const char *c = r->path; *c; c++)
		if (isupper((unsigned char)*c))
			return err_set(
				e, EINVAL, "invalid reference format: repository name (%s) must be lowercase", r->path);
	if (strlen(r->domain) + 1 + strlen(r->path) > NAME_MAX_LEN)
		return err_set(e, EINVAL, "repository name must not be more than %d characters", NAME_MAX_LEN);
	if (!domain_valid(r->domain) || !path_valid(r->path) || (r->tag && !reference_tag_valid(r->tag)))
		return err_set(e, EINVAL, "invalid reference format: %s", s);
	if (r->digest && !sha256_valid(r->digest))
		return err_set(e, EINVAL,
			"invalid reference format: %s: the digest is not sha256: and 64 hexadecimal digits", s);
	return 0;
}

static int parse(const char *s, struct reference *r, struct err *e)
{
	if (!*s || strlen(s) > INPUT_MAX_LEN)
		return err_set(e, EINVAL, "invalid reference format%s", *s ? ": too long" : "");
	_cleanup_free_ char *name = strdup(s);
	if (!name)
		return err_nomem(e);
	char *at = strchr(name, '@');
	if (at) {
		*at = 0;
		r->digest = strdup(at + 1);
	}
	char *slash = strrchr(name, '/');
	char *colon = strchr(slash ? slash : name, ':');
	if (colon) {
		*colon = 0;
		r->tag = strdup(colon + 1);
	} else if (!at) {
		r->tag = strdup("latest");
		r->tag_is_default = true;
	}
	if ((at && !r->digest) || ((colon || !at) && !r->tag) || split_name(name, r) < 0)
		return err_nomem(e);
	return check_name(s, name, r, e);
}

int reference_parse(const char *s, struct reference *ret, struct err *e)
{
	_cleanup_reference_ struct reference r = {0};
	int code = parse(s, &r, e);

	if (code < 0)
		return code;
	*ret = r;
	r = (struct reference){0};
	return 0;
}

char *reference_name(const struct reference *r)
{
	return str_fmt("%s/%s%s%s", r->domain, r->path, r->digest ? "@" : ":", r->digest ? r->digest : r->tag);
}

char *reference_repository(const struct reference *r)
{
	return str_fmt("%s/%s", r->domain, r->path);
}

char *reference_familiar(const char *canonical)
{
	if (!str_starts(canonical, "docker.io/"))
		return strdup(canonical);
	const char *rest = canonical + strlen("docker.io/");
	if (str_starts(rest, "library/") && !strchr(rest + strlen("library/"), '/'))
		rest += strlen("library/");
	return strdup(rest);
}

const char *reference_host(const struct reference *r)
{
	return !strcmp(r->domain, default_domain) ? "registry-1.docker.io" : r->domain;
}

bool reference_is_local(const char *host)
{
	char name[64];
	struct in_addr a;
	size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = 0;
	if (!strcmp(name, "localhost") || !strcmp(name, "[::1]"))
		return true;
	return inet_pton(AF_INET, name, &a) == 1 && (ntohl(a.s_addr) >> 24) == 127;
}
