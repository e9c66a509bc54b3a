/*
 * The resources of HostConfig (memory, CPUs, processes, block devices) as a whole: what contradicts itself or is not there is an error, what the
 * container's kernel cannot limit is dropped with docker's warning. After moby's verifyPlatformContainerResources, whose texts these are.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/fd.h"
#include "engine/engine-private.h"
#include "sandbox/cgroup.h"

enum { MEMORY_MIN = 6 * 1024 * 1024, CPUS_MAX = 8192 };

/* The virtual machine's kernel has the second version of cgroups; its disk is the container's alone, so that no weight means anything. */
static unsigned can_limit(enum isolation_kind kind)
{
	if (kind == ISOLATION_PROCESS)
		return cgroup_can();
	/* what is then left is refused by name, with the reason */
	return ~(unsigned)(CGROUP_CAN_SWAPPINESS | CGROUP_CAN_IO_WEIGHT);
}

static int warn(json_t *warnings, const char *text)
{
	return json_array_append_new(warnings, json_string(text));
}

static bool asked(const json_t *v)
{
	return json_is_true(v) || (json_is_integer(v) && json_integer_value(v) != 0) || json_string_length(v) ||
		json_array_size(v);
}

#define LACKS(what, then) "Your kernel does not support " what " or the cgroup is not mounted. " then

static int drop_unsupported(json_t *hc, unsigned can, json_t *warnings, struct err *e)
{
	static const struct {
		const char *key;
		unsigned bit;
		const char *warning;
	} table[] = {
		{"Memory", CGROUP_CAN_MEMORY, LACKS("memory limit capabilities", "Limitation discarded.")},
		{"MemoryReservation", CGROUP_CAN_RESERVATION,
			LACKS("memory soft limit capabilities", "Limitation discarded.")},
		{"MemorySwappiness", CGROUP_CAN_SWAPPINESS,
			LACKS("memory swappiness capabilities", "Memory swappiness discarded.")},
		{"OomKillDisable", CGROUP_CAN_OOM_DISABLE,
			"Your kernel does not support OomKillDisable. OomKillDisable discarded."},
		{"PidsLimit", CGROUP_CAN_PIDS, LACKS("PIDs limit capabilities", "PIDs limit discarded.")},
		{"CpuShares", CGROUP_CAN_SHARES, LACKS("CPU shares", "Shares discarded.")},
		{"CpuPeriod", CGROUP_CAN_CFS,
			"Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."},
		{"CpuQuota", CGROUP_CAN_CFS,
			"Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."},
		{"CpusetCpus", CGROUP_CAN_CPUSET, LACKS("cpuset", "Cpuset discarded.")},
		{"CpusetMems", CGROUP_CAN_CPUSET, LACKS("cpuset", "Cpuset discarded.")},
		{"BlkioWeight", CGROUP_CAN_IO_WEIGHT, LACKS("Block I/O weight", "Weight discarded.")},
		{"BlkioDeviceReadBps", CGROUP_CAN_IO_RATE,
			LACKS("BPS Block I/O read limit", "Block I/O BPS read limit discarded.")},
		{"BlkioDeviceWriteBps", CGROUP_CAN_IO_RATE,
			LACKS("BPS Block I/O write limit", "Block I/O BPS write limit discarded.")},
		{"BlkioDeviceReadIOps", CGROUP_CAN_IO_RATE,
			LACKS("IOPS Block read limit", "Block I/O IOPS read limit discarded.")},
		{"BlkioDeviceWriteIOps", CGROUP_CAN_IO_RATE,
			LACKS("IOPS Block I/O write limit", "Block I/O IOPS write limit discarded.")},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const json_t *v = json_object_get(hc, table[i].key);
		/* 0 is a swappiness */
		bool given = asked(v) || (table[i].bit == CGROUP_CAN_SWAPPINESS && json_is_integer(v));
		if (!given || can & table[i].bit)
			continue;
		if (warn(warnings, table[i].warning) < 0 || json_object_del(hc, table[i].key) < 0)
			return err_nomem(e);
	}
	if (json_int(hc, "NanoCpus", 0) && !(can & CGROUP_CAN_CFS))
		return err_set(e, ENOTSUP,
			"NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is "
			"not mounted");
	if (json_int(hc, "Memory", 0) > 0 && json_int(hc, "MemorySwap", 0) > 0 && !(can & CGROUP_CAN_SWAP) &&
		(warn(warnings, LACKS("swap limit capabilities", "Memory limited without swap.")) < 0 ||
			json_object_set_new(hc, "MemorySwap", json_integer(-1)) < 0))
		return err_nomem(e);
	return 0;
}

/* What no kernel of today does. */
static int drop_old(json_t *hc, json_t *warnings, struct err *e)
{
	int64_t kernel = json_int(hc, "KernelMemory", 0);

	if (kernel && kernel < MEMORY_MIN)
		return err_set(e, EINVAL, "Minimum kernel memory limit allowed is 6MB");
	if (kernel &&
		(warn(warnings,
			 "Specifying a kernel memory limit is deprecated and will be removed in a future release.") <
				0 ||
			warn(warnings, LACKS("kernel memory limit capabilities", "Limitation discarded.")) < 0))
		return err_nomem(e);
	json_object_del(hc, "KernelMemory");
	if (json_int(hc, "CpuRealtimePeriod", 0))
		return err_set(e, ENOTSUP, "Your kernel does not support cgroup cpu real-time period");
	if (json_int(hc, "CpuRealtimeRuntime", 0))
		return err_set(e, ENOTSUP, "Your kernel does not support cgroup cpu real-time runtime");
	return 0;
}

static int check_memory(const json_t *hc, json_t *warnings, struct err *e)
{
	int64_t memory = json_int(hc, "Memory", 0), swap = json_int(hc, "MemorySwap", 0),
		reserved = json_int(hc, "MemoryReservation", 0);

	if (swap > 0 && !memory)
		return err_set(
			e, EINVAL, "You should always set the Memory limit when using Memoryswap limit, see usage");
	if (swap > 0 && swap < memory)
		return err_set(e, EINVAL, "Minimum memoryswap limit should be larger than memory limit, see usage");
	if (reserved && reserved < MEMORY_MIN)
		return err_set(e, EINVAL, "Minimum memory reservation allowed is 6MB");
	if (memory && reserved > memory)
		return err_set(
			e, EINVAL, "Minimum memory limit can not be less than memory reservation limit, see usage");
	if (json_flag(hc, "OomKillDisable") && !memory &&
		warn(warnings,
			"OOM killer is disabled for the container, but no memory limit is set, this can result in the "
			"system running out of resources.") < 0)
		return err_nomem(e);
	return 0;
}

static int check_cpu(const json_t *hc, struct err *e)
{
	int64_t nano = json_int(hc, "NanoCpus", 0), period = json_int(hc, "CpuPeriod", 0),
		quota = json_int(hc, "CpuQuota", 0);

	if (nano && period > 0)
		return err_set(e, EINVAL, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (nano && quota > 0)
		return err_set(e, EINVAL, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
	if (period && (period < 1000 || period > 1000000))
		return err_set(e, EINVAL,
			"CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
	if (quota > 0 && quota < 1000)
		return err_set(e, EINVAL, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	return 0;
}

/* Whether all of "0-2,4" is among the numbers that a file of sysfs lists. */
static int check_list(const char *list, const char *what, const char *title, const char *file, struct err *e)
{
	_cleanup_(bits_done) struct bits want = {0}, have = {0};
	char line[4096] = "0";

	if (str_empty(list))
		return 0;
	if (bits_parse(list, CPUS_MAX, &want) < 0)
		return err_set(e, EINVAL, "Invalid value %s for cpuset %s", list, what);
	file_read_line(AT_FDCWD, file, line, sizeof(line));
	if (bits_parse(line, CPUS_MAX, &have) < 0 || !bits_within(&want, &have))
		return err_set(
			e, EINVAL, "Requested %s are not available - requested %s, available: %s", title, list, line);
	return 0;
}

int resources_check(json_t *hc, enum isolation_kind kind, json_t *warnings, struct err *e)
{
	int64_t weight = json_int(hc, "BlkioWeight", 0);
	int r = drop_unsupported(hc, can_limit(kind), warnings, e);

	if (r == 0)
		r = drop_old(hc, warnings, e);
	if (r == 0)
		r = check_memory(hc, warnings, e);
	if (r == 0)
		r = check_cpu(hc, e);
	if (r == 0)
		r = check_list(json_str(hc, "CpusetCpus"), "cpus", "CPUs", "/sys/devices/system/cpu/online", e);
	if (r == 0)
		r = check_list(
			json_str(hc, "CpusetMems"), "mems", "memory nodes", "/sys/devices/system/node/online", e);
	if (r == 0 && weight && (weight < 10 || weight > 1000))
		r = err_set(e, EINVAL, "Range of blkio weight is from 10 to 1000");
	/* docker's default: as much swap again */
	if (r == 0 && json_int(hc, "Memory", 0) > 0 && !json_int(hc, "MemorySwap", 0) &&
		json_object_set_new(hc, "MemorySwap",
			json_integer(json_int(hc, "Memory", 0) > INT64_MAX / 2 ? -1 : 2 * json_int(hc, "Memory", 0))) <
			0)
		r = err_nomem(e);
	return r;
}

int resources_plan(const json_t *hc, struct plan *p)
{
	static const char *const devices[] = {
		[PLAN_IO_READ_BPS] = "BlkioDeviceReadBps",
		[PLAN_IO_WRITE_BPS] = "BlkioDeviceWriteBps",
		[PLAN_IO_READ_IOPS] = "BlkioDeviceReadIOps",
		[PLAN_IO_WRITE_IOPS] = "BlkioDeviceWriteIOps",
		[PLAN_IO_WEIGHT] = "BlkioWeightDevice",
	};
	int64_t swap = json_int(hc, "MemorySwap", 0), pids = json_int(hc, "PidsLimit", 0),
		quota = json_int(hc, "CpuQuota", 0);

	p->memory = (uint64_t)json_int(hc, "Memory", 0);
	p->memory_swap = swap < 0 ? UINT64_MAX : (uint64_t)swap;
	p->memory_reservation = (uint64_t)json_int(hc, "MemoryReservation", 0);
	p->swappiness = (uint32_t)(json_int(hc, "MemorySwappiness", -1) + 1);
	p->oom_kill_disable = json_flag(hc, "OomKillDisable");
	p->nanocpus = (uint64_t)json_int(hc, "NanoCpus", 0);
	p->cpu_quota = quota < 0 ? UINT64_MAX : (uint64_t)quota;
	p->cpu_period = (uint64_t)json_int(hc, "CpuPeriod", 0);
	p->cpu_shares = (uint64_t)json_int(hc, "CpuShares", 0);
	p->pids = pids > 0 ? (uint64_t)pids : 0;
	p->blkio_weight = (uint32_t)json_int(hc, "BlkioWeight", 0);
	for (size_t kind = 0; kind < sizeof(devices) / sizeof(*devices); kind++) {
		size_t i;
		json_t *device;
		json_array_foreach(json_object_get(hc, devices[kind]), i, device) {
			const char *path = json_str(device, "Path");
			struct plan_io *io = plan_add_io(p);
			if (!io || !(io->path = strdup(path ? path : "")))
				return -ENOMEM;
			io->kind = (enum plan_io_kind)kind;
			io->value = (uint64_t)json_int(device, kind == PLAN_IO_WEIGHT ? "Weight" : "Rate", 0);
		}
	}
	return 0;
}
