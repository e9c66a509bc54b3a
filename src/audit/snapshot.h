/* All processes of the host at one moment, from its /proc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

enum ns { NS_MNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_USER, NS_COUNT };
extern const char *const ns_names[NS_COUNT]; /* "mnt", ... as in /proc/PID/ns */

struct host_process {
	pid_t pid, ppid, session;
	uint64_t start;
	uint64_t digest;       /* proc_digest; 0: none */
	uint64_t ns[NS_COUNT]; /* inodes; 0: not known */
	char comm[64];
	char *exe;    /* what /proc/PID/exe says; NULL: nothing */
	char *cgroup; /* the text of /proc/PID/cgroup; NULL: not known */
};

struct snapshot {
	int proc;               /* the directory */
	struct host_process *v; /* by pid */
	size_t len;
	uint64_t own[NS_COUNT]; /* the caller's namespaces */
};

int snapshot_take(const char *proc, struct snapshot *ret);
void snapshot_done(struct snapshot *s);
const struct host_process *snapshot_find(const struct snapshot *s, pid_t pid); /* NULL: no such process */
int snapshot_dir(const struct snapshot *s, pid_t pid);                         /* its directory in /proc; -errno */
/* Whether it came from `ancestor`, which itself does not count. */
bool snapshot_below(const struct snapshot *s, const struct host_process *p, pid_t ancestor);
/* Whether a line of its /proc/PID/cgroup has this name as a component of the path. */
bool process_in_cgroup(const struct host_process *p, const char *name);
/* Whether a namespace is the host's: that of PID 1, or the caller's own. */
bool ns_is_host(const struct snapshot *s, enum ns n, uint64_t id);

/* The inode of "mnt:[4026531841]"; 0: it is no such text. */
uint64_t ns_parse(const char *link);
/* The text of a link below a directory of /proc, cut to size; false: there is none. */
bool link_read(int dir, const char *name, char *ret, size_t size);
