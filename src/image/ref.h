/*
 * Image references as docker reads them: [DOMAIN/]PATH[:TAG][@DIGEST], the grammar of github.com/distribution/reference. "busybox" is short for
 * "docker.io/library/busybox:latest"; the long form is the canonical name, the short one the familiar name.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct reference {
	char *domain;        /* "docker.io", "localhost:5000" */
	char *path;          /* "library/busybox" */
	char *tag;           /* NULL if there is a digest only */
	char *digest;        /* NULL or "sha256:..." */
	bool tag_is_default; /* the user gave neither tag nor digest: "latest" */
};
void reference_done(struct reference *r);
#define _cleanup_reference_ __attribute__((cleanup(reference_done)))

/* -EINVAL with docker's words: "invalid reference format". */
int reference_parse(const char *s, struct reference *ret, struct err *e);

bool reference_tag_valid(const char *s);

/* New strings; NULL: out of memory. */
char *reference_name(
	const struct reference *r); /* with the digest if there is one, else with the tag: the key of images_by_name */
char *reference_repository(const struct reference *r); /* "docker.io/library/busybox" */
char *reference_familiar(
	const char *canonical); /* of a canonical name: "busybox:latest", "localhost:5000/a@sha256:..." */

/* The host[:port] that serves this domain. */
const char *reference_host(const struct reference *r);
/* Whether it is localhost, 127.0.0.0/8 or ::1, where plain http is allowed. */
bool reference_is_local(const char *host);
