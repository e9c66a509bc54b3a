/* From a container's record to its plan. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "engine/engine-private.h"
#include "sandbox/caps.h"

static char *copy_str(const json_t *o, const char *key)
{
	const char *s = json_str(o, key);

	return str_empty(s) ? NULL : strdup(s);
}

static bool mode_is_host(const json_t *hc, const char *key)
{
	const char *mode = json_str(hc, key);

	return mode && !strcmp(mode, "host");
}

enum isolation_kind record_isolation(const json_t *record)
{
	enum isolation_kind k = ISOLATION_PROCESS;
	struct err e;
	const char *s = json_str(json_object_get(record, "HostConfig"), "Isolation");

	if (s)
		isolation_parse(s, &k, &e);
	return k;
}

struct restart_policy record_restart_policy(const json_t *record)
{
	const json_t *policy = json_path(record, "HostConfig.RestartPolicy");
	struct restart_policy p = {.max = (uint32_t)json_int(policy, "MaximumRetryCount", 0)};

	restart_kind_parse(json_str(policy, "Name"), &p.kind); /* it was checked at create */
	return p;
}

struct isolation_host engine_host(const struct engine *g, const json_t *hc)
{
	struct isolation_host host = g->host;

	if (!str_empty(json_str(hc, "Kernel")))
		host.kernel = json_str(hc, "Kernel");
	return host;
}

static int plan_caps(const json_t *hc, bool privileged, uint64_t *ret, struct err *e)
{
	_cleanup_strv_ char **add = json_strv(json_object_get(hc, "CapAdd"));
	_cleanup_strv_ char **drop = json_strv(json_object_get(hc, "CapDrop"));

	return caps_from_names(add, drop, privileged, ret, e);
}

static int add_ulimits(const json_t *hc, struct plan_process *p)
{
	size_t i;
	json_t *u;

	json_array_foreach(json_object_get(hc, "Ulimits"), i, u) {
		const char *name = json_str(u, "Name");
		long long soft = json_int(u, "Soft", -1), hard = json_int(u, "Hard", -1);
		char s[24] = "unlimited", h[24] = "unlimited";
		if (soft >= 0)
			snprintf(s, sizeof(s), "%lld", soft);
		if (hard >= 0)
			snprintf(h, sizeof(h), "%lld", hard);
		if (strv_pushf(&p->rlimits, "%s=%s:%s", name ? name : "", s, h) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Entrypoint and Cmd are joined; both were completed from the image at create. */
static int plan_process(struct engine *g, const json_t *record, struct plan_process *p, bool privileged, struct err *e)
{
	const json_t *config = json_object_get(record, "Config"), *hc = json_object_get(record, "HostConfig");
	const json_t *security = json_path(record, "Caisson.Security");
	_cleanup_strv_ char **cmd = json_strv(json_object_get(config, "Cmd"));
	const char *profile = json_str(security, "Seccomp");

	p->argv = json_strv(json_object_get(config, "Entrypoint"));
	p->env = json_strv(json_object_get(config, "Env"));
	p->cwd = copy_str(config, "WorkingDir");
	p->user = copy_str(config, "User");
	p->groups = json_strv(json_object_get(hc, "GroupAdd"));
	p->tty = json_flag(config, "Tty");
	p->open_stdin = json_flag(config, "OpenStdin");
	p->no_new_privs = json_flag(security, "NoNewPrivileges");
	if (strv_push_all(&p->argv, cmd) < 0 || add_ulimits(hc, p) < 0)
		return err_nomem(e);
	int r = plan_caps(hc, privileged, &p->caps, e);
	if (r == 0)
		r = security_seccomp(g, profile ? profile : "", p->caps, privileged, &p->seccomp, &p->seccomp_len, e);
	return r;
}

/* docker's options for a tmpfs: flags that the mount takes, the rest for the file system. */
static int plan_tmpfs(struct plan_mount *m, const char *options)
{
	_cleanup_strv_ char **opts = strv_split(options, ",");
	_cleanup_buf_ struct buf b = {0};

	m->nosuid = m->nodev = m->noexec = true;
	strv_foreach(opt, opts) {
		if (!strcmp(opt, "ro"))
			m->readonly = true;
		else if (!strcmp(opt, "exec"))
			m->noexec = false;
		else if (!strcmp(opt, "suid"))
			m->nosuid = false;
		else if (!strcmp(opt, "dev"))
			m->nodev = false;
		else if (strchr(opt, '=') && buf_addf(&b, "%s%s", b.len ? "," : "", opt) < 0)
			return -ENOMEM;
	}
	m->options = steal_ptr(b.data);
	return 0;
}

/* Before the container is made a volume has no directory yet: any stands in for it, so that the rest can be checked. */
static char *mount_source(const struct engine *g, const json_t *m)
{
	const char *source = json_str(m, "Source");

	return strdup(str_empty(source) ? g->root : source);
}

static int plan_mounts(const struct engine *g, const json_t *record, struct plan *p)
{
	size_t i;
	json_t *j;

	json_array_foreach(json_object_get(record, "Mounts"), i, j) {
		struct plan_mount *m = plan_add_mount(p);
		const char *type = json_str(j, "Type"), *propagation = json_str(j, "Propagation");
		if (!m || !type)
			return -ENOMEM;
		m->target = copy_str(j, "Destination");
		m->readonly = !json_flag(j, "RW");
		if (!strcmp(type, "tmpfs")) {
			m->type = PLAN_MOUNT_TMPFS;
			if (plan_tmpfs(m, json_str(j, "Mode")) < 0)
				return -ENOMEM;
			continue;
		}
		m->type = PLAN_MOUNT_BIND;
		m->source = mount_source(g, j);
		m->recursive = !json_flag(j, "NonRecursive");
		m->propagation = str_empty(propagation) ? NULL : strdup(propagation);
		m->copy_up = json_flag(j, "CopyUp");
		if (!m->target || !m->source)
			return -ENOMEM;
	}
	return 0;
}

static int plan_root(struct engine *g, const json_t *record, struct plan *p)
{
	const char *erofs = json_str(json_object_get(record, "Caisson"), "Erofs");

	p->lower = json_strv(json_path(record, "Caisson.Layers"));
	p->upper = str_fmt("%s/containers/%s/upper", g->root, p->id);
	p->work = str_fmt("%s/containers/%s/work", g->root, p->id);
	if (erofs) {
		p->image_erofs = strdup(erofs);
		p->disk = str_fmt("%s/containers/%s/disk.ext4", g->root, p->id);
	}
	return p->upper && p->work && (!erofs || (p->image_erofs && p->disk)) ? 0 : -ENOMEM;
}

static int plan_strings(const json_t *record, struct plan *p)
{
	const json_t *config = json_object_get(record, "Config"), *hc = json_object_get(record, "HostConfig");
	const char *key;
	json_t *v;

	p->id = copy_str(record, "Id");
	p->name = strdup(json_str(record, "Name") ? json_str(record, "Name") + 1 : "");
	p->hostname = copy_str(config, "Hostname");
	p->domainname = copy_str(config, "Domainname");
	p->cpuset_cpus = copy_str(hc, "CpusetCpus");
	p->cpuset_mems = copy_str(hc, "CpusetMems");
	p->cgroup_parent = copy_str(hc, "CgroupParent");
	if (!p->privileged && !json_flag(json_path(record, "Caisson.Security"), "SystemPaths") && plan_hide(p) < 0)
		return -ENOMEM;
	json_object_foreach(json_object_get(hc, "Sysctls"), key, v)
		if (strv_pushf(&p->sysctls, "%s=%s", key, json_is_string(v) ? json_string_value(v) : "") < 0)
			return -ENOMEM;
	return p->id && p->name ? 0 : -ENOMEM;
}

int engine_plan(struct engine *g, const json_t *record, struct plan *ret, struct err *e)
{
	const json_t *hc = json_object_get(record, "HostConfig"), *config = json_object_get(record, "Config");
	const char *signal = json_str(config, "StopSignal");

	*ret = (struct plan){
		.privileged = json_flag(hc, "Privileged"),
		.readonly_root = json_flag(hc, "ReadonlyRootfs"),
		.init = json_flag(hc, "Init"),
		.disposable = json_flag(hc, "AutoRemove"),
		.fresh_boot = g->fresh_boot || json_flag(hc, "FreshBoot") || !str_empty(json_str(hc, "Kernel")),
		.host_network = mode_is_host(hc, "NetworkMode"),
		.host_pid = mode_is_host(hc, "PidMode"),
		.host_ipc = mode_is_host(hc, "IpcMode"),
		.host_uts = mode_is_host(hc, "UTSMode"),
		.host_cgroupns = mode_is_host(hc, "CgroupnsMode"),
		.no_shm = json_str(hc, "IpcMode") && !strcmp(json_str(hc, "IpcMode"), "none"),
		.kernel = copy_str(hc, "Kernel"),
	};
	if (!str_empty(signal) && parse_signal(signal, &ret->stop_signal) < 0)
		return err_set(e, EINVAL, "invalid signal: %s", signal);
	ret->shm_size = (uint64_t)json_int(hc, "ShmSize", 0);
	ret->oom_score_adj = (int32_t)json_int(hc, "OomScoreAdj", 0);
	if (resources_plan(hc, ret) < 0 || plan_strings(record, ret) < 0 || plan_root(g, record, ret) < 0 ||
		plan_mounts(g, record, ret) < 0)
		return err_nomem(e);
	int r = devices_plan(hc, ret, e);
	if (r == 0)
		r = endpoints_plan(g, record, ret, e);
	if (r < 0)
		return r;
	r = netfiles_make(g, record, ret, e);
	if (r < 0)
		return r;
	return plan_process(g, record, &ret->process, ret->privileged, e);
}

int plan_too_long(int code, struct err *e)
{
	if (code == -ENOMEM)
		return err_nomem(e);
	return err_set(e, E2BIG,
		"the command with its arguments, environment and options is too long: 1 MiB, and 65535 arguments, are "
		"the most: "
		"pass what is longer by a file (-v, --env-file) or by standard input");
}

int engine_plan_exec(
	struct engine *g, const json_t *record, const json_t *body, struct plan_process *ret, struct err *e)
{
	const json_t *config = json_object_get(record, "Config"), *hc = json_object_get(record, "HostConfig");
	_cleanup_json_ json_t *own = json_copy((json_t *)record);
	_cleanup_json_ json_t *merged = json_copy((json_t *)config);
	_cleanup_strv_ char **env = json_strv(json_object_get(body, "Env"));
	bool privileged = json_flag(hc, "Privileged") || json_flag(body, "Privileged");

	if (!own || !merged)
		return err_nomem(e);
	json_object_del(merged, "Entrypoint");
	json_object_set(merged, "Cmd", json_object_get(body, "Cmd"));
	json_object_set_new(merged, "Tty", json_boolean(json_flag(body, "Tty")));
	json_object_set_new(merged, "OpenStdin", json_boolean(json_flag(body, "AttachStdin")));
	if (!str_empty(json_str(body, "User")))
		json_object_set(merged, "User", json_object_get(body, "User"));
	if (!str_empty(json_str(body, "WorkingDir")))
		json_object_set(merged, "WorkingDir", json_object_get(body, "WorkingDir"));
	json_object_set(own, "Config", merged);
	int r = plan_process(g, own, ret, privileged, e);
	strv_foreach(s, env) {
		if (r == 0 && env_set(&ret->env, s) < 0)
			r = err_nomem(e);
	}
	if (r == 0 && !ret->argv)
		r = err_set(e, EINVAL, "No exec command specified");
	return r;
}
