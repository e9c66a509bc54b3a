/* Rules of others (firewalld, ufw, docker, an administrator's) that drop what our containers send or get: an accept in our table does not override them. */
#pragma once

#include "base/err.h"

typedef void foreign_fn(void *data, const char *text); /* where it is, what it blocks, what helps */

/*
 * fn for every chain of others', of nftables and of the legacy iptables, that drops or rejects ordinary packets of ours: on the way out, in by a
 * published port, from one container to another, to the name server, from the host. Rules are followed as the kernel would; a condition that
 * an ordinary packet does not decide (addresses, marks, ports, ...) counts as not met. Returns how many, or -errno.
 */
int foreign_blockers(foreign_fn *fn, void *data, struct err *e);
