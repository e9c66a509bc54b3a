/* Seccomp profiles: compiled, installed in a child, and asked. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "oci/seccomp.h"
#include "sandbox/caps.h"
#include "sandbox/seccomp.h"

static struct buf default_profile(void)
{
	struct buf b = {0};

	assert_int_equal(file_read(AT_FDCWD, TEST_SOURCE_DIR "/data/seccomp.json", 1 << 20, &b), 0);
	return b;
}

/* Runs fn under the filter in a child; what it returns must be 0..255. */
static int under(const char *bpf, size_t len, int (*fn)(void))
{
	struct err e = ERR_INIT;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_install(bpf, len, &e) < 0)
			_exit(250);
		_exit(fn());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int compile(const char *json, uint64_t caps, char **bpf, size_t *len, struct err *e)
{
	return seccomp_compile(json, strlen(json), caps, bpf, len, e);
}

static int ask_unshare(void)
{
	return unshare(CLONE_NEWUTS) < 0 ? errno : 0;
}

static int ask_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0) < 0 ? errno : 0;
}

static int ask_clone_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int ask_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int ask_vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int ask_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int ask_mseal(void)
{
	/* 462: allowed, so the kernel answers, ENOSYS where it is older */
	long r = syscall(462, 1, 0, 1);

	return r < 0 ? errno : 0;
}

static int ask_future(void)
{
	return syscall(900) < 0 ? errno : 0;
}

static int ask_kexec(void)
{
	return syscall(SYS_kexec_load, 0, 0, NULL, 0) < 0 ? errno : 0;
}

static int ask_getppid(void)
{
	return syscall(SYS_getppid) < 0 ? errno : 0;
}

static void test_default_profile(void **state)
{
	_cleanup_buf_ struct buf json = default_profile();
	_cleanup_free_ char *bpf = NULL;
	struct err e = ERR_INIT;
	uint64_t caps;
	size_t len;

	(void)state;
	assert_int_equal(caps_from_names(NULL, NULL, false, &caps, &e), 0);
	if (seccomp_compile(json.data, json.len, caps, &bpf, &len, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(len % sizeof(struct sock_filter) == 0 && len / sizeof(struct sock_filter) < BPF_MAXINSNS);
	assert_int_equal(under(bpf, len, ask_unshare), EPERM);
	assert_int_equal(under(bpf, len, ask_clone3), ENOSYS);
	assert_int_equal(under(bpf, len, ask_clone_namespace), EPERM);
	assert_int_equal(under(bpf, len, ask_fork), 0);
	assert_int_equal(under(bpf, len, ask_vsock), EPERM);
	assert_int_equal(under(bpf, len, ask_unix), 0);
	assert_int_equal(under(bpf, len, ask_kexec), EPERM);
	assert_int_equal(under(bpf, len, ask_future), ENOSYS);
	assert_int_not_equal(under(bpf, len, ask_mseal), EPERM);
}

static void test_caps_open_calls(void **state)
{
	_cleanup_buf_ struct buf json = default_profile();
	_cleanup_free_ char *bpf = NULL;
	struct err e = ERR_INIT;
	uint64_t caps;
	size_t len;
	char *add[] = {"sys_admin", NULL};

	(void)state;
	assert_int_equal(caps_from_names(add, NULL, false, &caps, &e), 0);
	assert_int_equal(seccomp_compile(json.data, json.len, caps, &bpf, &len, &e), 0);
	/* the filter lets it through: what says no, if anything, is the kernel */
	assert_int_equal(under(bpf, len, ask_unshare), geteuid() ? EPERM : 0);
	assert_int_equal(under(bpf, len, ask_clone3), EINVAL);
}

static void test_oci_form(void **state)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\"],"
		"\"syscalls\":[{\"names\":[\"getppid\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\","
		"\"errnoRet\":77}]}";
	_cleanup_free_ char *bpf = NULL;
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	if (compile(json, 0, &bpf, &len, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(under(bpf, len, ask_getppid), 77);
	assert_int_equal(under(bpf, len, ask_fork), 0);
	/* the default is to allow: what is unknown is the kernel's to answer */
	assert_int_equal(under(bpf, len, ask_future), ENOSYS);
}

static void test_kill(void **state)
{
	static const char json[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\","
				   "\"syscalls\":[{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}";
	_cleanup_free_ char *bpf = NULL;
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	assert_int_equal(compile(json, 0, &bpf, &len, &e), 0);
	assert_int_equal(under(bpf, len, ask_getppid), 1000 + SIGSYS);
}

static void test_wrong_profiles(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
		"{\"defaultAction\":7}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"surprise\":1}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PDP11\"]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":\"read\",\"action\":\"SCMP_"
		"ACT_KILL\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[1],\"action\":\"SCMP_ACT_"
		"KILL\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_"
		"ACT_KILL\","
		"\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_"
		"ACT_KILL\","
		"\"args\":[{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_ALMOST\"}]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_"
		"ACT_KILL\","
		"\"includes\":{\"caps\":[\"CAP_MAGIC\"]}}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char *bpf = NULL;
		size_t len = 0;
		struct err e = ERR_INIT;
		if (compile(wrong[i], 0, &bpf, &len, &e) >= 0)
			fail_msg("accepted: %s", wrong[i]);
		assert_true(e.code > 0 && e.msg[0]);
		assert_null(bpf);
	}
}

static void test_cache(void **state)
{
	_cleanup_buf_ struct buf json = default_profile();
	_cleanup_free_ char *a = NULL, *b = NULL, *c = NULL, *d = NULL;
	char dir[] = "/tmp/caisson-test-XXXXXX";
	struct err e = ERR_INIT;
	size_t na, nb, nc, nd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(seccomp_cached(fd, json.data, json.len, 1, &a, &na, &e), 0);
	assert_int_equal(seccomp_cached(fd, json.data, json.len, 1, &b, &nb, &e), 0);
	assert_true(na == nb && !memcmp(a, b, na));
	/* other capabilities: another entry */
	assert_int_equal(seccomp_cached(fd, json.data, json.len, 1 << 21, &c, &nc, &e), 0);
	assert_false(na == nc && !memcmp(a, c, na));
	/* damaged entries, and those that another user could write, are not used */
	char command[200];
	snprintf(command, sizeof(command), "cd %s && for f in *; do head -c 60000 /dev/zero > $f; done", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(seccomp_cached(fd, json.data, json.len, 1, &d, &nd, &e), 0);
	assert_true(na == nd && !memcmp(a, d, na));
	assert_int_equal(rm_rf(AT_FDCWD, dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_profile),
		cmocka_unit_test(test_caps_open_calls),
		cmocka_unit_test(test_oci_form),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_wrong_profiles),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
