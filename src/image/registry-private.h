/* The parts of the registry's client as they see each other. */
#pragma once

#include "image/credentials.h"
#include "image/registry.h"

enum { REGISTRY_ANSWER_MAX = 1024 * 1024 };

struct registry {
	CURL *curl;          /* for one request at a time */
	char *host, *path;   /* "localhost:5000", "library/busybox"; path NULL: login, to no repository */
	char *base;          /* "https://registry-1.docker.io/v2/" */
	char *authorization; /* header, NULL for none */
	const char *actions; /* what a token is asked for: "pull", "pull,push" */
	char *mount_scope;   /* another repository's, "repository:a/b:pull", or NULL */
	char *identity;      /* the identity token that came with a token, or NULL */
	struct credentials credentials;
	struct err no_credentials; /* why they could not be found; told when they would have been needed */
	const struct http_options *options;
};

/* Without credentials, and not connected; ref's path and what follows are not needed for login. */
int registry_new(const struct reference *ref, const struct http_options *options, struct registry **ret, struct err *e);
/* https, or what the options allow; answers a challenge. */
int registry_connect(struct registry *r, struct err *e);
char *registry_blob_url(const struct registry *r, const struct descriptor *d);
/* Does what a WWW-Authenticate header asks for. */
int registry_authenticate(struct registry *r, const struct buf *header, struct err *e);
/* http_status_error, and why there were no credentials. */
int registry_status_error(const struct registry *r, const struct response *answer, struct err *e);
/* One request, with the authorization; a challenge is answered once. 0: the status is one of 2xx. */
int registry_do(struct registry *r, struct request *q, struct response *ret, struct err *e);
