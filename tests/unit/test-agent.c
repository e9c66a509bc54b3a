/* The agent's service beside its streams: starts that fail, execs, signals, questions, and how it ends. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent-host.h"
#include "agent/agent.h"
#include "proto/look.h"

static int new_host(void **state)
{
	*state = calloc(1, sizeof(struct host));
	return 0;
}

static int free_host(void **state)
{
	free(*state);
	return 0;
}

static int remove_root(void **state)
{
	(void)state;
	host_root_remove();
	return 0;
}

static const char *text(struct host *h, uint32_t proc)
{
	const struct buf *b = &h->proc[proc].stream[1].data;

	return b->len ? b->data : "";
}

static void expect_failed_start(struct host *h, const struct plan *p, int code, int status, const char *message)
{
	host_open(h);
	host_start(h, p);
	HOST_UNTIL(h, h->proc[0].failed);
	assert_int_equal(h->proc[0].error.code, code);
	assert_int_equal(h->proc[0].error.status, status);
	assert_non_null(strstr(h->proc[0].error.msg, message));
	/* it still answers */
	host_send(h, AGENT_PING, 0, "\1\0\0\0\0\0\0\0", 8);
	HOST_UNTIL(h, h->pong == 1);
	assert_int_equal(host_close(h), 0);
}

static void test_command_not_found(void **state)
{
	struct plan p;

	host_require();
	host_plan(&p, "");
	free(p.process.argv[0]);
	p.process.argv[0] = strdup("nope");
	expect_failed_start(*state, &p, ENOENT, EXIT_NOT_FOUND, "\"nope\"");
	plan_done(&p);
}

/* A plan that does not parse is a failed start, with the reason. */
static void test_bad_plan(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf b = {0};
	char entropy[64] = {0};

	host_require();
	host_open(h);
	wire_add_u64(&b, 0);
	wire_add_bytes(&b, entropy, sizeof(entropy));
	wire_add_u32(&b, 0);
	wire_add_str(&b, "");
	wire_add_bytes(&b, "\xff\xff\0\0\0\0", 6);
	host_send(h, AGENT_START, 0, b.data, b.len);
	HOST_UNTIL(h, h->proc[0].failed);
	assert_string_equal(h->proc[0].error.msg, "plan: field 65535 is unknown or out of order");
	assert_int_equal(host_close(h), 0);
}

/* What the machine's part cannot do fails the start. */
static void test_bad_machine(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf b = {0};
	char entropy[64] = {0};

	host_require();
	host_open(h);
	wire_add_u64(&b, 0);
	wire_add_bytes(&b, entropy, sizeof(entropy));
	wire_add_u32(&b, AGENT_HAS_SHARE);
	wire_add_str(&b, "tag");
	wire_add_bytes(&b, "", 0);
	host_send(h, AGENT_START, 0, b.data, b.len);
	HOST_UNTIL(h, h->proc[0].failed);
	assert_string_equal(h->proc[0].error.msg, "mount tag: no such share");
	assert_int_equal(h->proc[0].error.code, EIO);
	assert_int_equal(host_close(h), 0);
}

/* A clone that cannot be given random numbers of its own is not started (machine_prepare fails). */
static void test_seed(void **state)
{
	static const char bytes[128] = "not used by anybody who may add them";
	struct err e = ERR_INIT;

	(void)state;
	for (size_t n = 0; n < sizeof(bytes); n += 63) {
		e = ERR_INIT;
		assert_int_equal(machine_seed(bytes, n, &e), -EBADMSG);
	}
	assert_string_equal(e.msg, "the host sent 126 bytes of entropy, not 64");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		bool ok = (geteuid() != 0 || setresuid(65534, 65534, 65534) == 0) &&
			machine_seed(bytes, 64, &e) == -EPERM && strstr(e.msg, "seed the guest's random numbers");
		_exit(!ok);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_exec(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	host_exec(h, 1, "echo $((6 * 7)); exit 42", false);
	host_exec(h, 2, "read x; exit 1", false);
	host_exec(h, 3, "kill -TERM $$", false);
	HOST_UNTIL(h, host_finished(h, 1) && host_finished(h, 3));
	assert_string_equal(text(h, 1), "42\n");
	assert_int_equal(h->proc[1].status, 42);
	assert_int_equal(h->proc[3].status, 128 + SIGTERM);
	HOST_SEND(h, AGENT_SIGNAL, 2, SIGUSR1);
	HOST_UNTIL(h, host_finished(h, 2));
	assert_int_equal(h->proc[2].status, 128 + SIGUSR1);
	/* a number that is free again */
	host_exec(h, 2, "exit 2", false);
	HOST_UNTIL(h, host_finished(h, 2));
	assert_int_equal(h->proc[2].status, 2);
	/* and one that has ended, but whose child holds its output open */
	host_exec(h, 2, "sleep 1000 & exit 3", false);
	HOST_UNTIL(h, h->proc[2].exited);
	assert_int_equal(h->proc[2].status, 3);
	host_exec(h, 2, "echo again; exit 4", false);
	HOST_UNTIL(h, host_finished(h, 2));
	assert_int_equal(h->proc[2].status, 4);
	assert_string_equal(text(h, 2), "again\n");
	assert_false(h->proc[0].exited);
	assert_int_equal(host_close(h), 0);
}

static void test_exec_fails(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf b = {0}, bytes = {0};
	struct plan_process p;

	host_require();
	host_open(h);
	host_exec(h, 1, "true", false);
	assert_true(h->proc[1].failed);
	host_run(h, "sleep 1000");
	host_process(&p, "");
	free(p.argv[0]);
	p.argv[0] = strdup("/etc");
	assert_int_equal(plan_process_encode(&p, &bytes), 0);
	plan_process_done(&p);
	wire_add_u32(&b, 2);
	wire_add_bytes(&b, bytes.data, bytes.len);
	host_send(h, AGENT_EXEC, 0, b.data, b.len);
	HOST_UNTIL(h, h->proc[2].failed);
	assert_true(h->proc[2].error.status == EXIT_NOT_EXECUTABLE || h->proc[2].error.status == EXIT_NOT_FOUND);
	assert_int_equal(host_close(h), 0);
}

/* When the workload ends, the execs end with it, and are reported before it. */
static void test_end_of_all(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "read x; exit 5");
	host_exec(h, 1, "sleep 1000", false);
	host_exec(h, 2, "sleep 1000 & sleep 1000", false);
	host_input(h, 0, "\n", 1);
	HOST_UNTIL(h, h->proc[0].exited);
	assert_true(h->proc[1].exited && h->proc[2].exited);
	assert_int_equal(h->proc[0].status, 5);
	assert_int_equal(h->proc[1].status, 128 + SIGKILL);
	HOST_UNTIL(h, host_finished(h, 0) && host_finished(h, 1) && host_finished(h, 2));
	host_exec(h, 3, "true", false);
	assert_true(h->proc[3].failed);
	assert_int_equal(host_close(h), 0);
}

static void ask(struct host *h, uint8_t op, uint32_t number, const struct buf *more)
{
	_cleanup_buf_ struct buf b = {0};

	h->replied = false;
	wire_add_u32(&b, number);
	buf_add(&b, more->data, more->len);
	host_send(h, op, 0, b.data, b.len);
	HOST_UNTIL(h, h->replied);
	assert_int_equal(h->reply_request, number);
}

static struct wire reply(const struct host *h)
{
	return (struct wire){(const uint8_t *)h->reply.data, h->reply.len, false};
}

static void test_questions(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf none = {0};

	host_require();
	host_open(h);
	ask(h, AGENT_STATS, 1, &none);
	assert_int_equal(h->reply_errno, ESRCH);
	host_run(h, "sleep 1234 & sleep 1235");
	ask(h, AGENT_STATS, 0xfffffff0, &none);
	assert_int_equal(h->reply_errno, 0);
	assert_int_equal(h->reply.len, 72);
	do
		ask(h, AGENT_PS, 3, &none);
	while (!memmem(h->reply.data, h->reply.len, "\tsleep 1234", 11) ||
		!memmem(h->reply.data, h->reply.len, "\tsleep 1235", 11));
	struct wire w = reply(h);
	uint32_t count = wire_u32(&w), found = 0;
	for (uint32_t i = 0; i < count; i++) {
		_cleanup_free_ char *line = wire_str(&w);
		assert_non_null(line);
		_cleanup_strv_ char **columns = strv_split(line, "\t");
		assert_int_equal(strv_len(columns), 16);
		assert_string_equal(columns[0], "root");
		found += !strcmp(columns[15], "sleep 1234");
	}
	assert_false(w.bad || w.left);
	assert_true(count >= 2);
	assert_int_equal(found, 1);
	assert_int_equal(host_close(h), 0);
}

static void test_look(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf none = {0};
	struct look l;
	struct err e;

	host_require();
	host_open(h);
	host_run(h, "sleep 1234");
	ask(h, AGENT_LOOK, 1, &none);
	assert_int_equal(h->reply_errno, 0);
	struct wire w = reply(h);
	assert_int_equal(look_decode(&l, &w, &e), 0);
	assert_int_equal(l.processes_total, 1);
	assert_int_equal(l.processes[0].pid, 1);
	assert_int_equal(l.sockets_total, 0);
	look_done(&l);
	assert_int_equal(host_close(h), 0);
}

static void test_freeze(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf on = {0}, off = {0};

	host_require();
	wire_add_u32(&on, 1);
	wire_add_u32(&off, 0);
	host_open(h);
	host_run(h, "cat");
	ask(h, AGENT_FREEZE, 1, &on);
	assert_int_equal(h->reply_errno, 0);
	host_input(h, 0, "word\n", 5);
	assert_false(host_step(h, 500));
	host_exec(h, 1, "true", false);
	assert_true(h->proc[1].failed);
	assert_int_equal(h->proc[1].error.code, EBUSY);
	ask(h, AGENT_FREEZE, 2, &off);
	assert_int_equal(h->reply_errno, 0);
	HOST_UNTIL(h, !strcmp(text(h, 0), "word\n"));
	assert_int_equal(host_close(h), 0);
}

static void test_update(void **state)
{
	struct host *h = *state;
	_cleanup_buf_ struct buf b = {0}, bytes = {0}, none = {0}, bad = {0};
	struct plan p = {.pids = 77, .memory = 64 << 20};

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	assert_int_equal(plan_encode(&p, &bytes), 0);
	wire_add_bytes(&b, bytes.data, bytes.len);
	ask(h, AGENT_UPDATE, 1, &b);
	assert_int_equal(h->reply_errno, 0);
	ask(h, AGENT_STATS, 2, &none);
	struct wire w = reply(h);
	wire_u64(&w);
	assert_int_equal(wire_u64(&w), 64 << 20);
	wire_add_bytes(&bad, "x", 1);
	ask(h, AGENT_UPDATE, 3, &bad);
	assert_int_equal(h->reply_errno, EBADMSG);
	assert_int_equal(host_close(h), 0);
}

static bool alive(uint32_t pid)
{
	return kill((pid_t)pid, 0) == 0;
}

/* However the service ends, nothing of the container lives on. */
static void test_shutdown_kills(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "trap '' TERM; while :; do sleep 1000; done");
	uint32_t pid = h->proc[0].pid;
	assert_true(alive(pid));
	assert_int_equal(host_close(h), 0);
	assert_false(alive(pid));
}

static void test_port_ends(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	uint32_t pid = h->proc[0].pid;
	close(h->fd);
	h->fd = -1;
	assert_int_equal(host_wait(h), ECONNRESET);
	assert_false(alive(pid));
}

static void expect_breach(struct host *h, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	*h = (struct host){0};
	host_open(h);
	host_run(h, "sleep 1000");
	uint32_t pid = h->proc[0].pid;
	host_send(h, type, stream, p, n);
	while (!h->ended)
		host_step(h, 30000);
	assert_int_equal(host_wait(h), EBADMSG);
	assert_false(alive(pid));
}

static void test_breaches(void **state)
{
	struct host *h = *state;
	static const char zeros[AGENT_DATA_MAX + 1];

	host_require();
	expect_breach(h, 200, 0, NULL, 0);
	expect_breach(h, AGENT_HELLO, 0, NULL, 0);
	expect_breach(h, AGENT_START, 0, zeros, 10);
	expect_breach(h, AGENT_EXEC, 0, zeros, 8);                /* proc 0 */
	expect_breach(h, AGENT_EXEC, 0, "\0\x10\0\0\0\0\0\0", 8); /* proc 4096 */
	expect_breach(h, AGENT_SIGNAL, 0, "\0\0\0\0\xff\0\0\0", 8);
	expect_breach(h, AGENT_PING, 0, zeros, 9);
	expect_breach(h, AGENT_RESIZE, 0, "\0\0\0\0\0\0\1\0\0\0\0\0", 12);
	expect_breach(h, AGENT_STATS, 0, zeros, 3);
	expect_breach(h, AGENT_STATS, 0, zeros, 5);
	expect_breach(h, AGENT_FREEZE, 0, zeros, 4);
	expect_breach(h, AGENT_DATA, AGENT_STREAM(0, 3), zeros, 1);
	expect_breach(h, AGENT_DATA, AGENT_STREAM(0, 0), zeros, 0);
	expect_breach(h, AGENT_DATA, AGENT_STREAM(0, 0), zeros, sizeof(zeros));
	expect_breach(h, AGENT_DATA, AGENT_STREAM(0, 1), zeros, 1);        /* an output */
	expect_breach(h, AGENT_CREDIT, AGENT_STREAM(0, 0), "\1\0\0\0", 4); /* an input */
	expect_breach(h, AGENT_CREDIT, AGENT_STREAM(0, 1), "\1\0\0\0", 4); /* more than the window */
}

/* More than the credit, once the pipe and the agent's room are full. */
static void test_beyond_credit(void **state)
{
	struct host *h = *state;
	static const char zeros[AGENT_DATA_MAX];

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	for (int i = 0; i < 4 * AGENT_WINDOW / AGENT_DATA_MAX && !h->ended; i++) {
		_cleanup_buf_ struct buf b = {0};
		frame_add(&b, AGENT_DATA, AGENT_STREAM(0, 0), zeros, sizeof(zeros));
		(void)!write(h->fd, b.data, b.len);
		h->proc[0].stream[0].sent += sizeof(zeros);
		host_step(h, 50);
	}
	assert_int_equal(host_wait(h), EBADMSG);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
#define TEST(f) cmocka_unit_test_setup_teardown(f, new_host, free_host)
	const struct CMUnitTest tests[] = {
		TEST(test_command_not_found),
		TEST(test_bad_plan),
		TEST(test_bad_machine),
		TEST(test_seed),
		TEST(test_exec),
		TEST(test_exec_fails),
		TEST(test_end_of_all),
		TEST(test_questions),
		TEST(test_look),
		TEST(test_freeze),
		TEST(test_update),
		TEST(test_shutdown_kills),
		TEST(test_port_ends),
		TEST(test_breaches),
		TEST(test_beyond_credit),
	};

	return cmocka_run_group_tests(tests, NULL, remove_root);
}
