/* Namespaces: which ones a plan wants, processes born into them, and what is set inside (names, loopback,
 * sysctls). namespaces(7). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "plan/plan.h"

/* CLONE_NEW* of the plan but for the cgroup namespace, which must be made from inside the container's cgroup.
 */
uint64_t namespace_flags(const struct plan *p);

/* clone3(2), as fork(2): 0 in the child. cgroup: a v2 directory to be born into, or -1. ret_pidfd may be
 * NULL. as_sibling: the new process becomes a child of the caller's parent. Returns the pid or -errno. */
pid_t namespace_fork(uint64_t flags, int cgroup, bool as_sibling, int *ret_pidfd);

int namespace_join_network(const struct plan *p, struct err *e); /* that of p->netns */
int namespace_loopback_up(struct err *e);
int namespace_set_names(const struct plan *p, struct err *e);

/* Only sysctls that belong to a namespace of the container's own. */
int namespace_check_sysctls(const struct plan *p, struct err *e);
int namespace_set_sysctls(const struct plan *p, int proc, struct err *e); /* proc: the container's /proc */
