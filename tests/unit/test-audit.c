/* The audit's rows on made-up hosts: each statement broken in the ways that it must notice. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/proc.h"
#include "fake-host.h"

enum { OWN_NAMESPACES = 2000, OTHER_NAMESPACES = 3000 };

/* PID 1 of the container is 200. */
static void make_process_container(struct fake *f)
{
	fake_process(f, 200, 100, "sleep");
	fake_namespaces(f, 200, OWN_NAMESPACES);
	fake_process_file(f, 200, "cgroup", "3:pids:/caisson/" FAKE_ID "\n0::/\n");
	fake_process_file(
		f, 200, "mountinfo", "51 50 0:68 / / rw - overlay overlay rw\n52 51 0:70 / /proc rw - proc proc rw\n");
}

/* QEMU is 300. */
static void make_vm(struct fake *f)
{
	fake_process(f, 300, 100, "qemu-system-x86");
	fake_namespaces(f, 300, OWN_NAMESPACES);
	fake_status(f, 300, 300, 2000001, 0, 2);
	fake_file(f, "containers/" FAKE_ID "/vm.pids", "qemu 300 307\n");
	fake_bytes(f, "proc/300/cmdline", "qemu-system-x86_64\0-name\0guest=caisson-vfio\0-accel\0tcg\0", 54);
	f->target.pid = 300;
}

static void look_has(struct fake *f, pid_t pid)
{
	_cleanup_free_ char *path = str_fmt("%s/%d", f->proc, pid);
	_cleanup_close_ int dir = open(path, O_PATH | O_CLOEXEC);

	f->look.processes = calloc(1, sizeof(*f->look.processes));
	f->look.processes_len = f->look.processes_total = 1;
	f->look.processes[0] = (struct look_process){.pid = 1, .session = 1};
	assert_int_equal(proc_digest(dir, &f->look.processes[0].digest), 0);
}

static void result_is(struct fake *f, const char *key, const char *result)
{
	if (strcmp(fake_result(f, key), result) != 0)
		fail_msg("%s %s: %s (%s)", key, fake_result(f, key), fake_value(f, key), fake_why(f, key));
}

/* ---- processes ---- */

static void test_process_container(void **state)
{
	struct fake *f = *state;

	make_process_container(f);
	result_is(f, "no-host-processes", "fails");
	assert_true(fake_evidence(f, "no-host-processes",
		"pid 200 (sleep): found by its cgroup, its namespaces, its monitor's children"));
	result_is(f, "no-host-sessions", "fails");
	assert_true(fake_evidence(f, "no-host-sessions", "session 200: pids 200"));
	result_is(f, "no-host-mounts", "fails");
	assert_string_equal(fake_value(f, "no-host-mounts"), "2 in 1 namespace, of 2 on the host");
	result_is(f, "no-host-files", "fails");
	result_is(f, "confined-vmm", "fails");
	result_is(f, "hardware-boundary", "fails");
}

static void test_vm(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	result_is(f, "own-kernel", "holds");
	result_is(f, "no-host-processes", "holds");
	result_is(f, "no-host-sessions", "holds");
	result_is(f, "no-host-mounts", "holds");
	result_is(f, "confined-vmm", "holds");
	result_is(f, "hardware-boundary", "fails");
	result_is(f, "no-host-devices", "holds");
	result_is(f, "no-host-paths", "holds");
	result_is(f, "no-shared-memory", "holds");
	result_is(f, "no-inbound-rules", "holds");
	result_is(f, "no-spoofing", "holds");
	result_is(f, "hidden-from-vm-managers", "holds");
}

/* Each way finds one that the others do not. */
static void test_moved_out_of_all_but_one(void **state)
{
	struct fake *f = *state;

	make_process_container(f);
	fake_process(f, 201, 1, "by-cgroup");
	fake_process_file(f, 201, "cgroup", "7:memory:/caisson/" FAKE_ID "/inner\n0::/\n");
	fake_process(f, 202, 1, "by-namespace");
	fake_process_link(f, 202, "ns/ipc", "ipc:[2003]");
	fake_process(f, 203, 100, "by-monitor");
	fake_process(f, 204, 1, "by-digest");
	look_has(f, 204);
	assert_string_equal(fake_value(f, "no-host-processes"), "5 found, of 1 inside");
	assert_true(fake_evidence(f, "no-host-processes", "pid 201 (by-cgroup): found by its cgroup"));
	assert_true(fake_evidence(f, "no-host-processes", "pid 202 (by-namespace): found by its namespaces"));
	assert_true(fake_evidence(f, "no-host-processes", "pid 203 (by-monitor): found by its monitor's children"));
	assert_true(fake_evidence(
		f, "no-host-processes", "pid 204 (by-digest): found by its command line and environment"));
}

/* A process that shows up on the host although the container has a virtual machine. */
static void test_escaped(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_process(f, 400, 1, "escaped");
	look_has(f, 400);
	result_is(f, "no-host-processes", "fails");
	assert_string_equal(fake_value(f, "no-host-processes"), "1 found, of 1 inside");
	result_is(f, "no-host-sessions", "fails");
	/* in the machine's namespaces */
	fake_process_file(f, 400, "environ", "another");
	fake_process_link(f, 400, "ns/net", "net:[2002]");
	fake_measure(f);
	result_is(f, "no-host-processes", "fails");
	/* a child of the monitor's that is not what it has started */
	fake_process_link(f, 400, "ns/net", "net:[1002]");
	fake_process(f, 401, 100, "qemu-system-x86");
	fake_measure(f);
	assert_true(fake_evidence(f, "no-host-processes", "pid 401 (qemu-system-x86)"));
}

/* What another container runs is not this one's, however alike. */
static void test_others(void **state)
{
	struct fake *f = *state;
	const struct audit_other others[] = {
		{.id = FAKE_ID, .name = "box", .monitor = 100}, {.id = "other", .name = "other", .monitor = 500}};

	f->host.others = others;
	f->host.others_len = 2;
	make_vm(f);
	fake_process(f, 500, 1, "caisson-monitor");
	fake_process(f, 501, 500, "sleep");
	look_has(f, 501);
	result_is(f, "no-host-processes", "holds");
}

/* A recorded pid that is another process by now is no virtual machine. */
static void test_stale_record(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_file(f, "containers/" FAKE_ID "/vm.pids", "qemu 300 1\n");
	result_is(f, "confined-vmm", "fails");
	result_is(f, "no-host-processes", "fails");
}

static void test_no_look(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	f->target.look = NULL;
	f->target.look_error = "container box is paused";
	result_is(f, "own-kernel", "unknown");
	result_is(f, "no-host-processes", "unknown");
	result_is(f, "closed-network", "unknown");
	result_is(f, "ping", "unknown");
	assert_non_null(strstr(fake_why(f, "closed-network"), "paused"));
	result_is(f, "no-host-mounts", "holds");
}

static void test_own_kernel(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	proc_boot_id(f->look.boot_id);
	result_is(f, "own-kernel", "fails");
}

/* ---- mounts and files ---- */

static void test_mount_elsewhere(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_process(f, 600, 1, "nosy");
	fake_process_link(f, 600, "ns/mnt", "mnt:[3000]");
	fake_process_file(f, 600, "mountinfo",
		"27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 254:0 /var/lib/caisson/containers/" FAKE_ID
		"/disk.ext4 /mnt rw - ext4 /dev/vda rw\n");
	result_is(f, "no-host-mounts", "fails");
	assert_true(fake_evidence(f, "no-host-mounts", "mnt:[3000] of pid 600 (nosy), not the container's"));
	result_is(f, "no-host-files", "fails");
}

/* The name server of a container on several networks has a directory of the container's id, and none of its files. */
static void test_name_server(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_process(f, 600, 1, "dnsmasq");
	fake_process_link(f, 600, "ns/mnt", "mnt:[3000]");
	fake_process_file(f, 600, "mountinfo",
		"28 27 254:0 /run/caisson/networks/" FAKE_ID "/hosts /hosts ro - ext4 /dev/vda rw\n");
	result_is(f, "no-host-mounts", "holds");
}

/* In a namespace that only a thread is in. */
static void test_mount_of_thread(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_process(f, 600, 1, "threads");
	fake_process_link(f, 600, "task/601/ns/mnt", "mnt:[3000]");
	fake_process_file(f, 600, "task/601/mountinfo",
		"28 27 254:0 / /mnt rw - overlay none rw,upperdir=/x/containers/" FAKE_ID "/upper\n");
	result_is(f, "no-host-mounts", "fails");
}

static void test_loop_device(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_file(f, "sys/block/loop3/loop/backing_file", "/var/lib/caisson/containers/" FAKE_ID "/disk.ext4\n");
	fake_process_file(
		f, 1, "mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 7:3 / /mnt rw - ext4 /dev/loop3 rw\n");
	result_is(f, "no-host-mounts", "fails");
	result_is(f, "no-host-files", "fails");
	assert_true(fake_evidence(f, "no-host-files", "/dev/loop3: a block device over"));
}

static void make_disk(struct fake *f)
{
	char block[2048] = {0};
	_cleanup_free_ char *disk = str_fmt("%s/disk.ext4", f->container);

	block[1024 + 56] = 0x53;
	block[1024 + 57] = (char)0xef;
	fake_bytes(f, "containers/" FAKE_ID "/disk.ext4", block, sizeof(block));
	fake_process_link(f, 300, "fd/9", disk);
}

static void test_files(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *disk = str_fmt("%s/disk.ext4", f->container);

	make_vm(f);
	result_is(f, "no-host-files", "unknown"); /* neither here nor there */
	make_disk(f);
	fake_measure(f);
	result_is(f, "no-host-files", "holds");
	assert_true(fake_evidence(f, "no-host-files", "ext4 image"));
	/* somebody else reads the image */
	fake_process(f, 700, 1, "qemu-nbd");
	fake_process_link(f, 700, "fd/3", disk);
	fake_measure(f);
	result_is(f, "no-host-files", "fails");
	assert_true(fake_evidence(f, "no-host-files", "pid 700 (qemu-nbd) has"));
	fake_process_link(f, 700, "fd/3", "/dev/null");
	fake_file(f, "containers/" FAKE_ID "/upper/etc/passwd", "");
	fake_measure(f);
	result_is(f, "no-host-files", "fails");
}

static void test_paths(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *root = str_fmt("%s/share", f->dir), *source = str_fmt("%s/share/0", f->dir);
	json_t *mounts =
		json_pack("[{s:s, s:s, s:s, s:b}]", "Type", "bind", "Source", source, "Destination", "/data", "RW", 0);

	make_vm(f);
	f->target.mounts = mounts;
	result_is(f, "no-host-paths", "unknown"); /* recorded, but who serves it? */
	fake_file(f, "share/0/file", "");
	fake_file(f, "containers/" FAKE_ID "/vm.pids", "qemu 300 307\nvirtiofsd 301 308\n");
	fake_process(f, 301, 100, "virtiofsd");
	fake_process(f, 302, 301, "virtiofsd");
	fake_process_link(f, 302, "root", root);
	fake_process_file(f, 302, "mountinfo",
		"60 59 0:80 / / ro - tmpfs share rw\n61 60 254:0 /srv/x /0 ro - ext4 /dev/vda rw\n");
	fake_measure(f);
	result_is(f, "no-host-paths", "fails");
	assert_true(fake_evidence(f, "no-host-paths", "/data, read-only"));
	assert_true(fake_evidence(f, "no-host-paths", ", the same file"));
	result_is(f, "no-host-processes", "holds");
	json_decref(mounts);
	f->target.mounts = NULL;
}

/* A mount that no record names. */
static void test_unrecorded_path(void **state)
{
	struct fake *f = *state;

	make_process_container(f);
	result_is(f, "no-host-paths", "holds");
	fake_process_file(f, 200, "mountinfo",
		"51 50 0:68 / / rw - overlay overlay rw\n53 51 254:0 /etc /host rw - ext4 /dev/vda rw\n");
	fake_measure(f);
	result_is(f, "no-host-paths", "fails");
	assert_true(fake_evidence(f, "no-host-paths", "/etc on /host (rw): a file system of the host's"));
}

/* ---- the virtual machine ---- */

static void test_unconfined(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_status(f, 300, 301, 2000001, 0, 0); /* one thread without a filter */
	result_is(f, "confined-vmm", "fails");
	assert_string_equal(fake_why(f, "confined-vmm"), "it has no seccomp filter");
	fake_status(f, 300, 301, 0, 0, 2);
	fake_measure(f);
	assert_string_equal(fake_why(f, "confined-vmm"), "it runs as root");
	fake_status(f, 300, 301, 2000001, 1, 2);
	fake_measure(f);
	assert_string_equal(fake_why(f, "confined-vmm"), "it has capabilities");
	fake_status(f, 300, 301, 2000001, 0, 2);
	fake_process_link(f, 300, "ns/net", "net:[1002]");
	fake_measure(f);
	assert_string_equal(fake_why(f, "confined-vmm"), "its net namespace is not its own");
}

static void test_boundary(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	assert_string_equal(fake_value(f, "hardware-boundary"), "emulation (tcg), not the processor");
	/* asked for, but not in use */
	fake_bytes(f, "proc/300/cmdline", "qemu-system-x86_64\0-accel\0kvm\0", 30);
	fake_process_link(f, 300, "fd/4", "/dev/kvm");
	fake_measure(f);
	result_is(f, "hardware-boundary", "fails");
	fake_process_link(f, 300, "fd/5", "anon_inode:kvm-vm");
	fake_process_link(f, 300, "fd/6", "anon_inode:kvm-vcpu:0");
	fake_measure(f);
	result_is(f, "hardware-boundary", "holds");
	result_is(f, "no-host-devices", "holds");
	/* in use, but not asked for */
	fake_bytes(f, "proc/300/cmdline", "qemu-system-x86_64\0-accel\0tcg\0", 30);
	fake_measure(f);
	result_is(f, "hardware-boundary", "fails");
}

static void test_devices(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_process_link(f, 300, "fd/7", "/dev/sda");
	result_is(f, "no-host-devices", "fails");
	fake_process_link(f, 300, "fd/7", "/dev/net/tun");
	fake_measure(f);
	result_is(f, "no-host-devices", "holds");
	fake_bytes(f, "proc/300/cmdline", "qemu\0-device\0vfio-pci,host=01:00.0\0", 35);
	fake_measure(f);
	result_is(f, "no-host-devices", "fails");
	assert_true(fake_evidence(f, "no-host-devices", "vfio-pci"));
}

static void test_device_rules(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *root = str_fmt("%s/rootfs", f->dir);

	make_process_container(f);
	fake_process_file(f, 200, "cgroup", "3:devices:/caisson/" FAKE_ID "\n0::/\n");
	fake_file(f, "rootfs/dev/text", "");
	fake_process_link(f, 200, "root", root);
	fake_file(f, "sys/fs/cgroup/devices/caisson/" FAKE_ID "/devices.list",
		"c *:* m\nb *:* m\nc 1:3 rwm\nc 136:* rwm\n");
	result_is(f, "no-host-devices", "holds");
	fake_file(f, "sys/fs/cgroup/devices/caisson/" FAKE_ID "/devices.list", "c 1:3 rwm\nb 8:0 r\n");
	fake_measure(f);
	result_is(f, "no-host-devices", "fails");
	assert_true(fake_evidence(f, "no-host-devices", "its cgroup allows: b 8:0 r"));
	fake_file(f, "sys/fs/cgroup/devices/caisson/" FAKE_ID "/devices.list", "a *:* rwm\n");
	fake_measure(f);
	result_is(f, "no-host-devices", "fails");
}

/* ---- memory ---- */

static const struct audit_other two[] = {
	{.id = FAKE_ID, .name = "box", .monitor = 100}, {.id = "other", .name = "other", .monitor = 500}};

static void test_memory(void **state)
{
	struct fake *f = *state;
	static const char shm[] = "7f00-7f10 rw-s 00000000 00:01 77   /memfd:ram (deleted)\nRss: 64 kB\n";
	static const char library[] = "7f00-7f10 r-xp 00000000 fe:00 88   /usr/lib/libc.so\nRss: 12 kB\n";

	make_vm(f);
	f->host.others = two;
	f->host.others_len = 2;
	fake_process(f, 500, 1, "caisson-monitor");
	fake_process(f, 501, 500, "qemu-system-x86");
	fake_process_file(f, 300, "smaps", library);
	fake_process_file(f, 501, "smaps", library);
	result_is(f, "no-shared-memory", "holds"); /* what the machine's monitor runs */
	assert_true(fake_evidence(f, "no-shared-memory", "12 kB of its virtual machine monitor's"));
	fake_process_file(f, 300, "smaps", shm);
	fake_process_file(f, 501, "smaps", shm);
	fake_measure(f);
	result_is(f, "no-shared-memory", "fails");
	assert_true(fake_evidence(
		f, "no-shared-memory", "64 kB resident, writes are shared, also mapped by container other"));
	fake_process_file(f, 501, "smaps", "");
	fake_process_file(f, 300, "ksm_merging_pages", "5\n");
	fake_measure(f);
	result_is(f, "no-shared-memory", "fails");
}

/* The smaps and the file of a private mapping of a memfd. */
static void map_memfd(struct fake *f, pid_t pid, int fd)
{
	_cleanup_free_ char *to = str_fmt("/proc/self/fd/%d", fd);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	_cleanup_free_ char *smaps =
		str_fmt("7f00-7f10 rw-p 00000000 %02x:%02x %llu   /memfd:caisson-template (deleted)\nRss: 64 "
			"kB\nAnonymous: 24 kB\n",
			major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
	fake_process_file(f, pid, "smaps", smaps);
	fake_process_link(f, pid, "map_files/7f00-7f10", to);
}

/* Clones of a template share what they have not written, as long as nobody can change it. */
static void test_memory_of_clones(void **state)
{
	struct fake *f = *state;
	_cleanup_close_ int fd = memfd_create("caisson-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	make_vm(f);
	f->host.others = two;
	f->host.others_len = 2;
	fake_process(f, 500, 1, "caisson-monitor");
	fake_process(f, 501, 500, "qemu-system-x86");
	map_memfd(f, 300, fd);
	map_memfd(f, 501, fd);
	result_is(f, "no-shared-memory", "fails"); /* not sealed: the other could write */
	assert_true(fake_evidence(f, "no-shared-memory", "40 kB resident, copied when written"));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
	fake_measure(f);
	result_is(f, "no-shared-memory", "holds");
	assert_string_equal(fake_value(f, "no-shared-memory"), "none, save its template");
	assert_true(fake_evidence(f, "no-shared-memory", "40 kB of the template"));
}

/* On the host's kernel a file that two containers run is memory they share, once for all processes. */
static void test_memory_of_processes(void **state)
{
	struct fake *f = *state;
	static const char program[] = "0400-0500 r-xp 00000000 fe:00 88   /bin/sh\nRss: 100 kB\n";

	make_process_container(f);
	f->host.others = two;
	f->host.others_len = 2;
	fake_process(f, 201, 200, "sh");
	fake_process(f, 500, 1, "caisson-monitor");
	fake_process(f, 501, 500, "sh");
	fake_process_file(f, 200, "smaps", program);
	fake_process_file(f, 201, "smaps", program);
	fake_process_file(f, 501, "smaps", program);
	result_is(f, "no-shared-memory", "fails");
	assert_string_equal(fake_value(f, "no-shared-memory"), "102.4kB");
}

/* ---- managers ---- */

static void test_managers(void **state)
{
	struct fake *f = *state;

	make_vm(f);
	fake_program(f, "virsh", "#!/bin/sh\nprintf 'boxer\\ncaisson-box\\n'\n");
	result_is(f, "hidden-from-vm-managers", "fails");
	fake_program(f, "virsh", "#!/bin/sh\nprintf 'boxer\\n'\n");
	fake_measure(f);
	result_is(f, "hidden-from-vm-managers", "holds");
	fake_program(f, "virsh", "#!/bin/sh\necho 'cannot connect'; exit 1\n");
	fake_measure(f);
	result_is(f, "hidden-from-vm-managers", "unknown");
	assert_non_null(strstr(fake_why(f, "hidden-from-vm-managers"), "cannot connect"));
}

#define fake_test(f) cmocka_unit_test_setup_teardown(f, fake_set_up, fake_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_test(test_process_container),
		fake_test(test_vm),
		fake_test(test_moved_out_of_all_but_one),
		fake_test(test_escaped),
		fake_test(test_others),
		fake_test(test_stale_record),
		fake_test(test_no_look),
		fake_test(test_own_kernel),
		fake_test(test_mount_elsewhere),
		fake_test(test_name_server),
		fake_test(test_mount_of_thread),
		fake_test(test_loop_device),
		fake_test(test_files),
		fake_test(test_paths),
		fake_test(test_unrecorded_path),
		fake_test(test_unconfined),
		fake_test(test_boundary),
		fake_test(test_devices),
		fake_test(test_device_rules),
		fake_test(test_memory),
		fake_test(test_memory_of_clones),
		fake_test(test_memory_of_processes),
		fake_test(test_managers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
