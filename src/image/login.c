/* Logging in to a registry. */
#include "image/login.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/ref.h"
#include "image/registry.h"

int login_domain(const char *server, char **ret, struct err *e)
{
	static const char *const hub[] = {"", "docker.io", "index.docker.io", "registry-1.docker.io", NULL};
	_cleanup_reference_ struct reference ref = {0};
	const char *s = str_starts(server, "https://") ? server + 8
		: str_starts(server, "http://")        ? server + 7
						       : server;
	_cleanup_free_ char *host = strndup(s, strcspn(s, "/"));
	_cleanup_free_ char *name = host ? str_fmt("%s/x", host) : NULL;
	struct err ignored;

	if (!name)
		return err_nomem(e);
	if (str_in(str_lower(host), hub)) {
		*ret = strdup("docker.io");
		return *ret ? 0 : err_nomem(e);
	}
	if (reference_parse(name, &ref, &ignored) < 0 || strcmp(ref.domain, host) != 0)
		return err_set(e, EINVAL, "'%.200s' is not a registry: use HOST or HOST:PORT", server);
	*ret = steal_ptr(ref.domain);
	return 0;
}

int login(const char *domain, const struct http_options *http, const struct credentials *c, char **ret_file,
	struct err *e)
{
	_cleanup_free_ char *identity = NULL;
	int r = registry_login(domain, http, c, &identity, e);

	if (r < 0)
		return r;
	struct credentials kept = {
		.user = c->user, .secret = identity ? identity : c->secret, .is_token = identity || c->is_token};
	r = credentials_store(domain, &kept, ret_file, e);
	return r < 0 ? err_wrap(e, "the credentials are right, but could not be kept") : 0;
}
