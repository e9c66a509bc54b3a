/* The parts of the registry's client as they see each other. */
#pragma once

#include "image/registry.h"

struct registry {
	CURL *curl;          /* for one request at a time */
	char *host, *path;   /* "localhost:5000", "library/busybox" */
	char *base;          /* "https://registry-1.docker.io/v2/" */
	char *authorization; /* header, NULL for none */
	char *credentials;   /* "user:password", NULL for none */
	const struct http_options *options;
};

char *registry_blob_url(const struct registry *r, const struct descriptor *d);
/* Does what a WWW-Authenticate header asks for. */
int registry_authenticate(struct registry *r, const struct buf *header, struct err *e);
