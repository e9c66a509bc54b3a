/*
 * Seccomp profiles, compiled to the filter that a plan carries.
 *
 * Both forms of JSON are read: linux.seccomp of an OCI config.json (runtime-spec config-linux.md) and
 * docker's profiles, which add archMap, includes, excludes and names that depend on capabilities,
 * architecture and kernel. System calls that are not known are left out, as docker does; anything else that
 * is not understood is an error: a profile is never weaker than it says.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* caps: the set of the process (bits of capabilities), for includes and excludes. *ret_bpf: struct
 * sock_filter, the caller frees. Where the default action is an error, system calls newer than this code get
 * ENOSYS, so that programs fall back. */
int seccomp_compile(const char *json, size_t n, uint64_t caps, char **ret_bpf, size_t *ret_len, struct err *e);

/* The same by way of a directory where results are kept (cache_dirfd, or -1 for none): compiling takes
 * milliseconds. An entry is used only if it is root's, written by nobody else, and holds the same profile,
 * capabilities and architecture, compared byte for byte. */
int seccomp_cached(
	int cache_dirfd, const char *json, size_t n, uint64_t caps, char **ret_bpf, size_t *ret_len, struct err *e);
