/* container/proxy-udp.c: each client gets its own answers, from the address it wrote to, and no number of clients is too much. */
#include "proxy-net.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"

/* A datagram that has come to the target, and where from. */
struct question {
	char text[64];
	ssize_t len;
	struct sockaddr_storage from;
};

static struct question hear(struct proxy_net *n)
{
	struct question q = {.len = -1};
	uint64_t end = clock_mono_ms() + 5000;

	while (q.len < 0 && clock_mono_ms() < end) {
		socklen_t len = sizeof(q.from);
		q.len = recvfrom(n->target, q.text, sizeof(q.text) - 1, MSG_DONTWAIT, (struct sockaddr *)&q.from, &len);
		if (q.len < 0)
			loop_once(n->loop, 1);
	}
	assert_true(q.len >= 0);
	return q;
}

static void reply(struct proxy_net *n, const struct question *q, const char *text)
{
	assert_int_equal(
		sendto(n->target, text, strlen(text), 0, (const struct sockaddr *)&q->from, n->to_len), strlen(text));
}

static void ask(int client, const char *text)
{
	assert_int_equal(send(client, text, strlen(text), 0), strlen(text));
}

static void check_echo(const char *host, const char *to)
{
	struct proxy_net n;

	proxy_net_new(&n, SOCK_DGRAM, host, to);
	int a = net_connect(SOCK_DGRAM, &n.at, n.len), b = net_connect(SOCK_DGRAM, &n.at, n.len);
	ask(a, "from a");
	struct question qa = hear(&n);
	assert_string_equal(qa.text, "from a");
	ask(b, "from b");
	struct question qb = hear(&n);
	assert_string_equal(qb.text, "from b");
	reply(&n, &qb, "to b");
	reply(&n, &qa, "to a");
	net_expect(n.loop, a, "to a");
	net_expect(n.loop, b, "to b");
	assert_int_equal(n.proxy->count, 2);
	net_quiet(n.loop);
	close(a);
	close(b);
	proxy_net_done(&n);
}

static void test_echo(void **state)
{
	(void)state;
	check_echo("127.0.0.1", "127.0.0.1");
}

static void test_ipv6(void **state)
{
	(void)state;
	if (!net_has_ipv6())
		skip();
	check_echo("::1", "::1");
	check_echo("::1", "127.0.0.1"); /* to a container that has only IPv4 */
}

/* A connected client takes an answer from the address it wrote to only; 127.0.0.1 is what the route would give. */
static void test_source_address(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "0.0.0.0", "127.0.0.1");
	for (int i = 1; i <= 3; i++) {
		struct sockaddr_storage at = n.at;
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)i);
		int client = net_connect(SOCK_DGRAM, &at, n.len);
		ask(client, "who");
		struct question q = hear(&n);
		reply(&n, &q, "you");
		net_expect(n.loop, client, "you");
		close(client);
	}
	proxy_net_done(&n);
}

static void test_sizes(void **state)
{
	static char data[65507], got[65536];
	struct proxy_net n;

	(void)state;
	memset(data, 'x', sizeof(data));
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	int client = net_connect(SOCK_DGRAM, &n.at, n.len);
	assert_int_equal(send(client, NULL, 0, 0), 0);
	struct question q = hear(&n);
	assert_int_equal(q.len, 0);
	assert_int_equal(send(client, data, sizeof(data), 0), sizeof(data));
	net_turn(n.loop);
	assert_int_equal(recv(n.target, got, sizeof(got), MSG_DONTWAIT), sizeof(data));
	assert_int_equal(sendto(n.target, data, sizeof(data), 0, (struct sockaddr *)&q.from, n.to_len), sizeof(data));
	net_turn(n.loop);
	assert_int_equal(recv(client, got, sizeof(got), MSG_DONTWAIT), sizeof(data));
	close(client);
	proxy_net_done(&n);
}

static void test_idle(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	assert_int_equal(n.proxy->idle_ms, 90 * 1000);
	n.proxy->idle_ms = 300;
	int quiet = net_connect(SOCK_DGRAM, &n.at, n.len), busy = net_connect(SOCK_DGRAM, &n.at, n.len);
	ask(quiet, "x");
	hear(&n);
	ask(busy, "x");
	struct question q = hear(&n);
	/* answers keep a client just as questions do */
	for (uint64_t end = clock_mono_ms() + 500; clock_mono_ms() < end;) {
		reply(&n, &q, "y");
		net_expect(n.loop, busy, "y");
		loop_once(n.loop, 50);
	}
	assert_int_equal(n.proxy->count, 1);
	for (uint64_t end = clock_mono_ms() + 5000; n.proxy->count && clock_mono_ms() < end;)
		loop_once(n.loop, 50);
	assert_int_equal(n.proxy->count, 0);
	net_quiet(n.loop);
	/* and who comes back is served */
	ask(quiet, "again");
	q = hear(&n);
	assert_string_equal(q.text, "again");
	close(quiet);
	close(busy);
	proxy_net_done(&n);
}

static void test_many(void **state)
{
	enum { CLIENTS = PROXY_PEERS_MAX + 10 };
	static int client[CLIENTS];
	static struct question q[CLIENTS];
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	for (int i = 0; i < CLIENTS; i++) {
		client[i] = net_connect(SOCK_DGRAM, &n.at, n.len);
		ask(client[i], "x");
		q[i] = hear(&n);
		if (i > 0) { /* the first one is in use all the time */
			ask(client[0], "x");
			hear(&n);
		}
		assert_true(n.proxy->count <= PROXY_PEERS_MAX);
	}
	assert_int_equal(n.proxy->count, PROXY_PEERS_MAX);
	reply(&n, &q[0], "first");
	net_expect(n.loop, client[0], "first");
	reply(&n, &q[CLIENTS - 1], "last");
	net_expect(n.loop, client[CLIENTS - 1], "last");
	/* the second is the one that was longest unused, and comes back with its next question */
	ask(client[1], "still here");
	q[1] = hear(&n);
	reply(&n, &q[1], "welcome");
	net_expect(n.loop, client[1], "welcome");
	for (int i = 0; i < CLIENTS; i++)
		close(client[i]);
	proxy_net_done(&n);
}

static void test_refused(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	close(n.target);
	int client = net_connect(SOCK_DGRAM, &n.at, n.len);
	for (int i = 0; i < 5; i++) {
		ask(client, "anybody?");
		net_quiet(n.loop);
	}
	assert_int_equal(n.proxy->count, 1);
	ask(client, "lost");
	loop_once(n.loop, 100); /* taken, while its error has not been */
	n.target = net_bind(SOCK_DGRAM, &n.to, n.to_len);
	ask(client, "there?");
	struct question q = hear(&n);
	assert_string_equal(q.text, "there?");
	reply(&n, &q, "yes");
	net_expect(n.loop, client, "yes");
	assert_int_equal(n.proxy->count, 1);
	close(client);
	proxy_net_done(&n);
}

static void test_target_changes(void **state)
{
	struct proxy_net n;
	struct question q;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	int client = net_connect(SOCK_DGRAM, &n.at, n.len);
	ask(client, "old");
	hear(&n);
	close(n.target);
	net_address("127.0.0.1", 0, &n.to, &n.to_len);
	n.target = net_bind(SOCK_DGRAM, &n.to, n.to_len);
	proxy_set_target(n.proxy, (struct sockaddr *)&n.to, n.to_len);
	ask(client, "new");
	q = hear(&n);
	assert_string_equal(q.text, "new");
	proxy_set_target(n.proxy, NULL, 0);
	ask(client, "nowhere");
	net_quiet(n.loop);
	assert_int_equal(recv(n.target, q.text, 1, MSG_DONTWAIT), -1);
	close(client);
	proxy_net_done(&n);
}

static void test_no_descriptors(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	int client = net_connect(SOCK_DGRAM, &n.at, n.len), later = net_connect(SOCK_DGRAM, &n.at, n.len);
	ask(client, "x");
	hear(&n);
	int max = n.proxy->fd_max;
	n.proxy->fd_max = 0;
	ask(later, "lost");
	net_quiet(n.loop);
	assert_int_equal(n.proxy->count, 0); /* the oldest has made room */
	n.proxy->fd_max = max;
	ask(later, "again");
	struct question q = hear(&n);
	assert_string_equal(q.text, "again");
	close(client);
	close(later);
	proxy_net_done(&n);
}

static void test_one_turn(void **state)
{
	enum { WAITING = PROXY_BATCH * 2 };
	struct proxy_net n;
	int client[WAITING];

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	for (int i = 0; i < WAITING; i++) {
		client[i] = net_connect(SOCK_DGRAM, &n.at, n.len);
		ask(client[i], "x");
	}
	loop_once(n.loop, 1000);
	assert_int_equal(n.proxy->count, PROXY_BATCH);
	net_turn(n.loop);
	assert_int_equal(n.proxy->count, WAITING);
	for (int i = 0; i < WAITING; i++)
		close(client[i]);
	proxy_net_done(&n);
}

static void test_free_while_busy(void **state)
{
	struct proxy_net n;

	(void)state;
	proxy_net_new(&n, SOCK_DGRAM, "127.0.0.1", "127.0.0.1");
	int client = net_connect(SOCK_DGRAM, &n.at, n.len);
	ask(client, "x");
	struct question q = hear(&n);
	ask(client, "y");
	reply(&n, &q, "z");
	proxy_free(n.proxy);
	n.proxy = NULL;
	loop_once(n.loop, 0);
	close(net_bind(SOCK_DGRAM, &n.at, n.len));
	close(client);
	proxy_net_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_source_address),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_target_changes),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_one_turn),
		cmocka_unit_test(test_free_while_busy),
	};

	return cmocka_run_group_tests(tests, net_own, NULL);
}
