/*
 * The namespaces that a container may share with the host or with another container: what their options mean, and what a virtual machine cannot do.
 * That of the network is endpoints.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine-private.h"

static const struct shared {
	const char *key, *option;
	const char *modes[5]; /* beside "" */
	const char *dflt;     /* what "" is recorded as */
	bool joins;           /* container:X too */
	const char *why;      /* a virtual machine has one of its own */
	const char *invalid;
} shared[] = {
	{"PidMode", "--pid", {"host"}, "", true, ", and so its own processes", "--pid: invalid PID mode"},
	{"IpcMode", "--ipc", {"host", "private", "shareable", "none"}, "private", true, "", NULL},
	{"UTSMode", "--uts", {"host"}, "", false, ", and so its own name", "--uts: invalid UTS mode"},
	{"CgroupnsMode", "--cgroupns", {"host", "private"}, "private", false, ", and so its own control groups",
		"--cgroupns: invalid CGROUP mode"},
	{"UsernsMode", "--userns", {"host"}, "", false, ", and so its own users", "--userns: invalid USER mode"},
};

static const char *container_of(const char *mode)
{
	static const char prefix[] = "container:";

	return str_starts(mode, prefix) && mode[sizeof(prefix) - 1] ? mode + sizeof(prefix) - 1 : NULL;
}

static bool known(const struct shared *s, const char *mode)
{
	for (size_t i = 0; i < sizeof(s->modes) / sizeof(*s->modes) && s->modes[i]; i++)
		if (!strcmp(mode, s->modes[i]))
			return true;
	return s->joins && container_of(mode);
}

/* It must be there, but need not run yet. container:NAME becomes container:ID. */
static int resolve_other(struct engine *g, json_t *hc, const struct shared *s, const char *other, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	int r = container_find(g, other, &f, e);

	if (r < 0)
		return r;
	if (record_isolation(f.record) == ISOLATION_HYPERV)
		return err_set(e, ENOTSUP, "%s=container:%s: that container has its own kernel (--isolation=hyperv)%s",
			s->option, other, s->why);
	return json_set(hc, s->key, json_sprintf("container:%s", f.row.id)) < 0 ? err_nomem(e) : 0;
}

static int resolve(struct engine *g, json_t *hc, const struct shared *s, enum isolation_kind kind, struct err *e)
{
	const char *mode = json_str(hc, s->key);

	if (str_empty(mode))
		return json_set(hc, s->key, json_string(s->dflt)) < 0 ? err_nomem(e) : 0;
	if (!known(s, mode))
		return s->invalid ? err_set(e, EINVAL, "%s", s->invalid)
				  : err_set(e, EINVAL, "Invalid IPC mode: %s", mode);
	bool own = !strcmp(mode, "private") || !strcmp(mode, "none");
	if (kind == ISOLATION_HYPERV && !own)
		return err_set(e, ENOTSUP,
			"%s=%s is not possible with --isolation=hyperv: the container has its own kernel%s", s->option,
			mode, s->why);
	return container_of(mode) ? resolve_other(g, hc, s, container_of(mode), e) : 0;
}

int namespaces_resolve(struct engine *g, const json_t *body, json_t *hc, enum isolation_kind kind, struct err *e)
{
	const char *uts = json_str(hc, "UTSMode");
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(shared) / sizeof(*shared); i++)
		r = resolve(g, hc, &shared[i], kind, e);
	if (r == 0 && !strcmp(uts ? uts : "", "host") && !str_empty(json_str(body, "Hostname")))
		r = err_set(e, EINVAL, "conflicting options: hostname and the UTS mode");
	return r;
}

/* The path of a namespace of a running container, by its PID 1, and its inode number. */
static int find_namespace(const struct found *f, const char *name, char **ret, uint64_t *ret_id, struct err *e)
{
	struct stat st;

	*ret = str_fmt("/proc/%d/ns/%s", (int)f->live.pid, name);
	if (!*ret)
		return err_nomem(e);
	if (stat(*ret, &st) < 0)
		return err_set(e, EBUSY, "container %s is not running", f->row.id);
	*ret_id = st.st_ino;
	return 0;
}

static int find_running(struct engine *g, const char *other, struct found *ret, struct err *e)
{
	int r = container_find(g, other, ret, e);

	if (r == 0 && (!ret->running || ret->live.pid <= 0))
		r = err_set(e, EBUSY, "container %s is not running", ret->row.id);
	return r;
}

static int join_pid(struct engine *g, const char *other, struct plan *p, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	int r = find_running(g, other, &f, e);

	return r < 0 ? r : find_namespace(&f, "pid", &p->pidns, &p->pidns_id, e);
}

static int join_ipc(struct engine *g, const char *other, struct plan *p, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	int r = find_running(g, other, &f, e);

	if (r < 0)
		return err_wrap(e, "can't join IPC of container %s", other);
	const char *theirs = json_str(json_object_get(f.record, "HostConfig"), "IpcMode");
	if (str_empty(theirs) || !strcmp(theirs, "private") || !strcmp(theirs, "none"))
		return err_set(e, EBUSY,
			"can't join IPC of container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor "
			"container)",
			f.row.id);
	r = find_namespace(&f, "ipc", &p->ipcns, &p->ipcns_id, e);
	return r < 0 ? r : find_namespace(&f, "mnt", &p->shmns, &p->shmns_id, e);
}

int namespaces_join(struct engine *g, const json_t *record, struct plan *p, struct err *e)
{
	const json_t *hc = json_object_get(record, "HostConfig");
	const char *pid = json_str(hc, "PidMode"), *ipc = json_str(hc, "IpcMode");
	int r = 0;

	if (pid && container_of(pid))
		r = join_pid(g, container_of(pid), p, e);
	if (r == 0 && ipc && container_of(ipc))
		r = join_ipc(g, container_of(ipc), p, e);
	return r;
}
