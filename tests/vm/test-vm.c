/* A utility VM through isolation/: boot, stdio, exits, execs, deaths, and what QEMU can reach, seen from outside. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "vm.h"

#define assert_contains(b, text)                                                         \
	do {                                                                             \
		if (!(b).data || !strstr((b).data, text))                                \
			fail_msg("'%s' is not in '%s'", text, (b).data ? (b).data : ""); \
	} while (0)

enum { BOOT_S = 60 };

static struct vm_run *begin(const char *script)
{
	struct vm_run *r = vm_new(script);

	vm_begin(r);
	assert_true(vm_until(r, &r->started, BOOT_S));
	assert_string_equal(r->start_error.msg, "");
	return r;
}

static void test_hello(void **state)
{
	struct vm_run *r = begin("echo hello; echo bad >&2; uname -r; hostname; pwd; id -u; exit 7");

	(void)state;
	assert_true(vm_until(r, &r->ended, 30));
	assert_int_equal(r->exit.status, 7);
	assert_string_equal(r->exit.reason, "");
	assert_contains(r->out, "hello\n");
	assert_contains(r->out, "guest\n/\n0\n");
	assert_string_equal(r->err.data, "bad\n");
	vm_free(r);
}

static void test_not_found(void **state)
{
	struct vm_run *r = vm_new("");

	(void)state;
	strv_free(r->plan.process.argv);
	r->plan.process.argv = NULL;
	strv_push(&r->plan.process.argv, "nope");
	vm_begin(r);
	assert_true(vm_until(r, &r->started, BOOT_S));
	assert_int_equal(r->start_error.status, EXIT_NOT_FOUND);
	assert_non_null(strstr(r->start_error.msg, "nope"));
	vm_free(r);
}

static void test_pipe(void **state)
{
	enum { SIZE = 10 << 20 };
	struct vm_run *r = vm_new("cat");
	char *data = malloc(SIZE);

	(void)state;
	random_bytes(data, SIZE);
	r->input = data;
	r->input_len = SIZE;
	vm_begin(r);
	assert_true(vm_until(r, &r->ended, 120));
	assert_int_equal(r->exit.status, 0);
	assert_int_equal(r->out.len, SIZE);
	assert_memory_equal(r->out.data, data, SIZE);
	free(data);
	vm_free(r);
}

/* What is written last must not be lost, however short the process lives and however late its reader looks. */
static void test_residue(void **state)
{
	/* more than the pipe holds, and not more than pipe and window together: the workload must be able to end */
	struct vm_run *r = vm_new("head -c 180000 /dev/zero");

	(void)state;
	r->stalled = true;
	vm_begin(r);
	assert_true(vm_until(r, &r->ended, BOOT_S));
	char block[65536];
	ssize_t n;
	size_t sum = 0;
	while ((n = read(r->io.out, block, sizeof(block))) > 0)
		sum += (size_t)n;
	assert_int_equal(sum, 180000);
	vm_free(r);
}

static void check_status(pid_t pid, const char *line)
{
	char path[64];
	_cleanup_buf_ struct buf b = {0};

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file_read(AT_FDCWD, path, 65536, &b);
	assert_contains(b, line);
}

static void check_namespace(pid_t pid, const char *name)
{
	char path[64], theirs[64] = "", ours[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	assert_true(readlink(path, theirs, sizeof(theirs) - 1) > 0);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	assert_true(readlink(path, ours, sizeof(ours) - 1) > 0);
	assert_string_not_equal(theirs, ours);
}

static void check_root(pid_t pid)
{
	static const char *const expected[] = {"lib", "lib64", "usr", "proc", "dev", NULL};
	char path[64];
	struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((de = readdir(d)))
		if (de->d_name[0] != '.' && !str_in(de->d_name, expected))
			fail_msg("%s is in QEMU's root", de->d_name);
	closedir(d);
	snprintf(path, sizeof(path), "/proc/%d/root/x", pid);
	assert_true(open(path, O_CREAT | O_WRONLY, 0600) < 0);
}

/* Nothing that QEMU has open is a path another could use, or a file of the host beside its own. */
static void check_fds(pid_t pid)
{
	static const char *const fine[] = {"socket:", "pipe:", "anon_inode:", "/memfd:", "/var/tmp/caisson", NULL};
	char path[300], to[256];
	struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", pid, de->d_name);
		ssize_t n = readlink(path, to, sizeof(to) - 1);
		if (n < 0)
			continue;
		to[n] = 0;
		bool ok = !strcmp(to, vm_host.kernel);
		for (const char *const *p = fine; *p; p++)
			ok = ok || str_starts(to, *p);
		if (!ok)
			fail_msg("QEMU has %s open", to);
	}
	closedir(d);
}

static void check_confinement(const struct vm_run *r)
{
	static const char *const namespaces[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", NULL};
	pid_t pid = isolate_pid(r->isolate);
	_cleanup_buf_ struct buf b = {0};
	char path[64];

	assert_true(pid > 0);
	for (const char *const *n = namespaces; *n; n++)
		check_namespace(pid, *n);
	for (const char *const *s = (const char *const[]){"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000",
		     "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000",
		     "NoNewPrivs:\t1", "Seccomp:\t2", "Groups:\t \n", "Uid:\t2000", NULL};
		*s; s++)
		check_status(pid, *s);
	check_root(pid);
	check_fds(pid);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file_read(AT_FDCWD, path, 65536, &b);
	assert_non_null(memmem(b.data, b.len, r->plan.name, strlen(r->plan.name)));
}

static void on_stats(void *data, const struct isolate_stats *s, const struct err *e)
{
	assert_null(e);
	assert_true(s->pids >= 1 && s->pids < 100);
	assert_true(s->host_memory > 30 << 20);
	*(bool *)data = true;
}

static void on_ps(void *data, char *const *lines, const struct err *e)
{
	bool found = false;

	assert_null(e);
	strv_foreach(l, lines) {
		found = found || strstr(l, "sleep");
	}
	assert_true(found);
	*(bool *)data = true;
}

static void test_running(void **state)
{
	struct vm_run *r = begin("trap 'echo term; exit 3' TERM; echo up; sleep 1000 & wait");
	struct err e = ERR_INIT;
	bool done = false;

	(void)state;
	check_confinement(r);
	vm_exec(r, "echo from exec; exit 9");
	assert_true(vm_until(r, &r->exec_ended, 30));
	assert_string_equal(r->exec_error.msg, "");
	assert_int_equal(r->exec_exit.status, 9);
	assert_contains(r->exec_out, "from exec\n");
	assert_int_equal(isolate_stats(r->isolate, on_stats, &done, &e), 0);
	assert_true(vm_until(r, &done, 20));
	done = false;
	assert_int_equal(isolate_ps(r->isolate, on_ps, &done, &e), 0);
	assert_true(vm_until(r, &done, 20));
	assert_int_equal(isolate_signal(r->isolate, ISOLATE_MAIN, SIGTERM, &e), 0);
	assert_true(vm_until(r, &r->ended, 20));
	assert_int_equal(r->exit.status, 3);
	assert_contains(r->out, "term\n");
	vm_free(r);
}

/* A reader that stalls stops the writer in the guest; kill and exec still work, and the monitor's memory does not grow. */
static void test_stalled(void **state)
{
	struct vm_run *r = vm_new("yes");
	struct err e = ERR_INIT;
	bool never = false;

	(void)state;
	r->stalled = true;
	vm_begin(r);
	assert_true(vm_until(r, &r->started, BOOT_S));
	vm_until(r, &never, 3);
	vm_exec(r, "echo alive");
	assert_true(vm_until(r, &r->exec_ended, 30));
	assert_contains(r->exec_out, "alive\n");
	assert_int_equal(isolate_signal(r->isolate, ISOLATE_MAIN, SIGKILL, &e), 0);
	assert_true(vm_until(r, &r->ended, 20));
	assert_int_equal(r->exit.status, 137);
	vm_free(r);
}

static void test_disk_survives(void **state)
{
	struct vm_run *r = begin("cat /data/x 2>/dev/null && exit 5; echo kept > /data/x; rm /etc/passwd");

	(void)state;
	assert_true(vm_until(r, &r->ended, 30));
	assert_int_equal(r->exit.status, 0);
	vm_start_again(r);
	assert_true(vm_until(r, &r->ended, BOOT_S));
	assert_int_equal(r->exit.status, 5);
	assert_contains(r->out, "kept\n");
	vm_free(r);
}

static void test_share(void **state)
{
	struct vm_run *r = vm_new("cat /rw/a /ro/a; echo new > /rw/b; chmod 640 /rw/b; chown 12:34 /rw/b; echo x > "
				  "/ro/c && exit 1; sleep 1000");
	char path[4200];
	struct stat st;
	struct err e = ERR_INIT;

	(void)state;
	snprintf(path, sizeof(path), "%s/shared", r->dir);
	mkdir(path, 0755);
	for (int k = 0; k < 2; k++) {
		struct plan_mount *m = plan_add_mount(&r->plan);
		m->source = strdup(path);
		m->target = strdup(k ? "/ro" : "/rw");
		m->readonly = k;
		m->recursive = true;
	}
	snprintf(path, sizeof(path), "%s/shared/a", r->dir);
	file_replace(AT_FDCWD, path, "one\n", 4, 0644);
	vm_begin(r);
	assert_true(vm_until(r, &r->started, BOOT_S));
	assert_string_equal(r->start_error.msg, "");
	bool never = false;
	for (int k = 0; k < 50 && !r->err.len; k++)
		vm_until(r, &never, 1);
	assert_contains(r->err, "Read-only file system");
	assert_contains(r->out, "one\none\n");
	snprintf(path, sizeof(path), "%s/shared/b", r->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	file_replace(AT_FDCWD, path, "edited\n", 7, 0644);
	vm_exec(r, "cat /rw/b");
	assert_true(vm_until(r, &r->exec_ended, 30));
	assert_contains(r->exec_out, "edited\n");
	isolate_kill(r->isolate, &e);
	assert_true(vm_until(r, &r->ended, 5));
	vm_free(r);
}

static void test_panic(void **state)
{
	struct vm_run *r = vm_new("echo c > /proc/sysrq-trigger");
	_cleanup_buf_ struct buf log = {0};

	(void)state;
	r->plan.privileged = true;
	r->plan.process.caps = UINT64_MAX >> 23;
	vm_begin(r);
	assert_true(vm_until(r, &r->ended, BOOT_S));
	assert_string_equal(r->start_error.msg, "");
	assert_int_equal(r->exit.status, 255);
	assert_string_equal(r->exit.reason, "guest kernel panic: sysrq triggered crash");
	assert_true(file_read(r->dir_fd, "console.log", 1 << 20, &log) >= 0);
	assert_contains(log, "Kernel panic");
	vm_free(r);
}

static void test_qemu_killed(void **state)
{
	struct vm_run *r = begin("sleep 1000");
	uint64_t start;

	(void)state;
	pid_t pid = isolate_pid(r->isolate);
	assert_int_equal(proc_start_time(pid, &start), 0);
	kill(pid, SIGKILL);
	assert_true(vm_until(r, &r->ended, 2));
	assert_int_equal(r->exit.status, 255);
	assert_string_equal(r->exit.reason, "QEMU was killed by signal 9 (SIGKILL)");
	vm_free(r);
}

static void test_pause(void **state)
{
	struct vm_run *r = begin("while :; do :; done");
	struct err e = ERR_INIT;
	bool never = false;
	uint64_t before, after;

	(void)state;
	assert_int_equal(isolate_pause(r->isolate, true, &e), 0);
	vm_until(r, &never, 1);
	proc_cpu_ms(isolate_pid(r->isolate), &before);
	vm_until(r, &never, 2);
	proc_cpu_ms(isolate_pid(r->isolate), &after);
	assert_true(after - before < 500);
	assert_int_equal(isolate_pause(r->isolate, false, &e), 0);
	vm_exec(r, "echo back");
	assert_true(vm_until(r, &r->exec_ended, 30));
	assert_contains(r->exec_out, "back\n");
	isolate_kill(r->isolate, &e);
	assert_true(vm_until(r, &r->ended, 5));
	assert_int_equal(r->exit.status, 137);
	vm_free(r);
}

/* The VM is larger than what the workload may use, which its cgroup enforces. */
static void test_memory_limit(void **state)
{
	struct vm_run *r = vm_new("dd if=/dev/zero of=/dev/null bs=40M count=1 && echo fits; exec dd if=/dev/zero "
				  "of=/dev/null bs=90M count=1");

	(void)state;
	r->plan.memory = r->plan.memory_swap = 64 << 20;
	vm_begin(r);
	assert_true(vm_until(r, &r->ended, BOOT_S));
	assert_string_equal(r->start_error.msg, "");
	assert_contains(r->out, "fits\n");
	assert_int_equal(r->exit.status, 137);
	assert_true(r->exit.oom);
	assert_string_equal(r->exit.reason, "");
	vm_free(r);
}

static void test_tty(void **state)
{
	struct vm_run *r = vm_new("stty size; read x; echo got $x; exit 4");
	bool never = false;

	(void)state;
	r->plan.process.tty = r->plan.process.open_stdin = true;
	r->plan.process.rows = 33;
	r->plan.process.cols = 99;
	vm_begin(r);
	assert_true(vm_until(r, &r->started, BOOT_S));
	assert_true(r->io.tty);
	for (int k = 0; k < 10 && !r->out.len; k++)
		vm_until(r, &never, 1);
	assert_contains(r->out, "33 99");
	assert_int_equal(write(r->io.in, "line\n", 5), 5);
	assert_true(vm_until(r, &r->ended, 20));
	vm_until(r, &never, 1);
	assert_int_equal(r->exit.status, 4);
	assert_contains(r->out, "got line");
	vm_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_residue),
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_stalled),
		cmocka_unit_test(test_disk_survives),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_tty),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_panic),
		cmocka_unit_test(test_qemu_killed),
	};
	const char *only = getenv("CAISSON_TEST_ONLY");

	vm_setup();
	if (only)
		cmocka_set_test_filter(only);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	vm_teardown();
	return r;
}
