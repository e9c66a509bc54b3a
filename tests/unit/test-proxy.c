/* container/proxy-tcp.c: whatever both sides do, every byte arrives, in order, nothing piles up, and nothing spins. */
#include "proxy-net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"

/* A connection through the proxy, seen from both ends. */
struct pair {
	int client, target;
};

static struct pair pair_new(struct proxy_net *n)
{
	struct pair p = {.client = net_connect(SOCK_STREAM, &n->at, n->len)};

	p.target = net_accept(n->loop, n->target);
	return p;
}

static void pair_close(struct pair *p)
{
	close(p->client);
	close(p->target);
}

static void set_buffers(int fd, int bytes)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

static void check_echo(const char *host, const char *to)
{
	struct proxy_net n;

	proxy_net_new(&n, SOCK_STREAM, host, to);
	struct pair p = pair_new(&n);
	for (int i = 0; i < 3; i++) {
		net_write(n.loop, p.client, "question", 8);
		net_expect(n.loop, p.target, "question");
		net_write(n.loop, p.target, "answer", 6);
		net_expect(n.loop, p.client, "answer");
	}
	net_quiet(n.loop);
	pair_close(&p);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, 0);
	proxy_net_done(&n);
}

static void test_echo(void **state)
{
	(void)state;
	check_echo("127.0.0.1", "127.0.0.1");
	check_echo("0.0.0.0", "127.0.0.1");
}

static void test_ipv6(void **state)
{
	(void)state;
	if (!net_has_ipv6())
		skip();
	check_echo("::1", "::1");
	check_echo("::1", "127.0.0.1"); /* to a container that has only IPv4 */
}

static void check_half_close(bool client_first)
{
	struct proxy_net n;

	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	int first = client_first ? p.client : p.target, second = client_first ? p.target : p.client;
	net_write(n.loop, first, "last words", 10);
	assert_int_equal(shutdown(first, SHUT_WR), 0);
	net_expect(n.loop, second, "last words");
	net_expect_end(n.loop, second);
	net_quiet(n.loop);
	net_write(n.loop, second, "one more thing", 14);
	net_expect(n.loop, first, "one more thing");
	assert_int_equal(n.proxy->count, 1);
	assert_int_equal(shutdown(second, SHUT_WR), 0);
	net_expect_end(n.loop, first);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, 0);
	pair_close(&p);
	proxy_net_done(&n);
}

static void test_half_close(void **state)
{
	(void)state;
	check_half_close(true);
	check_half_close(false);
}

/* Fills until nothing moves any more. How many bytes went in; byte i is i * 31. */
static size_t fill_up(struct proxy_net *n, int fd)
{
	unsigned char data[8192];
	size_t sent = 0;

	for (int idle = 0; idle < 3;) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (unsigned char)((sent + i) * 31);
		ssize_t put = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put > 0) {
			sent += (size_t)put;
			idle = 0;
		} else {
			assert_int_equal(errno, EAGAIN);
			net_turn(n->loop);
			idle++;
		}
		assert_true(sent < 64 << 20);
	}
	return sent;
}

static void take_all(struct proxy_net *n, int fd, size_t bytes)
{
	unsigned char data[5000];

	for (size_t at = 0; at < bytes;) {
		size_t want = bytes - at < sizeof(data) ? bytes - at : sizeof(data);
		assert_int_equal(net_read(n->loop, fd, data, want), want);
		for (size_t i = 0; i < want; i++)
			if (data[i] != (unsigned char)((at + i) * 31))
				fail_msg("byte %zu is wrong", at + i);
		at += want;
	}
}

static void test_slow_reader(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	set_buffers(p.client, 65536);
	set_buffers(p.target, 65536);
	for (int i = 0; i < 2; i++) {
		int from = i ? p.target : p.client, to = i ? p.client : p.target;
		size_t sent = fill_up(&n, from);
		assert_true(sent > 65536);
		net_quiet(n.loop);
		/* the other direction is not held up */
		net_write(n.loop, to, "meanwhile", 9);
		net_expect(n.loop, from, "meanwhile");
		take_all(&n, to, sent);
		net_quiet(n.loop);
	}
	pair_close(&p);
	proxy_net_done(&n);
}

static void test_large(void **state)
{
	enum { TOTAL = 96 << 20, PIECE = 1 << 20 };
	char *data = malloc(PIECE), *got = malloc(PIECE);
	struct proxy_net n;
	size_t sent = 0, taken = 0;

	(void)state;
	for (size_t i = 0; i < PIECE; i++)
		data[i] = (char)(i * 7 + i / 4096);
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	while (taken < TOTAL) {
		ssize_t r = sent < TOTAL ? send(p.client, data + sent % PIECE, PIECE - sent % PIECE, MSG_DONTWAIT) : 0;
		if (r > 0)
			sent += (size_t)r;
		loop_once(n.loop, 0);
		r = recv(p.target, got, PIECE - taken % PIECE, MSG_DONTWAIT);
		if (r > 0) {
			assert_memory_equal(got, data + taken % PIECE, (size_t)r);
			taken += (size_t)r;
		}
	}
	pair_close(&p);
	proxy_net_done(&n);
	free(data);
	free(got);
}

/* Each end has said all, neither has read: there is a hang-up to be seen, and still data to be delivered. */
static void test_both_ended_unread(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	set_buffers(p.client, 65536);
	set_buffers(p.target, 65536);
	size_t sent = fill_up(&n, p.client);
	net_write(n.loop, p.target, "bye", 3);
	assert_int_equal(shutdown(p.target, SHUT_WR), 0);
	assert_int_equal(shutdown(p.client, SHUT_WR), 0);
	net_quiet(n.loop);
	net_expect(n.loop, p.client, "bye");
	net_expect_end(n.loop, p.client);
	net_quiet(n.loop);
	take_all(&n, p.target, sent);
	net_expect_end(n.loop, p.target);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, 0);
	pair_close(&p);
	proxy_net_done(&n);
}

static void test_refused(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	close(n.target);
	n.target = -1;
	int client = net_connect(SOCK_STREAM, &n.at, n.len);
	net_expect_reset(n.loop, client);
	close(client);
	assert_int_equal(n.proxy->count, 0);

	/* and the port goes on */
	n.target = net_bind(SOCK_STREAM, &n.to, n.to_len);
	struct pair p = pair_new(&n);
	net_write(n.loop, p.client, "now", 3);
	net_expect(n.loop, p.target, "now");
	pair_close(&p);
	proxy_net_done(&n);
}

static void test_target_changes(void **state)
{
	struct proxy_net n;
	struct sockaddr_storage second;
	socklen_t len;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	net_address("127.0.0.1", 0, &second, &len);
	int listener = net_bind(SOCK_STREAM, &second, len);
	proxy_set_target(n.proxy, (struct sockaddr *)&second, len);
	int client = net_connect(SOCK_STREAM, &n.at, n.len), target = net_accept(n.loop, listener);
	net_write(n.loop, client, "new", 3);
	net_expect(n.loop, target, "new");
	net_write(n.loop, p.client, "old", 3);
	net_expect(n.loop, p.target, "old");

	proxy_set_target(n.proxy, NULL, 0);
	int refused = net_connect(SOCK_STREAM, &n.at, n.len);
	net_expect_reset(n.loop, refused);
	close(refused);
	close(client);
	close(target);
	close(listener);
	pair_close(&p);
	proxy_net_done(&n);
}

/* An RST of either end reaches the other, also while data waits or one direction has ended. */
static void check_vanished(bool client_first, bool half_closed)
{
	struct proxy_net n;

	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	int gone = client_first ? p.client : p.target, left = client_first ? p.target : p.client;
	net_write(n.loop, gone, "x", 1);
	net_expect(n.loop, left, "x");
	if (half_closed) {
		assert_int_equal(shutdown(gone, SHUT_WR), 0);
		net_expect_end(n.loop, left);
		net_turn(n.loop);
	}
	net_reset(gone);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, 0);
	if (half_closed) /* an RST behind the end is seen by the next write only */
		assert_int_equal(send(left, "x", 1, MSG_NOSIGNAL), -1);
	else
		net_expect_reset(n.loop, left);
	close(left);
	proxy_net_done(&n);
}

static void test_vanished(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		check_vanished(i & 1, i & 2);
}

static void test_vanished_while_stalled(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	set_buffers(p.client, 65536);
	set_buffers(p.target, 65536);
	fill_up(&n, p.client);
	net_reset(p.client);
	net_quiet(n.loop);
	/* what was taken over is still delivered, as far as it came */
	char data[5000];
	while (net_read(n.loop, p.target, data, sizeof(data)) == sizeof(data))
		;
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, 0);
	close(p.target);

	p = pair_new(&n);
	set_buffers(p.client, 65536);
	set_buffers(p.target, 65536);
	fill_up(&n, p.client);
	net_reset(p.target);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, 0);
	close(p.client);
	proxy_net_done(&n);
}

/* splice(2) does not get over a byte of urgent data, and epoll calls that readable. */
static void test_urgent(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair p = pair_new(&n);
	net_write(n.loop, p.client, "ab", 2);
	net_expect(n.loop, p.target, "ab");
	assert_int_equal(send(p.client, "!", 1, MSG_OOB), 1);
	net_quiet(n.loop);
	net_write(n.loop, p.client, "cd", 2);
	net_expect(n.loop, p.target, "cd");
	net_quiet(n.loop);
	assert_int_equal(send(p.client, "!", 1, MSG_OOB), 1);
	net_write(n.loop, p.client, "ef", 2);
	assert_int_equal(shutdown(p.client, SHUT_WR), 0);
	net_expect(n.loop, p.target, "ef");
	net_expect_end(n.loop, p.target);
	pair_close(&p);
	proxy_net_done(&n);
}

enum { CLIENTS = 600 };

/* Takes those that the proxy brings, and notes at their own index which end is whose. */
static void accept_some(struct proxy_net *n, int *target, int count)
{
	for (int i = 0; i < count; i++) {
		int who = -1, fd = net_accept(n->loop, n->target);
		assert_int_equal(net_read(n->loop, fd, &who, sizeof(who)), sizeof(who));
		assert_in_range(who, 0, CLIENTS - 1);
		assert_int_equal(target[who], 0);
		target[who] = fd;
	}
}

static void test_many(void **state)
{
	static int client[CLIENTS], target[CLIENTS];
	struct rlimit l;
	struct proxy_net n;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	if (l.rlim_max < 4096)
		skip();
	l.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	for (int i = 0; i < CLIENTS; i++) {
		client[i] = net_connect(SOCK_STREAM, &n.at, n.len);
		net_write(n.loop, client[i], &i, sizeof(i));
	}
	accept_some(&n, target, PROXY_CONNS_MAX);
	net_quiet(n.loop);
	assert_int_equal(n.proxy->count, PROXY_CONNS_MAX);
	assert_int_equal(accept(n.target, NULL, NULL), -1);

	/* those who wait come in when others leave */
	for (int i = 0, left = CLIENTS - PROXY_CONNS_MAX; left; i++) {
		if (!target[i])
			continue;
		close(target[i]);
		net_expect_end(n.loop, client[i]);
		close(client[i]);
		client[i] = -1;
		left--;
	}
	accept_some(&n, target, CLIENTS - PROXY_CONNS_MAX);
	for (int i = 0; i < CLIENTS; i++) {
		if (client[i] < 0)
			continue;
		net_write(n.loop, target[i], &i, sizeof(i));
		int who;
		assert_int_equal(net_read(n.loop, client[i], &who, sizeof(who)), sizeof(who));
		assert_int_equal(who, i);
		close(client[i]);
		close(target[i]);
	}
	net_quiet(n.loop);
	assert_int_equal(n.proxy->count, 0);
	proxy_net_done(&n);
}

static void test_no_descriptors(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair first = pair_new(&n);
	int max = n.proxy->fd_max;
	n.proxy->fd_max = n.proxy->pipe_max = 0;

	/* who comes later waits, and so does data for which there is no pipe */
	int client = net_connect(SOCK_STREAM, &n.at, n.len);
	net_write(n.loop, client, "later", 5);
	for (int i = 0; i < 2; i++)
		if (n.proxy->spare[i] >= 0) {
			close(n.proxy->spare[i]);
			n.proxy->spare[i] = -1;
		}
	net_write(n.loop, first.client, "stuck", 5);
	net_quiet(n.loop);
	assert_int_equal(n.proxy->count, 1);
	assert_int_equal(recv(first.target, &(char){0}, 1, MSG_DONTWAIT), -1);

	n.proxy->fd_max = n.proxy->pipe_max = max;
	net_expect(n.loop, first.target, "stuck");
	int target = net_accept(n.loop, n.target);
	net_expect(n.loop, target, "later");
	close(client);
	close(target);
	pair_close(&first);
	proxy_net_done(&n);
}

/* The container's last answer is not lost when it ends with its last process. */
static void test_free_while_busy(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	struct pair whole = pair_new(&n), cut = pair_new(&n), stalled = pair_new(&n);
	int waiting = net_connect(SOCK_STREAM, &n.at, n.len);
	net_turn(n.loop);
	set_buffers(stalled.client, 65536);
	fill_up(&n, stalled.client);
	assert_int_equal(send(whole.target, "farewell", 8, 0), 8);
	assert_int_equal(shutdown(whole.target, SHUT_WR), 0);
	assert_int_equal(send(cut.target, "fare", 4, 0), 4);
	proxy_free(n.proxy);
	n.proxy = NULL;
	net_expect(n.loop, whole.client, "farewell");
	net_expect_end(n.loop, whole.client);
	net_expect(n.loop, cut.client, "fare");
	net_expect_reset(n.loop, cut.client);
	net_expect_reset(n.loop, stalled.client);

	/* and the port is free */
	close(net_bind(SOCK_STREAM, &n.at, n.len));
	close(waiting);
	pair_close(&whole);
	pair_close(&cut);
	pair_close(&stalled);
	proxy_net_done(&n);
}

/* However much there is to do, one turn of the loop does a part of it. */
static void test_one_turn_accepts(void **state)
{
	enum { WAITING = PROXY_ACCEPTS * 3 };
	struct proxy_net n;
	int client[WAITING];

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	for (int i = 0; i < WAITING; i++)
		client[i] = net_connect(SOCK_STREAM, &n.at, n.len);
	loop_once(n.loop, 1000);
	assert_int_equal(n.proxy->count, PROXY_ACCEPTS);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, WAITING);
	for (int i = 0; i < WAITING; i++)
		close(client[i]);
	proxy_net_done(&n);
}

static void test_one_turn_moves(void **state)
{
	static char data[1 << 20];
	int room = 16 << 20;
	struct proxy_net n;
	size_t sent = 0, moved = 0;

	(void)state;
	proxy_net_new(&n, SOCK_STREAM, "127.0.0.1", "127.0.0.1");
	if (setsockopt(n.proxy->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
		setsockopt(n.target, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0) {
		proxy_net_done(&n);
		skip();
	}
	struct pair p = pair_new(&n);
	net_turn(n.loop);
	for (ssize_t put; (put = send(p.client, data, sizeof(data), MSG_DONTWAIT)) > 0;)
		sent += (size_t)put;
	assert_true(sent > 4 * PROXY_ROUNDS * PROXY_CHUNK);
	loop_once(n.loop, 1000);
	for (ssize_t got; (got = recv(p.target, data, sizeof(data), MSG_DONTWAIT)) > 0;)
		moved += (size_t)got;
	assert_in_range(moved, 1, PROXY_ROUNDS * PROXY_CHUNK);
	pair_close(&p);
	proxy_net_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_both_ended_unread),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_target_changes),
		cmocka_unit_test(test_vanished),
		cmocka_unit_test(test_vanished_while_stalled),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_free_while_busy),
		cmocka_unit_test(test_one_turn_accepts),
		cmocka_unit_test(test_one_turn_moves),
	};

	return cmocka_run_group_tests(tests, net_own, NULL);
}
