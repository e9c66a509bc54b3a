/* caisson-fetch: the commands that speak to registries. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "fetch/commands.h"
#include "image/fetch.h"
#include "image/http.h"
#include "image/image.h"
#include "image/login.h"
#include "store/db.h"
#include "store/events.h"

static struct http_options http_options_of(const struct options *o)
{
	return (struct http_options){.insecure = o->insecure, .timeout_s = o->timeout_s};
}

int run_pull(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	_cleanup_free_ char *name = NULL;
	struct http_options http = http_options_of(o);
	struct pull_options options = {
		.http = &http, .platform = o->platform, .all_tags = o->all_tags, .out = o->quiet ? NULL : stdout};
	char id[DIGEST_SIZE];

	int r = image_pull(d, o->args[0], &options, id, &name, e);
	if (r == 0 && o->isolation && (!strcasecmp(o->isolation, "hyperv") || !strcasecmp(o->isolation, "vm"))) {
		r = image_find(d, id, &image, e);
		if (r == 0)
			r = image_build_erofs(d, &image, e);
	}
	if (r < 0)
		return r;
	event_image(db_root_fd(d), "pull", name, name);
	printf("%s\n", name);
	return 0;
}

int run_push(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_free_ char *name = NULL;
	struct http_options http = http_options_of(o);
	struct push_options options = {.http = &http, .all_tags = o->all_tags, .out = o->quiet ? NULL : stdout};
	int r = image_push(d, o->args[0], &options, &name, e);

	if (r < 0)
		return r;
	event_image(db_root_fd(d), "push", name, name);
	if (o->quiet)
		puts(name);
	return 0;
}

enum { STATUS_NONE_KEPT = 3, LOGIN_MAX = 65536 };

/* From stdin, else those that are kept. */
static int read_login(const char *domain, struct credentials *ret, bool *ret_kept, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = fd_read_to_end(STDIN_FILENO, LOGIN_MAX, &b);

	if (r < 0)
		return err_errno(e, r, "read the credentials");
	_cleanup_json_ json_t *doc = json_parse(b.data ? b.data : "", b.len, "the credentials", e);
	if (b.data)
		explicit_bzero(b.data, b.len);
	if (!doc)
		return -e->code;
	*ret_kept = !json_str(doc, "Username");
	if (*ret_kept)
		return credentials_find(domain, ret, e);
	ret->user = strdup(json_str(doc, "Username"));
	ret->secret = strdup(json_str(doc, "Password") ? json_str(doc, "Password") : "");
	return ret->user && ret->secret ? 0 : err_nomem(e);
}

int run_login(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_credentials_ struct credentials c = {0};
	_cleanup_free_ char *domain = NULL, *file = NULL;
	struct http_options http = http_options_of(o);
	bool kept = false;
	int r = login_domain(o->n_args ? o->args[0] : "", &domain, e);

	(void)d;
	if (r == 0)
		r = read_login(domain, &c, &kept, e);
	if (r == 0 && !c.secret)
		return STATUS_NONE_KEPT;
	if (r == 0 && kept)
		puts("Authenticating with existing credentials...");
	if (r == 0)
		r = login(domain, &http, &c, &file, e);
	if (r < 0)
		return r;
	if (file)
		fprintf(stderr,
			"WARNING! Your password will be stored unencrypted in %s.\nConfigure a credential helper to "
			"remove this warning. See caisson-login(1)\n\n",
			file);
	puts("Login Succeeded");
	return 0;
}

int run_logout(struct db *d, const struct options *o, struct err *e)
{
	_cleanup_free_ char *domain = NULL;
	int r = login_domain(o->n_args ? o->args[0] : "", &domain, e);

	(void)d;
	if (r == 0)
		r = credentials_erase(domain, e);
	if (r >= 0)
		printf("%s %s\n", r ? "Removing login credentials for" : "Not logged in to",
			!strcmp(domain, "docker.io") ? "https://index.docker.io/v1/" : domain);
	return r < 0 ? r : 0;
}
