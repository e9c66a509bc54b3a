/*
 * A published UDP port. Each client (its address, and which of ours it wrote to) has a socket of its own, connected to the target, so that the answers
 * which come there are known to be for it. They are sent from the published socket with the address that the client wrote to as source: the socket may
 * stand for all addresses, and the route back may prefer another.
 *
 * The clients are a list, the last that was used first. Those idle for 90 s go, and the one longest unused makes room for a new one. Nothing is kept: what
 * a socket does not take at once is lost, as on any network.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "container/proxy-private.h"

enum { DATAGRAM_MAX = 65536 };

/* Compared byte by byte: zeroed before it is filled. */
struct key {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} client;
	union {
		struct in_addr in;
		struct in6_addr in6;
	} local;
};

struct peer {
	struct proxy *proxy;
	struct peer *newer, *older;
	struct key key;
	int fd;
	struct source *source;
	uint64_t used; /* on the monotonic clock, in ms */
};

union control {
	struct cmsghdr align;
	char data[CMSG_SPACE(sizeof(struct in6_pktinfo))]; /* the larger one */
};

static void unlink_peer(struct peer *k)
{
	struct proxy *p = k->proxy;

	*(k->newer ? &k->newer->older : &p->newest) = k->older;
	*(k->older ? &k->older->newer : &p->oldest) = k->newer;
}

static void link_newest(struct peer *k)
{
	struct proxy *p = k->proxy;

	k->newer = NULL;
	k->older = p->newest;
	*(p->newest ? &p->newest->newer : &p->oldest) = k;
	p->newest = k;
	k->used = clock_mono_ms();
}

static void touch(struct peer *k)
{
	unlink_peer(k);
	link_newest(k);
}

static void peer_free(struct peer *k)
{
	unlink_peer(k);
	k->proxy->count--;
	source_remove(&k->source);
	close_fd(&k->fd);
	free(k);
}

static void on_idle(void *data)
{
	struct proxy *p = data;
	uint64_t now = clock_mono_ms();

	p->timer = NULL;
	while (p->oldest && p->oldest->used + p->idle_ms <= now)
		peer_free(p->oldest);
	if (p->oldest)
		p->timer = loop_add_timer(p->loop, p->oldest->used + p->idle_ms - now, on_idle, p);
}

static void take_local(const struct cmsghdr *c, struct key *key)
{
	struct in_pktinfo in;
	struct in6_pktinfo in6;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&in, CMSG_DATA(c), sizeof(in));
		key->local.in = in.ipi_spec_dst;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&in6, CMSG_DATA(c), sizeof(in6));
		if (!IN6_IS_ADDR_MULTICAST(&in6.ipi6_addr))
			key->local.in6 = in6.ipi6_addr;
	}
}

static ssize_t receive(const struct proxy *p, void *data, struct key *key)
{
	union control control;
	struct iovec iov = {data, DATAGRAM_MAX};
	struct msghdr m = {
		.msg_name = &key->client,
		.msg_namelen = sizeof(key->client),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memset(key, 0, sizeof(*key));
	ssize_t n = recvmsg(p->fd, &m, 0);
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		take_local(c, key);
	return n;
}

/* From the address that the client knows. */
static void answer(const struct peer *k, void *data, size_t n)
{
	bool v6 = k->key.client.sa.sa_family == AF_INET6;
	struct in_pktinfo in = {.ipi_spec_dst = k->key.local.in};
	struct in6_pktinfo in6 = {.ipi6_addr = k->key.local.in6};
	struct iovec iov = {data, n};
	union control control = {0};
	struct msghdr m = {
		.msg_name = (void *)&k->key.client,
		.msg_namelen = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = v6 ? CMSG_SPACE(sizeof(in6)) : CMSG_SPACE(sizeof(in)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(v6 ? sizeof(in6) : sizeof(in));
	memcpy(CMSG_DATA(c), v6 ? (void *)&in6 : &in, v6 ? sizeof(in6) : sizeof(in));
	sendmsg(k->proxy->fd, &m, 0);
}

/* What the container answers. An error says that it has refused what was sent: it may listen later. */
static void on_peer(void *data, int fd, uint32_t events)
{
	struct peer *k = data;
	char datagram[DATAGRAM_MAX];

	(void)events;
	for (int i = 0; i < PROXY_BATCH; i++) {
		ssize_t n = recv(fd, datagram, sizeof(datagram), 0);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			continue;
		touch(k);
		answer(k, datagram, (size_t)n);
	}
}

static struct peer *peer_find(const struct proxy *p, const struct key *key)
{
	struct peer *k = p->newest;

	while (k && memcmp(&k->key, key, sizeof(*key)) != 0)
		k = k->older;
	return k;
}

static int connect_target(const struct proxy *p)
{
	int fd = socket(p->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	fd = proxy_take_fd(fd, p->fd_max);
	if (fd < 0 || connect(fd, (struct sockaddr *)&p->to, p->to_len) == 0)
		return fd;
	int r = -errno;
	close(fd);
	return r;
}

static struct peer *peer_new(struct proxy *p, const struct key *key)
{
	if (p->count == PROXY_PEERS_MAX)
		peer_free(p->oldest);
	int fd = p->to_len ? connect_target(p) : -ECONNREFUSED;
	if (fd == -EMFILE && p->oldest)
		peer_free(p->oldest); /* for the client's next attempt */
	struct peer *k = fd < 0 ? NULL : calloc(1, sizeof(*k));
	if (k) {
		*k = (struct peer){.proxy = p, .key = *key, .fd = fd};
		k->source = loop_add_fd(p->loop, fd, EPOLLIN, on_peer, k);
	}
	if (!k || !k->source) {
		close_fd(&fd);
		free(k);
		return NULL;
	}
	link_newest(k);
	p->count++;
	if (!p->timer)
		p->timer = loop_add_timer(p->loop, p->idle_ms, on_idle, p);
	return k;
}

static void on_socket(void *data, int fd, uint32_t events)
{
	struct proxy *p = data;
	char datagram[DATAGRAM_MAX];

	(void)fd;
	(void)events;
	for (int i = 0; i < PROXY_BATCH; i++) {
		struct key key;
		ssize_t n = receive(p, datagram, &key);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			continue;
		struct peer *k = peer_find(p, &key);
		if (k)
			touch(k);
		else
			k = peer_new(p, &key);
		/* an error of the datagram before may be told instead of sending this one */
		if (k && send(k->fd, datagram, (size_t)n, 0) < 0 && errno == ECONNREFUSED)
			send(k->fd, datagram, (size_t)n, 0);
	}
}

int proxy_udp_start(struct proxy *p)
{
	int family, r;
	socklen_t len = sizeof(family);

	p->idle_ms = PROXY_IDLE_MS;
	r = getsockopt(p->fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	if (r == 0 && family == AF_INET6)
		r = setsockopt(p->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){1}, sizeof(int));
	else if (r == 0)
		r = setsockopt(p->fd, IPPROTO_IP, IP_PKTINFO, &(int){1}, sizeof(int));
	if (r < 0)
		return -errno;
	p->source = loop_add_fd(p->loop, p->fd, EPOLLIN, on_socket, p);
	return p->source ? 0 : -ENOMEM;
}

void proxy_udp_end(struct proxy *p)
{
	while (p->oldest)
		peer_free(p->oldest);
}
