/* The sockets of published ports. */
#include "net/port-sockets.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/str.h"

enum { TRIES = 32 /* for a port that is free in both families */ };

struct sockets {
	struct port_socket *at;
	size_t len;
};

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* In the words of docker-proxy, a Go program. */
static int listen_error(const struct port_socket *s, const char *call, int code, struct err *e)
{
	const char *text = strerror(code);
	bool v6 = s->family == AF_INET6;

	return err_set(e, code, "Error starting userland proxy: listen %s%c %s%s%s:%u: %s: %c%s",
		s->proto == IPPROTO_TCP ? "tcp" : "udp", v6 ? '6' : '4', v6 ? "[" : "", s->host, v6 ? "]" : "",
		s->host_port, call, tolower((unsigned char)*text), text + 1);
}

static int fill_address(const struct port_socket *s, union address *a)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = (sa_family_t)s->family;
	if (s->family == AF_INET6) {
		a->in6.sin6_port = htons(s->host_port);
		return inet_pton(AF_INET6, s->host, &a->in6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	a->in.sin_port = htons(s->host_port);
	return inet_pton(AF_INET, s->host, &a->in.sin_addr) == 1 ? 0 : -EINVAL;
}

/* Opens what s describes, and notes the port it has got. */
static int open_one(struct port_socket *s, struct err *e)
{
	union address a;
	bool tcp = s->proto == IPPROTO_TCP, v6 = s->family == AF_INET6;
	socklen_t len = v6 ? sizeof(a.in6) : sizeof(a.in);
	_cleanup_close_ int fd = -1;

	if (fill_address(s, &a) < 0)
		return err_set(e, EINVAL, "invalid IP address: %s", s->host);
	fd = socket(s->family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return listen_error(s, "socket", errno, e);
	if ((v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) < 0) ||
		(tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0))
		return listen_error(s, "setsockopt", errno, e);
	/* two that listen at once both get through bind; the later one fails here */
	if (bind(fd, &a.sa, len) < 0 || (tcp && listen(fd, SOMAXCONN) < 0))
		return listen_error(s, "bind", errno, e);
	if (getsockname(fd, &a.sa, &len) < 0)
		return listen_error(s, "getsockname", errno, e);
	s->host_port = ntohs(v6 ? a.in6.sin6_port : a.in.sin_port);
	s->fd = steal_fd(&fd);
	return 0;
}

static int add(struct sockets *all, const struct port_binding *b, const char *host, uint16_t port, struct err *e)
{
	struct port_socket *s = &all->at[all->len];

	*s = (struct port_socket){
		.fd = -1,
		.family = strchr(host, ':') ? AF_INET6 : AF_INET,
		.proto = b->proto,
		.host_port = port,
		.container_port = b->container_port,
	};
	if (strlen(host) >= sizeof(s->host))
		return err_set(e, EINVAL, "invalid IP address: %s", host);
	strcpy(s->host, host);
	int r = open_one(s, e);
	if (r == 0)
		all->len++;
	return r;
}

static void drop_last(struct sockets *all)
{
	close_fd(&all->at[--all->len].fd);
}

/* One port, in both families if no address is asked for. */
static int open_at(struct sockets *all, const struct port_binding *b, uint16_t port, struct err *e)
{
	struct err own = ERR_INIT;

	if (!str_empty(b->host))
		return add(all, b, b->host, port, e);
	int r = add(all, b, "0.0.0.0", port, e);
	if (r < 0)
		return r;
	r = add(all, b, "::", all->at[all->len - 1].host_port, &own);
	if (r == 0 || r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
		return 0;
	drop_last(all);
	*e = own;
	return r;
}

/* Whether an earlier binding has a port that stands in the way. */
static bool taken_by_us(const struct sockets *all, const struct port_binding *b)
{
	for (size_t i = 0; i < all->len; i++)
		if (all->at[i].proto == b->proto && all->at[i].host_port == b->first)
			return true;
	return false;
}

static int open_binding(struct sockets *all, const struct port_binding *b, struct err *e)
{
	int r;

	if (!b->first) {
		for (int i = 0; i < TRIES; i++) {
			r = open_at(all, b, 0, e);
			if (r != -EADDRINUSE)
				break;
		}
		return r;
	}
	for (unsigned port = b->first; port <= b->last; port++) {
		r = open_at(all, b, (uint16_t)port, e);
		if (r != -EADDRINUSE)
			return r;
	}
	if (b->first == b->last && taken_by_us(all, b))
		return err_set(e, EADDRINUSE, "Bind for %s:%u failed: port is already allocated",
			str_empty(b->host) ? "0.0.0.0" : b->host, b->first);
	return r;
}

int port_sockets_open(const struct port_binding *b, size_t n, struct port_socket **ret, size_t *ret_len, struct err *e)
{
	struct sockets all = {.at = calloc(n ? 2 * n : 1, sizeof(struct port_socket))};
	int r = 0;

	if (!all.at)
		return err_nomem(e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (b[i].last < b[i].first || (b[i].last && !b[i].first))
			r = err_set(e, EINVAL, "invalid range of ports: %u-%u", b[i].first, b[i].last);
		else
			r = open_binding(&all, &b[i], e);
	}
	if (r < 0) {
		port_sockets_free(all.at, all.len);
		return r;
	}
	*ret = all.at;
	*ret_len = all.len;
	return 0;
}

void port_sockets_free(struct port_socket *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fd(&s[i].fd);
	free(s);
}
