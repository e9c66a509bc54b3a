/* The options of run and create. Most rows name the place in the API's body where their value belongs: that
 * is all there is to them. */
#include "cli/container-options.h"

#include <errno.h>

static int set_entrypoint(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	return opts_put(p, o, json_pack("[o]", json_from_str(value)), e);
}
static const struct opt_type opt_entrypoint = {"string", set_entrypoint};

static int set_health_cmd(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	return opts_put(p, o, *value ? json_pack("[s,o]", "CMD-SHELL", json_from_str(value)) : json_array(), e);
}
static const struct opt_type opt_health_cmd = {"string", set_health_cmd};

static int set_no_healthcheck(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	bool on = false;

	if (parse_bool(value, &on) == 0 && !on)
		return 0;
	return opts_put(p, o, json_pack("[s]", "NONE"), e);
}
static const struct opt_type opt_no_healthcheck = {"", set_no_healthcheck};

/* There are no signed images whose check could be asked for. */
static int set_no_trust(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	bool off = true;

	if (parse_bool(value, &off) < 0)
		return err_set(e, EINVAL, "strconv.ParseBool: parsing \"%s\": invalid syntax", value);
	return off ? opts_put(p, o, json_true(), e)
		   : err_set(e, ENOTSUP, "signatures of images are not checked by caisson");
}
static const struct opt_type opt_no_trust = {"", set_no_trust};

const struct opt container_options[] = {
	{"add-host", 0, &opt_add_host, "HostConfig.ExtraHosts", "Add a line to the container's /etc/hosts (host:ip)"},
	{"annotation", 0, &opt_label, "HostConfig.Annotations", "Note something of the container, for inspect"},
	{"attach", 'a', &opt_attach, NULL, "Attach to STDIN, STDOUT or STDERR"},
	{"blkio-weight-device", 0, &opt_weight_device, "HostConfig.BlkioWeightDevice",
		"Weight of block I/O on one device (path:weight)"},
	{"cap-add", 0, &opt_list, "HostConfig.CapAdd", "Give a capability beside the default ones"},
	{"cap-drop", 0, &opt_list, "HostConfig.CapDrop", "Take a capability away"},
	{"cgroup-parent", 0, &opt_string, "HostConfig.CgroupParent", "Control group that the container's is made in"},
	{"cgroupns", 0, &opt_string, "HostConfig.CgroupnsMode", "Control group namespace (host|private)"},
	{"cidfile", 0, &opt_string, "HostConfig.ContainerIDFile", "Write the container's ID to this file"},
	{"device", 0, &opt_device, "HostConfig.Devices", "Add a device of the host"},
	{"device-read-bps", 0, &opt_bps, "HostConfig.BlkioDeviceReadBps",
		"Limit what is read from a device a second (path:bytes)"},
	{"device-read-iops", 0, &opt_iops, "HostConfig.BlkioDeviceReadIOps",
		"Limit the reads of a device a second (path:number)"},
	{"device-write-bps", 0, &opt_bps, "HostConfig.BlkioDeviceWriteBps",
		"Limit what is written to a device a second (path:bytes)"},
	{"device-write-iops", 0, &opt_iops, "HostConfig.BlkioDeviceWriteIOps",
		"Limit the writes of a device a second (path:number)"},
	{"disable-content-trust", 0, &opt_no_trust, NULL, "Do not check signatures of images (always true)"},
	{"dns", 0, &opt_dns, "HostConfig.Dns", "Set a DNS server"},
	{"dns-opt", 0, &opt_list, "HostConfig.DnsOptions", NULL},
	{"dns-option", 0, &opt_list, "HostConfig.DnsOptions", "Set a DNS option"},
	{"dns-search", 0, &opt_dns_search, "HostConfig.DnsSearch", "Set a DNS search domain"},
	{"domainname", 0, &opt_string, "Domainname", "NIS domain name"},
	{"entrypoint", 0, &opt_entrypoint, "Entrypoint",
		"Command to run in place of the image's entry point; empty: none"},
	{"env", 'e', &opt_env, "Env", "Set an environment variable"},
	{"env-file", 0, &opt_list, NULL, "Read environment variables from a file"},
	{"expose", 0, &opt_list, NULL, "Declare a port or a range of ports, for --publish-all"},
	{"fresh-boot", 0, &opt_bool, "HostConfig.FreshBoot",
		"Boot the virtual machine instead of cloning one that has booted"},
	{"group-add", 0, &opt_list, "HostConfig.GroupAdd", "Join another group"},
	{"health-cmd", 0, &opt_health_cmd, "Healthcheck.Test", "Command that tells whether the container is healthy"},
	{"health-interval", 0, &opt_duration, "Healthcheck.Interval",
		"Time between two checks (ms|s|m|h) (default 30s)"},
	{"health-retries", 0, &opt_int, "Healthcheck.Retries", "Failures in a row that make it unhealthy (default 3)"},
	{"health-start-interval", 0, &opt_duration, "Healthcheck.StartInterval",
		"Time between two checks in the start period (ms|s|m|h) (default 5s)"},
	{"health-start-period", 0, &opt_duration, "Healthcheck.StartPeriod",
		"Time from the start in which failures do not count (ms|s|m|h)"},
	{"health-timeout", 0, &opt_duration, "Healthcheck.Timeout",
		"Time that a check may take (ms|s|m|h) (default 30s)"},
	{"hostname", 'h', &opt_string, "Hostname", "Host name of the container"},
	{"init", 0, &opt_bool, "HostConfig.Init",
		"Run an init process first, which passes signals on and reaps processes"},
	{"interactive", 'i', &opt_bool, "OpenStdin", "Keep STDIN open even if not attached"},
	{"ip", 0, &opt_string, NULL, "IPv4 address on the first network"},
	{"ip6", 0, &opt_string, NULL, "IPv6 address on the first network"},
	{"ipc", 0, &opt_string, "HostConfig.IpcMode",
		"IPC namespace to use (private|shareable|none|host|container:NAME)"},
	{"isolation", 0, &opt_string, "HostConfig.Isolation",
		"Kernel to run on: process (the host's), hyperv (one of its own), or default"},
	{"kernel", 0, &opt_path, "HostConfig.Kernel", "Guest kernel to boot in place of the usual one (hyperv)"},
	{"label", 'l', &opt_label, "Labels", "Set a label"},
	{"label-file", 0, &opt_list, NULL, "Read labels from a file, one a line"},
	{"log-driver", 0, &opt_string, "HostConfig.LogConfig.Type", "Where output is logged (json-file|none)"},
	{"log-opt", 0, &opt_map, "HostConfig.LogConfig.Config", "Option of the log driver"},
	{"mac-address", 0, &opt_string, NULL, "MAC address on the first network"},
	{"memory-swappiness", 0, &opt_swappiness, "HostConfig.MemorySwappiness",
		"How willingly the container's memory is swapped (0 to 100)"},
	{"mount", 0, &opt_mount, "HostConfig.Mounts",
		"Attach a file system (type=bind|volume|tmpfs,source=,target=,...)"},
	{"name", 0, &opt_string, NULL, "Name of the container"},
	{"net", 0, &opt_network, NULL, NULL},
	{"net-alias", 0, &opt_network_alias, NULL, NULL},
	{"network", 0, &opt_network, NULL, "Network to connect to, or none, host, container:NAME"},
	{"network-alias", 0, &opt_network_alias, NULL, "Another name on the first network"},
	{"network-policy", 0, &opt_network_policy, "HostConfig.NetworkPolicy",
		"open, or closed: nothing can open a connection to the container save on published ports"},
	{"no-healthcheck", 0, &opt_no_healthcheck, "Healthcheck.Test", "Turn the image's health check off"},
	{"oom-kill-disable", 0, &opt_bool, "HostConfig.OomKillDisable", "Do not kill processes when memory is out"},
	{"oom-score-adj", 0, &opt_int, "HostConfig.OomScoreAdj", "Preference of the host's OOM killer (-1000 to 1000)"},
	{"pid", 0, &opt_string, "HostConfig.PidMode", "PID namespace to use (host|container:NAME)"},
	{"platform", 0, &opt_string, "Platform", "Platform of the image (os/arch[/variant])"},
	{"privileged", 0, &opt_bool, "HostConfig.Privileged",
		"Give the container all capabilities and the kernel's devices"},
	{"publish", 'p', &opt_list, NULL, "Publish a port on the host ([[ip:]port:]port[/udp])"},
	{"publish-all", 'P', &opt_bool, "HostConfig.PublishAllPorts",
		"Publish every exposed port on a free port of the host"},
	{"pull", 0, &opt_string, NULL, "Pull the image before (always|missing|never)"},
	{"quiet", 'q', &opt_bool, NULL, "Show no progress while pulling"},
	{"read-only", 0, &opt_bool, "HostConfig.ReadonlyRootfs", "Make the root file system read-only"},
	{"restart", 0, &opt_restart, "HostConfig.RestartPolicy",
		"When to start the container again after it ended (no)"},
	{"rm", 0, &opt_bool, "HostConfig.AutoRemove", "Remove the container and its unnamed volumes when it has ended"},
	{"security-opt", 0, &opt_list, "HostConfig.SecurityOpt",
		"seccomp=FILE|unconfined, no-new-privileges, systempaths=unconfined"},
	{"shm-size", 0, &opt_bytes, "HostConfig.ShmSize", "Size of /dev/shm"},
	{"stop-signal", 0, &opt_string, "StopSignal", "Signal to stop the container with"},
	{"stop-timeout", 0, &opt_int, "StopTimeout", "Seconds to wait for the end before killing; -1: for ever"},
	{"storage-opt", 0, &opt_map, "HostConfig.StorageOpt", "size=BYTES: size of the container's disk (hyperv)"},
	{"sysctl", 0, &opt_sysctl, "HostConfig.Sysctls", "Set a kernel parameter of the container's namespaces"},
	{"tmpfs", 0, &opt_tmpfs, "HostConfig.Tmpfs", "Mount a tmpfs (path[:options])"},
	{"tty", 't', &opt_bool, "Tty", "Give the container a terminal"},
	{"ulimit", 0, &opt_ulimit, "HostConfig.Ulimits", "Set a resource limit (name=soft[:hard])"},
	{"user", 'u', &opt_string, "User", "User to run as (name|uid[:group|gid])"},
	{"userns", 0, &opt_string, "HostConfig.UsernsMode", "User namespace to use (host)"},
	{"uts", 0, &opt_string, "HostConfig.UTSMode", "UTS namespace to use (host)"},
	{"volume", 'v', &opt_volume, "HostConfig.Binds",
		"Mount a directory of the host or a volume (source:target[:ro])"},
	{"volume-driver", 0, &opt_string, "HostConfig.VolumeDriver", "Driver of the container's volumes (local)"},
	{"volumes-from", 0, &opt_list, "HostConfig.VolumesFrom", "Mount what another container mounts (NAME[:ro])"},
	{"workdir", 'w', &opt_string, "WorkingDir", "Directory to run in"},
	{0},
};
