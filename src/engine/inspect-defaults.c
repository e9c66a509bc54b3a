/* The fields of docker's API that a record does not have, because nobody asked for anything there: inspect shows them as docker does. */
#include "engine/engine-private.h"

static const char object_defaults[] = "{\"ResolvConfPath\": \"\", \"HostnamePath\": \"\", \"HostsPath\": \"\", "
				      "\"MountLabel\": \"\", \"ProcessLabel\": \"\","
				      " \"AppArmorProfile\": \"\", \"ExecIDs\": null}";

static const char config_defaults[] =
	"{\"Domainname\": \"\", \"User\": \"\", \"AttachStdin\": false, \"AttachStdout\": false, \"AttachStderr\": "
	"false,"
	" \"Tty\": false, \"OpenStdin\": false, \"StdinOnce\": false, \"Env\": null, \"Cmd\": null, \"Volumes\": null,"
	" \"WorkingDir\": \"\", \"Entrypoint\": null, \"OnBuild\": null, \"Labels\": {}}";

static const char hostconfig_defaults[] =
	"{\"Annotations\": {}, \"Binds\": null, \"ContainerIDFile\": \"\", \"LogConfig\": {\"Type\": \"json-file\", "
	"\"Config\": {}},"
	" \"PortBindings\": {}, \"RestartPolicy\": {\"Name\": \"no\", \"MaximumRetryCount\": 0}, \"AutoRemove\": false,"
	" \"VolumeDriver\": \"\", \"VolumesFrom\": null, \"CapAdd\": null, \"CapDrop\": null, \"CgroupnsMode\": "
	"\"private\","
	" \"Dns\": [], \"DnsOptions\": [], \"DnsSearch\": [], \"ExtraHosts\": null, \"GroupAdd\": null, \"IpcMode\": "
	"\"private\","
	" \"Cgroup\": \"\", \"Links\": null, \"OomScoreAdj\": 0, \"PidMode\": \"\", \"Privileged\": false,"
	" \"PublishAllPorts\": false, \"ReadonlyRootfs\": false, \"SecurityOpt\": null, \"StorageOpt\": {}, "
	"\"UTSMode\": \"\","
	" \"UsernsMode\": \"\", \"ShmSize\": 67108864, \"Runtime\": \"\", \"ConsoleSize\": [0, 0], \"Kernel\": \"\","
	" \"CpuShares\": 0, \"Memory\": 0, \"NanoCpus\": 0, \"CgroupParent\": \"\", \"BlkioWeight\": 0,"
	" \"BlkioWeightDevice\": [], \"BlkioDeviceReadBps\": null, \"BlkioDeviceWriteBps\": null,"
	" \"BlkioDeviceReadIOps\": null, \"BlkioDeviceWriteIOps\": null, \"CpuPeriod\": 0, \"CpuQuota\": 0,"
	" \"CpuRealtimePeriod\": 0, \"CpuRealtimeRuntime\": 0, \"CpusetCpus\": \"\", \"CpusetMems\": \"\", "
	"\"Devices\": [],"
	" \"DeviceCgroupRules\": null, \"DeviceRequests\": null, \"MemoryReservation\": 0, \"MemorySwap\": 0,"
	" \"MemorySwappiness\": null, \"OomKillDisable\": false, \"PidsLimit\": null, \"Sysctls\": {}, \"Tmpfs\": {},"
	" \"Ulimits\": null, \"CpuCount\": 0, \"CpuPercent\": 0, \"IOMaximumIOps\": 0, \"IOMaximumBandwidth\": 0}";

static void complete(json_t *o, const char *defaults)
{
	_cleanup_json_ json_t *d = json_loads(defaults, 0, NULL);

	json_object_update_missing(o, d);
}

/* What is hidden of /proc and /sys, or read-only there. */
static void add_hidden(json_t *hc)
{
	_cleanup_strv_ char **options = json_strv(json_object_get(hc, "SecurityOpt"));
	struct plan p = {0};

	if (json_flag(hc, "Privileged") || (!strv_has(options, "systempaths=unconfined") && plan_hide(&p) < 0)) {
		json_object_set_new(hc, "MaskedPaths", json_null());
		json_object_set_new(hc, "ReadonlyPaths", json_null());
	} else {
		json_object_set_new(hc, "MaskedPaths", json_from_strv(p.masked));
		json_object_set_new(hc, "ReadonlyPaths", json_from_strv(p.readonly_paths));
	}
	plan_done(&p);
}

void inspect_complete(json_t *o)
{
	json_t *config = json_copy(json_object_get(o, "Config")), *hc = json_copy(json_object_get(o, "HostConfig"));

	complete(config, config_defaults);
	add_hidden(hc);
	if (!json_int(hc, "ShmSize", 0))
		json_object_del(hc, "ShmSize");
	complete(hc, hostconfig_defaults);
	json_object_set_new(o, "Config", config);
	json_object_set_new(o, "HostConfig", hc);
	complete(o, object_defaults);
}
