/*
 * The sandbox: carries a plan out on the kernel that it runs on.
 *
 * The same code on the host (process isolation, called by the monitor) and inside the utility VM (called by
 * the agent); it never knows which. It makes namespaces, the root file system (mounted only inside the
 * container's own mount namespace), /proc, /sys and /dev, cgroups, limits, capabilities and seccomp, and runs
 * the workload as PID 1 of a PID namespace. Nothing it makes outlives a crash except the cgroup and the upper
 * directory, which sandbox_sweep and the caller's files account for. The workload is killed when the thread
 * that started it ends (PR_SET_PDEATHSIG).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "plan/plan.h"

/* The ends of the workload's stdio that the sandbox hands to it; with process.tty they are ignored. Not
 * closed by the sandbox. */
struct sandbox_io {
	int in, out, err;
};

/* A running container. Zero is not valid: SANDBOX_INIT. Owned by the caller, ended with sandbox_done. */
struct sandbox {
	pid_t pid; /* PID 1 of the container, in the caller's PID namespace */
	int pidfd;
	int tty;          /* master of the workload's terminal, or -1; the caller's after the start */
	char cgroup[256]; /* path below each hierarchy: "PARENT/ID" */
	bool frozen;      /* by sandbox_freeze */
	unsigned stills;  /* workers for whose time its processes stand still */
};
#define SANDBOX_INIT ((struct sandbox){.pid = -1, .pidfd = -1, .tty = -1})

/* Who makes the links of the plan's interfaces, if it has any: called by sandbox_start while the container's process prepares its root; `pid` is in
 * the network namespace that they are to be in. The process goes on to the workload only after it has returned 0. */
struct sandbox_network {
	int (*attach)(void *data, pid_t pid, struct err *e);
	void *data;
	bool sets_up; /* attach also does network_setup, which else is the container's process's */
};

struct sandbox_proc {
	pid_t pid; /* as seen by the caller */
	int pidfd;
	int tty;    /* as above */
	bool still; /* the container's processes stand still until sandbox_exec_ended */
};

/* What this kernel and user cannot do of the plan (cgroup controllers, raised limits, seccomp, overlayfs),
 * before anything is made. */
int sandbox_check(const struct plan *p, struct err *e);

/*
 * Makes an ordinary container's first process, which waits for its plan. Only where the kernel is the container's alone and the caller sets its network
 * up: inside the VM. Its maker's mounts become shared ones.
 */
struct sandbox_spare;
/* What most containers have, and where the root comes from. All is borrowed. */
struct sandbox_ahead {
	const char *init_path;
	const void *filter; /* of seccomp */
	size_t filter_len;
	uint64_t memory; /* its limit; 0: none */
	struct sandbox_io io;
	const char *root; /* where the caller will mount the root, if it does; else the plan says what it is made of */
	bool mounted;     /* it is there already */
	int root_fd; /* a SOCK_SEQPACKET socket from which a struct err comes once it is mounted there, or why it is not */
};
int sandbox_prepare(const struct sandbox_ahead *a, struct sandbox_spare **ret, struct err *e);
/*
 * Hands it its plan, also as `bytes`, and the ends of its stdio (NULL: a->io), and returns 1; 0: it does not fit and is not used. made: the root comes at
 * a->root; else what the plan's is made of is mounted when sandbox_start is called.
 * sandbox_start, with the same, is to follow, with a `net` that sets up.
 */
int sandbox_spare_plan(struct sandbox_spare *s, const struct plan *p, const void *bytes, size_t n,
	const struct sandbox_io *io, bool made, struct err *e);
void sandbox_spare_free(struct sandbox_spare **s); /* ends it if it was not used; *s becomes NULL */

/*
 * Makes the container and execs its process. Returns once execve(2) has succeeded; on any failure nothing is
 * left. e->status is EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE where it was the command; the texts are those of
 * docker's runtime
 * (`exec: "nope": executable file not found in $PATH`).
 * init_path: the caisson-init program on this kernel, bound into the container when p->init.
 * net: may be NULL, then the plan's interfaces are there already or appear by themselves.
 * spare: NULL, or what sandbox_prepare has made: it is used if it was given the plan, and gone in any case.
 */
int sandbox_start(const struct plan *p, const struct sandbox_io *io, const char *init_path,
	const struct sandbox_network *net, struct sandbox_spare **spare, struct sandbox *ret, struct err *e);

/* Runs one more process inside a running container, with the plan's cgroup, in all its namespaces; with proc->files what they say is done with its
 * files instead (files.h), outside of it. */
int sandbox_exec(struct sandbox *s, const struct plan *p, const struct plan_process *proc, const struct sandbox_io *io,
	struct sandbox_proc *ret, struct err *e);
/* For one of which that was said: it has ended. */
void sandbox_exec_ended(struct sandbox *s, bool still);

/* Sets up one more interface, whose link is in the container's network namespace already. */
int sandbox_add_interface(const struct sandbox *s, const struct plan *p, const struct plan_interface *f, struct err *e);

int sandbox_signal(const struct sandbox *s, int sig, struct err *e); /* to PID 1 */
int sandbox_kill_all(const struct sandbox *s);                       /* SIGKILL to every process of the cgroup */

/* Figures of the cgroup as it is now; a figure the kernel does not have is UINT64_MAX. */
struct sandbox_stats {
	uint64_t memory;       /* without files that were read and are not in use (docker's rule) */
	uint64_t memory_limit; /* at most what the kernel has */
	uint64_t cpu_ns, pids, pids_limit, oom_kills;
	uint64_t io_read, io_written; /* bytes from and to block devices */
};
int sandbox_stats(const struct sandbox *s, struct sandbox_stats *ret);
/* Bytes that its network namespace's interfaces, loopback aside, have received and sent; UINT64_MAX: unknown. */
void sandbox_traffic(const struct sandbox *s, uint64_t *ret_received, uint64_t *ret_sent);
/* The same of the text of /proc/net/dev, which is cut up. */
void sandbox_traffic_sum(char *text, uint64_t *ret_received, uint64_t *ret_sent);

/* The pids of all its processes in the caller's namespace; *ret is malloc'd. */
int sandbox_pids(const struct sandbox *s, pid_t **ret, size_t *ret_len);
int sandbox_freeze(struct sandbox *s, bool on, struct err *e); /* pause, unpause */
int sandbox_update(
	const struct sandbox *s, const struct plan *p, struct err *e); /* applies memory, cpu, pids limits anew */

/* Kills what is left, closes the pidfd and removes the cgroup. The exit status of PID 1 must have been
 * collected, or is lost. */
void sandbox_done(struct sandbox *s);

/* Kills every process in the cgroup "PARENT/ID" and removes it, for a container whose monitor has died. 0
 * also if there is none. */
int sandbox_sweep(const char *cgroup_parent, const char *id);
