/*
 * Isolation: which kernel carries a plan out.
 *
 * Two backends behind one table: `process` (the host's kernel, through sandbox/) and `hyperv` (a utility VM; the agent runs sandbox/ there).
 * Everything is driven by the caller's event loop, and the caller is one process per container (the monitor). A backend never sees JSON,
 * images or engine types. Only isolation.c touches the slots; its wrappers check the state once.
 *
 *   isolate_start --> on_started(NULL) --> ... on_exited(MAIN) --> isolate_free
 *                 \-> on_started(err)  --> isolate_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/timing.h"
#include "plan/look.h"
#include "plan/plan.h"

enum isolation_kind { ISOLATION_DEFAULT = 0, ISOLATION_PROCESS, ISOLATION_HYPERV };

/* "default", "process", "hyperv" or "vm" in any case; else -EINVAL and docker's text in *e. */
int isolation_parse(const char *s, enum isolation_kind *ret, struct err *e);
const char *isolation_name(enum isolation_kind k); /* "default", "process", "hyperv" */

enum image_templates { IMAGE_TEMPLATES_AUTO, IMAGE_TEMPLATES_MANUAL, IMAGE_TEMPLATES_NEVER };

/* What the host has and the configuration says; strings are the caller's and outlive the isolate. */
struct isolation_host {
	const char *state_dir;   /* /var/lib/caisson: kernels, caches */
	const char *run_dir;     /* /run/caisson */
	const char *libexec_dir; /* caisson-agent, caisson-init */
	const char *data_dir;
	const char *accel;            /* "auto", "kvm", "tcg" */
	const char *kernel;           /* path of a guest kernel, or NULL: the newest unpacked one */
	const char *qemu;             /* the program, or NULL: qemu-system-x86_64 of PATH */
	const char *virtiofsd;        /* the same: virtiofsd of PATH and the places where distributions keep it */
	uint32_t uid_base, uid_count; /* the range QEMU's users are taken from */
	uint32_t template_linger_s;   /* how long a template's memory is held when nobody uses it */
	enum image_templates image_templates; /* made by starts; only on demand; not used */
	/* The seccomp filter that most containers have, for a template's process made ahead; NULL: none. *ret is the caller's. */
	int (*usual_filter)(void *data, char **ret, size_t *ret_len, struct err *e);
	void *usual_filter_data;
};

/* The host's ends of a process's stdio; the receiver owns them. With a terminal only `in` is set and is both ways (a pty or a socket). */
struct isolate_io {
	int in, out, err; /* -1: none */
	bool tty;
};
#define ISOLATE_IO_INIT ((struct isolate_io){.in = -1, .out = -1, .err = -1})

enum { ISOLATE_MAIN = 0 }; /* the process number of the workload; execs count from 1 */

struct isolate_exit {
	int status;       /* 0..255, 128+n for a signal */
	bool oom;         /* the kernel's OOM killer struck in the container */
	char reason[256]; /* why the VM died ("guest kernel panic: ..."), else "" */
};

struct isolate_events {
	/* The main process runs (e NULL; *io is its stdio), or could not be started (nothing is left). Called once. */
	void (*started)(void *data, struct isolate_io *io, const struct err *e);
	/* Process `proc` of an exec runs, or could not be started. */
	void (*exec_started)(void *data, int proc, struct isolate_io *io, const struct err *e);
	/* A process has ended. Its output may still be in its pipes; they reach their end by themselves. For MAIN it is the last call. */
	void (*exited)(void *data, int proc, const struct isolate_exit *x);
	/*
	 * Makes the host's end of an interface of the plan, a port of its bridge: a veth pair whose other end, with the interface's name and hardware
	 * address, is in the network namespace of `pid`; or (pid 0) a tap, whose descriptor is *ret_tap and stays the caller's, until after
	 * isolate_free. parked: NULL, or the name of a tap that was put by and is used again.
	 */
	int (*attach)(
		void *data, const struct plan_interface *f, pid_t pid, const char *parked, int *ret_tap, struct err *e);
	/* Removes a port. park: it is a tap, and stays without a bridge. */
	int (*detach)(void *data, const char *port, bool park, struct err *e);
	/* A line to the user ("/dev/kvm does not boot a guest: using emulation"). May be NULL. */
	void (*notice)(void *data, const char *text);
	/* A phase of the start has ended. May be NULL. */
	void (*phase)(void *data, enum timing_phase phase);
};

struct isolate;

/* Can this host run this kind? -Exxx and the reason with its remedy in *e. Fast (no boot); called before anything is created. */
int isolation_probe(enum isolation_kind k, const struct isolation_host *h, struct err *e);
/* What of the plan this kind cannot do (privileged devices, host namespaces in a VM...), before anything is created. */
int isolation_check(enum isolation_kind k, const struct isolation_host *h, const struct plan *p, struct err *e);

/* The plan is borrowed until isolate_free. container_dir: the container's own directory, which outlives the run (console.log stays there); borrowed. */
int isolate_new(enum isolation_kind k, const struct isolation_host *h, const struct plan *p, int container_dir,
	struct loop *l, const struct isolate_events *ev, void *data, struct isolate **ret, struct err *e);
int isolate_start(struct isolate *i, struct err *e);
/* Starts one more process; returns its number (> 0), exec_started tells how it went. *proc is copied or used before the return. */
int isolate_exec(struct isolate *i, const struct plan_process *proc, struct err *e);
int isolate_signal(struct isolate *i, int proc, int sig, struct err *e);
int isolate_resize(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e);
/* The VM or the cgroup is killed at once; on_exited follows if the workload was running. */
int isolate_kill(struct isolate *i, struct err *e);
int isolate_pause(struct isolate *i, bool on, struct err *e);

/* UINT64_MAX: unknown. */
struct isolate_stats {
	uint64_t memory, memory_limit, cpu_ns, pids;          /* of the workload */
	uint64_t host_memory, host_cpu_ns;                    /* what it costs the host; of memory, what it alone has */
	uint64_t net_received, net_sent, io_read, io_written; /* bytes, of the workload */
	uint64_t disk; /* bytes used of a disk of its own; UINT64_MAX: it has none */
};
/* Asynchronous, as in hyperv the answer comes from the guest: fn is called once with the result or with e set. */
typedef void isolate_stats_fn(void *data, const struct isolate_stats *s, const struct err *e);
int isolate_stats(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e);
/* `ps` inside: one text per process, as the lines of /proc seen by the container's kernel, tab-separated (see struct isolate_ps in the protocol's
 * document): see sandbox/ps.h. Same calling as stats. */
typedef void isolate_ps_fn(void *data, char *const *lines, const struct err *e);
int isolate_ps(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e);

/* Applies the limits of this plan in place of those it has. Same calling as stats: fn tells how it went; *p is needed only during the call. A paused VM
 * gets them when it goes on. After a failure some of them may be in force. */
typedef void isolate_done_fn(void *data, const struct err *e);
int isolate_update(struct isolate *i, const struct plan *p, isolate_done_fn *fn, void *data, struct err *e);

/* Adds an interface to the running container, or removes it. Same calling as stats: fn tells when it is done; *f is needed only during the call. */
int isolate_connect(struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);
int isolate_disconnect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);
/* What the container's own kernel says of it (plan/look.h). Same calling as stats. */
typedef void isolate_look_fn(void *data, const struct look *l, const struct err *e);
int isolate_look(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e);

pid_t isolate_pid(const struct isolate *i); /* of PID 1 on the host's kernel (process) or of QEMU (hyperv); 0: none */
const char *isolate_accel(const struct isolate *i); /* "kvm", "tcg", or "" for process */
void isolate_free(struct isolate *i); /* ends what runs, removes what was made outside the container's own files */

/* Ends and removes what a container of this kind left behind when its monitor died: processes by cgroup or recorded pid, cgroups, sockets. */
int isolation_sweep(enum isolation_kind k, const struct isolation_host *h, const char *id, const char *cgroup_parent,
	int container_dir);
