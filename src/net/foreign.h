/* Rules of others (firewalld, ufw, docker, an administrator's) that may drop what our containers send or get: an accept in our table does not override them. */
#pragma once

#include "base/err.h"

typedef void foreign_fn(void *data, const char *text); /* where it is, what it does, what helps */

/*
 * fn for every base chain of another table, in a hook that our packets pass, whose policy is drop or that ends in a rule that drops or rejects whatever
 * comes. Whether an earlier rule lets ours through is not worked out: it is what may block. Returns how many, or -errno.
 */
int foreign_blockers(foreign_fn *fn, void *data, struct err *e);
