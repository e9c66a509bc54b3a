/* What caisson-fetch is asked for, and the commands that speak to registries (registries.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct db;

struct options {
	const char *root, *isolation, *platform, *message, *author, *output;
	char **changes, **insecure;
	uint32_t timeout_s;
	bool quiet, all_tags;
	char **args; /* what follows the command's name */
	int n_args;
};

/* They return the exit status, or -errno. login and logout have no use for the database. */
int run_pull(struct db *d, const struct options *o, struct err *e);
int run_push(struct db *d, const struct options *o, struct err *e);
int run_login(struct db *d, const struct options *o, struct err *e);
int run_logout(struct db *d, const struct options *o, struct err *e);
