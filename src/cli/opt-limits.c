/* Values of options about limits, with the texts of docker's command line. */
#include "cli/opt.h"

#include <errno.h>
#include <string.h>

static int set_uint16(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	uint64_t v;
	int r = parse_u64(value, &v);

	if (r == -ERANGE || (r == 0 && v > UINT16_MAX))
		return err_set(e, EINVAL, "strconv.ParseUint: parsing \"%s\": value out of range", value);
	if (r < 0)
		return err_set(e, EINVAL, "strconv.ParseUint: parsing \"%s\": invalid syntax", value);
	return opts_put(p, o, json_integer((json_int_t)v), e);
}
const struct opt_type opt_uint16 = {"uint16", set_uint16};

/* -1 is as if it was not given. */
static int set_swappiness(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	int v;

	if (parse_int(value, &v) < 0)
		return err_set(e, EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", value);
	if (v < -1 || v > 100)
		return err_set(e, EINVAL, "invalid value: %d. Valid memory swappiness range is 0-100", v);
	return v < 0 ? 0 : opts_put(p, o, json_integer(v), e);
}
const struct opt_type opt_swappiness = {"int", set_swappiness};

/* Only those that belong to a namespace of the container's. */
static int set_sysctl(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const char *const names[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", NULL};
	const char *eq = strchr(value, '=');
	_cleanup_free_ char *name = strndup(value, eq ? (size_t)(eq - value) : strlen(value));

	if (!name)
		return err_nomem(e);
	if (!eq || (!str_in(name, names) && !str_starts(name, "net.") && !str_starts(name, "fs.mqueue.")))
		return err_set(e, EINVAL, "sysctl '%s' is not allowed", value);
	return opts_put_key(p, o, name, json_from_str(eq + 1), e);
}
const struct opt_type opt_sysctl = {"map", set_sysctl};

/* "/dev/sda:VALUE"; *ret_value points behind the colon. The caller frees *ret_path. */
static int split_device(const char *value, char **ret_path, const char **ret_value, struct err *e)
{
	const char *colon = strchr(value, ':');

	if (!colon)
		return err_set(e, EINVAL, "bad format: %s", value);
	if (!str_starts(value, "/dev/"))
		return err_set(e, EINVAL, "bad format for device path: %s", value);
	*ret_path = strndup(value, (size_t)(colon - value));
	*ret_value = colon + 1;
	return *ret_path ? 0 : err_nomem(e);
}

/* A limit of one device: `what` is its key beside "Path", complaint and advice stand around a value that is none. */
struct device_limit {
	const char *what;
	int (*parse)(const char *text, uint64_t *ret);
	uint64_t max;
	const char *complaint, *advice;
};

static int set_device(
	struct opts *p, const struct opt *o, const char *value, const struct device_limit *l, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	const char *text = NULL;
	uint64_t v;
	int r = split_device(value, &path, &text, e);

	if (r < 0)
		return r;
	if (l->parse(text, &v) < 0 || v > l->max)
		return err_set(e, EINVAL, "invalid %s for device: %s%s", l->complaint, value, l->advice);
	return opts_append(p, o, json_pack("{s:o, s:I}", "Path", json_from_str(path), l->what, (json_int_t)v), e);
}

/* 10 and more, or 0 for none of its own. */
static int parse_weight(const char *text, uint64_t *ret)
{
	int r = parse_u64(text, ret);

	return r == 0 && *ret && *ret < 10 ? -EINVAL : r;
}

static int set_weight_device(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const struct device_limit limit = {"Weight", parse_weight, 1000, "weight", ""};

	return set_device(p, o, value, &limit, e);
}
const struct opt_type opt_weight_device = {"list", set_weight_device};

static int set_bps(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const struct device_limit limit = {"Rate", parse_bytes, INT64_MAX, "rate",
		". The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is "
		"optional and can be kb, mb, or gb"};

	return set_device(p, o, value, &limit, e);
}
const struct opt_type opt_bps = {"list", set_bps};

static int set_iops(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const struct device_limit limit = {"Rate", parse_u64, INT64_MAX, "rate",
		". The correct format is <device-path>:<number>. Number must be a positive integer"};

	return set_device(p, o, value, &limit, e);
}
const struct opt_type opt_iops = {"list", set_iops};

const struct opt resource_options[] = {
	{"blkio-weight", 0, &opt_uint16, "HostConfig.BlkioWeight", "Weight of the container's block I/O (10 to 1000)"},
	{"cpu-period", 0, &opt_int, "HostConfig.CpuPeriod", "Microseconds in which --cpu-quota may be used"},
	{"cpu-quota", 0, &opt_int, "HostConfig.CpuQuota", "Microseconds of CPU time per --cpu-period; -1: no limit"},
	{"cpu-rt-period", 0, &opt_int, "HostConfig.CpuRealtimePeriod", "Real-time period (no kernel here has it)"},
	{"cpu-rt-runtime", 0, &opt_int, "HostConfig.CpuRealtimeRuntime", "Real-time runtime (no kernel here has it)"},
	{"cpu-shares", 'c', &opt_int, "HostConfig.CpuShares", "Weight of the container's CPU time against others'"},
	{"cpus", 0, &opt_cpus, "HostConfig.NanoCpus", "Number of CPUs that may be used"},
	{"cpuset-cpus", 0, &opt_string, "HostConfig.CpusetCpus", "CPUs to run on (0-3, 0,1)"},
	{"cpuset-mems", 0, &opt_string, "HostConfig.CpusetMems", "Memory nodes to use (0-3, 0,1)"},
	{"kernel-memory", 0, &opt_bytes, "HostConfig.KernelMemory", "Kernel memory limit (deprecated: has no effect)"},
	{"memory", 'm', &opt_bytes, "HostConfig.Memory", "Limit of memory"},
	{"memory-reservation", 0, &opt_bytes, "HostConfig.MemoryReservation", "Soft limit of memory"},
	{"memory-swap", 0, &opt_bytes_or_unlimited, "HostConfig.MemorySwap",
		"Limit of memory and swap together; -1: unlimited swap"},
	{"pids-limit", 0, &opt_int, "HostConfig.PidsLimit", "Limit of processes and threads; -1: unlimited"},
	{0},
};
