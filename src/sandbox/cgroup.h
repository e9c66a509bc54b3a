/*
 * A container's cgroup: "PARENT/ID" below each v1 hierarchy, or below the v2 one; also on hosts that mount
 * both (v1 where the controllers are). /sys/fs/cgroup is where they are mounted. Kernel:
 * admin-guide/cgroup-v1/, admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "plan/plan.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
enum { CGROUP_HIERARCHIES_MAX = 20 };

/* One hierarchy and the container's directory in it. v2: the only one, with an empty name. */
struct cgroup_dir {
	char name[64]; /* as mounted: "memory", "cpu,cpuacct", "systemd" */
	int fd;        /* -1: not made here */
};

struct cgroup {
	bool v2;
	char path[256];
	struct cgroup_dir dir[CGROUP_HIERARCHIES_MAX];
	size_t len;
};
#define CGROUP_INIT ((struct cgroup){.len = 0})

/* What the host has; no directory of a container is open. -ENOENT with *e set if nothing is mounted. */
int cgroup_probe(struct cgroup *ret, struct err *e);
/* What this kernel's cgroups can limit, as bits. 0: there are none. */
enum cgroup_can {
	CGROUP_CAN_MEMORY = 1,
	CGROUP_CAN_SWAP = 2,
	CGROUP_CAN_RESERVATION = 4,
	CGROUP_CAN_SWAPPINESS = 8,
	CGROUP_CAN_OOM_DISABLE = 16,
	CGROUP_CAN_CFS = 32,
	CGROUP_CAN_SHARES = 64,
	CGROUP_CAN_CPUSET = 128,
	CGROUP_CAN_PIDS = 256,
	CGROUP_CAN_IO_WEIGHT = 512,
	CGROUP_CAN_IO_RATE = 1024,
};
unsigned cgroup_can(void);
/* What the plan asks for and the host cannot do. */
int cgroup_check(const struct plan *p, struct err *e);

/* Makes the container's cgroups, with limits and device rules. On failure nothing is left. */
int cgroup_create(const struct plan *p, struct cgroup *ret, struct err *e);
int cgroup_open(const char *path, struct cgroup *ret, struct err *e);
/* v1: makes those of its cgroups that only this plan needs, and moves its processes there. */
int cgroup_extend(struct cgroup *c, const struct plan *p, struct err *e);
/* Moves the calling process, which must have one thread, into it; v2: clone3(CLONE_INTO_CGROUP) with
 * dir[0].fd did it. */
int cgroup_join_v1(const struct cgroup *c, struct err *e);
/* again: it may have other limits already, of which those that the plan does not ask for are lifted. */
int cgroup_limit(const struct cgroup *c, const struct plan *p, bool again, struct err *e);
bool cgroup_same_limits(const struct plan *a, const struct plan *b); /* what cgroup_limit reads of them */

int cgroup_fd(const struct cgroup *c, const char *controller); /* of the hierarchy that has it; -1: none. Borrowed */
int cgroup_read_u64(const struct cgroup *c, const char *controller, const char *file, uint64_t *ret);
/* The number behind `key` in a file of "key number" lines. */
int cgroup_read_key(const struct cgroup *c, const char *controller, const char *file, const char *key, uint64_t *ret);
int cgroup_pids(
	const struct cgroup *c, pid_t **ret, size_t *ret_len); /* with those of cgroups below; ret is malloc'd */
int cgroup_freeze(const struct cgroup *c, bool on, struct err *e);
int cgroup_kill(const struct cgroup *c);   /* SIGKILL to all, until none is left (at most some seconds) */
int cgroup_remove(const struct cgroup *c); /* with those below; waits for the last exits */
void cgroup_done(struct cgroup *c);        /* closes */

void cgroup_path(const char *parent, const char *id, char ret[256]);

/* The two versions, for cgroup.c. */
unsigned cgroup_v1_can(const struct cgroup *c);
int cgroup_v1_check(const struct cgroup *c, const struct plan *p, struct err *e);
int cgroup_v1_limit(const struct cgroup *c, const struct plan *p, bool again, struct err *e);
int cgroup_v1_devices(const struct cgroup *c, const struct plan *p, struct err *e);
int cgroup_v1_prepare(const struct cgroup *c, struct err *e);
int cgroup_v1_freeze(const struct cgroup *c, bool on, struct err *e);
bool cgroup_v1_wanted(const char *hierarchy, const struct plan *p);
unsigned cgroup_v2_can(void);
int cgroup_v2_check(const struct plan *p, struct err *e);
int cgroup_v2_devices(const struct cgroup *c, const struct plan *p, struct err *e);
int cgroup_v2_limit(const struct cgroup *c, const struct plan *p, bool again, struct err *e);
int cgroup_v2_prepare(int root, int parent, struct err *e);
int cgroup_v2_freeze(const struct cgroup *c, bool on, struct err *e);

/* Block devices, for both (cgroup-io.c). */
int cgroup_io_check(const struct plan *p, struct err *e);
int cgroup_io_limit(const struct cgroup *c, const struct plan *p, struct err *e);
/* Bytes that it read and wrote, of all devices together; UINT64_MAX: unknown. */
void cgroup_io_bytes(const struct cgroup *c, uint64_t *ret_read, uint64_t *ret_written);
/* The same, of the text of io.stat (v2) or blkio.throttle.io_service_bytes; the text is cut up. */
void cgroup_io_sum(char *text, bool v2, uint64_t *ret_read, uint64_t *ret_written);

/* Pure: docker's numbers as the kernel's. */
uint64_t cgroup_swap_total(const struct plan *p); /* memory + swap in bytes; UINT64_MAX: unlimited; 0: leave */
uint64_t cgroup_cpu_quota(uint64_t nanocpus);     /* microseconds per 100000 */
/* What --cpus, --cpu-quota and --cpu-period come to; 0: leave. A quota of UINT64_MAX is none. */
void cgroup_cpu_time(const struct plan *p, bool again, uint64_t *ret_quota, uint64_t *ret_period);
uint64_t cgroup_weight(uint64_t shares);    /* v1 shares 2..262144 as v2 weight 1..10000 */
uint64_t cgroup_io_weight(uint64_t weight); /* docker's 10..1000 as v2's 1..10000 */
