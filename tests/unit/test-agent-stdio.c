/* The agent's streams: bytes, ends, and what a side that does not read does to the other. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent-host.h"

enum { PIPE = 64 * 1024 };

static int open_host(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	*state = h;
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

static struct channel *out(struct host *h, uint32_t proc)
{
	return &h->proc[proc].stream[1];
}

static void test_output(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "echo one; echo two >&2; exit 7");
	HOST_UNTIL(h, host_finished(h, 0));
	assert_int_equal(h->proc[0].status, 7);
	assert_false(h->proc[0].oom);
	assert_string_equal(out(h, 0)->data.data, "one\n");
	assert_string_equal(h->proc[0].stream[2].data.data, "two\n");
	assert_int_equal(host_close(h), 0);
}

static void test_no_stdin(void **state)
{
	struct host *h = *state;
	struct plan p;

	host_require();
	host_open(h);
	host_plan(&p, "cat; echo end");
	p.process.open_stdin = false;
	host_start(h, &p);
	plan_done(&p);
	HOST_UNTIL(h, host_finished(h, 0));
	assert_string_equal(out(h, 0)->data.data, "end\n");
	assert_int_equal(host_close(h), 0);
}

/* 50 MB through `cat`: what comes back is what went in. */
static void test_echo(void **state)
{
	struct host *h = *state;
	const size_t total = 50 << 20, period = 65521;
	size_t sent = 0, seen = 0;

	host_require();
	_cleanup_free_ uint8_t *pattern = malloc(period + (1 << 20));
	for (size_t i = 0; i < period + (1 << 20); i++)
		pattern[i] = (uint8_t)((i % period) * 2654435761u >> 13);
	host_open(h);
	host_run(h, "cat");
	while (!out(h, 0)->eof && !h->ended) {
		size_t n = total - sent < 1 << 20 ? total - sent : 1 << 20;
		bool was_open = sent < total;
		sent += host_input(h, 0, pattern + sent % period, n);
		if (was_open && sent == total)
			host_send(h, AGENT_EOF, AGENT_STREAM(0, 0), NULL, 0);
		host_step(h, 30000);
		struct buf *b = &out(h, 0)->data;
		for (size_t i = 0; i < b->len; i++)
			if ((uint8_t)b->data[i] != pattern[(seen + i) % period])
				fail_msg("byte %zu differs", seen + i);
		seen += b->len;
		b->len = 0;
	}
	HOST_UNTIL(h, host_finished(h, 0));
	assert_int_equal(sent, total);
	assert_int_equal(seen, total);
	assert_int_equal(h->proc[0].status, 0);
	assert_int_equal(host_close(h), 0);
}

static void settle(struct host *h)
{
	while (host_step(h, 300))
		;
}

/* Nobody reads stdout: the writer stalls, and everything else goes on. */
static void test_stalled_reader(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	out(h, 0)->hold = out(h, 0)->drop = true;
	host_run(h, "while :; do yes; done");
	settle(h);
	assert_int_equal(out(h, 0)->received, AGENT_WINDOW);
	host_send(h, AGENT_PING, 0, "\1\2\3\4\5\6\7\x08", 8);
	HOST_UNTIL(h, h->pong == 0x0807060504030201ULL);
	host_exec(h, 1, "echo exec; exit 3", false);
	HOST_UNTIL(h, host_finished(h, 1));
	assert_int_equal(h->proc[1].status, 3);
	assert_string_equal(out(h, 1)->data.data, "exec\n");
	host_exec(h, 2, "read x; stty size", true);
	HOST_SEND(h, AGENT_RESIZE, 2, 33, 44);
	host_input(h, 2, "\n", 1);
	HOST_UNTIL(h, h->proc[2].exited && out(h, 2)->eof);
	assert_non_null(strstr(out(h, 2)->data.data, "33 44"));
	HOST_SEND(h, AGENT_SIGNAL, 0, SIGKILL);
	HOST_UNTIL(h, h->proc[0].exited);
	assert_int_equal(h->proc[0].status, 128 + SIGKILL);
	assert_false(out(h, 0)->eof);
	/* what it had written is still delivered */
	host_release(h, 0, 1);
	HOST_UNTIL(h, host_finished(h, 0));
	assert_int_equal(out(h, 0)->received, AGENT_WINDOW + PIPE);
	assert_int_equal(host_close(h), 0);
}

/* Credit is spent to the byte, whatever its pieces. */
static void test_small_credit(void **state)
{
	struct host *h = *state;
	uint64_t expected = AGENT_WINDOW;

	host_require();
	host_open(h);
	out(h, 0)->hold = out(h, 0)->drop = true;
	host_run(h, "exec yes");
	settle(h);
	for (uint32_t n = 1; n < 20000; n = n * 7 + 1) {
		out(h, 0)->granted += n;
		expected += n;
		host_send_u32s(h, AGENT_CREDIT, AGENT_STREAM(0, 1), 1, &n);
		HOST_UNTIL(h, out(h, 0)->received >= expected);
		settle(h);
		assert_int_equal(out(h, 0)->received, expected);
	}
	assert_int_equal(host_close(h), 0);
}

/* Nobody reads the port at all: the service waits, keeps reading, and goes on when it is read again. */
static void test_stalled_port(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "seq 1 400000");
	for (int i = 0; i < 200000; i++)
		host_send(h, AGENT_PING, 0, "\0\0\0\0\0\0\0\0", 8);
	host_send(h, AGENT_PING, 0, "\1\0\0\0\0\0\0\0", 8);
	HOST_UNTIL(h, host_finished(h, 0));
	assert_int_equal(h->pong, 1);
	assert_int_equal(out(h, 0)->received, 2688895);
	assert_memory_equal(out(h, 0)->data.data + 2688895 - 7, "400000\n", 7);
	assert_int_equal(host_close(h), 0);
}

/* A process that does not read its stdin gets what a pipe holds; the host's credit ends there. */
static void test_stalled_stdin(void **state)
{
	struct host *h = *state;
	static char zeros[4 * AGENT_WINDOW];

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	for (int i = 0; i < 3; i++) {
		host_input(h, 0, zeros, sizeof(zeros));
		settle(h);
	}
	assert_true(h->proc[0].stream[0].sent >= AGENT_WINDOW);
	assert_true(h->proc[0].stream[0].sent <= AGENT_WINDOW + PIPE);
	host_exec(h, 1, "true", false);
	HOST_UNTIL(h, host_finished(h, 1));
	HOST_SEND(h, AGENT_SIGNAL, 0, SIGKILL);
	HOST_UNTIL(h, host_finished(h, 0) && h->proc[0].stream[0].closed);
	assert_int_equal(host_close(h), 0);
}

/* What waited in the agent when the EOF came is delivered before it. */
static void test_eof_behind_data(void **state)
{
	struct host *h = *state;
	static char zeros[AGENT_WINDOW];

	host_require();
	host_open(h);
	host_run(h, "sleep 1; wc -c");
	assert_int_equal(host_input(h, 0, zeros, sizeof(zeros)), sizeof(zeros));
	host_send(h, AGENT_EOF, AGENT_STREAM(0, 0), NULL, 0);
	HOST_UNTIL(h, host_finished(h, 0));
	assert_string_equal(out(h, 0)->data.data, "131072\n");
	assert_false(h->proc[0].stream[0].closed);
	assert_int_equal(host_close(h), 0);
}

/* The reader of an output is gone: its writer gets EPIPE. */
static void test_close_output(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	host_exec(h, 1, "exec yes", false);
	out(h, 1)->drop = true;
	host_send(h, AGENT_CLOSE, AGENT_STREAM(1, 1), NULL, 0);
	HOST_UNTIL(h, host_finished(h, 1));
	assert_int_equal(h->proc[1].status, 128 + SIGPIPE);
	assert_int_equal(host_close(h), 0);
}

/* The process closes its stdin: the host is told, and what was on its way is dropped. */
static void test_close_input(void **state)
{
	struct host *h = *state;
	static char zeros[AGENT_WINDOW];

	host_require();
	host_open(h);
	host_run(h, "exec <&-; sleep 1000");
	HOST_UNTIL(h, h->proc[0].stream[0].closed);
	host_send(h, AGENT_DATA, AGENT_STREAM(0, 0), zeros, AGENT_DATA_MAX);
	host_send(h, AGENT_EOF, AGENT_STREAM(0, 0), NULL, 0);
	host_send(h, AGENT_DATA, AGENT_STREAM(3, 0), zeros, 1);
	host_exec(h, 1, "true", false);
	HOST_UNTIL(h, host_finished(h, 1));
	assert_int_equal(host_close(h), 0);
}

static void test_terminal(void **state)
{
	struct host *h = *state;
	struct plan p;

	host_require();
	host_open(h);
	host_plan(&p, "stty size; tty; read x; echo \"<$x>\"; stty size; exit 9");
	p.process.tty = true;
	p.process.rows = 10;
	p.process.cols = 20;
	host_start(h, &p);
	plan_done(&p);
	HOST_UNTIL(h, out(h, 0)->data.len && strstr(out(h, 0)->data.data, "/dev/"));
	HOST_SEND(h, AGENT_RESIZE, 0, 30, 40);
	host_input(h, 0, "word\n", 5);
	host_send(h, AGENT_EOF, AGENT_STREAM(0, 0), NULL, 0);
	HOST_UNTIL(h, h->proc[0].exited && out(h, 0)->eof);
	assert_int_equal(h->proc[0].status, 9);
	assert_non_null(strstr(out(h, 0)->data.data, "10 20\r\n/dev/"));
	assert_non_null(strstr(out(h, 0)->data.data, "<word>\r\n30 40\r\n"));
	assert_int_equal(host_close(h), 0);
}

/* The reader of a terminal is gone: its process is neither stalled nor hung up. */
static void test_close_terminal(void **state)
{
	struct host *h = *state;

	host_require();
	host_open(h);
	host_run(h, "sleep 1000");
	host_exec(h, 1, "seq 1 100000; exit 4", true);
	out(h, 1)->hold = out(h, 1)->drop = true;
	host_send(h, AGENT_CLOSE, AGENT_STREAM(1, 1), NULL, 0);
	HOST_UNTIL(h, h->proc[1].exited && out(h, 1)->eof);
	assert_int_equal(h->proc[1].status, 4);
	assert_int_equal(host_close(h), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_host, free_host)
	const struct CMUnitTest tests[] = {
		TEST(test_output),
		TEST(test_no_stdin),
		TEST(test_echo),
		TEST(test_stalled_reader),
		TEST(test_small_credit),
		TEST(test_stalled_port),
		TEST(test_stalled_stdin),
		TEST(test_eof_behind_data),
		TEST(test_close_output),
		TEST(test_close_input),
		TEST(test_terminal),
		TEST(test_close_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, remove_root);
}
