/* A registry's challenge (RFC 9110, 11.6.1), and the answer to one. */
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

char *auth_basic(const char *user, const char *password); /* "Basic BASE64"; the caller frees */
