/* net/dns.c: the hosts files, and the life of caisson-dns, for which a script stands in here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "net/dns.h"

/* Says who it is as caisson-dns does, and keeps the lock by descriptor 3. */
static const char script[] = "#!/bin/sh\n"
			     "for a; do case $a in --dir=*) cd \"${a#--dir=}\" ;; esac; done\n"
			     "echo start >> starts\n"
			     "echo \"$*\" > args.tmp && mv args.tmp args\n"
			     "ls /proc/$$/fd > fds\n"
			     "echo \"$$ $(cut -d ' ' -f 22 /proc/$$/stat)\" > tmp && mv tmp dns.pid\n"
			     "exec sleep 60\n";

struct dns_test {
	char *path; /* of everything */
	char *run;
	char *dir; /* of the network */
	struct dns_place place;
};

static int setup(void **state)
{
	struct dns_test *t = calloc(1, sizeof(*t));
	static char *const bridges[] = {(char *)"csn0", NULL};
	static char *const listen[] = {(char *)"10.9.0.1/24", (char *)"fd00::1/64", NULL};

	t->path = strdup("/tmp/caisson-test-XXXXXX");
	assert_non_null(mkdtemp(t->path));
	t->run = str_fmt("%s/run", t->path);
	t->dir = str_fmt("%s/run/networks/abc", t->path);
	assert_int_equal(mkdir(t->run, 0700), 0);
	t->place = (struct dns_place){.libexec_dir = t->path,
		.run_fd = open(t->run, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.run = t->run,
		.id = "abc",
		.name = "net",
		.bridges = bridges,
		.listen = listen};
	_cleanup_free_ char *program = path_join(t->path, "caisson-dns");
	assert_int_equal(file_replace(AT_FDCWD, program, script, strlen(script), 0755), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct dns_test *t = *state;

	assert_int_equal(dns_stop(&t->place), 0);
	close(t->place.run_fd);
	rm_rf(AT_FDCWD, t->path);
	free(t->path);
	free(t->run);
	free(t->dir);
	free(t);
	return 0;
}

static char *text_of(const struct dns_test *t, const char *name)
{
	_cleanup_free_ char *path = path_join(t->dir, name);
	struct buf b = {0};

	return file_read(AT_FDCWD, path, 4096, &b) == 0 ? b.data : NULL;
}

/* The stand-in's pid once it has started. */
static pid_t wait_server(const struct dns_test *t)
{
	struct dns_pids pids;

	for (int i = 0; i < 1000; i++) {
		dns_pids(&t->place, &pids);
		if (pids.supervisor)
			return pids.supervisor;
		poll(NULL, 0, 10);
	}
	fail_msg("it did not start");
	return -1;
}

static void add(const struct dns_test *t, const char *id, const char *text)
{
	struct err e = ERR_INIT;

	if (dns_add(&t->place, id, text, &e) < 0)
		fail_msg("%s", e.msg);
}

static void test_files(void **state)
{
	struct dns_test *t = *state;
	_cleanup_free_ char *hosts = path_join(t->dir, "hosts"), *file = path_join(hosts, "c1");
	struct stat st;

	mode_t old = umask(077);
	add(t, "c1", "10.9.0.2 web\n");
	umask(old);
	assert_int_equal(stat(t->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(hosts, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);

	add(t, "c1", "10.9.0.3 web\n");
	_cleanup_free_ char *text = text_of(t, "hosts/c1");
	assert_string_equal(text, "10.9.0.3 web\n");
	assert_int_equal(dns_remove(&t->place, "c1"), 0);
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(dns_remove(&t->place, "c1"), 0);
	assert_int_equal(dns_remove(&(struct dns_place){.run_fd = t->place.run_fd, .id = "no such network"}, "c1"), 0);
}

static void test_spawn(void **state)
{
	struct dns_test *t = *state;
	int other = open("/dev/null", O_RDONLY); /* not close-on-exec, as what the command's caller left open */

	t->place.internal = true;
	add(t, "c1", "10.9.0.2 web\n");
	pid_t pid = wait_server(t);
	close(other);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody's child */
	assert_int_equal(errno, ECHILD);
	assert_int_equal(getsid(pid), pid);

	_cleanup_free_ char *args = text_of(t, "args"), *fds = text_of(t, "fds");
	_cleanup_free_ char *expected = str_fmt("--name=net --interface=csn0 --listen=10.9.0.1/24 --listen=fd00::1/64 "
						"--dir=%s --internal --locked\n",
		t->dir);
	assert_string_equal(args, expected);
	assert_true(str_starts(fds, "0\n1\n"));
	assert_non_null(strstr(fds, "\n3\n"));
	_cleanup_free_ char *leaked = str_fmt("\n%d\n", other);
	assert_true(other == 3 || !strstr(fds, leaked));
}

static void test_one_server(void **state)
{
	struct dns_test *t = *state;
	struct err e = ERR_INIT;

	assert_int_equal(dns_start(&t->place, &e), 0); /* no network, nothing to serve */
	add(t, "c1", "10.9.0.2 web\n");
	add(t, "c2", "10.9.0.3 db\n");
	pid_t pid = wait_server(t);
	_cleanup_close_ int pidfd = proc_pidfd(pid);
	assert_int_equal(dns_start(&t->place, &e), 0);
	_cleanup_free_ char *once = text_of(t, "starts");
	assert_string_equal(once, "start\n");

	/* killed: the next one that looks starts another, unless there is nobody to serve */
	kill(pid, SIGKILL);
	assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 10000), 1);
	assert_int_equal(dns_remove(&t->place, "c1"), 0);
	assert_int_equal(dns_start(&t->place, &e), 0);
	assert_int_not_equal(wait_server(t), pid);
	_cleanup_free_ char *twice = text_of(t, "starts");
	assert_string_equal(twice, "start\nstart\n");
}

static void test_stop(void **state)
{
	struct dns_test *t = *state;

	assert_int_equal(dns_stop(&t->place), 0); /* none there */
	add(t, "c1", "10.9.0.2 web\n");
	pid_t pid = wait_server(t);
	_cleanup_close_ int fd = proc_pidfd(pid);
	assert_true(fd >= 0);
	assert_int_equal(dns_stop(&t->place), 0);
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
	assert_int_equal(access(t->dir, F_OK), -1);
}

/* Not even said who it is when it is to end. */
static void test_stop_at_once(void **state)
{
	struct dns_test *t = *state;

	add(t, "c1", "10.9.0.2 web\n");
	assert_int_equal(dns_stop(&t->place), 0);
	assert_int_equal(access(t->dir, F_OK), -1);
}

/* The pid is of another by now: it is left alone. */
static void test_reused_pid(void **state)
{
	struct dns_test *t = *state;
	struct dns_pids pids;
	uint64_t start;

	pid_t other = fork();
	if (other == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(proc_start_time(other, &start), 0);
	assert_int_equal(mkdir_p(AT_FDCWD, t->dir, 0700), 0);
	_cleanup_free_ char *file = path_join(t->dir, "dns.pid");
	_cleanup_free_ char *text =
		str_fmt("%d %llu\n%d %llu\n", other, (unsigned long long)start - 1, other, (unsigned long long)start);
	assert_int_equal(file_replace(AT_FDCWD, file, text, strlen(text), 0600), 0);
	dns_pids(&t->place, &pids);
	assert_int_equal(pids.supervisor, 0);
	assert_int_equal(pids.dnsmasq, other);
	assert_int_equal(dns_stop(&t->place), 0);
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

static void test_errors(void **state)
{
	struct dns_test *t = *state;
	struct err e = ERR_INIT;
	char line[64];

	t->place.libexec_dir = "/nonexistent";
	assert_int_equal(dns_add(&t->place, "c1", "10.9.0.2 web\n", &e), -ENOENT);
	assert_string_equal(e.msg, "/nonexistent/caisson-dns: No such file or directory");

	assert_false(dns_error(&t->place, line, sizeof(line)));
	_cleanup_free_ char *file = path_join(t->dir, "dns.error");
	assert_int_equal(file_replace(AT_FDCWD, file, "port taken\n", 11, 0600), 0);
	assert_true(dns_error(&t->place, line, sizeof(line)));
	assert_string_equal(line, "port taken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spawn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reused_pid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
