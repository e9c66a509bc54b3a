/*
 * Who the user is to registries: docker's file config.json ($DOCKER_CONFIG, else ~/.docker), the helpers that it names, and podman's auth.json.
 *
 *	{"auths": {"HOST": {"auth": base64("user:password"), "identitytoken": "..."}},
 *	 "credHelpers": {"HOST": "NAME"}, "credsStore": "NAME"}
 *
 * A helper is the program docker-credential-NAME (docker-credential-helpers, README.md): `get` and `erase` have the server on stdin, `store` and the
 * answer of `get` are {"ServerURL", "Username", "Secret"}. Secrets travel by files without a name and by pipes, never by arguments or the environment.
 *
 * A domain is that of image/ref.h: "docker.io", "localhost:5000".
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct credentials {
	char *user, *secret; /* secret NULL: there are none */
	bool is_token;       /* secret is an identity token, which a token service takes in place of a password */
};
void credentials_done(struct credentials *c);
#define _cleanup_credentials_ __attribute__((cleanup(credentials_done)))

/* From the helper for this domain, else docker's file, else $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json.
 * Errors name the file or the helper. */
int credentials_find(const char *domain, struct credentials *ret, struct err *e);
/* Into the helper, or docker's file, which is replaced as one and readable by its owner only. *ret_file (the caller frees): the file, NULL for a helper. */
int credentials_store(const char *domain, const struct credentials *c, char **ret_file, struct err *e);
/* 1: they are gone, 0: there were none. */
int credentials_erase(const char *domain, struct err *e);

/* Hostile text: what a file says of a domain, without helpers; the name of its helper, NULL for none (borrowed from doc); what a helper answers. */
int credentials_of_file(const json_t *doc, const char *domain, struct credentials *ret, struct err *e);
int credentials_helper_of_file(const json_t *doc, const char *domain, const char **ret, struct err *e);
int credentials_of_answer(const char *text, size_t n, struct credentials *ret, struct err *e);
