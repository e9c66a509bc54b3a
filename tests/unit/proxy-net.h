/* Sockets for the tests of published ports, all on loopback and in this process, with a loop that is turned between their steps. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/loop.h"
#include "container/proxy-private.h"

struct proxy_net {
	struct loop *loop;
	struct proxy *proxy;
	int target;                 /* where the container would listen; -1: closed */
	struct sockaddr_storage at; /* the published address */
	socklen_t len;
	struct sockaddr_storage to; /* the target's */
	socklen_t to_len;
};

/* A port published on `host` and a target on `to`; type: SOCK_STREAM, SOCK_DGRAM. */
void proxy_net_new(struct proxy_net *n, int type, const char *host, const char *to);
void proxy_net_done(struct proxy_net *n);

int net_own(void **state); /* a group's set-up: a network namespace with nothing but loopback, where that is allowed */
bool net_has_ipv6(void);
/* A non-blocking socket bound to the address; its port is put there if it is 0. It listens if it is a stream. */
int net_bind(int type, struct sockaddr_storage *at, socklen_t len);
void net_address(const char *host, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len);
int net_connect(int type, const struct sockaddr_storage *to, socklen_t len); /* non-blocking from then on */

void net_turn(struct loop *l);  /* until nothing has happened for some milliseconds */
void net_quiet(struct loop *l); /* as net_turn, and fails if it never comes to rest */
/* Turns the loop until there is one. */
int net_accept(struct loop *l, int listener);
/* Turns the loop until n bytes are there; the number of bytes before the end or an error (then -errno if there were none). */
ssize_t net_read(struct loop *l, int fd, void *p, size_t n);
void net_write(struct loop *l, int fd, const void *p, size_t n);
void net_expect(struct loop *l, int fd, const char *text); /* that text, whole */
void net_expect_end(struct loop *l, int fd);
void net_expect_reset(struct loop *l, int fd);
void net_reset(int fd); /* closes it with an RST */
