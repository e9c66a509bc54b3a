/* net/port-sockets.h: docker's rules of what -p binds, and its words when that fails. */
#include "proxy-net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "net/port-sockets.h"

/* The sockets of one call. */
struct opened {
	struct port_socket *at;
	size_t len;
};

static struct opened open_ok(const struct port_binding *b, size_t n)
{
	struct opened o = {0};
	struct err e = ERR_INIT;

	if (port_sockets_open(b, n, &o.at, &o.len, &e) < 0)
		fail_msg("%s", e.msg);
	return o;
}

static void open_fails(const struct port_binding *b, size_t n, int code, const char *text)
{
	struct opened o = {0};
	struct err e = ERR_INIT;

	assert_int_equal(port_sockets_open(b, n, &o.at, &o.len, &e), -code);
	assert_string_equal(e.msg, text);
	assert_null(o.at);
}

static void done(struct opened *o)
{
	port_sockets_free(o->at, o->len);
}

static struct port_binding tcp(const char *host, unsigned first, unsigned last)
{
	return (struct port_binding){IPPROTO_TCP, host, (uint16_t)first, (uint16_t)last, 80};
}

static struct port_binding udp(const char *host, unsigned first, unsigned last)
{
	return (struct port_binding){IPPROTO_UDP, host, (uint16_t)first, (uint16_t)last, 53};
}

/* Some other program's socket; *port is set if it is 0. */
static int foreign(int family, int type, uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(*port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
	bool v6 = family == AF_INET6;
	struct sockaddr *a = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	socklen_t len = v6 ? sizeof(in6) : sizeof(in);
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
	assert_int_equal(bind(fd, a, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, a, &len), 0);
	*port = ntohs(v6 ? in6.sin6_port : in.sin_port);
	return fd;
}

static void test_any_port(void **state)
{
	struct port_binding b[] = {tcp(NULL, 0, 0), udp("", 0, 0), tcp("127.0.0.1", 0, 0)};

	(void)state;
	if (!net_has_ipv6())
		skip();
	for (int i = 0; i < 50; i++) {
		struct opened o = open_ok(b, 3);
		assert_int_equal(o.len, 5);
		for (size_t k = 0; k < 4; k++) {
			assert_int_equal(o.at[k].family, k & 1 ? AF_INET6 : AF_INET);
			assert_string_equal(o.at[k].host, k & 1 ? "::" : "0.0.0.0");
			assert_int_equal(o.at[k].proto, k < 2 ? IPPROTO_TCP : IPPROTO_UDP);
			assert_int_equal(o.at[k].container_port, k < 2 ? 80 : 53);
			assert_int_not_equal(o.at[k].host_port, 0);
			assert_int_equal(o.at[k].host_port, o.at[k & ~1u].host_port);
		}
		assert_string_equal(o.at[4].host, "127.0.0.1");
		done(&o);
	}
}

/* Each reaches its own socket: what connects to IPv4 is not taken by the IPv6 one. */
static void test_connects(void **state)
{
	struct port_binding b = tcp(NULL, 0, 0);
	struct opened o;

	(void)state;
	if (!net_has_ipv6())
		skip();
	o = open_ok(&b, 1);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(o.at[0].host_port)};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = in.sin_port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int client = socket(o.at[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(i ? connect(client, (struct sockaddr *)&in6, sizeof(in6))
				   : connect(client, (struct sockaddr *)&in, sizeof(in)),
			0);
		_cleanup_close_ int got = accept4(o.at[i].fd, NULL, NULL, SOCK_CLOEXEC);
		assert_true(got >= 0);
	}
	done(&o);
}

static void test_one_address(void **state)
{
	uint16_t port = 0;
	int other = foreign(AF_INET6, SOCK_STREAM, &port);
	struct port_binding b = tcp("127.0.0.1", port, port), second = tcp("127.0.0.2", port, port);

	(void)state;
	struct opened o = open_ok(&b, 1), p = open_ok(&second, 1);
	assert_int_equal(o.len, 1);
	assert_int_equal(o.at[0].host_port, port);
	assert_int_equal(p.len, 1);
	done(&o);
	done(&p);
	close(other);
}

static void test_in_use(void **state)
{
	char text[200];
	uint16_t port = 0;
	int other = foreign(AF_INET, SOCK_STREAM, &port);

	(void)state;
	snprintf(text, sizeof(text),
		"Error starting userland proxy: listen tcp4 0.0.0.0:%u: bind: address already in use", port);
	open_fails((struct port_binding[]){tcp(NULL, port, port)}, 1, EADDRINUSE, text);
	snprintf(text, sizeof(text),
		"Error starting userland proxy: listen tcp4 127.0.0.1:%u: bind: address already in use", port);
	open_fails((struct port_binding[]){tcp("127.0.0.1", port, port)}, 1, EADDRINUSE, text);
	/* TCP's ports are not UDP's */
	struct opened o = open_ok((struct port_binding[]){udp("127.0.0.1", port, port)}, 1);
	snprintf(text, sizeof(text),
		"Error starting userland proxy: listen udp4 127.0.0.1:%u: bind: address already in use", port);
	open_fails((struct port_binding[]){udp("127.0.0.1", port, port)}, 1, EADDRINUSE, text);
	done(&o);
	close(other);
}

static void test_in_use_ipv6(void **state)
{
	char text[200];
	uint16_t port = 0;

	(void)state;
	if (!net_has_ipv6())
		skip();
	int other = foreign(AF_INET6, SOCK_STREAM, &port);
	snprintf(text, sizeof(text), "Error starting userland proxy: listen tcp6 [::]:%u: bind: address already in use",
		port);
	open_fails((struct port_binding[]){tcp(NULL, port, port)}, 1, EADDRINUSE, text);
	snprintf(text, sizeof(text),
		"Error starting userland proxy: listen tcp6 [::1]:%u: bind: address already in use", port);
	open_fails((struct port_binding[]){tcp("::1", port, port)}, 1, EADDRINUSE, text);
	/* the IPv4 half was given back */
	struct opened o = open_ok((struct port_binding[]){tcp("0.0.0.0", port, port)}, 1);
	assert_int_equal(o.len, 1);
	done(&o);
	close(other);
}

/* A failure leaves nothing behind, and one container's own bindings stand in each other's way too. */
static void test_all_or_nothing(void **state)
{
	char text[200];
	uint16_t port = 0;

	(void)state;
	close(foreign(AF_INET, SOCK_STREAM, &port));
	struct port_binding twice[] = {tcp("127.0.0.1", port, port), tcp("127.0.0.1", port, port)};
	snprintf(text, sizeof(text), "Bind for 127.0.0.1:%u failed: port is already allocated", port);
	open_fails(twice, 2, EADDRINUSE, text);
	struct opened o = open_ok(twice, 1);
	done(&o);
}

static void test_range(void **state)
{
	uint16_t port = 0, again;
	int other = -1, fd;

	(void)state;
	do { /* some ports in a row */
		port = 0;
		fd = foreign(AF_INET, SOCK_STREAM, &port);
		close_fd(&other);
		other = fd;
	} while (port > 65000);
	struct port_binding b[] = {tcp("127.0.0.1", port, port + 20u), tcp("127.0.0.1", port, port + 20u)};
	struct opened o = open_ok(b, 2);
	assert_in_range(o.at[0].host_port, port + 1, port + 19);
	assert_in_range(o.at[1].host_port, o.at[0].host_port + 1, port + 20);
	again = o.at[0].host_port;
	done(&o);
	o = open_ok(b, 1);
	assert_int_equal(o.at[0].host_port, again);
	done(&o);
	close(other);
}

static void test_bad(void **state)
{
	(void)state;
	open_fails((struct port_binding[]){tcp("localhost", 80, 80)}, 1, EINVAL, "invalid IP address: localhost");
	open_fails((struct port_binding[]){tcp("1.2.3", 80, 80)}, 1, EINVAL, "invalid IP address: 1.2.3");
	open_fails((struct port_binding[]){tcp(":::1", 80, 80)}, 1, EINVAL, "invalid IP address: :::1");
	open_fails((struct port_binding[]){tcp("127.0.0.1", 80, 79)}, 1, EINVAL, "invalid range of ports: 80-79");
	open_fails((struct port_binding[]){tcp("192.0.2.1", 8080, 8080)}, 1, EADDRNOTAVAIL,
		"Error starting userland proxy: listen tcp4 192.0.2.1:8080: bind: cannot assign requested address");
	struct opened o = open_ok(NULL, 0);
	assert_int_equal(o.len, 0);
	done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_port),
		cmocka_unit_test(test_connects),
		cmocka_unit_test(test_one_address),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_in_use_ipv6),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, net_own, NULL);
}
