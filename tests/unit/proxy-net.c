/* Sockets for the tests of published ports. */
#include "proxy-net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"

enum { REST_MS = 20, PATIENCE_MS = 20 * 1000 };

void net_address(const char *host, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		ret->ss_family = AF_INET;
		in->sin_port = htons(port);
		*ret_len = sizeof(*in);
	} else {
		assert_int_equal(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
		ret->ss_family = AF_INET6;
		in6->sin6_port = htons(port);
		*ret_len = sizeof(*in6);
	}
}

int net_own(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	(void)state;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return r;
}

bool net_has_ipv6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

int net_bind(int type, struct sockaddr_storage *at, socklen_t len)
{
	int fd = socket(at->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, SOMAXCONN), 0);
	return fd;
}

int net_connect(int type, const struct sockaddr_storage *to, socklen_t len)
{
	int fd = socket(to->ss_family, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)to, len), 0);
	assert_int_equal(fd_nonblock(fd, true), 0);
	return fd;
}

void proxy_net_new(struct proxy_net *n, int type, const char *host, const char *to)
{
	int proto = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;

	*n = (struct proxy_net){0};
	assert_int_equal(loop_new(&n->loop), 0);
	net_address(host, 0, &n->at, &n->len);
	net_address(to, 0, &n->to, &n->to_len);
	n->target = net_bind(type, &n->to, n->to_len);
	int fd = net_bind(type, &n->at, n->len);
	assert_int_equal(proxy_new(n->loop, fd, proto, (struct sockaddr *)&n->to, n->to_len, &n->proxy), 0);
}

void proxy_net_done(struct proxy_net *n)
{
	proxy_free(n->proxy);
	loop_free(n->loop);
	if (n->target >= 0)
		close(n->target);
}

/* How many turns it took until one had nothing to do; 0: it had something to do all the time. */
static unsigned turn(struct loop *l, unsigned max)
{
	for (unsigned i = 1; i <= max; i++) {
		uint64_t began = clock_mono_ms();
		assert_int_equal(loop_once(l, REST_MS), 0);
		if (clock_mono_ms() - began >= REST_MS - 1)
			return i;
	}
	return 0;
}

void net_turn(struct loop *l)
{
	assert_true(turn(l, 1000 * 1000));
}

void net_quiet(struct loop *l)
{
	/* the second time there is nothing left to do: a few turns at most, for what the kernel is late with */
	assert_true(turn(l, 10 * 1000));
	assert_in_range(turn(l, 10), 1, 10);
}

int net_accept(struct loop *l, int listener)
{
	for (uint64_t end = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < end;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			return fd;
		loop_once(l, 1);
	}
	fail_msg("no connection came");
	return -1;
}

ssize_t net_read(struct loop *l, int fd, void *p, size_t n)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;
	size_t have = 0;

	while (have < n && clock_mono_ms() < end) {
		ssize_t got = recv(fd, (char *)p + have, n - have, MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			loop_once(l, 1);
		else if (got < 0)
			return have ? (ssize_t)have : -errno;
		else if (got == 0)
			return (ssize_t)have;
		else
			have += (size_t)got;
	}
	if (have < n)
		fail_msg("nothing more came after %zu bytes", have);
	return (ssize_t)have;
}

void net_write(struct loop *l, int fd, const void *p, size_t n)
{
	uint64_t end = clock_mono_ms() + PATIENCE_MS;

	while (n && clock_mono_ms() < end) {
		ssize_t put = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0 && errno != EAGAIN)
			fail_msg("write: %s", strerror(errno));
		if (put < 0) {
			loop_once(l, 1);
			continue;
		}
		p = (const char *)p + put;
		n -= (size_t)put;
	}
	assert_int_equal(n, 0);
}

void net_expect(struct loop *l, int fd, const char *text)
{
	char got[256] = "";

	assert_true(strlen(text) < sizeof(got));
	assert_int_equal(net_read(l, fd, got, strlen(text)), strlen(text));
	assert_string_equal(got, text);
}

void net_expect_end(struct loop *l, int fd)
{
	char c;

	assert_int_equal(net_read(l, fd, &c, 1), 0);
}

void net_expect_reset(struct loop *l, int fd)
{
	char c;

	assert_int_equal(net_read(l, fd, &c, 1), -ECONNRESET);
}

void net_reset(int fd)
{
	struct linger now = {.l_onoff = 1};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}
