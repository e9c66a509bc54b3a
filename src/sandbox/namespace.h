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

/* Enters a namespace of another container: its file /proc/PID/ns/..., which must have this inode number; `what` names it in errors. */
int namespace_join(const char *path, uint64_t id, int type, const char *what, struct err *e);
/* As namespace_fork, into the plan's namespaces, those that it makes and the PID namespace that it joins. pid or -errno with *e set. */
pid_t namespace_fork_first(const struct plan *p, int cgroup, int *ret_pidfd, struct err *e);
int namespace_loopback_up(struct err *e);
int namespace_set_names(const struct plan *p, struct err *e);

/* Only sysctls that belong to a namespace of the container's own. */
int namespace_check_sysctls(const struct plan *p, struct err *e);
int namespace_set_sysctls(const struct plan *p, int proc, struct err *e); /* proc: the container's /proc */
