/* --cpuset-cpus for a VM: the host's processes of it run on these CPUs. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "isolation/hyperv-private.h"

unsigned cpuset_count(const char *list)
{
	_cleanup_(bits_done) struct bits b = {0};

	return !str_empty(list) && bits_parse(list, CPU_SETSIZE, &b) == 0 ? (unsigned)b.count : 0;
}

int cpuset_pin(pid_t pid, const char *list, struct err *e)
{
	_cleanup_(bits_done) struct bits b = {0};
	cpu_set_t set;
	char path[48];
	struct dirent *en;

	CPU_ZERO(&set);
	if (bits_parse(list, CPU_SETSIZE, &b) < 0)
		return err_set(e, EINVAL, "Invalid value %s for cpuset cpus", list);
	for (size_t i = 0; i < b.size; i++)
		if (b.set[i])
			CPU_SET(i, &set);
	snprintf(path, sizeof(path), pid ? "/proc/%d/task" : "/proc/self/task", pid);
	_cleanup_closedir_ DIR *d = opendir(path);
	if (!d)
		return err_errno(e, errno, "read %s", path);
	while ((en = readdir(d))) {
		int tid;
		if (parse_int(en->d_name, &tid) < 0)
			continue;
		if (sched_setaffinity(tid, sizeof(set), &set) < 0 && errno != ESRCH)
			return err_errno(e, errno, "run on the CPUs %s", list);
	}
	return 0;
}
