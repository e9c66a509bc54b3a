/* Directories and paths. Functions return 0 or -errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int mkdir_p(int dirfd, const char *path, mode_t mode); /* with parents; an existing directory is fine */
int rm_rf(int dirfd,
	const char *path); /* a file or a whole tree; a missing one is fine; follows no link, crosses no mount */
char *path_join(const char *a, const char *b); /* "a/b", exactly one slash between; the caller frees; NULL: no memory */
char *path_clean(const char *path);      /* lexical: no "//", "." or ".."; absolute stays absolute; the caller frees */
const char *path_base(const char *path); /* behind the last slash */
/* mkdir -p inside a root: every component is resolved by openat2(RESOLVE_IN_ROOT); returns an O_PATH descriptor of the directory. */
int mkdir_in_root(int rootfd, const char *path, mode_t mode);
/* The same, and where a link leads to nowhere, that place is made, inside the root. */
int mkdir_through_links(int rootfd, const char *path, mode_t mode);
bool dir_has_files(
	int dirfd, const char *path); /* any entry whose name does not start with a dot; false if it cannot be read */
/*
 * Bytes in the files of a tree, or in one file, as docker counts them: directories are none, a file with several names is one. What lies very deep
 * is left out.
 */
int tree_size(int dirfd, const char *path, uint64_t *ret);
