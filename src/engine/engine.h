/*
 * The engine: containers, images, volumes and the system, as the commands see them. No daemon: every call opens what it needs, finds a true state
 * (a container whose monitor has died is put right first), changes it, and returns. Front ends (cli, monitor) print; the engine never does.
 *
 * Objects cross as JSON in the shapes of docker's API (v1.43), so that `inspect`, --format and the API mean the same thing.
 * Functions return 0 or -errno with *e set; json_t results are new references. -ENOENT: no such object, -ENOTUNIQ: an ambiguous prefix,
 * -EEXIST: a name in use, -EBUSY: a conflict with its state.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/timing.h"
#include "container/health.h"
#include "container/restart.h"
#include "isolation/isolation.h"

struct db;

struct engine {
	struct db *db;
	int root_fd, run_fd;          /* directories */
	int elements_sock;            /* net/elements.h; -1: not opened */
	char *root, *run;             /* /var/lib/caisson, /run/caisson; or --root, --run, CAISSON_ROOT, CAISSON_RUN */
	char *libexec_dir, *data_dir; /* of the build tree when run from there */
	char *config_file;
	enum isolation_kind isolation; /* configuration: isolation = process | hyperv */
	char *accel;                   /* configuration: accel = auto | kvm | tcg */
	char *kernel;                  /* configuration: kernel = PATH; NULL: the newest unpacked */
	bool fresh_boot;               /* configuration: VMs boot, and are not cloned from a template */
	char **insecure_registries;    /* configuration: "host[:port]" */
	uint32_t registry_timeout_s;   /* configuration; 0: caisson-fetch's default */
	struct isolation_host host;    /* made of the above */
	struct timing *timing;         /* notes where the time of a creation and a start goes; NULL: nobody asked */
};

/* Where things are; NULL: what the environment says (CAISSON_ROOT, CAISSON_RUN, CAISSON_CONFIG), then what was installed or built. */
struct engine_paths {
	const char *root, *run, *config, *libexec_dir, *data_dir;
};
/* Makes the directories. */
int engine_open(struct engine **ret, const struct engine_paths *paths, struct err *e);
void engine_free(struct engine *g);
/* The database is opened at first use; a process that goes on for long closes it in between. */
void engine_close_db(struct engine *g);

/* ---- containers (engine/containers*.c) ---- */

/*
 * body: {Config..., HostConfig: {...}, NetworkingConfig: {...}} as POST /containers/create takes it (Config's fields at the top level), e.g. Hostname
 * User Tty OpenStdin StdinOnce AttachStdin/out/err Env Cmd Entrypoint Image Volumes WorkingDir Labels StopSignal StopTimeout;
 * HostConfig: Binds Mounts Tmpfs CapAdd CapDrop Privileged ReadonlyRootfs SecurityOpt NetworkMode AutoRemove Memory MemorySwap NanoCpus PidsLimit CpuShares
 * CpusetCpus Init Isolation LogConfig ShmSize Ulimits GroupAdd Sysctls Devices ExtraHosts Dns PortBindings PublishAllPorts NetworkPolicy ("open" | "closed")...
 * NetworkingConfig: {EndpointsConfig: {NETWORK: {IPAMConfig: {IPv4Address, IPv6Address}, Aliases, MacAddress}}}; HostConfig.NetworkMode names the
 * first network. Everything is checked here, before anything is made. name: NULL for a generated one. -ENOENT and e->msg "No such image: X", or that
 * the image is not for body.Platform, lets the caller pull and try again.
 */
int engine_create(
	struct engine *g, const char *name, const json_t *body, char ret_id[65], json_t **ret_warnings, struct err *e);

/* Starts it. *ret_client (may be NULL) is a socket already attached with `streams` (MONITOR_STDIN...): frames of proto/monitor.h, from the first byte
 * of output on to EXITED. Without it the call returns when the workload runs. `notice` gets lines for the user's stderr (may be NULL). */
typedef void engine_notice_fn(void *data, const char *text);
struct engine_start {
	uint32_t streams;    /* with ret_client */
	unsigned rows, cols; /* of the caller's terminal; 0: unknown */
	bool fresh_boot;
	engine_notice_fn *notice;
	void *notice_data;
};
int engine_start(struct engine *g, const char *ref, const struct engine_start *opt, int *ret_client, struct err *e);

int engine_attach(struct engine *g, const char *ref, uint32_t streams, int *ret_client, struct err *e);
/* body: {Cmd, Env, WorkingDir, User, Tty, AttachStdin, Privileged}. The socket's first frame is STARTED or FAILED. */
int engine_exec(struct engine *g, const char *ref, const json_t *body, unsigned rows, unsigned cols, int *ret_client,
	struct err *e);
int engine_resize(struct engine *g, const char *ref, int proc, unsigned rows, unsigned cols, struct err *e);
int engine_signal_exec(struct engine *g, const char *ref, int proc, int sig, struct err *e);
int engine_kill(struct engine *g, const char *ref, const char *sig, struct err *e);
int engine_stop(struct engine *g, const char *ref, const char *sig,
	int timeout /* -1: never kill, -2: the container's own or 10 */, struct err *e);
/* Ends it as engine_stop does, and starts it again; one that does not run is started. */
int engine_restart(struct engine *g, const char *ref, const char *sig, int timeout, engine_notice_fn *notice,
	void *data, struct err *e);
int engine_wait(struct engine *g, const char *ref, int *ret_status, struct err *e);
int engine_remove(struct engine *g, const char *ref, bool force, bool volumes, struct err *e);
/* on: all its processes stand still, in hyperv mode its machine; else they go on. */
int engine_pause(struct engine *g, const char *ref, bool on, struct err *e);
/* change: keys of HostConfig, of which those of limits and RestartPolicy; 0 and "" leave a value as it is. Applied at once if it runs; all or nothing. */
int engine_update(struct engine *g, const char *ref, const json_t *change, json_t **ret_warnings, struct err *e);
int engine_rename(struct engine *g, const char *ref, const char *name, struct err *e);
/* Titles and rows of `ps` inside, as its options in `args` (NULL: -ef) ask for them: {"Titles": [...], "Processes": [[...]]}. */
int engine_top(struct engine *g, const char *ref, char *const args[], json_t **ret, struct err *e);
/* {"Id", "Name", "AtMs" (on the monotonic clock), "Memory", "MemoryLimit", "CpuNs", "Pids", "NetReceived", "NetSent", "BlockRead", "BlockWritten" of the
 * workload, "HostMemory", "HostCpuNs" that it costs the host, "Disk"}; null: unknown. -ESRCH: it does not run. */
int engine_stats(struct engine *g, const char *ref, json_t **ret, struct err *e);

/* What can be seen of a running container from the host, measured now: {"Container", "Name", "Isolation", "Statements": [{"Key", "Title", "Result":
 * "holds" | "fails" | "unknown" | "info", "Value", "Evidence": [...], "Why"}]}. */
int engine_audit(struct engine *g, const char *ref, json_t **ret, struct err *e);
const char *engine_audit_key(size_t i); /* the keys of what can hold; NULL beyond the last */

/* GET /containers/json: array, newest first. filters: {"isolation": ["hyperv"], "status": [...], "name": [...], "id", "label", "ancestor", "exited"...} */
int engine_list(struct engine *g, bool all, const json_t *filters, json_t **ret, struct err *e);
int engine_inspect(struct engine *g, const char *ref, bool size, json_t **ret, struct err *e);

struct engine_logs {
	bool follow, timestamps, details, vm; /* vm: the guest's console instead of the workload's output */
	int64_t tail;                         /* -1: all */
	int64_t since_ns, until_ns;           /* 0: no bound */
};
int engine_logs(struct engine *g, const char *ref, const struct engine_logs *opt, FILE *out, FILE *err, struct err *e);

/* ---- files of a container (engine/files.c, engine/transfer.c) ---- */

/*
 * Held until closed. One that runs is not disturbed; one that does not is set up without its workload (in hyperv mode: a virtual machine with its disk),
 * and nobody can start or remove it meanwhile: others wait. Paths are absolute, inside the container. -ENOENT: "Could not find the file X in container Y".
 */
struct engine_files;
/* mounts: with what is mounted in it (volumes), which only cp sees. */
int engine_files_open(struct engine *g, const char *ref, bool mounts, struct engine_files **ret, struct err *e);
void engine_files_close(struct engine_files *f);
/* Whether this may be written to: -EROFS and docker's text if it is below what is read-only. */
int engine_files_writable(const struct engine_files *f, const char *path, struct err *e);

struct engine_file {
	uint32_t mode; /* with the type; a link is not followed but with a slash at the path's end */
	uint64_t size;
	char *link; /* of a link: the path it leads to, absolute. The caller's; may be NULL */
};
int engine_files_stat(struct engine_files *f, const char *path, struct engine_file *ret, struct err *e);

/* The tree's other side. Bytes of files that went through are added to `bytes`. */
struct engine_tree {
	int fd; /* a directory; or with `tar` a descriptor to read or write an archive */
	bool tar;
	const char *path; /* of the directory, for errors; NULL: none is known */
	const char *from; /* put: the file in the directory, "." for itself */
	bool owners; /* those of the source are kept, else they are the writer's. An archive has them in any case */
	uint64_t bytes;
};
/* name: what the top is called on the other side. put: into the directory `path`. */
int engine_files_get(struct engine_files *f, const char *path, const char *name, struct engine_tree *to, struct err *e);
int engine_files_put(
	struct engine_files *f, const char *path, const char *name, struct engine_tree *from, struct err *e);
int engine_files_export(struct engine_files *f, int tar, struct err *e);
typedef void engine_change_fn(void *data, char kind, const char *path); /* 'A', 'C', 'D' */
int engine_files_diff(struct engine_files *f, engine_change_fn *fn, void *data, struct err *e);

/* An image of what a container has changed (engine/commit.c). NULL: none. */
struct engine_commit {
	const char *author, *message, *reference;
	char *const *changes; /* Dockerfile instructions */
	bool pause;           /* its processes stand still meanwhile */
};
int engine_commit(struct engine *g, const char *ref, const struct engine_commit *o, char ret_id[72], struct err *e);

/* ---- events (engine/events.c); store/events.h writes them ---- */

/* An event as docker's API has it (events.Message), with "isolation" beside the rest, borrowed. Not 0: no more; engine_events returns what is negative. */
typedef int engine_event_fn(void *data, const json_t *message, struct err *e);
struct engine_events {
	int64_t since_ns, until_ns; /* 0: no bound; without both, only what comes */
	/* {"type": [...], "event", "container", "image", "label", "network", "volume", "scope", "isolation"}; NULL: all */
	const json_t *filters;
	int reader; /* a descriptor that the events go to: when nobody reads it any more, it is over; -1: none */
	engine_event_fn *fn;
	void *data;
};
/* Calls fn for those that were, and goes on with those that come until until_ns. */
int engine_events(struct engine *g, const struct engine_events *o, struct err *e);
int engine_events_check(const json_t *filters, struct err *e);
bool engine_event_matches(const json_t *message, const json_t *filters);

/* ---- what the monitor calls (engine/monitor.c) ---- */

/* An event of the container that it holds; attributes: NULL, or key, value ... NULL. "start" tells of its networks, too. */
void engine_container_event(struct engine *g, const char *id, const char *action, const char *const *attributes);

/* Records that the container runs / has ended; with AutoRemove the latter removes it. Idempotent. */
int engine_container_running(struct engine *g, const char *id, pid_t pid, const char *accel, struct err *e);

/* What is to be probed of it; *ret is the caller's, and empty if it has no health check. */
int engine_health_check(struct engine *g, const char *id, struct health_check *ret, struct err *e);
/* Keeps what probes found, for inspect and ps; changed: and tells of it. */
void engine_container_health(struct engine *g, const char *id, const struct health_state *s, bool changed);

struct engine_end {
	bool started; /* false: it could not be started */
	bool oom;
	bool by_hand; /* somebody asked for the end */
	bool stopped; /* by stop or restart */
	bool restart; /* ... and for another start */
	int status;   /* 0..255, 128+n */
	const char *error;
	uint64_t ran_ms;
	struct restarts *restarts; /* of this monitor's; counts on */
};
/* *ret_delay_ms: as the restart policy says, -1 or when engine_container_again is to be called; until then the container is held. */
int engine_container_ended(
	struct engine *g, const char *id, const struct engine_end *end, int64_t *ret_delay_ms, struct err *e);
/*
 * Prepares the next run: its plan, and the sockets of its published ports, with an argument "--publish=..." for each of them in *ret_publish. All of it
 * is the caller's.
 */
int engine_container_again(
	struct engine *g, const char *id, struct plan *ret, int **ret_fds, char ***ret_publish, struct err *e);
/* It was to be started again, and somebody asked for its end. */
int engine_container_given_up(struct engine *g, const char *id, struct err *e);
/* One that was held for its files only: it is as it was. */
void engine_container_released(struct engine *g, const char *id);

/* Makes or removes the host's end of an interface, as isolate_events.attach and detach say (engine/netup.c). */
int engine_port_attach(const struct plan_interface *f, pid_t pid, const char *parked, int *ret_tap, struct err *e);
int engine_port_detach(const char *port, bool park, struct err *e);
void engine_port_drop(unsigned index); /* one that may have gone already */

/* ---- images (engine/images.c): front to image/ ---- */

/* filters: {"reference": [...], "dangling": ["true"], "label", "before": [image], "since", "until"}; NULL: all */
int engine_image_list(struct engine *g, bool all, const json_t *filters, json_t **ret, struct err *e);
int engine_image_inspect(struct engine *g, const char *ref, json_t **ret, struct err *e);
int engine_image_history(struct engine *g, const char *ref, json_t **ret, struct err *e); /* image_history's */
int engine_image_tag(struct engine *g, const char *ref, const char *name, struct err *e);
/* Removes or untags; *ret: [{"Untagged": ref} | {"Deleted": id}, ...]. */
int engine_image_remove(struct engine *g, const char *ref, bool force, json_t **ret, struct err *e);
/* Runs caisson-fetch with these arguments (behind --root), with the caller's stdio (stdout sent to stderr if to_stderr). Its exit status or -errno. */
int engine_fetch(struct engine *g, char *const args[], bool to_stderr, struct err *e);
/* Has caisson-fetch log in, with these or (user NULL) those that are kept: its exit status, ENGINE_LOGIN_NONE if there are none; or -errno. The
 * password goes through a file without a name. */
enum { ENGINE_LOGIN_NONE = 3 };
int engine_login(struct engine *g, const char *server, const char *user, const char *password, struct err *e);

/* ---- volumes (engine/volumes.c) ---- */

/* body as POST /volumes/create: {Name (or none: a random one), Driver, Labels, DriverOpts: {"type": "none", "o": "bind", "device": PATH}} */
int engine_volume_create(struct engine *g, const json_t *body, json_t **ret, struct err *e);
/* filters: {"name": [...], "label", "driver", "dangling": ["true"]}; NULL: all */
int engine_volume_list(struct engine *g, const json_t *filters, json_t **ret, struct err *e);
int engine_volume_inspect(struct engine *g, const char *name, json_t **ret, struct err *e);
int engine_volume_remove(struct engine *g, const char *name, bool force, struct err *e);

/* ---- what takes room (engine/usage.c) ---- */

/* As GET /system/df: {"LayersSize", "Images": [+ "SharedSize", "Containers"], "Containers": [+ "SizeRw"], "Volumes": [+ "UsageData": {"Size", "RefCount"}]} */
int engine_usage(struct engine *g, json_t **ret, struct err *e);

/* ---- what nobody uses (engine/prune.c) ---- */

/* filters: {"label": [...], "label!": [...], "until": ["24h"]}. Containers that do not run; *ret: {"ContainersDeleted": [id...], "SpaceReclaimed"} */
int engine_container_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e);
/* filters: {"dangling": ["false"], "label", "label!", "until"}. Images without a name and a container, or all without a container;
 * *ret: {"ImagesDeleted": [{"Untagged": name} or {"Deleted": id}...], "SpaceReclaimed"} */
int engine_image_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e);
/* filters: {"all": ["true"], "label", "label!"}. Anonymous volumes, or all; *ret: {"VolumesDeleted": [name...], "SpaceReclaimed"} */
int engine_volume_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e);

/* ---- networks (engine/networks.c) ---- */

/*
 * Objects as docker's API has them (NetworkResource), with "Isolated" beside "Internal". A network is named by its name, its id or a unique prefix
 * of it; "bridge" is the default network, which is made at first use; "host" and "none" are listed and can be neither changed nor removed.
 */

/* body as POST /networks/create: {Name, Driver ("bridge"), Internal, Isolated, EnableIPv6, IPAM: {Config: [{Subnet, IPRange, Gateway}...]},
 * Options: {"mtu": "1400"}, Labels}. All is checked before anything is made. */
int engine_network_create(struct engine *g, const json_t *body, char ret_id[65], struct err *e);
/* filters: {"name": [...], "id", "driver", "label", "type": ["custom"|"builtin"], "dangling"}; NULL: all */
int engine_network_list(struct engine *g, const json_t *filters, json_t **ret, struct err *e);
int engine_network_inspect(struct engine *g, const char *ref, json_t **ret, struct err *e); /* with "Containers" */
int engine_network_remove(struct engine *g, const char *ref, struct err *e); /* -EBUSY: it has endpoints */
/* Removes the networks of the user's that no container has; *ret: {"NetworksDeleted": ["name"...]} */
int engine_network_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e);
/* config: {IPAMConfig: {IPv4Address, IPv6Address}, Aliases: [...], MacAddress} or NULL. The container may run. */
int engine_network_connect(
	struct engine *g, const char *ref, const char *container, const json_t *config, struct err *e);
int engine_network_disconnect(struct engine *g, const char *ref, const char *container, bool force, struct err *e);
/* Rebuilds bridges, rules and elements from the database. */
int engine_network_reload(struct engine *g, struct err *e);

/* A neighbour on a network for as long as the caller wants one: engine/probe.c. One at a time in a process. */
struct engine_probe {
	char name[64];
	int netns;                       /* its network namespace, to be joined by setns(2); the probe's. -1: none */
	char address4[46], address6[46]; /* its own; "" for none */
};
int engine_probe_open(struct engine *g, const char *network, struct engine_probe *ret, struct err *e);
void engine_probe_close(struct engine *g, struct engine_probe *p); /* also of one that was not opened */

/* ---- system (engine/system.c) ---- */

/* fn: of each container that was started, or (e) could not be. */
typedef void engine_started_fn(void *data, const char *name, const struct err *e);
/* Starts what --restart asks for and does not run. 0, or 1 if one could not be started. */
int engine_system_restart(struct engine *g, engine_started_fn *fn, engine_notice_fn *notice, void *data, struct err *e);

int engine_info(struct engine *g, json_t **ret, struct err *e);
int engine_version(struct engine *g, json_t **ret, struct err *e);
/* [{"Mode": "process"|"hyperv", "What": "...", "Ok": true|false, "Detail": "...", "Remedy": "..."}]; *ret_ok: both modes can run. */
int engine_doctor(struct engine *g, json_t **ret, bool *ret_ok, struct err *e);
/*
 * Makes a new database in place of a damaged one: {"Containers", "Images", "Volumes", "Networks": how many, "LeftOut": how many rows could not be read,
 * "Kept": the directory with the damaged one}; null if nothing is wrong with it and force is not set. notice gets a line for what is wrong.
 */
int engine_database_rebuild(
	struct engine *g, bool force, json_t **ret, engine_notice_fn *notice, void *data, struct err *e);
int engine_kernel_update(struct engine *g, engine_notice_fn *notice, void *data, struct err *e);
/* The kernel that VMs boot from now on: a version of the list, or a file with a slash in its name; NULL: the list's first again. */
int engine_kernel_use(struct engine *g, const char *which, struct err *e);
int engine_kernel_list(struct engine *g, json_t **ret, struct err *e);

/* ---- templates of utility VMs (engine/templates.c) ---- */

/* [{"Name", "Kernel", "Accel", "Memory", "Cpus", "Cards", "Image", "Size", "Created", "LastUsed", "Held", "Damaged"}], the last used first. */
int engine_template_list(struct engine *g, json_t **ret, struct err *e);
/*
 * Of containers with this HostConfig, of which Memory, NanoCpus and NetworkMode ("bridge", "none") count, and of this image (NULL: any). ret_name: "" if it
 * was there.
 */
int engine_template_build(struct engine *g, const json_t *hostconfig, const char *image, engine_notice_fn *notice,
	void *data, char ret_name[80], struct err *e);
int engine_template_remove(struct engine *g, const char *name, struct err *e);
