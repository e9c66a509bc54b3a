/* Who we are to a registry: its challenge (RFC 9110, 11.6.1), and the user's credentials from the files that docker and podman keep. */
#pragma once

#include "base/err.h"

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	char *realm, *service, *scope; /* NULL: not given */
};
void challenge_done(struct challenge *c);

/* The value of a WWW-Authenticate header; of several challenges, Bearer is taken before Basic. Others are skipped. -EBADMSG. */
int challenge_parse(const char *header, struct challenge *ret, struct err *e);

/* "user:password" for a domain ("docker.io", "localhost:5000") from $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json,
 * ~/.config/containers/auth.json, $DOCKER_CONFIG/config.json or ~/.docker/config.json. *ret is NULL if there are none. The caller frees. */
int auth_credentials(const char *domain, char **ret, struct err *e);
char *auth_basic(const char *user_password); /* "Basic BASE64"; the caller frees */
