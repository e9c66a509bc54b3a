/* The host and the program: info, version, doctor, guest kernels. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "config.h"
#include "engine/engine-private.h"
#include "isolation/hyperv.h"
#include "net/docker.h"
#include "net/firewall.h"
#include "net/foreign.h"
#include "net/link.h"

int engine_version(struct engine *g, json_t **ret, struct err *e)
{
	struct utsname u;

	(void)g;
	if (uname(&u) < 0)
		return err_errno(e, errno, "uname");
	/* docker's name of the machine is Go's */
	const char *arch = !strcmp(u.machine, "x86_64") ? "amd64" : u.machine;
	*ret = json_pack("{s:{s:s}, s:[{s:s, s:s}], s:s, s:s, s:s, s:s, s:s, s:s}", "Platform", "Name", "Caisson",
		"Components", "Name", "Engine", "Version", CAISSON_VERSION, "Version", CAISSON_VERSION, "ApiVersion",
		"1.43", "MinAPIVersion", "1.24", "Os", "linux", "Arch", arch, "KernelVersion", u.release);
	return *ret ? 0 : err_nomem(e);
}

static void os_name(char *ret, size_t size)
{
	_cleanup_buf_ struct buf b = {0};
	char *p = NULL;

	snprintf(ret, size, "Linux");
	if (file_read(AT_FDCWD, "/etc/os-release", 65536, &b) == 0)
		p = strstr(b.data, "PRETTY_NAME=\"");
	if (p) {
		p += strlen("PRETTY_NAME=\"");
		snprintf(ret, size, "%.*s", (int)strcspn(p, "\"\n"), p);
	}
}

static const char *cgroup_version(void)
{
	struct statfs s;

	return statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == 0x63677270 ? "2" : "1";
}

struct counts {
	int running, paused, stopped;
};

static int count_containers(struct engine *g, struct counts *c, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	size_t i;
	json_t *v;
	int r = engine_list(g, true, NULL, &all, e);

	json_array_foreach(all, i, v) {
		const char *state = json_str(v, "State");
		int *n = !strcmp(state, "running") ? &c->running : !strcmp(state, "paused") ? &c->paused : &c->stopped;
		++*n;
	}
	return r;
}

/* What the acceleration is and promises; "" while it is not known without a boot. */
static void add_hyperv(struct engine *g, json_t *o)
{
	_cleanup_free_ struct template_info *templates = NULL;
	size_t count = 0;
	struct kernel kernel;
	struct err none;
	const char *accel = hyperv_accel_known(&g->host);
	const char *promise = "not probed yet: the first hyperv container finds out whether KVM boots a guest here";

	if (!strcmp(accel, "tcg"))
		promise = "emulation (TCG): no hardware boundary, QEMU gives no security promise for it";
	else if (!strcmp(accel, "kvm"))
		promise = "KVM: a hardware boundary between the guest and the host's kernel";
	json_object_set_new(o, "Acceleration", json_string(accel));
	json_object_set_new(o, "AccelerationPromise", json_string(promise));
	json_object_set_new(o, "AccelerationSetting", json_string(g->accel));
	bool found = kernel_find(&g->host, &kernel, &none) == 0;
	json_object_set_new(o, "GuestKernel", json_string(found ? kernel.version : ""));
	if (found)
		json_object_set_new(o, "GuestKernelOrigin", json_string(kernel.origin));
	template_list(&g->host, false, &templates, &count);
	json_object_set_new(o, "Templates", json_integer((json_int_t)count));
}

/* What scripts ask docker for. */
static void add_features(struct engine *g, json_t *o)
{
	json_object_update_new(o,
		json_pack("{s:s, s:s, s:s, s:s, s:{s:[s], s:[s, s, s], s:[s, s]}, s:[s], s:{s:s}, s:[], s:[]}",
			"RunDir", g->run, "CgroupDriver", "cgroupfs", "InitBinary", "caisson-init", "DefaultRuntime",
			isolation_name(g->isolation), "Plugins", "Volume", "local", "Network", "bridge", "host", "null",
			"Log", "json-file", "none", "SecurityOptions", "name=seccomp,profile=builtin", "Swarm",
			"LocalNodeState", "inactive", "Labels", "Warnings"));
}

int engine_info(struct engine *g, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *images = NULL;
	struct counts c = {0};
	struct utsname u;
	struct sysinfo si;
	char os[128], host[256] = "";

	int r = count_containers(g, &c, e);
	if (r == 0)
		r = engine_image_list(g, true, NULL, &images, e);
	if (r < 0)
		return r;
	uname(&u);
	sysinfo(&si);
	os_name(os, sizeof(os));
	gethostname(host, sizeof(host) - 1);
	json_t *o = json_pack(
		"{s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:s, s:s}",
		"Containers", c.running + c.paused + c.stopped, "ContainersRunning", c.running, "ContainersPaused",
		c.paused, "ContainersStopped", c.stopped, "Images", (int)json_array_size(images), "ServerVersion",
		CAISSON_VERSION, "Driver", "overlay2", "LoggingDriver", "json-file", "CgroupVersion", cgroup_version(),
		"KernelVersion", u.release, "OperatingSystem", os, "NCPU", (int)sysconf(_SC_NPROCESSORS_ONLN),
		"MemTotal", (json_int_t)si.totalram * si.mem_unit, "DockerRootDir", g->root, "Architecture", u.machine,
		"Name", host, "OSType", "linux", "Isolation", isolation_name(g->isolation));
	if (!o)
		return err_nomem(e);
	add_hyperv(g, o);
	add_features(g, o);
	*ret = o;
	return 0;
}

struct doctor {
	json_t *lines;
	bool ok;
};

static void add_line(struct doctor *d, const char *mode, const char *what, bool ok, bool required, const char *text)
{
	json_array_append_new(d->lines,
		json_pack("{s:s, s:s, s:b, s:b, s:s}", "Mode", mode, "What", what, "Ok", ok, "Required", required,
			"Detail", text));
	if (required && !ok)
		d->ok = false;
}

static void on_hyperv_need(void *data, const struct hyperv_need *n)
{
	add_line(data, "hyperv", n->what, n->ok, n->required, n->text);
}

static bool filesystem_known(const char *name)
{
	_cleanup_buf_ struct buf b = {0};
	char word[64];

	snprintf(word, sizeof(word), "\t%s\n", name);
	return file_read(AT_FDCWD, "/proc/filesystems", 65536, &b) == 0 && b.len && strstr(b.data, word);
}

static void doctor_process(struct engine *g, struct doctor *d)
{
	static const struct {
		const char *name, *v1, *v2, *lost;
	} controllers[] = {
		{"memory", "/sys/fs/cgroup/memory/tasks", "memory", "-m is refused"},
		{"cpu", "/sys/fs/cgroup/cpu/tasks", "cpu", "--cpus is refused"},
		{"pids", "/sys/fs/cgroup/pids/tasks", "pids", "--pids-limit is refused"},
	};
	struct err e = ERR_INIT;
	char v2[256] = "";
	_cleanup_free_ char *profile = path_join(g->data_dir, "seccomp.json");
	_cleanup_free_ char *init = path_join(g->libexec_dir, "caisson-init");

	bool root = isolation_probe(ISOLATION_PROCESS, &g->host, &e) == 0;
	add_line(d, "process", "root", root, true, root ? "running as root" : e.msg);
	bool overlay = filesystem_known("overlay");
	add_line(d, "process", "overlayfs", overlay, true,
		overlay ? "the kernel has it" : "the kernel has no overlayfs: modprobe overlay");
	file_read_line(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", v2, sizeof(v2));
	for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++) {
		bool ok = access(controllers[i].v1, F_OK) == 0 || strstr(v2, controllers[i].v2);
		char text[160], what[32];
		snprintf(what, sizeof(what), "cgroup %s", controllers[i].name);
		snprintf(text, sizeof(text), ok ? "mounted" : "not mounted: %s; mount the cgroup file systems",
			controllers[i].lost);
		add_line(d, "process", what, ok, false, text);
	}
	bool seccomp = access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
	add_line(d, "process", "seccomp", seccomp, true,
		seccomp ? "the kernel has filters" : "the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)");
	bool files = profile && access(profile, R_OK) == 0 && init && access(init, X_OK) == 0;
	add_line(d, "process", "own files", files, true,
		files ? "seccomp profile and caisson-init found"
		      : "the seccomp profile or caisson-init is missing: make install");
}

static void doctor_database(struct engine *g, struct doctor *d)
{
	struct err e = ERR_INIT;
	struct db *db;
	int r = engine_db(g, &db, &e);

	if (r == 0)
		r = db_check(db, &e);
	add_line(d, "state", "database", r == 0, true, r == 0 ? "whole, and the mirror says the same" : e.msg);
}

static void on_blocker(void *data, const char *text)
{
	add_line(data, "network", "other rules", false, false, text);
}

static bool forwarding(char *text, size_t size)
{
	char value[8] = "";

	file_read_line(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", value, sizeof(value));
	bool on = *value == '1', writable = access("/proc/sys/net/ipv4/ip_forward", W_OK) == 0;
	snprintf(text, size, "%s",
		on                 ? "on"
			: writable ? "off; the first network turns it on"
				   : "off, and cannot be turned on: sysctl -w net.ipv4.ip_forward=1");
	return on || writable;
}

static void doctor_network(struct doctor *d)
{
	struct err e = ERR_INIT;
	char program[4096], text[160];

	bool nft = firewall_check_program(&e) == 0;
	add_line(d, "network", "nft", nft, false, nft ? "found" : e.msg);
	bool dns = proc_find_program("dnsmasq", program, sizeof(program));
	add_line(d, "network", "dnsmasq", dns, false,
		dns ? "found" : "not found: containers do not find each other by name: apt-get install dnsmasq-base");
	bool bridge = link_bridges_known();
	add_line(d, "network", "bridges", bridge, false,
		bridge ? "the kernel has them" : "the kernel has none: modprobe bridge");
	bool tun = access("/dev/net/tun", R_OK | W_OK) == 0;
	add_line(d, "network", "/dev/net/tun", tun, false,
		tun ? "found" : "not found, which --isolation=hyperv needs for a network: modprobe tun");
	bool forward = forwarding(text, sizeof(text));
	add_line(d, "network", "ip_forward", forward, false, text);
	if (docker_is_here()) {
		bool missing = docker_rules_missing();
		add_line(d, "network", "docker", !missing, false,
			missing ? "its chain DOCKER-USER lacks the rules for containers of caisson; the next start "
				  "puts them in"
				: "its chain DOCKER-USER has the rules for containers of caisson");
	}
	int n = nft ? foreign_blockers(on_blocker, d, &e) : 0;
	if (n == 0)
		add_line(d, "network", "other rules", true, false, "none that may block containers");
	else if (n < 0)
		add_line(d, "network", "other rules", false, false, e.msg);
}

int engine_doctor(struct engine *g, json_t **ret, bool *ret_ok, struct err *e)
{
	struct doctor d = {.lines = json_array(), .ok = true};

	if (!d.lines)
		return err_nomem(e);
	doctor_process(g, &d);
	doctor_database(g, &d);
	doctor_network(&d);
	if (!hyperv_doctor(&g->host, on_hyperv_need, &d))
		d.ok = false;
	*ret = d.lines;
	*ret_ok = d.ok;
	return 0;
}

int engine_database_rebuild(
	struct engine *g, bool force, json_t **ret, engine_notice_fn *notice, void *data, struct err *e)
{
	struct db_rebuilt done;

	engine_close_db(g);
	int r = db_rebuild(g->root_fd, g->root, force, &done, notice, data, e);
	if (r < 0)
		return r;
	*ret = !r ? json_null()
		  : json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "Containers", (json_int_t)done.containers, "Images",
			    (json_int_t)done.images, "Volumes", (json_int_t)done.volumes, "Networks",
			    (json_int_t)done.networks, "LeftOut", (json_int_t)done.left_out, "Kept", done.kept);
	db_rebuilt_done(&done);
	return *ret ? 0 : err_nomem(e);
}

int engine_kernel_update(struct engine *g, engine_notice_fn *notice, void *data, struct err *e)
{
	return kernel_update(&g->host, notice, data, e);
}

int engine_kernel_use(struct engine *g, const char *which, struct err *e)
{
	if (which && g->kernel)
		return err_set(e, EBUSY, "the configuration's 'kernel = %s' goes before it", g->kernel);
	return kernel_use(&g->host, which, e);
}

int engine_kernel_list(struct engine *g, json_t **ret, struct err *e)
{
	_cleanup_strv_ char **versions = NULL;
	struct kernel used;
	struct err none;
	int r = kernel_list(&g->host, &versions);
	bool any = kernel_find(&g->host, &used, &none) == 0;

	if (r < 0 && r != -ENOENT)
		return err_errno(e, r, "list the guest kernels in %s/kernel", g->root);
	*ret = json_array();
	strv_foreach(s, versions)
		json_array_append_new(*ret,
			json_pack("{s:s, s:s, s:b}", "Version", s, "Origin",
				kernel_is_built(s) ? "built here" : "distribution", "Used",
				any && !used.own && !strcmp(used.version, s)));
	if (any && used.own)
		json_array_append_new(
			*ret, json_pack("{s:s, s:s, s:b}", "Version", used.path, "Origin", used.origin, "Used", 1));
	return 0;
}
