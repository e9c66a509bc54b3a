/*
 * HostConfig: what is asked of the host. Every key is in one table with its check; a key that is not there, or asks for what this version or this
 * host cannot do, is an error before anything is made. docker ignores unknown keys: here nothing that was asked for is dropped in silence.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine-private.h"

static bool is_empty(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) || (json_is_integer(v) && !json_integer_value(v)) ||
		(json_is_string(v) && !json_string_length(v)) ||
		((json_is_array(v) || json_is_object(v)) && !json_array_size(v) && !json_object_size(v));
}

static int check_any(const char *key, const json_t *v, struct err *e)
{
	(void)key;
	(void)v;
	(void)e;
	return 0;
}

static int check_absent(const char *key, const json_t *v, struct err *e)
{
	return is_empty(v) ? 0 : err_set(e, ENOTSUP, "%s is not supported by this version of caisson", key);
}

static int check_memory(const char *key, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	(void)key;
	if (n < 0)
		return err_set(e, EINVAL, "invalid memory limit: %lld", (long long)n);
	if (n && n < 6 * 1024 * 1024)
		return err_set(e, EINVAL, "Minimum memory limit allowed is 6MB");
	return 0;
}

static int check_nanocpus(const char *key, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)key;
	if (n && (n < 10000000 || n > cpus * 1000000000LL))
		return err_set(e, EINVAL, "range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs available",
			cpus, cpus);
	return 0;
}

static int check_policy(const char *key, const json_t *v, struct err *e)
{
	static const char *const known[] = {"", "open", "closed", NULL};
	const char *policy = json_string_value(v);

	(void)key;
	return str_in(policy, known)
		? 0
		: err_set(e, EINVAL, "invalid network policy '%s': use 'open' or 'closed'", policy);
}

/* One disk a container has in hyperv mode, and nothing of its own that has a size in process mode: create.c says so. */
static int check_storage(const char *key, const json_t *v, struct err *e)
{
	const char *option;
	json_t *value;
	uint64_t size;

	(void)key;
	json_object_foreach((json_t *)v, option, value) {
		if (strcmp(option, "size") != 0)
			return err_set(e, EINVAL, "--storage-opt: unknown option '%s': there is 'size'", option);
		if (!json_is_string(value) || parse_bytes(json_string_value(value), &size) < 0)
			return err_set(
				e, EINVAL, "invalid size: '%s'", json_is_string(value) ? json_string_value(value) : "");
	}
	return 0;
}

static int check_driver(const char *key, const json_t *v, struct err *e)
{
	const char *name = json_string_value(v);

	(void)key;
	if (str_empty(name) || !strcmp(name, "local"))
		return 0;
	return err_set(e, ENOTSUP, "volume driver \"%s\": there is none but \"local\"", name);
}

static int check_kernel(const char *key, const json_t *v, struct err *e)
{
	const char *path = json_string_value(v);

	(void)key;
	if (str_empty(path) || *path == '/')
		return 0;
	return err_set(e, EINVAL, "invalid kernel (%s): an absolute path is needed", path);
}

static int check_restart(const char *key, const json_t *v, struct err *e)
{
	const char *name = json_str(v, "Name");
	int64_t max = json_int(v, "MaximumRetryCount", 0);
	enum restart_kind kind;

	(void)key;
	if (restart_kind_parse(name, &kind) < 0)
		return err_set(e, EINVAL,
			"invalid restart policy: unknown policy '%s'; use one of 'no', 'always', 'on-failure', or "
			"'unless-stopped'",
			name);
	if (max && kind != RESTART_ON_FAILURE)
		return err_set(e, EINVAL,
			"invalid restart policy: maximum retry count can only be used with 'on-failure'%s",
			max < 0 ? " and cannot be negative" : "");
	if (max < 0 || max > INT32_MAX)
		return err_set(e, EINVAL, "invalid restart policy: maximum retry count cannot be negative");
	return 0;
}

static int check_log(const char *key, const json_t *v, struct err *e)
{
	(void)key;
	return log_options_check(v, e);
}

static int check_swap(const char *key, const json_t *v, struct err *e)
{
	(void)key;
	return json_integer_value(v) < -1 ? err_set(e, EINVAL, "invalid memory swap limit") : 0;
}

static int check_pids(const char *key, const json_t *v, struct err *e)
{
	(void)key;
	return json_integer_value(v) < -1
		? err_set(e, EINVAL, "invalid pids limit: %lld", (long long)json_integer_value(v))
		: 0;
}

static int check_shm(const char *key, const json_t *v, struct err *e)
{
	(void)key;
	return json_integer_value(v) < 0 ? err_set(e, EINVAL, "SHM size can not be less than 0") : 0;
}

static int check_isolation(const char *key, const json_t *v, struct err *e)
{
	enum isolation_kind k;

	(void)key;
	return json_string_length(v) ? isolation_parse(json_string_value(v), &k, e) : 0;
}

static int check_score(const char *key, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	(void)key;
	if (n < -1000 || n > 1000)
		return err_set(e, EINVAL, "Invalid value %lld, range for oom score adj is [-1000, 1000]", (long long)n);
	return 0;
}

static int check_positive(const char *key, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	return n < 0 ? err_set(e, EINVAL, "invalid %s (%lld): value must be a positive integer", key, (long long)n) : 0;
}

static int check_swappiness(const char *key, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	(void)key;
	if (n < -1 || n > 100)
		return err_set(e, EINVAL, "Invalid value: %lld, valid memory swappiness range is 0-100", (long long)n);
	return 0;
}

/* [{"Path": "/dev/sda", "Rate": 1048576}], or "Weight" in place of "Rate". */
static int check_devices(const char *key, const json_t *v, struct err *e)
{
	const char *what = strcmp(key, "BlkioWeightDevice") != 0 ? "Rate" : "Weight";
	size_t i;
	json_t *device;

	json_array_foreach(v, i, device) {
		const json_t *value = json_object_get(device, what);
		if (str_empty(json_str(device, "Path")) || !json_is_integer(value) || json_integer_value(value) < 0)
			return err_set(e, EINVAL, "HostConfig.%s: wrong type", key);
	}
	return 0;
}

static const struct {
	const char *key;
	json_type type;
	int (*check)(const char *key, const json_t *v, struct err *e);
} keys[] = {
	{"Annotations", JSON_OBJECT, check_any},
	{"AutoRemove", JSON_TRUE, check_any},
	{"Binds", JSON_ARRAY, check_any},
	{"Mounts", JSON_ARRAY, check_any},
	{"Tmpfs", JSON_OBJECT, check_any},
	{"BlkioWeight", JSON_INTEGER, check_positive},
	{"BlkioWeightDevice", JSON_ARRAY, check_devices},
	{"BlkioDeviceReadBps", JSON_ARRAY, check_devices},
	{"BlkioDeviceWriteBps", JSON_ARRAY, check_devices},
	{"BlkioDeviceReadIOps", JSON_ARRAY, check_devices},
	{"BlkioDeviceWriteIOps", JSON_ARRAY, check_devices},
	{"CapAdd", JSON_ARRAY, check_any},
	{"CapDrop", JSON_ARRAY, check_any},
	{"CgroupParent", JSON_STRING, check_any},
	{"CgroupnsMode", JSON_STRING, check_any},
	{"ContainerIDFile", JSON_STRING, check_any},
	{"CpuPeriod", JSON_INTEGER, check_any},
	{"CpuQuota", JSON_INTEGER, check_any},
	{"CpuRealtimePeriod", JSON_INTEGER, check_any},
	{"CpuRealtimeRuntime", JSON_INTEGER, check_any},
	{"CpuShares", JSON_INTEGER, check_positive},
	{"CpusetCpus", JSON_STRING, check_any},
	{"CpusetMems", JSON_STRING, check_any},
	{"Devices", JSON_ARRAY, check_any},
	{"Dns", JSON_ARRAY, check_any},
	{"DnsOptions", JSON_ARRAY, check_any},
	{"DnsSearch", JSON_ARRAY, check_any},
	{"ExtraHosts", JSON_ARRAY, check_any},
	{"FreshBoot", JSON_TRUE, check_any},
	{"GroupAdd", JSON_ARRAY, check_any},
	{"Init", JSON_TRUE, check_any},
	{"IpcMode", JSON_STRING, check_any},
	{"Isolation", JSON_STRING, check_isolation},
	{"Kernel", JSON_STRING, check_kernel},
	{"KernelMemory", JSON_INTEGER, check_positive},
	{"LogConfig", JSON_OBJECT, check_log},
	{"Memory", JSON_INTEGER, check_memory},
	{"MemoryReservation", JSON_INTEGER, check_positive},
	{"MemorySwap", JSON_INTEGER, check_swap},
	{"MemorySwappiness", JSON_INTEGER, check_swappiness},
	{"NanoCpus", JSON_INTEGER, check_nanocpus},
	{"NetworkMode", JSON_STRING, check_any},
	{"NetworkPolicy", JSON_STRING, check_policy},
	{"OomKillDisable", JSON_TRUE, check_any},
	{"OomScoreAdj", JSON_INTEGER, check_score},
	{"PidMode", JSON_STRING, check_any},
	{"PidsLimit", JSON_INTEGER, check_pids},
	{"PortBindings", JSON_OBJECT, check_any},
	{"Privileged", JSON_TRUE, check_any},
	{"PublishAllPorts", JSON_TRUE, check_any},
	{"ReadonlyRootfs", JSON_TRUE, check_any},
	{"RestartPolicy", JSON_OBJECT, check_restart},
	{"SecurityOpt", JSON_ARRAY, check_any},
	{"ShmSize", JSON_INTEGER, check_shm},
	{"StorageOpt", JSON_OBJECT, check_storage},
	{"Sysctls", JSON_OBJECT, check_any},
	{"UTSMode", JSON_STRING, check_any},
	{"Ulimits", JSON_ARRAY, check_any},
	{"UsernsMode", JSON_STRING, check_any},
	{"VolumeDriver", JSON_STRING, check_driver},
	{"VolumesFrom", JSON_ARRAY, check_any},
};

int hostconfig_check(const json_t *hc, struct err *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)hc, key, v) {
		size_t i = 0, n = sizeof(keys) / sizeof(*keys);
		while (i < n && strcmp(key, keys[i].key) != 0)
			i++;
		if (i == n) {
			int r = check_absent(key, v, e);
			if (r < 0)
				return r;
			continue;
		}
		if (json_is_null(v))
			continue;
		json_type want = keys[i].type;
		if (json_typeof(v) != want && !(want == JSON_TRUE && json_is_boolean(v)))
			return err_set(e, EINVAL, "HostConfig.%s: wrong type", key);
		int r = keys[i].check(key, v, e);
		if (r < 0)
			return r;
	}
	const char *policy = json_str(json_object_get(hc, "RestartPolicy"), "Name");
	if (json_flag(hc, "AutoRemove") && !str_empty(policy) && strcmp(policy, "no") != 0)
		return err_set(e, EINVAL, "can't create 'AutoRemove' container with restart policy");
	return 0;
}
