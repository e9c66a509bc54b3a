/* Cgroups, version 2: one hierarchy for all controllers. */
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

enum { FREEZE_MS = 5000, CPU_PERIOD_US = 100000, CPU_WEIGHT = 100 /* both the kernel's own */ };

static const char *const controllers[] = {"memory", "cpu", "pids", "cpuset", "io", NULL};

uint64_t cgroup_swap_total(const struct plan *p)
{
	if (p->memory_swap || !p->memory)
		return p->memory_swap;
	return p->memory > UINT64_MAX / 2 ? UINT64_MAX : 2 * p->memory;
}

uint64_t cgroup_cpu_quota(uint64_t nanocpus)
{
	uint64_t quota = nanocpus / 10000; /* of 100000 us */

	return quota < 1000 ? 1000 : quota; /* the kernel's least */
}

void cgroup_cpu_time(const struct plan *p, bool again, uint64_t *ret_quota, uint64_t *ret_period)
{
	uint64_t quota = p->nanocpus ? cgroup_cpu_quota(p->nanocpus) : p->cpu_quota;
	uint64_t period = p->nanocpus || !p->cpu_period ? CPU_PERIOD_US : p->cpu_period;
	bool given = quota || p->cpu_period;

	*ret_quota = quota ? quota : again ? UINT64_MAX : 0;
	*ret_period = given || again ? period : 0;
}

uint64_t cgroup_weight(uint64_t shares)
{
	if (!shares)
		return 0;
	shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int lacks(const char *what, struct err *e)
{
	return err_set(e, ENOTSUP, "Your kernel does not support %s or the cgroup is not mounted", what);
}

unsigned cgroup_v2_can(void)
{
	static const struct {
		const char *controller;
		unsigned bits;
	} table[] = {
		{"memory", CGROUP_CAN_MEMORY | CGROUP_CAN_SWAP | CGROUP_CAN_RESERVATION},
		{"cpu", CGROUP_CAN_CFS | CGROUP_CAN_SHARES},
		{"cpuset", CGROUP_CAN_CPUSET},
		{"pids", CGROUP_CAN_PIDS},
		{"io", CGROUP_CAN_IO_WEIGHT | CGROUP_CAN_IO_RATE},
	};
	char line[512];
	int r = file_read_line(AT_FDCWD, CGROUP_ROOT "/cgroup.controllers", line, sizeof(line));
	_cleanup_strv_ char **have = r < 0 ? NULL : strv_split(line, " ");
	unsigned can = 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (strv_has(have, table[i].controller))
			can |= table[i].bits;
	return can;
}

int cgroup_v2_check(const struct plan *p, struct err *e)
{
	unsigned can = cgroup_v2_can();

	if ((p->memory || p->memory_reservation) && !(can & CGROUP_CAN_MEMORY))
		return lacks("memory limit capabilities", e);
	if (p->oom_kill_disable)
		return lacks("OomKillDisable", e);
	if (p->swappiness)
		return lacks("memory swappiness capabilities", e);
	if ((p->nanocpus || p->cpu_quota || p->cpu_period) && !(can & CGROUP_CAN_CFS))
		return lacks("CPU CFS quota", e);
	if (p->cpu_shares && !(can & CGROUP_CAN_SHARES))
		return lacks("CPU shares", e);
	if ((!str_empty(p->cpuset_cpus) || !str_empty(p->cpuset_mems)) && !(can & CGROUP_CAN_CPUSET))
		return lacks("cpuset", e);
	if (p->pids && !(can & CGROUP_CAN_PIDS))
		return lacks("pids limit capabilities", e);
	return p->privileged ? 0 : device_program_check(e);
}

/* Hands the controllers on to the children of dir; those that cannot be are missed later, by who needs them.
 */
static int enable(int dir)
{
	char have[512], on[512];
	int r = file_read_line(dir, "cgroup.controllers", have, sizeof(have));

	if (r == 0)
		r = file_read_line(dir, "cgroup.subtree_control", on, sizeof(on));
	if (r < 0)
		return r;
	_cleanup_strv_ char **v = strv_split(have, " "), **w = strv_split(on, " ");
	for (size_t i = 0; controllers[i]; i++) {
		char text[32];
		if (!strv_has(v, controllers[i]) || strv_has(w, controllers[i]))
			continue;
		snprintf(text, sizeof(text), "+%s", controllers[i]);
		file_write(dir, "cgroup.subtree_control", text);
	}
	return 0;
}

int cgroup_v2_prepare(int root, int parent, struct err *e)
{
	_cleanup_close_ int above = openat(parent, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = enable(root);

	/* a parent with several components: the ones between get them too */
	if (r == 0 && above >= 0)
		r = enable(above);
	if (r == 0)
		r = enable(parent);
	return r < 0 ? err_errno(e, r, "enable the cgroup controllers") : 0;
}

static int set(const struct cgroup *c, const char *file, const char *value, struct err *e)
{
	int r = file_write(c->dir[0].fd, file, value);

	return r < 0 ? err_errno(e, r, "set %s of cgroup %s to %s", file, c->path, value) : 0;
}

static int set_u64(const struct cgroup *c, const char *file, uint64_t value, struct err *e)
{
	char text[32];

	if (value >= INT64_MAX)
		strcpy(text, "max");
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return set(c, file, text, e);
}

static int limit_memory(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	uint64_t total = cgroup_swap_total(p);
	int r = 0;

	if (p->memory || again)
		r = set_u64(c, "memory.max", p->memory ? p->memory : UINT64_MAX, e);
	if (r == 0 && (p->memory_reservation || again))
		r = set_u64(c, "memory.low", p->memory_reservation, e);
	if (r < 0 || (!total && !again))
		return r;
	uint64_t swap = !total || total == UINT64_MAX ? UINT64_MAX : total > p->memory ? total - p->memory : 0;
	r = file_write(c->dir[0].fd, "memory.swap.max", "max");
	if (r == -ENOENT) /* a kernel without swap has none to limit */
		return 0;
	return set_u64(c, "memory.swap.max", swap, e);
}

static int limit_cpu(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	uint64_t quota, period;
	char text[64];
	int r = 0;

	cgroup_cpu_time(p, again, &quota, &period);
	if (quota || period) {
		if (!quota || quota == UINT64_MAX)
			snprintf(text, sizeof(text), "max %llu", (unsigned long long)period);
		else
			snprintf(
				text, sizeof(text), "%llu %llu", (unsigned long long)quota, (unsigned long long)period);
		r = set(c, "cpu.max", text, e);
	}
	if (r == 0 && (p->cpu_shares || again))
		r = set_u64(c, "cpu.weight", p->cpu_shares ? cgroup_weight(p->cpu_shares) : CPU_WEIGHT, e);
	/* an empty list is all of the parent's */
	if (r == 0 && (!str_empty(p->cpuset_cpus) || again))
		r = set(c, "cpuset.cpus", str_empty(p->cpuset_cpus) ? "\n" : p->cpuset_cpus, e);
	if (r == 0 && (!str_empty(p->cpuset_mems) || again))
		r = set(c, "cpuset.mems", str_empty(p->cpuset_mems) ? "\n" : p->cpuset_mems, e);
	return r;
}

int cgroup_v2_limit(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	int r = limit_memory(c, p, again, e);

	if (r == 0)
		r = limit_cpu(c, p, again, e);
	if (r == 0 && (p->pids || again))
		r = set_u64(c, "pids.max", p->pids ? p->pids : UINT64_MAX, e);
	return r;
}

int cgroup_v2_devices(const struct cgroup *c, const struct plan *p, struct err *e)
{
	struct device_rules rules;
	int r = device_rules_make(p, &rules, e);

	return r < 0 ? r : device_program_attach(&rules, c->dir[0].fd, e);
}

int cgroup_v2_freeze(const struct cgroup *c, bool on, struct err *e)
{
	uint64_t end = clock_mono_ms() + FREEZE_MS, frozen;
	int r = set(c, "cgroup.freeze", on ? "1" : "0", e);

	while (r == 0) {
		if (cgroup_read_key(c, "", "cgroup.events", "frozen", &frozen) < 0 || frozen == on)
			return 0;
		if (clock_mono_ms() > end) {
			set(c, "cgroup.freeze", "0", NULL);
			return err_set(e, ETIMEDOUT, "cgroup %s does not become %s", c->path, on ? "frozen" : "thawed");
		}
		nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
	}
	return r;
}
