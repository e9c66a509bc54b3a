/* The sandbox at work: containers from a root with a static busybox. Needs root; each test looks at what a
 * process inside sees. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox/caps.h"
#include "sandbox/sandbox.h"
#include "sandbox-box.h"

static void test_run(void **state)
{
	struct box *b = need_root(state);

	expect(b, "echo hello; id -u; hostname; pwd; echo $HOME $$", "hello\n0\nboxed\n/\n/root 1\n");
	assert_int_equal(run(b, "exit 7"), 7);
	assert_int_equal(run(b, "kill -9 $$; sleep 1 & kill -9 $!; wait $!"), 137);
	/* nothing of it is left */
	shell("! ls -d /sys/fs/cgroup/*/caisson/%s /sys/fs/cgroup/caisson/%s 2>/dev/null", b->id, b->id);
	shell("! grep -q %s /proc/self/mountinfo", b->dir);
}

static void expect_exec_error(struct box *b, const char *command, int status, const char *message)
{
	strv_free(b->plan.process.argv);
	b->plan.process.argv = NULL;
	strv_push(&b->plan.process.argv, command);
	if (run_plan(b) >= 0)
		fail_msg("%s could be run", command);
	assert_string_equal(b->err.msg, message);
	assert_int_equal(b->err.status, status);
}

static void test_exec_errors(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s/root && printf '\\177ELFbad' > bin/bad && printf '#!/no/interpreter\\n' > bin/script && "
	      "chmod +x bin/bad bin/script && "
	      "echo > plain",
		b->dir);
	expect_exec_error(b, "nope", EXIT_NOT_FOUND, "exec: \"nope\": executable file not found in $PATH");
	expect_exec_error(b, "/nope", EXIT_NOT_FOUND, "exec: \"/nope\": stat /nope: no such file or directory");
	expect_exec_error(b, "/etc", EXIT_NOT_EXECUTABLE, "exec: \"/etc\": is a directory");
	expect_exec_error(b, "/plain", EXIT_NOT_EXECUTABLE, "exec: \"/plain\": permission denied");
	expect_exec_error(b, "bad", EXIT_NOT_EXECUTABLE, "exec: \"bad\": exec format error");
	expect_exec_error(b, "script", EXIT_NOT_FOUND, "exec: \"script\": no such file or directory");
	b->plan.init = true;
	expect_exec_error(b, "nope", EXIT_NOT_FOUND, "exec: \"nope\": executable file not found in $PATH");
	b->plan.process.user = strdup("nobody");
	expect_exec_error(b, "sh", 0, "unable to find user nobody: no matching entries in passwd file");
	shell("! ls -d /sys/fs/cgroup/*/caisson/%s 2>/dev/null", b->id);
}

static void test_isolation(void **state)
{
	struct box *b = need_root(state);

	expect(b,
		"set -- /proc/[0-9]*; echo $#; ls /proc/self/fd | wc -l; ip -o link | wc -l; ls "
		"/sys/fs/cgroup >/dev/null && echo ok",
		"1\n4\n1\nok\n");
	expect(b, "grep -h Cap /proc/self/status | cut -f2 | sort -u", "0000000000000000\n00000000a80425fb\n");
	expect(b,
		"touch /sys/x 2>/dev/null || echo ro; mknod /disk b 7 0 && dd if=/disk count=1 of=/dev/null "
		"2>/dev/null || echo denied",
		"ro\ndenied\n");
	expect(b,
		"cut -d: -f3 /proc/self/cgroup | sort -u; umask; readlink /dev/fd; readlink /dev/ptmx; stat "
		"-c %a /dev/null /dev/shm",
		"/\n0022\n/proc/self/fd\npts/ptmx\n666\n1777\n");
}

static void test_overlay(void **state)
{
	struct box *b = need_root(state);

	strv_push(&b->plan.lower, b->plan.rootfs);
	free(b->plan.rootfs);
	b->plan.rootfs = NULL;
	b->plan.upper = in_dir(b, "upper");
	b->plan.work = in_dir(b, "work");
	b->plan.hosts = strdup("127.0.0.1 localhost\n");
	expect(b, "echo new > /new; rm /etc/group; cat /etc/hosts; echo more >> /etc/hosts; tail -1 /etc/hosts",
		"127.0.0.1 localhost\nmore\n");
	shell("cd %s && test -e upper/new && test -e root/etc/group && test ! -s upper/etc/hosts", b->dir);
	b->plan.readonly_root = true;
	expect(b, "touch /x 2>/dev/null || echo ro; touch /dev/shm/x && echo shm; cat /new", "ro\nshm\nnew\n");
}

static void test_user(void **state)
{
	struct box *b = need_root(state);

	b->plan.process.user = strdup("bob");
	b->plan.process.cwd = (free(b->plan.process.cwd), strdup("/made/here"));
	expect(b,
		"id -u; id -G; echo $HOME; pwd; grep CapEff /proc/self/status | cut -f2; echo x > "
		"/dev/stdout",
		"1000\n1000 10\n/home/bob\n/made/here\n0000000000000000\nx\n");
	b->plan.process.no_new_privs = true;
	strv_push(&b->plan.process.rlimits, "nofile=100:200");
	expect(b, "grep NoNewPrivs /proc/self/status | cut -f2; ulimit -n; ulimit -H -n", "1\n100\n200\n");
}

static void test_mounts(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s/src && mkdir d && echo file > f && echo inner > d/inner", b->dir);
	add_mount(b, "src/d", "/mnt/rw");
	add_mount(b, "src/d", "/mnt/ro")->readonly = true;
	add_mount(b, "src/f", "/etc/deep/file");
	struct plan_mount *m = add_mount(b, NULL, "/scratch");
	m->options = strdup("size=64k,mode=700");
	m->noexec = true;
	strv_push(&b->plan.masked, "/proc/keys");
	strv_push(&b->plan.masked, "/sys/firmware");
	strv_push(&b->plan.masked, "/no/such");
	strv_push(&b->plan.readonly_paths, "/proc/sys");
	expect(b,
		"cat /mnt/ro/inner /etc/deep/file; echo w > /mnt/rw/w; echo w 2>/dev/null > /mnt/ro/x || "
		"echo ro; "
		"stat -c %a /scratch; dd if=/dev/zero of=/scratch/big bs=1k count=100 2>/dev/null || echo "
		"full; "
		"cat /proc/keys | wc -c; ls /sys/firmware | wc -l; (echo 1 > /proc/sys/net/ipv4/ip_forward) "
		"2>/dev/null || echo ro",
		"inner\nfile\nro\n700\nfull\n0\n0\nro\n");
	shell("test -e %s/src/d/w", b->dir);
}

/* Links in the image lead nowhere outside of it, whatever they say. */
static void test_hostile_root(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s && mkdir outside && echo bound > src/f && rm -rf root/data && ln -s %s/outside "
	      "root/data && "
	      "ln -s ../../../../..%s/outside root/up && ln -s %s/outside/new root/etc/resolv.conf",
		b->dir, b->dir, b->dir, b->dir);
	add_mount(b, "src", "/data/a/b");
	add_mount(b, "src/f", "/up/c/file");
	b->plan.resolv_conf = strdup("nameserver 127.0.0.1\n");
	free(b->plan.process.cwd);
	b->plan.process.cwd = strdup("/data/work");
	expect(b, "cat /data/a/b/f /up/c/file /etc/resolv.conf", "bound\nbound\nnameserver 127.0.0.1\n");
	shell("test -z \"$(ls -A %s/outside)\"", b->dir);
	/* the system's own directories may be no links at all */
	shell("cd %s/root && rm -rf proc && ln -s /etc proc", b->dir);
	set_command(&b->plan.process, "true");
	assert_true(run_plan(b) < 0);
	assert_string_equal(b->err.msg, "/proc in the root is not a directory");
	/* nor may a working directory lead to what this process has open */
	shell("cd %s/root && rm proc", b->dir);
	free(b->plan.process.cwd);
	b->plan.process.cwd = strdup("/proc/self/cwd/x");
	assert_true(run_plan(b) < 0);
}

static void test_copy_up(void **state)
{
	struct box *b = need_root(state);

	shell("cd %s/root/data && echo one > one && ln one two && ln -s one link && chown 5:6 sub && chmod "
	      "2751 sub && chown 7 . && "
	      "touch -d @1000 one",
		b->dir);
	add_mount(b, "src", "/data")->copy_up = true;
	expect(b,
		"cat /data/two; readlink /data/link; stat -c '%u:%g %a' /data/sub; stat -c '%u' /data; stat "
		"-c '%h %Y' /data/one; "
		"rm /data/two; echo x > /data/one",
		"one\none\n5:6 2751\n7\n2 1000\n");
	/* the image is untouched, the volume keeps what was done to it */
	expect(b, "ls /data; cat /data/one", "link\none\nsub\nx\n");
	shell("test \"$(cat %s/root/data/two)\" = one", b->dir);
}

static void test_init(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;

	b->plan.init = true;
	expect(b,
		"cat /proc/1/comm; echo $$; (sleep 0.01 &) ; sleep 0.1; grep -l 'State:.Z' "
		"/proc/[0-9]*/status 2>/dev/null | wc -l",
		"docker-init\n2\n0\n");
	assert_int_equal(run(b, "exit 9"), 9);
	start(b, "trap 'exit 33' USR1; echo go; while :; do sleep 0.05; done", &s);
	assert_int_equal(sandbox_signal(&s, SIGUSR1, &b->err), 0);
	assert_int_equal(collect(s.pid), 33);
	sandbox_done(&s);
}

static void test_tty(void **state)
{
	struct box *b = need_root(state);

	b->plan.process.tty = true;
	b->plan.process.rows = 33;
	b->plan.process.cols = 99;
	assert_int_equal(run(b,
				 "tty; stty size; test -t 0 && echo terminal; echo console > /dev/console; "
				 "echo tty > /dev/tty"),
		0);
	assert_string_equal(b->out, "/dev/pts/0\r\n33 99\r\nterminal\r\nconsole\r\ntty\r\n");
}

static void test_exec(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	struct plan_process p = {.caps = b->plan.process.caps};

	strv_push(&p.env, "PATH=/bin");
	p.user = strdup("bob");
	start(b, "mkdir -p /tmp; echo here > /tmp/x; echo go; exec sleep 100", &s);
	assert_int_equal(exec_in(b, &s, &p,
				 "cat /tmp/x; id -u; hostname; cat /proc/1/comm; cut -d: -f3 "
				 "/proc/self/cgroup | sort -u; exit 3"),
		3);
	assert_string_equal(b->out, "here\n1000\nboxed\nsleep\n/\n");
	assert_int_equal(exec_in(b, &s, &p, "ls /proc/self/fd | wc -l"), 0);
	assert_string_equal(b->out, "4\n");
	p.tty = true;
	assert_int_equal(exec_in(b, &s, &p, "tty"), 0);
	assert_string_equal(b->out, "/dev/pts/0\r\n");
	p.tty = false;
	strv_free(p.argv);
	p.argv = NULL;
	strv_push(&p.argv, "nope");
	assert_true(exec_in(b, &s, &p, NULL) < 0);
	assert_int_equal(b->err.status, EXIT_NOT_FOUND);
	sandbox_done(&s);
	assert_true(exec_in(b, &s, &p, "true") < 0);
	plan_process_done(&p);
}

static void join(const struct sandbox *s, const char *name, char **ret, uint64_t *ret_id)
{
	struct stat st;

	*ret = str_fmt("/proc/%d/ns/%s", s->pid, name);
	assert_int_equal(stat(*ret, &st), 0);
	*ret_id = st.st_ino;
}

/* In the PID and IPC namespaces of another one; /dev/shm comes along, if it still is one there. */
static void test_join(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;

	/* it makes of its own what it likes */
	b->plan.process.caps = UINT64_MAX;
	start(b,
		"mount -o remount,suid,dev,exec /dev/shm; mount --make-shared /dev/shm; echo here > /dev/shm/x; echo "
		"go; exec sleep 100",
		&s);
	b->plan.id[0] = b->plan.id[0] == 'a' ? 'b' : 'a'; /* its cgroup is another */
	join(&s, "pid", &b->plan.pidns, &b->plan.pidns_id);
	join(&s, "ipc", &b->plan.ipcns, &b->plan.ipcns_id);
	join(&s, "mnt", &b->plan.shmns, &b->plan.shmns_id);
	expect(b, "cat /proc/1/comm /dev/shm/x; [ $$ = 1 ] || echo second; echo back > /dev/shm/y",
		"sleep\nhere\nsecond\n");
	assert_int_equal(exec_in(b, &s, &b->plan.process, "cat /dev/shm/y"), 0);
	assert_string_equal(b->out, "back\n");
	expect(b,
		"grep -o '/dev/shm tmpfs rw,nosuid,nodev,noexec' /proc/mounts; grep ' /dev/shm ' /proc/self/mountinfo "
		"| grep -c shared; true",
		"/dev/shm tmpfs rw,nosuid,nodev,noexec\n0\n");
	/* an inode number that has become another's */
	b->plan.pidns_id++;
	assert_true(run_plan(b) < 0);
	assert_string_equal(b->err.msg, "the container whose PID namespace is to be joined has ended");
	b->plan.pidns_id--;
	b->plan.shmns_id++;
	assert_true(run_plan(b) < 0);
	assert_string_equal(b->err.msg, "the container whose mount namespace is to be joined has ended");
	sandbox_done(&s);
	b->plan.shmns_id--;
	assert_true(run_plan(b) < 0);
	b->plan.no_shm = true;
	free(steal_ptr(b->plan.pidns));
	free(steal_ptr(b->plan.ipcns));
	free(steal_ptr(b->plan.shmns));
	expect(b, "ls -d /dev/shm /dev/mqueue 2> /dev/null; true", "/dev/mqueue\n");
}

static void nap_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void test_control(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	struct sandbox_stats st, later;
	pid_t *pids = NULL;
	size_t n;

	b->plan.memory = 64 << 20;
	b->plan.pids = 20;
	b->plan.nanocpus = 500000000;
	start(b, "sleep 100 & sleep 100 & echo go; while :; do :; done", &s);
	assert_int_equal(sandbox_stats(&s, &st), 0);
	assert_int_equal(st.memory_limit, 64 << 20);
	assert_int_equal(st.pids_limit, 20);
	assert_int_equal(st.pids, 3);
	assert_int_equal(st.oom_kills, 0);
	assert_int_equal(sandbox_pids(&s, &pids, &n), 0);
	assert_int_equal(n, 3);
	free(pids);
	assert_int_equal(sandbox_freeze(&s, true, &b->err), 0);
	assert_int_equal(sandbox_stats(&s, &st), 0);
	nap_ms(50);
	assert_int_equal(sandbox_stats(&s, &later), 0);
	assert_true(later.cpu_ns - st.cpu_ns < 5000000);
	b->plan.pids = 30;
	assert_int_equal(sandbox_update(&s, &b->plan, &b->err), 0);
	assert_int_equal(sandbox_stats(&s, &st), 0);
	assert_int_equal(st.pids_limit, 30);
	/* a frozen container dies all the same */
	assert_int_equal(sandbox_kill_all(&s), 0);
	assert_int_equal(collect(s.pid), 137);
	sandbox_done(&s);
	assert_true(sandbox_stats(&s, &st) < 0);
}

static void test_limits(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	struct sandbox_stats st;

	b->plan.pids = 5;
	assert_int_equal(run(b, "for i in 1 2 3 4 5 6 7; do sleep 1 & done 2>/dev/null; wait"), 2);
	b->plan.pids = 0;
	b->plan.memory = b->plan.memory_swap = 16 << 20;
	start(b, "echo go; head -c 100000000 /dev/zero | tail -c 90000000 | wc -c; sleep 100", &s);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(sandbox_stats(&s, &st), 0);
		if (st.oom_kills)
			break;
		nap_ms(20);
	}
	assert_true(st.oom_kills >= 1);
	sandbox_done(&s);
}

static void test_sweep(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;

	b->plan.host_pid = true;
	start(b, "sleep 100 & sleep 100 & echo go; wait", &s);
	assert_int_equal(sandbox_sweep(NULL, b->id), 0);
	assert_int_equal(collect(s.pid), 137);
	shell("! ls -d /sys/fs/cgroup/*/caisson/%s 2>/dev/null", b->id);
	assert_int_equal(sandbox_sweep(NULL, b->id), 0);
	close(s.pidfd);
}

/* The container ends with the process that started it. */
static void test_parent_death(void **state)
{
	struct box *b = need_root(state);
	int fds[2], status;
	pid_t inside = 0;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox s = SANDBOX_INIT;
		start(b, "echo go; sleep 100", &s);
		(void)!write(fds[1], &s.pid, sizeof(s.pid));
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &inside, sizeof(inside)), sizeof(inside));
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 200 && kill(inside, 0) == 0; i++)
		nap_ms(10);
	/* a zombie, at most, if nobody reaps orphans here */
	char command[128];
	snprintf(command, sizeof(command), "! grep -sq 'State:.[RSD]' /proc/%d/status", inside);
	assert_int_equal(system(command), 0);
	assert_int_equal(sandbox_sweep(NULL, b->id), 0);
}

static void test_privileged(void **state)
{
	struct box *b = need_root(state);

	b->plan.privileged = true;
	assert_int_equal(caps_from_names(NULL, NULL, true, &b->plan.process.caps, &b->err), 0);
	expect(b,
		"mkdir -p /m && mount -t tmpfs none /m && echo mounted; grep -c ' /sys .*[( ]rw' "
		"/proc/mounts",
		"mounted\n1\n");
	shell("! grep -q ' /m ' /proc/self/mountinfo");
}

static void test_checks(void **state)
{
	struct box *b = need_root(state);

	strv_push(&b->plan.sysctls, "kernel.panic=1");
	assert_true(sandbox_check(&b->plan, &b->err) < 0);
	strv_free(b->plan.sysctls);
	b->plan.sysctls = NULL;
	strv_push(&b->plan.sysctls, "net.ipv4.ip_forward=1");
	expect(b, "cat /proc/sys/net/ipv4/ip_forward", "1\n");
	b->plan.process.caps |= 1ULL << 62;
	assert_true(sandbox_check(&b->plan, &b->err) < 0);
	b->plan.process.caps &= ~(1ULL << 62);
	b->plan.cgroup_parent = strdup("../escape");
	assert_true(sandbox_check(&b->plan, &b->err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		box_test(test_run),
		box_test(test_exec_errors),
		box_test(test_isolation),
		box_test(test_overlay),
		box_test(test_user),
		box_test(test_mounts),
		box_test(test_hostile_root),
		box_test(test_copy_up),
		box_test(test_init),
		box_test(test_tty),
		box_test(test_exec),
		box_test(test_join),
		box_test(test_control),
		box_test(test_limits),
		box_test(test_sweep),
		box_test(test_parent_death),
		box_test(test_privileged),
		box_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
