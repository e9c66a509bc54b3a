/* The parts of src/audit as they see each other. */
#pragma once

#include "audit/audit.h"
#include "audit/finding.h"
#include "audit/mountinfo.h"
#include "audit/snapshot.h"
#include "base/address.h"

/* Ways by which a process of the host is known to be one of the container's. */
enum {
	BY_CGROUP = 1, /* it is in the container's cgroup */
	BY_NAMESPACE =
		2, /* it shares a namespace with the container's first process or its virtual machine, and not with the host */
	BY_MONITOR = 4, /* it is below the container's monitor, and no program of the virtual machine's */
	BY_DIGEST = 8,  /* its command line and environment are those of a process that the container's kernel names */
};

enum { VM_SHARES_MAX = 8 };

/* The engine's tables as they are, listed at first use. */
struct tables {
	bool loaded;
	json_t *inet, *bridge;        /* NULL: there is none, or it could not be listed */
	int inet_error, bridge_error; /* -ENOENT: there is none */
	struct err inet_why, bridge_why;
};

struct audit {
	const struct audit_host *host;
	const struct audit_target *target;
	struct snapshot snap;
	unsigned *how; /* of each process of the snapshot: BY_...; 0: not the container's */
	size_t members;
	const struct host_process *monitor;
	const struct host_process *init; /* the container's first process; NULL: it is none of the host's */
	const struct host_process
		*vmm; /* the virtual machine monitor that the container's monitor recorded; NULL: none */
	const struct host_process *shares[VM_SHARES_MAX]; /* virtiofsd, with its children */
	size_t shares_len;
	struct tables tables;
	struct reaching *reaching; /* network.c */
};

/* ---- members.c ---- */
int members_find(struct audit *a);
bool is_vm_process(const struct audit *a, const struct host_process *p);
/* The container among audit_host's others that the process belongs to; NULL: none, or the target. */
const struct audit_other *other_of(const struct audit *a, const struct host_process *p);
bool on_host_network(const struct audit *a); /* its first process is in the host's network namespace */
/* The members in turn: NULL to begin, NULL at the end. */
const struct host_process *member_next(const struct audit *a, const struct host_process *after);
unsigned member_how(const struct audit *a, const struct host_process *p);

/* ---- the statements; each fills its finding ---- */
typedef void measure_fn(struct audit *a, struct finding *f);
/* kernel.c */
measure_fn measure_kernel, measure_processes, measure_sessions;
/* mounts.c, files.c, paths.c */
measure_fn measure_mounts, measure_files, measure_paths;
/* confine.c */
measure_fn measure_vmm, measure_boundary;
/* devices.c, memory.c, managers.c */
measure_fn measure_devices, measure_memory, measure_managers;
/* inbound.c, spoofing.c, network.c */
measure_fn measure_inbound, measure_spoofing, measure_closed, measure_ping;

/* ---- namespaces.c ---- */
/* A mount namespace of the host's kernel. */
struct mount_namespace {
	uint64_t id;
	const struct host_process *process; /* one that is in it, or NULL: it is kept by `kept_at` alone */
	const char *kept_at;                /* a file, or "no process" */
	const struct mounts *mounts;
};
typedef void namespace_fn(void *data, const struct mount_namespace *ns);
/*
 * Calls fn for each once: those of all processes and threads, those that are mounted as files, and, from Linux 6.12 on, the rest that the kernel lists.
 * Returns how many there are; *ret_unread of them could not be read.
 */
size_t mount_namespaces_each(struct audit *a, namespace_fn *fn, void *data, size_t *ret_unread);

/* ---- mounts.c ---- */
/* A mount of the container's: one in a namespace where its processes live (own), or one elsewhere that shows its files. */
typedef void mount_fn(void *data, const struct mount_namespace *ns, const struct mount *m, bool own);
size_t container_mounts_each(struct audit *a, mount_fn *fn, void *data, size_t *ret_unread);
/* Calls fn for each loop device over the container's disk or image: "loop0", and the file. */
typedef void loop_device_fn(void *data, const char *device, const char *file);
void loop_devices_each(struct audit *a, loop_device_fn *fn, void *data);

/* ---- tables.c ---- */
void tables_load(struct audit *a);
void tables_done(struct tables *t);
/* Notes the elements of one set that name a port, address or bridge of the container's; how many. */
size_t note_elements(struct audit *a, struct finding *f, const char *family, const json_t *table, const char *set);
bool tables_publish(struct audit *a, const char *address, bool udp, uint16_t port); /* the rules let others in there */
void without_prefix(const char *address, char ret[ADDRESS_TEXT]);                   /* the address of "10.0.0.2/16" */

/* ---- network.c ---- */
void reaching_free(struct reaching *r);
