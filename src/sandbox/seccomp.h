/* Installs a seccomp filter that was compiled elsewhere. seccomp(2). */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* Whether the kernel has filters and the bytes can be one: a whole number of struct sock_filter, at most
 * BPF_MAXINSNS. */
int seccomp_check(const void *filter, size_t len, struct err *e);

/* On the calling thread, for good. Needs CAP_SYS_ADMIN or no_new_privs. */
int seccomp_install(const void *filter, size_t len, struct err *e);
