/* What a container uses. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

enum { DEV_MAX = 256 * 1024, SENT_COLUMN = 8 };

static void cleanup_cgroup(struct cgroup *c)
{
	cgroup_done(c);
}
#define _cleanup_cgroup_ _cleanup_(cleanup_cgroup)

static uint64_t figure(const struct cgroup *c, const char *controller, const char *v1, const char *v2)
{
	uint64_t n;

	return cgroup_read_u64(c, controller, c->v2 ? v2 : v1, &n) < 0 ? UINT64_MAX : n;
}

static uint64_t keyed(const struct cgroup *c, const char *controller, const char *file, const char *key)
{
	uint64_t n;

	return cgroup_read_key(c, controller, file, key, &n) < 0 ? UINT64_MAX : n;
}

static uint64_t memory_of_kernel(void)
{
	struct sysinfo i;

	return sysinfo(&i) < 0 ? UINT64_MAX : (uint64_t)i.totalram * i.mem_unit;
}

int sandbox_stats(const struct sandbox *s, struct sandbox_stats *ret)
{
	_cleanup_cgroup_ struct cgroup cg = CGROUP_INIT;
	int r = cgroup_open(s->cgroup, &cg, NULL);

	if (r < 0)
		return r;
	*ret = (struct sandbox_stats){
		.memory = figure(&cg, "memory", "memory.usage_in_bytes", "memory.current"),
		.memory_limit = figure(&cg, "memory", "memory.limit_in_bytes", "memory.max"),
		.pids = figure(&cg, "pids", "pids.current", "pids.current"),
		.pids_limit = figure(&cg, "pids", "pids.max", "pids.max"),
		.oom_kills = keyed(&cg, "memory", cg.v2 ? "memory.events" : "memory.oom_control", "oom_kill"),
	};
	uint64_t cache = keyed(&cg, "memory", "memory.stat", cg.v2 ? "inactive_file" : "total_inactive_file");
	if (ret->memory != UINT64_MAX && cache < ret->memory)
		ret->memory -= cache;
	if (ret->memory_limit > memory_of_kernel())
		ret->memory_limit = memory_of_kernel();
	cgroup_io_bytes(&cg, &ret->io_read, &ret->io_written);
	if (cg.v2) {
		uint64_t us = keyed(&cg, "cpu", "cpu.stat", "usage_usec");
		ret->cpu_ns = us == UINT64_MAX ? us : us * 1000;
	} else {
		ret->cpu_ns = figure(&cg, "cpuacct", "cpuacct.usage", "");
	}
	return 0;
}

/* Two lines of titles, then "  eth0: 1 2 3 4 5 6 7 8 9 ...", of which the first number is bytes received and the ninth bytes sent. */
void sandbox_traffic_sum(char *text, uint64_t *ret_received, uint64_t *ret_sent)
{
	char *line, *word;

	*ret_received = *ret_sent = 0;
	while ((line = strsep(&text, "\n"))) {
		char *numbers = strchr(line, ':');
		unsigned column = 0;
		uint64_t n;
		if (!numbers)
			continue;
		*numbers++ = 0;
		line += strspn(line, " ");
		if (!strcmp(line, "lo"))
			continue;
		while ((word = strsep(&numbers, " "))) {
			if (!*word)
				continue;
			uint64_t *to = column == 0 ? ret_received : column == SENT_COLUMN ? ret_sent : NULL;
			column++;
			if (to && parse_u64(word, &n) == 0 && __builtin_add_overflow(*to, n, to))
				*to = UINT64_MAX;
		}
	}
}

void sandbox_traffic(const struct sandbox *s, uint64_t *ret_received, uint64_t *ret_sent)
{
	_cleanup_buf_ struct buf b = {0};
	char path[48];

	*ret_received = *ret_sent = UINT64_MAX;
	snprintf(path, sizeof(path), "/proc/%d/net/dev", s->pid);
	if (s->pid > 0 && file_read(AT_FDCWD, path, DEV_MAX, &b) >= 0 && b.data)
		sandbox_traffic_sum(b.data, ret_received, ret_sent);
}
