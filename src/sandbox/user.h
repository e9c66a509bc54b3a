/*
 * Who a container's process is: "name|uid[:group|gid]" looked up in the root's /etc/passwd and /etc/group, by
 * docker's rules: numbers need no entry, names do; supplementary groups come from the group file unless a
 * group was named; --group-add adds more.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* with gid; the caller's (user_done) */
	size_t groups_len;
	char *home; /* of the passwd entry, or "/" */
};

/* Reads below rootfd; the files are the image's and not trusted. Errors: `unable to find user X: no matching
 * entries in passwd file`. */
int user_resolve(int rootfd, const char *spec, char *const *extra_groups, struct user *ret, struct err *e);
/* The same with the files' contents (NULL: no such file). */
int user_from_files(const char *passwd, const char *group, const char *spec, char *const *extra_groups,
	struct user *ret, struct err *e);
int user_apply(const struct user *u, struct err *e); /* setgroups, setresgid, setresuid */
void user_done(struct user *u);
