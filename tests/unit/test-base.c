/* base/: strings, numbers, times, paths inside a root, locks, descriptors over sockets, the loop. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bits.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"

static void test_strv(void **state)
{
	char **v = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(strv_pushf(&v, "%d", i), 0);
	assert_int_equal(strv_len(v), 1000);
	assert_string_equal(v[999], "999");
	assert_true(strv_has(v, "500"));
	assert_false(strv_has(v, "1000"));
	strv_free(v);
	v = strv_split("::a:b::c:", ":");
	assert_int_equal(strv_len(v), 3);
	assert_string_equal(v[2], "c");
	strv_free(v);
	assert_null(strv_split("", ":"));
}

static void test_env(void **state)
{
	char **env = NULL;

	(void)state;
	env_set(&env, "A=1");
	env_set(&env, "AB=2");
	env_set(&env, "A=3");
	assert_int_equal(strv_len(env), 2);
	assert_string_equal(env_get(env, "A"), "3");
	assert_string_equal(env_get(env, "AB"), "2");
	assert_null(env_get(env, "B"));
	strv_free(env);
}

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {{"0", 0}, {"512", 512}, {"512b", 512}, {"1k", 1024}, {"1KB", 1024}, {"1.5GiB", 1610612736},
		{"6m", 6291456}, {"2gb", 2147483648}, {"1 m", 1048576}};
	static const char *const bad[] = {"", "m", "-1", "1x", "12mbx", "1.2.3", ".", "99999999999g", "1 mb x"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(parse_bytes(good[i].text, &v), 0);
		assert_int_equal(v, good[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_true(parse_bytes(bad[i], &v) < 0);
}

static void test_numbers(void **state)
{
	uint64_t v;
	uint32_t w = 7;
	bool b;

	(void)state;
	assert_int_equal(parse_u64("18446744073709551615", &v), 0);
	assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(parse_u64("1 ", &v), -EINVAL);
	assert_int_equal(parse_u32("4294967296", &w), -ERANGE);
	assert_int_equal(w, 7);
	assert_int_equal(parse_nanocpus("1.5", &v), 0);
	assert_int_equal(v, 1500000000);
	assert_int_equal(parse_nanocpus("0.01", &v), 0);
	assert_int_equal(v, 10000000);
	assert_int_equal(parse_nanocpus("x", &v), -EINVAL);
	assert_int_equal(parse_bool("True", &b), 0);
	assert_true(b);
	assert_int_equal(parse_bool("yes", &b), -EINVAL);
}

static void test_signals(void **state)
{
	int s;

	(void)state;
	assert_int_equal(parse_signal("KILL", &s), 0);
	assert_int_equal(s, SIGKILL);
	assert_int_equal(parse_signal("sigterm", &s), 0);
	assert_int_equal(s, SIGTERM);
	assert_int_equal(parse_signal("RTMIN+3", &s), 0);
	assert_int_equal(s, 37);
	assert_int_equal(parse_signal("SIGRTMAX-1", &s), 0);
	assert_int_equal(s, 63);
	assert_int_equal(parse_signal("64", &s), 0);
	assert_int_equal(parse_signal("0", &s), -EINVAL);
	assert_int_equal(parse_signal("65", &s), -EINVAL);
	assert_int_equal(parse_signal("NOPE", &s), -EINVAL);
	assert_int_equal(parse_signal("", &s), -EINVAL);
}

static void test_clock(void **state)
{
	char text[40];
	int64_t ns;

	(void)state;
	assert_string_equal(clock_rfc3339(0, text), "0001-01-01T00:00:00Z");
	assert_string_equal(clock_rfc3339(1700000000000000000, text), "2023-11-14T22:13:20Z");
	assert_string_equal(clock_rfc3339(1700000000120000000, text), "2023-11-14T22:13:20.12Z");
	assert_int_equal(clock_parse("2023-11-14T22:13:20.12Z", &ns), 0);
	assert_int_equal(ns, 1700000000120000000);
	assert_int_equal(clock_parse("2023-11-14T23:13:20+01:00", &ns), 0);
	assert_int_equal(ns, 1700000000000000000);
	assert_int_equal(clock_parse("1700000000.5", &ns), 0);
	assert_int_equal(ns, 1700000000500000000);
	assert_int_equal(clock_parse("1h30m", &ns), 0);
	assert_in_range(clock_real_ns() - ns, 5400000000000, 5410000000000);
	assert_true(clock_parse("yesterday", &ns) < 0);
	assert_true(clock_parse("", &ns) < 0);
	assert_string_equal(clock_ago(clock_real_ns() - 70 * 1000000000LL, text), "About a minute");
	assert_string_equal(clock_ago(clock_real_ns() - 3 * 3600 * 1000000000LL, text), "3 hours");
}

static void test_human_size(void **state)
{
	char s[16];

	(void)state;
	assert_string_equal(human_size(0, s), "0B");
	assert_string_equal(human_size(1048576, s), "1.049MB");
	assert_string_equal(human_size(999, s), "999B");
}

static void test_path_clean(void **state)
{
	static const char *const cases[][2] = {
		{"/a//b/./c/..", "/a/b"}, {"/../..", "/"}, {"a/../..", ".."}, {"", "."}, {"/", "/"}, {"/a/", "/a"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_free_ char *p = path_clean(cases[i][0]);
		assert_string_equal(p, cases[i][1]);
	}
}

/* A scratch directory as *state. */
static int make_dir(void **state)
{
	char *path = strdup("/tmp/caisson-test-XXXXXX");

	*state = mkdtemp(path);
	return *state ? 0 : -1;
}

static int remove_dir(void **state)
{
	int r = rm_rf(AT_FDCWD, *state);

	free(*state);
	return r;
}

static void test_in_root(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(mkdir_p(base, "root/in", 0755), 0);
	assert_int_equal(mkdir_p(base, "outside", 0755), 0);
	assert_int_equal(symlinkat("../outside", base, "root/relative"), 0);
	assert_int_equal(symlinkat("/outside", base, "root/absolute"), 0);
	assert_int_equal(symlinkat("/in", base, "root/inside"), 0);
	_cleanup_close_ int root = openat(base, "root", O_PATH | O_CLOEXEC);
	assert_int_equal(fd_open_in_root(root, "relative", O_PATH | O_DIRECTORY, 0), -ENOENT);
	assert_int_equal(fd_open_in_root(root, "absolute", O_PATH | O_DIRECTORY, 0), -ENOENT);
	assert_int_equal(fd_open_in_root(root, "../outside", O_PATH | O_DIRECTORY, 0), -ENOENT);
	_cleanup_close_ int inside = fd_open_in_root(root, "inside", O_PATH | O_DIRECTORY, 0);
	assert_true(inside >= 0);
	_cleanup_close_ int made = mkdir_in_root(root, "/inside/../x/y", 0755);
	assert_true(made >= 0);
	assert_int_equal(faccessat(base, "root/x/y", F_OK, 0), 0);
	_cleanup_close_ int through = mkdir_in_root(root, "/inside/deep", 0755);
	assert_true(through >= 0);
	assert_int_equal(faccessat(base, "root/in/deep", F_OK, 0), 0);
	assert_true(mkdir_in_root(root, "/absolute/evil", 0755) < 0);
	assert_int_equal(faccessat(base, "outside/evil", F_OK, 0), -1);
	_cleanup_close_ int link = mkdir_through_links(root, "/absolute/good", 0755);
	assert_true(link >= 0);
	assert_int_equal(faccessat(base, "root/outside/good", F_OK, 0), 0);
	assert_int_equal(faccessat(base, "outside/good", F_OK, 0), -1);
	assert_int_equal(symlinkat("loop", base, "root/loop"), 0);
	assert_int_equal(mkdir_through_links(root, "/loop/x", 0755), -ELOOP);
}

static void test_rm_rf(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(mkdir_p(base, "t/a/b", 0755), 0);
	assert_int_equal(mkdir_p(base, "kept/x", 0755), 0);
	assert_int_equal(symlinkat("../kept", base, "t/link"), 0);
	assert_int_equal(rm_rf(base, "t"), 0);
	assert_int_equal(faccessat(base, "t", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(faccessat(base, "kept/x", F_OK, 0), 0);
	assert_int_equal(rm_rf(base, "t"), 0);
}

static void test_dir_has_files(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_false(dir_has_files(base, "d"));
	assert_int_equal(mkdirat(base, "d", 0755), 0);
	assert_false(dir_has_files(base, "d"));
	close(openat(base, "d/.hidden", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_false(dir_has_files(base, "d"));
	close(openat(base, "d/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_true(dir_has_files(base, "d"));
	assert_false(dir_has_files(base, "d/file"));
}

static void write_bytes(int dirfd, const char *path, size_t n)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	_cleanup_free_ char *bytes = calloc(n, 1);

	assert_int_equal(fd_write_all(fd, bytes, n), 0);
}

/* Directories are none, a file with several names is one, a hole counts. */
static void test_tree_size(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t n = 1;

	assert_int_equal(mkdir_p(base, "tree/sub/empty", 0700), 0);
	assert_int_equal(tree_size(base, "tree", &n), 0);
	assert_int_equal(n, 0);
	write_bytes(base, "tree/a", 1000);
	write_bytes(base, "tree/sub/b", 500);
	assert_int_equal(linkat(base, "tree/a", base, "tree/sub/same", 0), 0);
	assert_int_equal(linkat(base, "tree/a", base, "tree/again", 0), 0);
	assert_int_equal(symlinkat("/etc", base, "tree/link"), 0);
	assert_int_equal(tree_size(base, "tree", &n), 0);
	assert_int_equal(n, 1504);
	assert_int_equal(tree_size(base, "tree/sub/b", &n), 0);
	assert_int_equal(n, 500);
	_cleanup_close_ int hole = openat(base, "tree/sub/b", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(hole, 5000000), 0);
	assert_int_equal(tree_size(base, "tree/sub", &n), 0);
	assert_int_equal(n, 5001000);
	assert_int_equal(tree_size(base, "none", &n), -ENOENT);
}

/* Deeper than there may be descriptors, and with names in the way. */
static void test_rm_rf_deep(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int at = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(mkdir_p(base, "d/.deep-0/x", 0755), 0);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(mkdirat(at, "d", 0755) < 0 && errno != EEXIST, 0);
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
		assert_true(at >= 0);
	}
	close(at);
	uint64_t n = 1;
	assert_int_equal(tree_size(base, "d", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(rm_rf(base, "d"), 0);
	assert_int_equal(faccessat(base, "d", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void test_fd_keep(void **state)
{
	int p[2], q[2];

	(void)state;
	pid_t pid = fork();
	if (pid == 0) { /* what is above is closed: not for the test itself */
		bool ok = pipe2(p, O_CLOEXEC) == 0 && pipe2(q, O_CLOEXEC) == 0 && dup2(q[1], 60) == 60;
		int a = p[1], b = p[0], last = 3 + 2;
		ok = ok && fd_keep(3, (int *const[]){&a, &b}, 2) == 0 && a == 3 && b == 4;
		ok = ok && write(a, "x", 1) == 1 && fcntl(b, F_GETFD) == FD_CLOEXEC;
		ok = ok && fcntl(last, F_GETFD) < 0 && fcntl(60, F_GETFD) < 0;
		_exit(ok ? 0 : 1);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void test_file_replace(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = {0};
	char line[8];

	assert_int_equal(file_replace(base, "f", "one\ntwo\n", 8, 0600), 0);
	assert_int_equal(file_replace(base, "f", "three\n", 6, 0600), 0);
	assert_int_equal(file_read(base, "f", 100, &b), 0);
	assert_string_equal(b.data, "three\n");
	assert_int_equal(file_read(base, "f", 3, &b), -EFBIG);
	assert_int_equal(file_read_line(base, "f", line, sizeof(line)), 0);
	assert_string_equal(line, "three");
	assert_int_equal(file_read_line(base, "none", line, sizeof(line)), -ENOENT);
}

static void test_lock(void **state)
{
	_cleanup_close_ int base = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int lock = fd_lock_file(base, "l", true, false);

	assert_true(lock >= 0);
	assert_int_equal(fd_lock_file(base, "l", true, false), -EWOULDBLOCK);
	/* a copy in another process keeps it */
	pid_t pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	close_fd(&lock);
	assert_int_equal(fd_lock_file(base, "l", true, false), -EWOULDBLOCK);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	lock = fd_lock_file(base, "l", true, false);
	assert_true(lock >= 0);
}

static void test_send_fds(void **state)
{
	int pair[2], fds[16], pipefd[2];
	size_t n = 1;
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe(pipefd), 0);
	assert_int_equal(fd_send(pair[0], "x", 1, (int[]){pipefd[1], pipefd[1]}, 2), 0);
	/* room for one: the other must not leak */
	int before = dup(0);
	close(before);
	assert_int_equal(fd_recv(pair[1], &c, 1, fds, &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(write(fds[0], "y", 1), 1);
	assert_int_equal(read(pipefd[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	close(fds[0]);
	int after = dup(0);
	assert_int_equal(before, after);
	close(after);
	close(pipefd[0]);
	close(pipefd[1]);
	close(pair[0]);
	close(pair[1]);
}

struct loop_test {
	struct loop *loop;
	struct source *other, *again;
	int fd_calls, timer_calls, other_calls;
};

static void on_fd(void *data, int fd, uint32_t events)
{
	struct loop_test *t = data;
	char c;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	t->fd_calls++;
	source_remove(&t->other); /* whose event is in the same round */
}

static void on_other(void *data, int fd, uint32_t events)
{
	struct loop_test *t = data;

	(void)fd;
	(void)events;
	t->other_calls++;
	source_remove(&t->again);
}

static void on_timer(void *data)
{
	struct loop_test *t = data;

	if (++t->timer_calls < 3)
		loop_add_timer(t->loop, 1, on_timer, t);
	else
		loop_stop(t->loop);
}

static void test_loop(void **state)
{
	struct loop_test t = {0};
	int a[2], b[2];

	(void)state;
	assert_int_equal(loop_new(&t.loop), 0);
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	t.again = loop_add_fd(t.loop, a[0], EPOLLIN, on_fd, &t);
	t.other = loop_add_fd(t.loop, b[0], EPOLLIN, on_other, &t);
	loop_add_timer(t.loop, 1, on_timer, &t);
	assert_int_equal(loop_run(t.loop), 0);
	assert_int_equal(t.timer_calls, 3);
	/* whichever came first has removed the other */
	assert_int_equal(t.fd_calls + t.other_calls, 1);
	loop_free(t.loop);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void on_first_of_two(void *data)
{
	struct loop_test *t = data;

	t->timer_calls++;
	t->again = NULL;
	source_remove(&t->other); /* which is due as well */
}

static void on_second_of_two(void *data)
{
	struct loop_test *t = data;

	t->timer_calls++;
	t->other = NULL;
	source_remove(&t->again);
}

static void test_loop_timers_removed(void **state)
{
	struct loop_test t = {0};

	(void)state;
	assert_int_equal(loop_new(&t.loop), 0);
	t.again = loop_add_timer(t.loop, 0, on_first_of_two, &t);
	t.other = loop_add_timer(t.loop, 0, on_second_of_two, &t);
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_once(t.loop, 2), 0);
	assert_int_equal(t.timer_calls, 1);
	assert_null(t.again);
	assert_null(t.other);
	loop_free(t.loop);
}

/* In a child: the title is in place of the arguments, and no longer than they were. */
static void test_title(void **state)
{
	char line[256] = "", comm[32];
	int status;

	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		_cleanup_buf_ struct buf b = {0};
		proc_set_title("a-title", "x");
		int r = file_read(AT_FDCWD, "/proc/self/cmdline", sizeof(line), &b);
		_exit(r < 0 || b.len < 10 || memcmp(b.data, "a-title\0x", 10) != 0 ||
			file_read_line(AT_FDCWD, "/proc/self/comm", comm, sizeof(comm)) < 0 ||
			strcmp(comm, "a-title") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_proc_run(void **state)
{
	_cleanup_buf_ struct buf out = {0};
	struct err e = ERR_INIT;
	char *ok[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
	char *killed[] = {"sh", "-c", "kill -9 $$", NULL};
	char *none[] = {"no-such-program-here", NULL};
	uint64_t start;

	(void)state;
	assert_int_equal(proc_run(ok, &out, &e), 3);
	assert_string_equal(out.data, "out\nerr\n");
	assert_int_equal(proc_run(killed, NULL, &e), 137);
	assert_int_equal(proc_run(none, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "no-such-program-here: not found in PATH");
	assert_int_equal(proc_start_time(getpid(), &start), 0);
	assert_true(start > 0);
}

static void test_err(void **state)
{
	struct err e = ERR_INIT;
	char longer[2048];

	(void)state;
	assert_int_equal(err_errno(&e, ENOENT, "open %s", "x\ny"), -ENOENT);
	assert_string_equal(e.msg, "open x y: No such file or directory");
	assert_int_equal(err_wrap(&e, "pull %d", 1), -ENOENT);
	assert_string_equal(e.msg, "pull 1: open x y: No such file or directory");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(err_set(&e, EINVAL, "%s", longer), -EINVAL);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, "more");
	err_set(&e, EINVAL, "%s: the remedy", longer);
	assert_int_equal(e.msg[0], longer[0]);
	assert_non_null(strstr(e.msg, " [...] "));
	assert_string_equal(e.msg + strlen(e.msg) - strlen(": the remedy"), ": the remedy");
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(err_set(NULL, EINVAL, "nobody listens"), -EINVAL);
}

static void test_base64(void **state)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}};
	static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zg=a", "=Zg=", "Z===", "====", "Zm9v\n", "Zm 9", "Zm9-"};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		size_t n = 99;
		_cleanup_free_ char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
		_cleanup_free_ char *back = base64_decode(pairs[i][1], &n);
		assert_string_equal(text, pairs[i][1]);
		assert_string_equal(back, pairs[i][0]);
		assert_int_equal(n, strlen(pairs[i][0]));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		size_t n;
		if (base64_decode(wrong[i], &n))
			fail_msg("decoded: %s", wrong[i]);
	}
}

static void test_bits(void **state)
{
	static const char *const wrong[] = {
		"", ",", "1,", "-1", "1-", "2-1", "1--2", "a", "0-8", "8", " 1", "99999999999999999999"};
	struct bits a = {0}, b = {0};

	(void)state;
	assert_int_equal(bits_parse("0-2,5,1", 8, &a), 0);
	assert_int_equal(a.count, 4);
	assert_true(a.set[0] && a.set[2] && a.set[5] && !a.set[3]);
	assert_int_equal(bits_parse("5,0", 6, &b), 0);
	assert_true(bits_within(&b, &a));
	assert_false(bits_within(&a, &b));
	bits_done(&a);
	bits_done(&b);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_true(bits_parse(wrong[i], 8, &a) < 0 && !a.set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_strv),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_human_size),
		cmocka_unit_test(test_path_clean),
		cmocka_unit_test_setup_teardown(test_in_root, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_rm_rf, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_dir_has_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_tree_size, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_rm_rf_deep, make_dir, remove_dir),
		cmocka_unit_test(test_fd_keep),
		cmocka_unit_test_setup_teardown(test_file_replace, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_lock, make_dir, remove_dir),
		cmocka_unit_test(test_send_fds),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_loop_timers_removed),
		cmocka_unit_test(test_title),
		cmocka_unit_test(test_proc_run),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
