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

enum { FREEZE_MS = 5000 };

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

int cgroup_v2_check(const struct plan *p, struct err *e)
{
	char line[512];
	int r = file_read_line(AT_FDCWD, CGROUP_ROOT "/cgroup.controllers", line, sizeof(line));
	_cleanup_strv_ char **have = r < 0 ? NULL : strv_split(line, " ");

	if ((p->memory || p->memory_reservation) && !strv_has(have, "memory"))
		return lacks("memory limit capabilities", e);
	if (p->oom_kill_disable)
		return lacks("OomKillDisable", e);
	if (p->nanocpus && !strv_has(have, "cpu"))
		return lacks("CPU CFS quota", e);
	if (p->cpu_shares && !strv_has(have, "cpu"))
		return lacks("CPU shares", e);
	if (!str_empty(p->cpuset_cpus) && !strv_has(have, "cpuset"))
		return lacks("cpuset", e);
	if (p->pids && !strv_has(have, "pids"))
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

static int limit_memory(const struct cgroup *c, const struct plan *p, struct err *e)
{
	uint64_t total = cgroup_swap_total(p);
	int r = 0;

	if (p->memory)
		r = set_u64(c, "memory.max", p->memory, e);
	if (r == 0 && p->memory_reservation)
		r = set_u64(c, "memory.low", p->memory_reservation, e);
	if (r < 0 || !total)
		return r;
	uint64_t swap = total == UINT64_MAX ? UINT64_MAX : total > p->memory ? total - p->memory : 0;
	r = file_write(c->dir[0].fd, "memory.swap.max", "max");
	if (r == -ENOENT) /* a kernel without swap has none to limit */
		return 0;
	return set_u64(c, "memory.swap.max", swap, e);
}

int cgroup_v2_limit(const struct cgroup *c, const struct plan *p, struct err *e)
{
	char text[64];
	int r = limit_memory(c, p, e);

	if (r == 0 && p->nanocpus) {
		snprintf(text, sizeof(text), "%llu 100000", (unsigned long long)cgroup_cpu_quota(p->nanocpus));
		r = set(c, "cpu.max", text, e);
	}
	if (r == 0 && p->cpu_shares)
		r = set_u64(c, "cpu.weight", cgroup_weight(p->cpu_shares), e);
	if (r == 0 && !str_empty(p->cpuset_cpus))
		r = set(c, "cpuset.cpus", p->cpuset_cpus, e);
	if (r == 0 && p->pids)
		r = set_u64(c, "pids.max", p->pids, e);
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
