/* The parts of src/engine as they see each other. */
#pragma once

#include "base/json.h"
#include "container/state.h"
#include "engine/engine.h"
#include "image/image.h"
#include "store/containers.h"
#include "store/db.h"
#include "store/events.h"
#include "store/networks.h"
#include "store/volumes.h"

/* A container as it is now: container_find's. */
struct found {
	struct container_row row;
	json_t *record;
	int run_dir; /* -1: it does not run */
	bool running;
	struct state live; /* if running */
};

/* ---- config.c ---- */
int engine_db(struct engine *g, struct db **ret, struct err *e); /* opened at first use; the engine's */

/* ---- hostconfig.c ---- */
/* Checks HostConfig's values that need nothing but themselves, and that nothing is asked for that is not there. */
int hostconfig_check(const json_t *hc, struct err *e);

/* ---- devices.c ---- */
int devices_plan(const json_t *hc, struct plan *p, struct err *e); /* HostConfig.Devices */

/* ---- namespaces.c ---- */
/* Checks and completes the modes of PID, IPC, UTS, cgroup and user namespaces in hc; what a virtual machine cannot do is refused. */
int namespaces_resolve(struct engine *g, const json_t *body, json_t *hc, enum isolation_kind kind, struct err *e);
/* The namespaces of other containers that the plan joins; they must run. */
int namespaces_join(struct engine *g, const json_t *record, struct plan *p, struct err *e);

/* ---- resources.c ---- */
/* Checks the limits in HostConfig against each other and the host, and completes them; what the kernel that is to run the container cannot limit is
 * removed with a warning. */
int resources_check(json_t *hc, enum isolation_kind kind, json_t *warnings, struct err *e);
int resources_plan(const json_t *hc, struct plan *p); /* -ENOMEM */

/* ---- top.c ---- */
/* Lines as in sandbox/ps.h in the columns that options of ps ask for: engine_top's result. -EINVAL, -ENOTSUP. */
int top_rows(char *const args[], char *const *lines, json_t **ret, struct err *e);

/* ---- mounts.c ---- */
/* Binds, Mounts, Tmpfs, anonymous volumes (Volumes of the body and the image) as docker's Mounts array; nothing is made yet. */
int mounts_resolve(struct engine *g, const json_t *config, const json_t *hc, json_t **ret, struct err *e);
/* Names what is mounted from the host and cannot work in a virtual machine, by lines added to `warnings`. */
void mounts_warn(const json_t *mounts, json_t *warnings);
/* Makes what the container needs on the host: named volumes, source directories of -v. */
int mounts_prepare(struct engine *g, json_t *mounts, struct err *e);
/* In the transaction that makes the container's row: those that were removed since come back. */
int mounts_keep_volumes(struct engine *g, const json_t *mounts, struct err *e);

/* ---- volumes.c ---- */
#define VOLUME_ANONYMOUS "com.docker.volume.anonymous" /* a label that those have which were made for a container */
/* Makes the volume unless it is there. 1: new, 0: it existed. */
int volume_ensure(struct engine *g, const char *name, bool anonymous, const json_t *labels, struct err *e);
uint64_t volume_size(struct engine *g, const char *name); /* bytes; 0 if it cannot be read */
/* {"volume": ["id of a container that uses it"...]} */
int volume_uses(struct db *db, json_t **ret, struct err *e);

/* ---- volume-options.c: {"type", "o", "device"} ---- */
int volume_options_check(const json_t *options, struct err *e);
int volume_options_write(struct engine *g, const char *name, const json_t *options, struct err *e);
void volume_options_read(struct engine *g, const char *name, json_t **ret); /* NULL: it has none */
int volume_options_apply(struct engine *g, const char *name, json_t *mount, struct err *e);

/* ---- usage.c ---- */
/* Bytes of the files that the container has written; in a VM those of its disk, with directories and what the guest did not write yet. -errno. */
int container_written(struct engine *g, const struct found *f, uint64_t *ret);

/* ---- image-list.c ---- */
/* filters: {"dangling": ["true"]}; *ret is untouched without. */
int image_wants_dangling(const json_t *filters, bool *ret, struct err *e);

/* ---- prune.c ---- */
/* filters: {"until": ["24h"], "label": [...], "label!": [...]}, of which `known` (NULL-terminated) may be there. */
int prune_filters_check(const json_t *filters, const char *const known[], struct err *e);
/* An object with these labels (or NULL), made at that time. */
bool prune_matches(const json_t *filters, const json_t *labels, int64_t created_ns);
/* "key" or "key=value" */
bool label_matches(const json_t *labels, const char *value);

/* Gives the anonymous ones among a container's Mounts their names. */
int mounts_name_volumes(json_t *mounts, struct err *e);
/* Removes a volume, whether its row or its directory was made or not; it stays if a container uses it. */
void volume_discard(struct engine *g, const char *name);

/* ---- security.c ---- */
/* SecurityOpt -> {"NoNewPrivileges": bool, "Seccomp": "" (default) | "unconfined" | JSON text, "SystemPaths": true: none is hidden}. */
int security_resolve(const json_t *hc, json_t **ret, struct err *e);
int security_seccomp(struct engine *g, const char *profile, uint64_t caps, bool privileged, char **ret_bpf,
	size_t *ret_len, struct err *e);
/* That of a container which asks for nothing special; data is the engine. As isolation_host.usual_filter. */
int security_usual_filter(void *data, char **ret_bpf, size_t *ret_len, struct err *e);

/* ---- plan.c ---- */
/* The plan of a recorded container. */
int engine_plan(struct engine *g, const json_t *record, struct plan *ret, struct err *e);
int engine_plan_exec(
	struct engine *g, const json_t *record, const json_t *body, struct plan_process *ret, struct err *e);
int plan_too_long(int code, struct err *e); /* the error of an encoding that failed with this code */
enum isolation_kind record_isolation(const json_t *record);
/* The host as a container with this HostConfig sees it: with --kernel's kernel. Borrows from both. */
struct isolation_host engine_host(const struct engine *g, const json_t *hc);

struct restart_policy record_restart_policy(const json_t *record);

/* ---- netfiles.c ---- */
int netfiles_make(
	struct engine *g, const json_t *record, struct plan *p, struct err *e); /* hosts, resolv.conf, hostname */

/* ---- endpoints.c ---- */
#define DEFAULT_NETWORK "bridge"
bool network_mode_is(const json_t *hc, const char *what);
const char *network_mode_container(const json_t *hc); /* of "container:X": X, else NULL */
bool network_mode_foreign(const json_t *hc);          /* host, none, container:X: no network of ours */
/* The networks that a creation asks for as {NAME: {IPAMConfig...}}, checked as far as can be before the transaction; NetworkMode is completed in hc. */
int endpoints_resolve(
	struct engine *g, json_t *hc, const json_t *networking, enum isolation_kind kind, json_t **ret, struct err *e);
/* In the transaction that makes the container's row. */
int endpoints_create(
	struct engine *g, struct db *db, const char *id, const json_t *hc, const json_t *wanted, struct err *e);
int endpoint_insert(struct db *db, const struct network_row *n, const char *container, int position,
	const json_t *config, bool closed, struct err *e);
int endpoints_plan(struct engine *g, const json_t *record, struct plan *p, struct err *e); /* interfaces, netns */
/* The host's addresses on the container's first network, where its name server is; NULL without one. The caller's. */
int endpoints_gateway(struct engine *g, const json_t *record, char **ret4, char **ret6, struct err *e);
int endpoints_plan_one(const struct network_row *n, const struct endpoint_row *p, struct plan *plan, struct err *e);

/* ---- networks.c, network-json.c ---- */
bool host_has_ipv6(void);
/* networks_find; the default network is made if it is not there yet. */
int network_find_or_default(struct engine *g, struct db *db, const char *ref, struct network_row *ret, struct err *e);
int network_filters_check(const json_t *filters, struct err *e);
bool network_matches(const struct network_row *n, const json_t *filters);
json_t *network_settings_json(struct engine *g, const struct found *f); /* NetworkSettings */

/* ---- publish.c ---- */
json_t *publish_json(struct engine *g, const struct found *f); /* NetworkSettings.Ports */
json_t *publish_list(struct engine *g, const struct found *f); /* Ports of the list of containers */

/* ---- names.c ---- */
bool name_valid(const char *name);
/* -EINVAL: it is longer than any name may be. what: "container" */
int name_check_length(const char *what, const char *name, struct err *e);
int name_generate(char ret[64]);

/* ---- life.c: a container found, put right, and held ---- */
void found_done(struct found *f);
/* Finds it; a row or run directory that does not tell the truth any more is put right first. */
int container_find(struct engine *g, const char *ref, struct found *ret, struct err *e);
int container_find_running(
	struct engine *g, const char *ref, struct found *ret, struct err *e); /* -ESRCH: it does not */
int container_settle(struct engine *g, struct container_row *row, struct found *ret,
	struct err *e);                                           /* the same for a row already read */
int container_dir(struct engine *g, const char *id, int *ret_fd); /* ROOT/containers/ID */
/*
 * Finds it and, unless it runs, takes its lock: nobody starts or removes it until the lock is closed. *ret_lock is -1 if it runs.
 * damaged: ret->record may be NULL, else that is an error.
 */
int container_take(struct engine *g, const char *ref, bool damaged, struct found *ret, int *ret_lock, struct err *e);
/* Ends and removes what a run that nobody holds any more has left: processes, cgroups. */
int container_sweep(struct engine *g, const char *id, const json_t *record, struct err *e);
/* Files, row, run directory and (if asked) anonymous volumes of a container whose lock the caller has. */
int container_delete(
	struct engine *g, const struct container_row *row, const json_t *record, bool volumes, struct err *e);

/* The files of a container that has no row. */
void container_discard(struct engine *g, const char *id);
void run_dir_remove(struct engine *g, const char *id); /* the caller has the lock in it */
struct container_row steal_row(struct container_row *row);

/*
 * ---- intent.c: what a killed command would leave behind ----
 *
 * A creation and a removal name it beforehand in ROOT/intents/ID, which they lock: the anonymous volumes, one a line. If its lock is free and the
 * container has no row, its directories and these volumes go; the next creation or removal does that.
 */
struct intent {
	char id[65];
	int fd; /* -1: none */
};
int intent_begin(struct engine *g, const char *id, const json_t *record, struct intent *ret,
	struct err *e);                                 /* record NULL: no volumes */
void intent_undo(struct engine *g, struct intent *i);   /* removes what it names */
void intent_forget(struct engine *g, struct intent *i); /* the container is complete */
void intent_done(struct intent *i);
void intents_sweep(struct engine *g);

/* ---- start.c ---- */
/* Starts what stands for a container's files while it does not run: nothing of it does. It ends when *ret_client is closed; takes over the lock. */
int start_for_files(struct engine *g, struct found *f, int *lock, int *ret_client, struct err *e);

/* ---- files.c ---- */
int files_plan(struct engine *g, const json_t *record, struct plan *ret, struct err *e); /* for start_for_files */
struct files_request;
/* One request; the socket's first frame is STARTED or FAILED. */
int files_request(struct engine_files *f, const struct files_request *q, int *ret_sock, struct err *e);
const char *files_name(const struct engine_files *f);
void files_event(
	const struct engine_files *f, const char *action, const char *key, const char *value); /* key: NULL for none */
const json_t *files_container(const struct engine_files *f); /* its record; borrowed */
struct engine *files_engine(const struct engine_files *f);

/* ---- transfer.c ---- */
/* The answer to a request without a path (enum files_op) as an archive. */
int files_archive(struct engine_files *f, unsigned op, unsigned flags, int tar, struct err *e);

/* ---- call.c: requests to a monitor ---- */
struct frame;
/* Connects and sends one request frame. -ESRCH if the container is not running. */
int monitor_call(const struct found *f, uint8_t op, const void *p, size_t n, int *ret_sock, struct err *e);
/* The next frame of a connection; its payload is in *b, with a NUL behind it. At the end of the connection -ECONNRESET. */
int monitor_answer(int sock, struct buf *b, struct frame *ret, struct err *e);
/* A request that is answered by OK or FAILED. */
int monitor_simple(const struct found *f, uint8_t op, const void *p, size_t n, struct err *e);
/* A request that is answered by EXITED: the status, or -ESRCH when the monitor has gone meanwhile. */
int monitor_wait(const struct found *f, uint8_t op, const void *p, size_t n, int *ret_status, struct err *e);

/* ---- inspect.c ---- */
json_t *container_state_json(struct engine *g, const struct found *f);
const char *container_status_name(const struct found *f); /* "running", "exited"... */

/* ---- filters.c ---- */
/* Whether an object passes {"key": ["value"...]...}: values of one key are alternatives (labels: all must hold), keys must all hold. */
typedef bool filter_fn(const void *data, const char *key, const char *value);
bool filters_match(const json_t *filters, filter_fn *fn, const void *data);
/* A name or an id against a filter's value: a regular expression that is found in it, as in docker. */
bool filter_text(const char *value, const char *text);
int container_filters_check(struct engine *g, const json_t *filters, struct err *e);
bool container_matches(struct engine *g, const struct found *f, const json_t *filters);
/* Adds the fields that docker shows also where nothing was asked for (inspect-defaults.c). */
void inspect_complete(json_t *o);

/* ---- log-options.c ---- */
/* docker's "logger" options in HostConfig.LogConfig. */
int log_options_check(const json_t *log, struct err *e);
/* For the monitor; what the lines say of the container goes to LOG_ATTRS_FILE in the run directory. */
int log_args(struct engine *g, const char *id, const json_t *record, char ***args);

/* ---- health.c ---- */
int health_check_config(const json_t *config, struct err *e);
void health_inherit(
	json_t *config, const json_t *image);       /* the image's Healthcheck, where config has none of its own */
void health_keep(struct engine *g, const char *id); /* of a run that has ended */
json_t *health_json(struct engine *g, const struct found *f); /* State.Health; NULL: it has no health check */

/* ---- events.c ---- */
/* [[id, name]...] of the networks that a container is on; new reference. */
json_t *event_networks(struct db *db, const char *id);
void event_networks_write(struct engine *g, const char *action, const json_t *networks, const char *container);
/* What the container's monitor says in its events; in the run directory. */
void event_actor_keep(struct engine *g, const struct found *f);
/* extra: stolen, may be NULL. */
void event_of(
	struct engine *g, const struct container_row *row, const json_t *record, const char *action, json_t *extra);

/* ---- images.c ---- */
struct image;
/* The EROFS file of an image, made now if this is its first use in a VM. The caller frees *ret. */
int engine_erofs(struct engine *g, const struct image *image, char **ret, struct err *e);
