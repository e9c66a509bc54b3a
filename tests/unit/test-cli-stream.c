/* The relay between stdio and a monitor's socket. The test is the monitor; each case runs stream_run in a
 * child with stdio of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fd.h"
#include "cli/stream.h"
#include "cli/term.h"
#include "proto/agent.h"
#include "proto/frame.h"
#include "proto/monitor.h"

enum { DEADLINE_MS = 20000, BULK = 3 * 1000 * 1000 };

/* What the relay asks of the engine is told to the test by this pipe. */
static int told_write = -1;

int engine_kill(struct engine *g, const char *ref, const char *sig, struct err *e)
{
	(void)g;
	(void)ref;
	(void)e;
	dprintf(told_write, "kill %s\n", sig);
	return 0;
}

int engine_resize(struct engine *g, const char *ref, int proc, unsigned rows, unsigned cols, struct err *e)
{
	(void)g;
	(void)ref;
	(void)e;
	dprintf(told_write, "resize %d %u %u\n", proc, rows, cols);
	return 0;
}

struct child {
	pid_t pid;
	int sock, in, out, err, told; /* our ends */
	struct frame_reader reader;
};

static void move_fd(int from, int to)
{
	dup2(from, to);
	close(from);
}

/* With `pty` that descriptor is stdin. */
static void start(struct child *c, struct stream s, int pty)
{
	int sock[2], in[2], out[2], err[2], told[2], status = 99;

	*c = (struct child){0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
	assert_int_equal(pipe(in) | pipe(out) | pipe(err) | pipe(told), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		struct err e = ERR_INIT;
		move_fd(pty >= 0 ? pty : in[0], 0);
		move_fd(out[1], 1);
		move_fd(err[1], 2);
		close(in[1]);
		close(out[0]);
		close(err[0]);
		close(told[0]);
		close(sock[0]);
		told_write = told[1];
		alarm(DEADLINE_MS / 1000);
		s.sock = sock[1];
		if (stream_run(&s, &status, &e) < 0) {
			dprintf(2, "error: %s\n", e.msg);
			status = e.status ? e.status : 125;
		}
		_exit(status);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(told[1]);
	close(sock[1]);
	*c = (struct child){.pid = c->pid, .sock = sock[0], .in = in[1], .out = out[0], .err = err[0], .told = told[0]};
}

static int finish(struct child *c)
{
	int status;

	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(c->sock);
	if (c->in >= 0)
		close(c->in);
	close(c->out);
	close(c->err);
	close(c->told);
	frame_reader_done(&c->reader);
	return status;
}

static void send_frame(struct child *c, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(frame_add(&b, type, stream, p, n), 0);
	assert_int_equal(fd_write_all(c->sock, b.data, b.len), 0);
}

static void send_exited(struct child *c, uint32_t status)
{
	_cleanup_buf_ struct buf b = {0};

	wire_add_u32(&b, status);
	send_frame(c, MONITOR_EXITED, 0, b.data, b.len);
}

static void receive(struct child *c, struct frame *f)
{
	int r;

	while ((r = frame_next(&c->reader, f)) == 0) {
		struct pollfd p = {.fd = c->sock, .events = POLLIN};
		assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
		assert_true(frame_fill(&c->reader, c->sock) > 0);
	}
	assert_int_equal(r, 1);
}

/* What the pipe holds, up to its end or `n` bytes. */
static void read_some(int fd, char *to, size_t n)
{
	ssize_t len = fd_read_full(fd, to, n);

	assert_true(len >= 0);
	to[len] = 0;
}

static void read_told(struct child *c, const char *want)
{
	char text[64];
	struct pollfd p = {.fd = c->told, .events = POLLIN};

	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	ssize_t n = read(c->told, text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(text, want);
}

static void test_both_ways(void **state)
{
	struct child c;
	struct frame f;
	char text[64];

	(void)state;
	start(&c, (struct stream){.send_stdin = true}, -1);
	assert_int_equal(fd_write_all(c.in, "hello", 5), 0);
	receive(&c, &f);
	assert_int_equal(f.type, MONITOR_DATA);
	assert_int_equal(f.len, 5);
	assert_memory_equal(f.payload, "hello", 5);
	close_fd(&c.in);
	receive(&c, &f);
	assert_int_equal(f.type, MONITOR_EOF);
	send_frame(&c, MONITOR_DATA, 1, "out", 3);
	send_frame(&c, MONITOR_DATA, 2, "err", 3);
	send_frame(&c, MONITOR_NOTICE, 0, "\6\0\0\0notice", 10);
	send_frame(&c, MONITOR_DATA, 1, "more", 4);
	send_exited(&c, 7);
	read_some(c.out, text, 20);
	assert_string_equal(text, "outmore");
	read_some(c.err, text, 20);
	assert_string_equal(text, "errnotice\n");
	int status = finish(&c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* Writes frames of output until the child takes no more; returns how many bytes went out. */
static size_t flood(struct child *c)
{
	_cleanup_buf_ struct buf b = {0};
	char block[1024];
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	assert_int_equal(frame_add(&b, MONITOR_DATA, 1, block, sizeof(block)), 0);
	for (struct pollfd p = {.fd = c->sock, .events = POLLOUT}; sent < BULK && poll(&p, 1, 500) == 1;) {
		ssize_t n = send(c->sock, b.data + sent % b.len, b.len - sent % b.len, MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
	}
	return sent;
}

/* Nobody reads stdout: the relay stops taking frames, and signals still get through. */
static void test_stalled_output(void **state)
{
	struct child c;

	(void)state;
	start(&c, (struct stream){.proxy = true}, -1);
	assert_true(flood(&c) < BULK);
	kill(c.pid, SIGUSR1);
	read_told(&c, "kill 10\n");
	kill(c.pid, SIGTERM);
	read_told(&c, "kill 15\n");
	kill(c.pid, SIGKILL);
	finish(&c);
}

static void test_bulk(void **state)
{
	struct child c;
	_cleanup_free_ char *in = malloc(BULK), *back = malloc(BULK + 1);
	struct frame f;
	size_t got = 0;
	pid_t writer;

	(void)state;
	assert_true(in && back);
	for (size_t i = 0; i < BULK; i++)
		in[i] = (char)(i * 31 >> 3);
	start(&c, (struct stream){.send_stdin = true}, -1);
	writer = fork();
	if (!writer)
		_exit(fd_write_all(c.in, in, BULK) ? 1 : 0);
	close_fd(&c.in);
	for (receive(&c, &f); f.type == MONITOR_DATA; receive(&c, &f)) {
		assert_true(got + f.len <= BULK);
		memcpy(back + got, f.payload, f.len);
		got += f.len;
	}
	assert_int_equal(f.type, MONITOR_EOF);
	assert_int_equal(got, BULK);
	assert_memory_equal(in, back, BULK);
	waitpid(writer, NULL, 0);
	writer = fork();
	if (!writer) {
		for (size_t sent = 0; sent < BULK; sent += 50000)
			send_frame(&c, MONITOR_DATA, 1, in + sent, 50000);
		send_exited(&c, 0);
		_exit(0);
	}
	assert_int_equal(fd_read_full(c.out, back, BULK), BULK);
	assert_memory_equal(in, back, BULK);
	waitpid(writer, NULL, 0);
	assert_int_equal(finish(&c), 0);
}

static void test_failed(void **state)
{
	struct child c;
	_cleanup_buf_ struct buf b = {0};
	struct err e = {.code = ENOENT, .status = 127, .msg = "exec: nope: not found"};
	char text[64];

	(void)state;
	start(&c, (struct stream){0}, -1);
	assert_int_equal(agent_err_encode(&b, &e), 0);
	send_frame(&c, MONITOR_FAILED, 0, b.data, b.len);
	read_some(c.err, text, 60);
	assert_string_equal(text, "error: exec: nope: not found\n");
	int status = finish(&c);
	assert_int_equal(WEXITSTATUS(status), 127);
}

static void test_lost(void **state)
{
	static const char *const damage[] = {"", "\xff\xff\xff\xff\x01\0\0\0", "\3\0\0\0\x40\0\x09\0abc"};
	static const size_t sizes[] = {0, 8, 11};
	static const char *const texts[] = {"error: the container's monitor has gone\n",
		"error: damaged frame from the container's monitor\n",
		"error: data for stream 9 from the container's monitor\n"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct child c;
		char text[80];
		start(&c, (struct stream){0}, -1);
		if (sizes[i])
			assert_int_equal(fd_write_all(c.sock, damage[i], sizes[i]), 0);
		shutdown(c.sock, SHUT_WR);
		read_some(c.err, text, 79);
		assert_string_equal(text, texts[i]);
		int status = finish(&c);
		assert_int_equal(WEXITSTATUS(status), 125);
	}
}

/* As a program that writes to a closed pipe. */
static void test_closed_output(void **state)
{
	struct child c;

	(void)state;
	start(&c, (struct stream){.proxy = true}, -1);
	close_fd(&c.out);
	send_frame(&c, MONITOR_DATA, 1, "x", 1);
	int status = finish(&c);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void test_until_started(void **state)
{
	struct child c;

	(void)state;
	start(&c, (struct stream){.until_started = true}, -1);
	send_frame(&c, MONITOR_STARTED, 0, "\3\0\0\0", 4);
	assert_int_equal(finish(&c), 0);
}

static bool is_raw(int fd)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	return !(t.c_lflag & (ECHO | ICANON));
}

static void wait_raw(int fd)
{
	for (int i = 0; i < DEADLINE_MS / 10 && !is_raw(fd); i++)
		poll(NULL, 0, 10);
	assert_true(is_raw(fd));
}

static void test_detach(void **state)
{
	struct child c;
	struct frame f;
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	start(&c, (struct stream){.tty = true, .send_stdin = true}, slave);
	wait_raw(slave);
	assert_int_equal(fd_write_all(master, "a\020\021", 3), 0);
	receive(&c, &f);
	assert_int_equal(f.len, 1);
	assert_memory_equal(f.payload, "a", 1);
	assert_int_equal(finish(&c), 0);
	assert_false(is_raw(slave));
	close(master);
	close(slave);
}

static void test_terminal_restored(void **state)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct child c;
		int master, slave;
		assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
		start(&c, (struct stream){.tty = true, .send_stdin = true}, slave);
		wait_raw(slave);
		/* raw mode comes a moment before signals are taken */
		send_frame(&c, MONITOR_DATA, 1, "x", 1);
		char x[2];
		read_some(c.out, x, 1);
		kill(c.pid, signals[i]);
		int status = finish(&c);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		assert_false(is_raw(slave));
		close(master);
		close(slave);
	}
}

static void test_resize(void **state)
{
	struct child c;
	struct winsize w = {.ws_row = 33, .ws_col = 99};
	int master, slave;
	char x[2];

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &w), 0);
	start(&c, (struct stream){.tty = true, .send_stdin = true}, slave);
	send_frame(&c, MONITOR_STARTED, 0, "\5\0\0\0", 4);
	send_frame(&c, MONITOR_DATA, 1, "x", 1);
	read_some(c.out, x, 1);
	kill(c.pid, SIGWINCH);
	read_told(&c, "resize 5 33 99\n");
	send_exited(&c, 0);
	assert_int_equal(finish(&c), 0);
	close(master);
	close(slave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_stalled_output),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_closed_output),
		cmocka_unit_test(test_until_started),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_terminal_restored),
		cmocka_unit_test(test_resize),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
