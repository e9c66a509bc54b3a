/* The sandbox against what is inside: images that lie, and workloads that look for the host. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox/caps.h"
#include "sandbox/sandbox.h"
#include "sandbox-box.h"

/* A link that leads to nowhere is a place inside the root, for directories, files and the working directory. */
static void test_dangling_targets(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s && echo bound > src/f && ln -s /nowhere/at/all root/dangling && ln -s ../../../../up/here "
	      "root/data/sub/rel && "
	      "ln -s /new/file root/link && ln -s cwd-target root/cwd",
		b->dir);
	add_mount(b, "src", "/dangling");
	add_mount(b, "src", "/data/sub/rel/below");
	add_mount(b, "src/f", "/link");
	free(b->plan.process.cwd);
	b->plan.process.cwd = strdup("/cwd/deep");
	expect(b, "cat /nowhere/at/all/f /up/here/below/f /new/file; pwd", "bound\nbound\nbound\n/cwd-target/deep\n");
	shell("test ! -e /nowhere && test ! -e /up/here && test ! -e /new/file");
}

/* Nothing is mounted over /proc, however the target is written: masks and our own look-ups rely on it. */
static void test_proc_is_not_covered(void **state)
{
	static const char *const targets[] = {
		"/proc", "/proc/sys", "/proc/self/attr", "/alias", "/alias/sys/kernel", "/proc/../proc"};
	struct box *b = need_root(state);

	shell("ln -s /proc %s/root/alias", b->dir);
	set_command(&b->plan.process, "true");
	struct plan_mount *m = add_mount(b, "src", "/proc");
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		for (int tmpfs = 0; tmpfs < 2; tmpfs++) {
			m->type = tmpfs ? PLAN_MOUNT_TMPFS : PLAN_MOUNT_BIND;
			free(m->target);
			m->target = strdup(targets[i]);
			if (run_plan(b) >= 0)
				fail_msg("%s was covered", targets[i]);
			if (!strstr(b->err.msg, "cannot be mounted because it is inside /proc"))
				fail_msg("%s: %s", targets[i], b->err.msg);
		}
	}
	/* what makes a container look smaller may be there */
	shell("echo fake > %s/src/f", b->dir);
	free(m->target);
	free(m->source);
	m->type = PLAN_MOUNT_BIND;
	m->target = strdup("/proc/cpuinfo");
	m->source = path_join(b->dir, "src/f");
	expect(b, "cat /proc/cpuinfo", "fake\n");
}

/* A volume is filled from the image, never from what the kernel shows at the same place. */
static void test_copy_up_is_of_the_image(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s && mkdir -p src/kernel src/dev root/sys/kernel root/dev && echo image > root/sys/kernel/f",
		b->dir);
	add_mount(b, "src/kernel", "/sys/kernel")->copy_up = true;
	add_mount(b, "src/dev", "/dev")->copy_up = true;
	expect(b, "ls /sys/kernel; ls /dev | wc -l", "f\n0\n");
}

/* Special files, links out and a deep tree in a volume's first content. */
static void test_copy_up_hostile(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s && echo secret > secret && cd root/data && ln -s ../../secret up && ln -s %s/secret abs && mkfifo "
	      "fifo && "
	      "mknod disk b 7 0 && mknod whiteout c 0 0 && : > setuid && chmod 6755 setuid && mkdir loop && ln -s .. "
	      "loop/back",
		b->dir, b->dir);
	add_mount(b, "src", "/data")->copy_up = true;
	expect(b,
		"cat /data/up /data/abs 2>/dev/null; cd /data; stat -c '%n %F %a' setuid fifo disk; readlink "
		"loop/back; "
		"dd if=disk count=1 2>/dev/null || echo denied",
		"setuid regular empty file 6755\nfifo fifo 644\ndisk block special file 644\n..\ndenied\n");
}

/* docker has /etc/hosts also where /etc itself is mounted, unless the user mounts just that. */
static void test_files_of_the_network(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s && mkdir src/etc && echo mine > src/f", b->dir);
	b->plan.hosts = strdup("127.0.0.1 localhost\n");
	b->plan.hostname_file = strdup("boxed\n");
	add_mount(b, "src/etc", "/etc");
	add_mount(b, "src/f", "/etc/hostname");
	expect(b, "cat /etc/hosts /etc/hostname", "127.0.0.1 localhost\nmine\n");
	shell("test ! -s %s/src/etc/hosts", b->dir);
}

/* passwd and group files that are none, endless, or huge. */
static void test_hostile_passwd(void **state)
{
	static const char *const evil[] = {"mkfifo passwd", "mknod passwd c 1 5", "ln -s /dev/zero passwd",
		"ln -s passwd passwd", "ln -s /proc/self/fd/0 passwd", "mkdir passwd",
		"dd if=/dev/zero of=passwd bs=1M count=8 2>/dev/null"};
	struct box *b = need_root(state);

	set_command(&b->plan.process, "true");
	b->plan.process.user = strdup("bob");
	for (size_t i = 0; i < sizeof(evil) / sizeof(*evil); i++) {
		shell("cd %s/root/etc && rm -rf passwd && %s", b->dir, evil[i]);
		if (run_plan(b) >= 0)
			fail_msg("ran with: %s", evil[i]);
	}
	/* odd lines are passed over */
	shell("cd %s/root/etc && rm -rf passwd && printf "
	      "'\\n:::\\nbob\\nbob:x:\\nbob:x:-1:5\\nbob:x:4294967296:1\\nbob:x:7:8' > passwd",
		b->dir);
	expect(b, "id -u 2>/dev/null; id -g 2>/dev/null", "7\n8\n");
}

enum { SYS_LISTMOUNT = 458 }; /* which older headers do not have */

struct mount_request {
	uint32_t size, spare;
	uint64_t id, param;
};

static int count_mounts(void)
{
	uint64_t ids[512];
	struct mount_request all = {.size = sizeof(all), .id = UINT64_MAX};
	long n = syscall(SYS_LISTMOUNT, &all, ids, 512, 0);

	return n < 0 ? -errno : (int)n;
}

static int count_lines(const char *path)
{
	_cleanup_buf_ struct buf b = {0};
	int n = 0;

	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &b), 0);
	for (size_t i = 0; i < b.len; i++)
		n += b.data[i] == '\n';
	return n;
}

/* The old root is gone, not only out of sight: /proc and listmount(2) agree, and every mount is one of ours. */
static void test_no_mount_of_the_host(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	char path[64];

	b->plan.hosts = strdup("127.0.0.1 localhost\n");
	b->plan.resolv_conf = strdup("\n");
	expect(b,
		"cut -d' ' -f5 /proc/self/mountinfo | grep -vxE '/|/(proc|sys|dev)(/.*)?|/etc/(hosts|resolv.conf)'; "
		"true",
		"");
	if (count_mounts() < 0)
		skip(); /* a kernel before 6.8 */
	start(b, "echo go; sleep 100", &s);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", s.pid);
	int seen = count_lines(path);
	pid_t pid = fork();
	if (pid == 0)
		_exit(setns(s.pidfd, CLONE_NEWNS) < 0 ? 255 : count_mounts());
	int listed = collect(pid);
	sandbox_done(&s);
	assert_int_equal(listed, seen);
}

static bool is_mounted(const struct box *b, const char *name)
{
	_cleanup_free_ char *path = path_join(b->dir, name);
	_cleanup_buf_ struct buf all = {0};

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &all), 0);
	return strstr(all.data, path);
}

/* With propagation a later mount on the host is seen inside; with the default it is not; and none of ours goes out unless shared. */
static void test_propagation(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;

	shell("cd %s && mkdir -p src/a && mount -t tmpfs none src && mount --make-shared src && mkdir src/a src/b "
	      "src/c",
		b->dir);
	add_mount(b, "src", "/private");
	add_mount(b, "src", "/slave")->propagation = strdup("rslave");
	add_mount(b, "src", "/shared")->propagation = strdup("rshared");
	assert_int_equal(caps_from_names(NULL, NULL, true, &b->plan.process.caps, &b->err), 0);
	start(b, "mount -t tmpfs in /slave/b; mount -t tmpfs in /shared/c; echo go; sleep 100", &s);
	shell("cd %s && mount -t tmpfs host src/a && : > src/a/seen", b->dir);
	struct plan_process p = {.caps = b->plan.process.caps};
	p.env = strv_dup(b->plan.process.env);
	p.cwd = strdup("/");
	int r = exec_in(b, &s, &p, "ls /private/a /slave/a /shared/a");
	bool in = is_mounted(b, "src/b"), out = is_mounted(b, "src/c");
	shell("cd %s && umount src/a; umount src/c; true", b->dir);
	sandbox_done(&s);
	shell("umount -R %s/src", b->dir);
	plan_process_done(&p);
	assert_int_equal(r, 0);
	assert_string_equal(b->out, "/private/a:\n\n/shared/a:\nseen\n\n/slave/a:\nseen\n");
	assert_false(in);
	assert_true(out);
}

/* More and longer layers than one page of mount options, as kernels before 6.8 take them: names of over 255 bytes lead to the same way. */
static void test_many_layers(void **state)
{
	struct box *b = need_root(state);
	char name[201], path[512];

	memset(name, 'l', 200);
	name[200] = 0;
	for (int i = 0; i < 24; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s/layer-%d", b->dir, name, name, i);
		assert_int_equal(mkdir_p(AT_FDCWD, path, 0755), 0);
		shell("echo %d > %s/f%d; echo %d > %s/top", i, path, i, i, path);
		strv_push(&b->plan.lower, path);
	}
	snprintf(path, sizeof(path), "%s/%s/%s/root", b->dir, name, name);
	assert_int_equal(rename(b->plan.rootfs, path), 0);
	strv_push(&b->plan.lower, path);
	free(b->plan.rootfs);
	b->plan.rootfs = NULL;
	b->plan.upper = in_dir(b, "upper");
	b->plan.work = in_dir(b, "work");
	expect(b, "cat /top /f0 /f23; pwd; echo new > /new", "0\n0\n23\n/\n");
	shell("test -e %s/upper/new", b->dir);
	for (int i = 24; i < 44; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s-%d", b->dir, name, name, i);
		assert_int_equal(mkdir_p(AT_FDCWD, path, 0755), 0);
		strv_push(&b->plan.lower, path);
	}
	set_command(&b->plan.process, "true");
	assert_true(run_plan(b) < 0);
	assert_non_null(strstr(b->err.msg, "45 layers are more than this kernel can take"));
}

/* Every device node of the host, and nothing of its terminals or shared memory. */
static void test_privileged_devices(void **state)
{
	struct box *b = need_root(state);

	b->plan.privileged = true;
	assert_int_equal(caps_from_names(NULL, NULL, true, &b->plan.process.caps, &b->err), 0);
	shell("cd %s && cp -a /dev/null src/f", b->dir);
	assert_int_equal(run(b, "cd /dev; ls pts shm; for f in *; do [ -c $f -o -b $f ] && echo $f; done"), 0);
	assert_non_null(strstr(b->out, "null\n"));
	_cleanup_strv_ char **seen = strv_split(b->out, "\n");
	FILE *f = popen("cd /dev && for f in *; do [ ! -h $f ] && [ -c $f -o -b $f ] && echo $f; done", "re");
	char line[128];
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "console") != 0 && !strv_has(seen, line))
			fail_msg("/dev/%s is missing", line);
	}
	pclose(f);
}

/* What the caller has open, its keys and its terminal stay outside, also for a process that joins. */
static void test_nothing_comes_along(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	int open_ones[2];

	assert_int_equal(pipe2(open_ones, 0), 0); /* not close-on-exec, and its number is high */
	int high = fcntl(open_ones[0], F_DUPFD, 100);
	expect(b, "ls /proc/$$/fd; cut -d' ' -f7 /proc/$$/stat", "0\n1\n2\n0\n");
	start(b, "echo go; sleep 100", &s);
	struct plan_process p = {.caps = b->plan.process.caps, .cwd = strdup("/")};
	p.env = strv_dup(b->plan.process.env);
	int r = exec_in(b, &s, &p,
		"ls /proc/$$/fd; cut -d' ' -f7 /proc/$$/stat; cat /proc/$$/environ | tr '\\0' '\\n' | cut -d= -f1 | "
		"sort");
	sandbox_done(&s);
	plan_process_done(&p);
	close(high);
	close(open_ones[0]);
	close(open_ones[1]);
	assert_int_equal(r, 0);
	assert_string_equal(b->out, "0\n1\n2\n0\nHOME\nPATH\nTERM\n");
}

/* A key that only who possesses the caller's session keyring may see. */
static void test_keys(void **state)
{
	struct box *b = need_root(state);
	long key = -1;

	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		key = syscall(SYS_add_key, "user", "caisson-secret", "x", 1, KEY_SPEC_SESSION_KEYRING);
	if (key < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f000000) < 0)
		skip(); /* a kernel without keys, or a place where they are forbidden */
	assert_int_equal(system("grep -q caisson-secret /proc/keys"), 0);
	expect(b, "grep -c caisson-secret /proc/keys; true", "0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(test_dangling_targets),
		box_test(test_proc_is_not_covered),
		box_test(test_copy_up_is_of_the_image),
		box_test(test_copy_up_hostile),
		box_test(test_files_of_the_network),
		box_test(test_hostile_passwd),
		box_test(test_no_mount_of_the_host),
		box_test(test_propagation),
		box_test(test_many_layers),
		box_test(test_privileged_devices),
		box_test(test_nothing_comes_along),
		box_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
