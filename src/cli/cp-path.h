/*
 * Docker's rules for where cp copies to: what a slash or a dot at the end of a path means, and under which name the copy arrives. Paths are absolute,
 * with their end as the user wrote it. Strings that are returned are the caller's.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct cp_end {
	char *path;
	bool exists, dir;
	char *rebase; /* NULL, or the name that the user gave it, where following a link has led to another */
};
void cp_end_done(struct cp_end *x);

/* "CONTAINER:PATH" in two; *ret_container is NULL for a path of the host's. */
int cp_argument(const char *arg, char **ret_container, char **ret_path);
char *cp_absolute(const char *base, const char *path); /* clean, with the same end; NULL: no memory */
/* The directory and the last component, which is "." for a path that says so and for "/". */
int cp_split(const char *path, char **ret_dir, char **ret_base);
/* Whether the path has to be that of a directory: it ends in a slash or in "/.". */
bool cp_asserts_dir(const char *path);
/* `target`, where the link `path` leads to, with path's end, and path's name if it is another. */
int cp_follow(const char *path, const char *target, struct cp_end *ret);

/* The ends on the host. -ENOENT with Go's text. */
int cp_local_source(const char *path, bool follow, struct cp_end *ret, struct err *e);
int cp_local_destination(const char *path, struct cp_end *ret, struct err *e);
/* As docker checks it before anything else. */
int cp_check_output(const char *path, struct err *e);

/* The directory that the copy goes into, and its name there. */
int cp_prepare(const struct cp_end *from, const struct cp_end *to, char **ret_dir, char **ret_name, struct err *e);
