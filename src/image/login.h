/* Logging in to a registry, and out: the server's name as users write it, the check, and where the credentials are kept. */
#pragma once

#include "base/err.h"
#include "image/credentials.h"
#include "image/http.h"

/* "localhost:5000", "https://localhost:5000/v2/", "" and docker.io's names: the domain, which the caller frees. -EINVAL. */
int login_domain(const char *server, char **ret, struct err *e);
/* Asks the registry whether it takes them, and keeps them. *ret_file (the caller frees): the file that has them in plain text now, NULL for a helper. */
int login(const char *domain, const struct http_options *http, const struct credentials *c, char **ret_file,
	struct err *e);
