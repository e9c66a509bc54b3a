/*
 * Attempts, made by a child that has joined the namespace: batches of non-blocking sockets under one deadline, the results over a pipe.
 * A UDP datagram to a port where nothing listens is answered by ICMP, which the socket reports as a refusal.
 */
#include "audit/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

enum { DEADLINE_MS = 1000, BATCH = 400 };

static socklen_t make_address(const struct attempt *a, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->to.family == AF_INET) {
		struct sockaddr_in *in = (void *)ret;
		in->sin_family = AF_INET;
		in->sin_port = htons(a->kind == ATTEMPT_PING ? 0 : a->port);
		memcpy(&in->sin_addr, a->to.bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)ret;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->kind == ATTEMPT_PING ? 0 : a->port);
	memcpy(&in6->sin6_addr, a->to.bytes, 16);
	if (a->scope)
		in6->sin6_scope_id = if_nametoindex(a->scope);
	return sizeof(*in6);
}

static uint16_t checksum(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static enum reach from_error(int code)
{
	switch (code) {
	case 0:
	case EINPROGRESS:
		return REACH_NOT_TRIED;
	case ECONNREFUSED:
		return REACH_REFUSED;
	case ETIMEDOUT:
		return REACH_SILENT;
	default: /* EHOSTUNREACH, ENETUNREACH, EACCES, EPERM, EADDRNOTAVAIL... */
		return REACH_BLOCKED;
	}
}

static int open_socket(const struct attempt *a)
{
	int type = SOCK_NONBLOCK | SOCK_CLOEXEC;

	if (a->kind == ATTEMPT_PING)
		return socket(a->to.family, SOCK_RAW | type, a->to.family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	return socket(a->to.family, (a->kind == ATTEMPT_TCP ? SOCK_STREAM : SOCK_DGRAM) | type, 0);
}

static ssize_t send_echo(int fd, const struct attempt *a, uint16_t number)
{
	/* both versions have type, code, checksum, id, sequence; the kernel makes ICMPv6's sum */
	struct icmphdr h = {.type = a->to.family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST};

	h.un.echo.id = htons(a->echo_id);
	h.un.echo.sequence = htons(number);
	h.checksum = checksum(&h, sizeof(h));
	return send(fd, &h, sizeof(h), 0);
}

/* The socket, connected or about to be; -1 when the attempt has its result already. */
static int begin(struct attempt *a, uint16_t number)
{
	struct sockaddr_storage to;
	socklen_t len = make_address(a, &to);
	_cleanup_close_ int fd = open_socket(a);

	if (fd < 0) /* a kernel without that protocol */
		return -1;
	/* a connection that is closed in peace would keep a neighbour's network namespace, and its port on the bridge, for a minute more */
	if (a->kind == ATTEMPT_TCP)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	ssize_t r = connect(fd, (const void *)&to, len);
	if (r == 0 && a->kind == ATTEMPT_TCP) {
		a->reach = REACH_ANSWERED;
		return -1;
	}
	if (r == 0)
		r = a->kind == ATTEMPT_UDP ? send(fd, "", 1, 0) : send_echo(fd, a, number);
	if (r < 0 && errno != EINPROGRESS) {
		a->reach = from_error(errno);
		return -1;
	}
	return steal_fd(&fd);
}

static bool is_echo(const struct attempt *a, const uint8_t *p, size_t n, uint16_t number)
{
	struct icmphdr h;
	size_t at = a->to.family == AF_INET ? (n ? (p[0] & 15u) * 4 : 0) : 0;

	if (n < at + sizeof(h))
		return false;
	memcpy(&h, p + at, sizeof(h));
	return h.type == (a->to.family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
		ntohs(h.un.echo.id) == a->echo_id && ntohs(h.un.echo.sequence) == number;
}

/* Something has happened on the socket: whether the attempt has its result. */
static bool go_on(struct attempt *a, int fd, uint16_t number)
{
	uint8_t block[2048];
	int code = 0;
	socklen_t len = sizeof(code);

	if (a->kind == ATTEMPT_TCP) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len);
		a->reach = code ? from_error(code) : REACH_ANSWERED;
		return true;
	}
	ssize_t n = recv(fd, block, sizeof(block), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		a->reach = from_error(errno);
	else if (a->kind == ATTEMPT_UDP || is_echo(a, block, (size_t)n, number))
		a->reach = REACH_ANSWERED;
	return a->reach != REACH_NOT_TRIED;
}

static void run_batch(struct attempt *v, size_t n, uint16_t first)
{
	struct pollfd p[BATCH];
	size_t left = 0;
	uint64_t end = clock_mono_ms() + DEADLINE_MS;

	for (size_t i = 0; i < n; i++) {
		p[i] = (struct pollfd){.fd = begin(&v[i], (uint16_t)(first + i)),
			.events = v[i].kind == ATTEMPT_TCP ? POLLOUT : POLLIN};
		left += p[i].fd >= 0;
	}
	for (uint64_t now; left && (now = clock_mono_ms()) < end;) {
		if (poll(p, n, (int)(end - now)) < 0 && errno != EINTR)
			break;
		for (size_t i = 0; i < n; i++) {
			if (p[i].fd < 0 || !p[i].revents || !go_on(&v[i], p[i].fd, (uint16_t)(first + i)))
				continue;
			close_fd(&p[i].fd);
			left--;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (p[i].fd >= 0)
			v[i].reach = REACH_SILENT;
		close_fd(&p[i].fd);
	}
}

static __attribute__((noreturn)) void child(int netns, struct attempt *v, size_t n, int out)
{
	struct rlimit l;

	if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
		_exit(1);
	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	/* one that was used lately would pass for an answer to that ping, where a packet filter knows connections */
	for (size_t i = 0; i < n; i++)
		if (random_bytes(&v[i].echo_id, sizeof(v[i].echo_id)) < 0)
			_exit(1);
	for (size_t i = 0; i < n; i += BATCH)
		run_batch(v + i, n - i < BATCH ? n - i : BATCH, (uint16_t)i);
	for (size_t i = 0; i < n; i++)
		if (fd_write_all(out, &v[i].reach, sizeof(v[i].reach)) < 0)
			_exit(1);
	_exit(0);
}

int reach_try(int netns, struct attempt *v, size_t n, struct err *e)
{
	int p[2], status, r = 0;

	if (!n)
		return 0;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		child(netns, v, n, p[1]);
	}
	close(p[1]);
	for (size_t i = 0; pid > 0 && r == 0 && i < n; i++)
		if (fd_read_full(p[0], &v[i].reach, sizeof(v[i].reach)) != sizeof(v[i].reach))
			r = err_set(e, EIO, "the network namespace could not be entered");
	close(p[0]);
	if (pid < 0)
		return err_errno(e, errno, "fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r;
}
