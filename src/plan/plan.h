/*
 * struct plan: what a container is, whichever kernel carries it out.
 *
 * Flat: scalars, strings, string vectors and byte strings, no JSON, no pointers into other modules. The engine fills it from the
 * image and the flags; sandbox/ carries it out, on the host or, decoded from a frame, inside the utility VM. Everything it points to is
 * its own (plan_done frees). A zeroed plan is valid and empty. plan.c holds one table of the fields, from which encode, decode and
 * free are made; a field that is missing there does not exist for the other side.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* One process to run in the container: its main one or that of an exec. */
struct plan_process {
	char **argv;     /* argv[0] is looked up in the container's PATH */
	char **env;      /* NAME=value */
	char *cwd;       /* absolute, inside the root; made if missing */
	char *user;      /* "name|uid[:group|gid]" or empty (root), resolved inside the root */
	char **groups;   /* supplementary groups, names or numbers (--group-add) */
	bool tty;        /* a terminal of the container's devpts is its stdio */
	bool open_stdin; /* else stdin is /dev/null (or the terminal) */
	bool no_new_privs;
	uint64_t caps; /* capability bits: bounding, permitted and effective set for root; bounding set for others */
	char *seccomp; /* array of struct sock_filter, native byte order; seccomp_len bytes; none: unconfined */
	size_t seccomp_len;
	char **rlimits;      /* "nofile=1024:4096" (soft:hard), "core=unlimited:unlimited" */
	uint32_t rows, cols; /* of the terminal; 0: unknown */
	char *files; /* no program is run: what proto/files.h asks for is done with the container's files; files_len bytes */
	size_t files_len;
};

/* One mount. Encoded as a vector of strings by plan.c. */
enum plan_mount_type { PLAN_MOUNT_BIND = 0, PLAN_MOUNT_TMPFS = 1 };
struct plan_mount {
	enum plan_mount_type type;
	char *source; /* bind: absolute path on the kernel that carries the plan out (in a VM: below the share). tmpfs: unused */
	char *target;  /* absolute, inside the root */
	char *options; /* tmpfs: data for the file system ("size=64m,mode=1777"), may be NULL */
	bool readonly;
	bool nosuid, nodev, noexec;
	char *propagation; /* bind: rprivate (default) private rshared shared rslave slave */
	bool recursive;    /* bind: with the mounts below (docker: yes) */
	bool copy_up;      /* bind of a named volume: an empty source is filled with what the root has at target */
	char *share;       /* hyperv: the name of the source inside the VM's share, set by the backend, else NULL */
};

struct plan_device {
	char *host_path; /* on the host */
	char *path;      /* inside the root, below /dev */
	char *access;    /* subset of "rwm" */
};

/* What a block device may be used for: a limit of its rate in one direction, or the container's share of it. */
enum plan_io_kind {
	PLAN_IO_READ_BPS = 0,
	PLAN_IO_WRITE_BPS = 1,
	PLAN_IO_READ_IOPS = 2,
	PLAN_IO_WRITE_IOPS = 3,
	PLAN_IO_WEIGHT = 4
};
struct plan_io {
	enum plan_io_kind kind;
	char *path;     /* of the device, on the kernel that carries the plan out */
	uint64_t value; /* bytes or operations a second; 10 to 1000 for the weight */
};

/* Where containers ask for names; the host sends it on to the name server of the network that the question comes from. */
#define PLAN_NAMESERVER "169.254.53.53"

/* A network interface of the container's. Its host's end is a port of a network's bridge. */
struct plan_interface {
	char *name;       /* inside: "eth0" */
	char *port;       /* the name of the host's end */
	char *bridge;     /* what the host's end is a port of */
	char *mac;        /* "02:42:ac:11:00:02" */
	char **addresses; /* with the length of the prefix: "172.17.0.2/16", "fd00::2/64"; at most one a family */
	char **gateways; /* next hops of the default routes, at most one a family; none on a network that leads nowhere */
	char *nameserver; /* what asks PLAN_NAMESERVER goes by this next hop */
	uint32_t
		metric; /* of its routes: of several interfaces the one with the lowest is used, as long as it is there */
	uint32_t mtu;   /* 0: the kernel's */
};

struct plan {
	char *id; /* 64 hex digits */
	char *name;
	char *hostname;
	char *domainname;
	struct plan_process process;
	bool init;       /* a reaping PID 1 before the process (--init) */
	bool privileged; /* all of docker's: all caps, no masks, rw /sys and cgroup, host devices, no seccomp */
	bool readonly_root;
	bool host_network, host_pid, host_ipc, host_uts; /* share the namespace of the kernel's own */
	bool host_cgroupns;
	char *netns; /* /proc/PID/ns/net of another container, whose network namespace is joined; NULL: one of its own */
	uint64_t netns_id; /* its inode number, as PID may have become another's */
	char *pidns, *ipcns,
		*shmns; /* the same, of the PID and the IPC namespace, and the mount namespace whose /dev/shm comes with that */
	uint64_t pidns_id, ipcns_id, shmns_id;
	bool no_shm;     /* no /dev/shm (--ipc=none) */
	bool fresh_boot; /* hyperv: no clone of a template */
	char *kernel;    /* hyperv: path of the guest kernel's image; NULL: what the configuration says */
	bool disposable; /* removed when it ends (--rm): what it leaves on its disk need not be whole */
	bool own_kernel; /* hyperv: the kernel is the container's alone, and its first network namespace the container's */
	struct plan_interface *interfaces; /* beside loopback; none with host_network */
	size_t interfaces_len;

	/* The root: the directory `rootfs` as it is; without it overlayfs of `lower` (topmost first), `upper` and `work`. */
	char **lower;
	char *upper, *work;
	char *rootfs;
	char *image_erofs; /* hyperv: host path of the image as an EROFS file */
	char *disk;        /* hyperv: host path of the container's writable ext4 disk */

	struct plan_mount *
		mounts; /* beside /proc, /sys, /dev, /dev/shm, /dev/pts, /dev/mqueue and cgroup, which the sandbox makes; in order */
	size_t mounts_len;
	struct plan_device *devices; /* beside the default ones */
	size_t devices_len;
	char **masked;         /* paths hidden (OCI maskedPaths) */
	char **readonly_paths; /* OCI readonlyPaths */
	char **sysctls;        /* NAME=value */
	char *resolv_conf, *hosts,
		*hostname_file; /* contents bound over /etc/resolv.conf, /etc/hosts, /etc/hostname; NULL: the image's */
	uint64_t shm_size;      /* of /dev/shm in bytes; 0: 64 MiB */

	uint64_t
		memory; /* bytes; 0: no limit. As docker's -m, --memory-swap (total; UINT64_MAX: unlimited), --memory-reservation */
	uint64_t memory_swap;
	uint64_t memory_reservation;
	uint64_t nanocpus;              /* --cpus x 1e9; 0: no limit */
	uint64_t cpu_quota, cpu_period; /* microseconds; 0: not given. A quota of UINT64_MAX is none */
	uint64_t cpu_shares;
	char *cpuset_cpus, *cpuset_mems; /* lists as "0-2,4" */
	uint32_t swappiness;             /* --memory-swappiness and 1; 0: not given */
	uint32_t blkio_weight;           /* 10 to 1000; 0: not given */
	struct plan_io *io;
	size_t io_len;
	uint64_t pids; /* 0: no limit */
	int32_t oom_score_adj;
	bool oom_kill_disable;
	char *cgroup_parent; /* "" or NULL: "caisson" */

	int32_t stop_signal; /* 0: SIGTERM */
};

void plan_done(struct plan *p);
void plan_process_done(struct plan_process *p);

/* Adds the paths that docker hides, or makes read-only, in a container that is not privileged. */
int plan_hide(struct plan *p);
/* The plan of a container in a VM that asks for nothing special, without its root and its process. */
int plan_ordinary(struct plan *ret);

/* Grows the array by one zeroed element, which is returned; NULL: out of memory. */
struct plan_mount *plan_add_mount(struct plan *p);
struct plan_device *plan_add_device(struct plan *p);
struct plan_io *plan_add_io(struct plan *p);
struct plan_interface *plan_add_interface(struct plan *p);

/*
 * The plan as bytes (docs/protocol.md, "Plan"). Encoding appends to *b. Decoding takes hostile bytes: every length is checked, strings hold no
 * NUL, counts are bounded; -EBADMSG with *e set on anything else. *ret is zeroed first and needs plan_done also after a failure.
 */
int plan_encode(const struct plan *p, struct buf *b);
int plan_decode(struct plan *ret, const void *p, size_t n, struct err *e);
int plan_process_encode(const struct plan_process *p, struct buf *b);
int plan_process_decode(struct plan_process *ret, const void *p, size_t n, struct err *e);
