/* Cgroups, version 1: one hierarchy per controller. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/cgroup.h"
#include "sandbox/devices.h"

enum { FREEZE_MS = 5000, CPU_SHARES = 1024 /* the kernel's own */ };

bool cgroup_v1_wanted(const char *hierarchy, const struct plan *p)
{
	static const char *const always[] = {
		"memory", "devices", "pids", "freezer", "cpu", "cpuacct", "blkio", "systemd", NULL};
	_cleanup_strv_ char **names = strv_split(hierarchy, ",");

	strv_foreach(s, names) {
		if (str_in(s, always) ||
			(!strcmp(s, "cpuset") && (!str_empty(p->cpuset_cpus) || !str_empty(p->cpuset_mems))))
			return true;
	}
	return false;
}

/* Whether some hierarchy has the controller and its root (or any child) would have the file. */
static bool has(const struct cgroup *c, const char *controller, const char *file)
{
	for (size_t i = 0; i < c->len; i++) {
		char path[200];
		_cleanup_strv_ char **names = strv_split(c->dir[i].name, ",");
		if (!strv_has(names, controller))
			continue;
		snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", c->dir[i].name, file ? file : "tasks");
		if (access(path, F_OK) == 0)
			return true;
		/* pids.max and the like exist only below the root */
		return !strcmp(controller, "pids") && file != NULL;
	}
	return false;
}

static int lacks(const char *what, struct err *e)
{
	return err_set(e, ENOTSUP, "Your kernel does not support %s or the cgroup is not mounted", what);
}

unsigned cgroup_v1_can(const struct cgroup *c)
{
	static const struct {
		enum cgroup_can bit;
		const char *controller, *file;
	} files[] = {
		{CGROUP_CAN_MEMORY, "memory", "memory.limit_in_bytes"},
		{CGROUP_CAN_SWAP, "memory", "memory.memsw.limit_in_bytes"},
		{CGROUP_CAN_RESERVATION, "memory", "memory.soft_limit_in_bytes"},
		{CGROUP_CAN_SWAPPINESS, "memory", "memory.swappiness"},
		{CGROUP_CAN_OOM_DISABLE, "memory", "memory.oom_control"},
		{CGROUP_CAN_CFS, "cpu", "cpu.cfs_quota_us"},
		{CGROUP_CAN_SHARES, "cpu", "cpu.shares"},
		{CGROUP_CAN_CPUSET, "cpuset", "cpuset.cpus"},
		{CGROUP_CAN_PIDS, "pids", "pids.max"},
		{CGROUP_CAN_IO_WEIGHT, "blkio", "blkio.weight"},
		/* blkio.bfq.weight exists only below the root, but this does there, too */
		{CGROUP_CAN_IO_WEIGHT, "blkio", "blkio.bfq.io_serviced"},
		{CGROUP_CAN_IO_RATE, "blkio", "blkio.throttle.read_bps_device"},
	};
	unsigned can = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (has(c, files[i].controller, files[i].file))
			can |= files[i].bit;
	return can;
}

int cgroup_v1_check(const struct cgroup *c, const struct plan *p, struct err *e)
{
	unsigned can = cgroup_v1_can(c);

	if ((p->memory || p->memory_reservation) && !(can & CGROUP_CAN_MEMORY))
		return lacks("memory limit capabilities", e);
	if (p->memory_swap && p->memory_swap != p->memory && p->memory_swap != UINT64_MAX && !(can & CGROUP_CAN_SWAP))
		return lacks("swap limit capabilities", e);
	if (p->oom_kill_disable && !(can & CGROUP_CAN_OOM_DISABLE))
		return lacks("OomKillDisable", e);
	if ((p->nanocpus || p->cpu_quota || p->cpu_period) && !(can & CGROUP_CAN_CFS))
		return lacks("CPU CFS quota", e);
	if (p->cpu_shares && !(can & CGROUP_CAN_SHARES))
		return lacks("CPU shares", e);
	if ((!str_empty(p->cpuset_cpus) || !str_empty(p->cpuset_mems)) && !(can & CGROUP_CAN_CPUSET))
		return lacks("cpuset", e);
	if (p->pids && !(can & CGROUP_CAN_PIDS))
		return lacks("pids limit capabilities", e);
	if (!p->privileged && !has(c, "devices", NULL))
		return lacks("the devices cgroup, which keeps containers from the host's devices,", e);
	return 0;
}

static int set(const struct cgroup *c, const char *controller, const char *file, const char *value, struct err *e)
{
	int fd = cgroup_fd(c, controller);
	int r = fd < 0 ? -ENOENT : file_write(fd, file, value);

	return r < 0 ? err_errno(e, r, "set %s of cgroup %s to %s", file, c->path, value) : 0;
}

static int set_u64(const struct cgroup *c, const char *controller, const char *file, uint64_t value, struct err *e)
{
	char text[32];

	if (value >= INT64_MAX)
		strcpy(text, strcmp(file, "pids.max") != 0 ? "-1" : "max");
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return set(c, controller, file, text, e);
}

/* memory may never be above memory+swap, so the one that grows is set first. */
static int limit_memory(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	uint64_t lifted = again ? UINT64_MAX : 0, memory = p->memory ? p->memory : lifted;
	uint64_t total = cgroup_swap_total(p) ? cgroup_swap_total(p) : lifted, now;
	bool memsw = cgroup_read_u64(c, "memory", "memory.memsw.limit_in_bytes", &now) == 0;
	int r = 0;

	if (memsw && total && total > now)
		r = set_u64(c, "memory", "memory.memsw.limit_in_bytes", total, e);
	if (r == 0 && memory)
		r = set_u64(c, "memory", "memory.limit_in_bytes", memory, e);
	if (r == 0 && memsw && total && total < now)
		r = set_u64(c, "memory", "memory.memsw.limit_in_bytes", total, e);
	if (r == 0 && p->swappiness)
		r = set_u64(c, "memory", "memory.swappiness", p->swappiness - 1, e);
	/* without memsw, memory == memory+swap can still be had */
	else if (r == 0 && !memsw && p->memory && p->memory_swap == p->memory)
		r = set_u64(c, "memory", "memory.swappiness", 0, e);
	if (r == 0 && (p->memory_reservation || again))
		r = set_u64(c, "memory", "memory.soft_limit_in_bytes",
			p->memory_reservation ? p->memory_reservation : UINT64_MAX, e);
	if (r == 0 && p->oom_kill_disable)
		r = set(c, "memory", "memory.oom_control", "1", e);
	return r;
}

static int limit_cpu(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	uint64_t quota, period;
	int r = 0;

	cgroup_cpu_time(p, again, &quota, &period);
	if (period)
		r = set_u64(c, "cpu", "cpu.cfs_period_us", period, e);
	if (r == 0 && quota)
		r = set_u64(c, "cpu", "cpu.cfs_quota_us", quota, e);
	if (r == 0 && (p->cpu_shares || again))
		r = set_u64(c, "cpu", "cpu.shares", p->cpu_shares ? p->cpu_shares : CPU_SHARES, e);
	if (r == 0 && !str_empty(p->cpuset_cpus))
		r = set(c, "cpuset", "cpuset.cpus", p->cpuset_cpus, e);
	if (r == 0 && !str_empty(p->cpuset_mems))
		r = set(c, "cpuset", "cpuset.mems", p->cpuset_mems, e);
	return r;
}

int cgroup_v1_limit(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	int r = 0;

	if (again || p->memory || p->memory_reservation || p->memory_swap || p->oom_kill_disable || p->swappiness)
		r = limit_memory(c, p, again, e);
	if (r == 0)
		r = limit_cpu(c, p, again, e);
	if (r == 0 && (p->pids || again))
		r = set_u64(c, "pids", "pids.max", p->pids ? p->pids : UINT64_MAX, e);
	return r;
}

/* A new cpuset has neither processors nor memory nodes: takes the parent's, and gives the parent its own
 * parent's first. */
static int inherit_cpuset(int dir, int depth)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (size_t i = 0; i < 2; i++) {
		char mine[4096], theirs[4096];
		if (file_read_line(dir, files[i], mine, sizeof(mine)) < 0 || *mine)
			continue;
		_cleanup_close_ int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0 || depth > 8)
			return -ENOENT;
		int r = inherit_cpuset(parent, depth + 1);
		if (r == 0)
			r = file_read_line(parent, files[i], theirs, sizeof(theirs));
		if (r == 0)
			r = file_write(dir, files[i], theirs);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_v1_prepare(const struct cgroup *c, struct err *e)
{
	int fd = cgroup_fd(c, "cpuset");
	int r = fd < 0 ? 0 : inherit_cpuset(fd, 0);

	return r < 0 ? err_errno(e, r, "prepare the cpuset of cgroup %s", c->path) : 0;
}

int cgroup_v1_devices(const struct cgroup *c, const struct plan *p, struct err *e)
{
	struct device_rules rules;
	int dir = cgroup_fd(c, "devices");

	if (dir < 0)
		return lacks("the devices cgroup, which keeps containers from the host's devices,", e);
	int r = device_rules_make(p, &rules, e);
	if (r == 0)
		r = set(c, "devices", "devices.deny", "a", e);
	_cleanup_close_ int fd = r < 0 ? -1 : openat(dir, "devices.allow", O_WRONLY | O_CLOEXEC);
	if (r == 0 && fd < 0)
		return err_errno(e, errno, "open devices.allow of cgroup %s", c->path);
	for (size_t i = 0; r == 0 && i < rules.len; i++) {
		char text[48];
		device_rule_format(&rules.rule[i], text);
		if (write(fd, text, strlen(text)) < 0)
			r = err_errno(e, errno, "allow device \"%s\" in cgroup %s", text, c->path);
	}
	return r;
}

int cgroup_v1_freeze(const struct cgroup *c, bool on, struct err *e)
{
	const char *want = on ? "FROZEN" : "THAWED";
	uint64_t end = clock_mono_ms() + FREEZE_MS;
	char state[32];
	int fd = cgroup_fd(c, "freezer");

	if (fd < 0)
		return lacks("the freezer", e);
	/* FREEZING can last while processes fork: writing again makes the kernel try again */
	for (;;) {
		int r = set(c, "freezer", "freezer.state", want, e);
		if (r == 0)
			r = file_read_line(fd, "freezer.state", state, sizeof(state));
		if (r < 0)
			return r;
		if (!strcmp(state, want))
			return 0;
		if (clock_mono_ms() > end)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	}
	set(c, "freezer", "freezer.state", "THAWED", NULL);
	return err_set(e, ETIMEDOUT, "cgroup %s does not become %s", c->path, want);
}
