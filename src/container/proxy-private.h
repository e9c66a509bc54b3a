/* The parts of a proxy as they see each other and as the tests see them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "container/proxy.h"

enum {
	PROXY_CONNS_MAX = 512, /* TCP connections of one port */
	PROXY_PEERS_MAX = 256, /* UDP clients of one port */
	PROXY_IDLE_MS = 90 * 1000,

	/* In one event: */
	PROXY_ACCEPTS = 16,
	PROXY_ROUNDS = 4, /* of at most one chunk in each direction of a connection */
	PROXY_CHUNK = 128 * 1024,
	PROXY_BATCH = 32, /* datagrams */
};

struct proxy {
	struct loop *loop;
	int fd, proto;
	struct source *source;
	struct source *timer; /* TCP: until it is tried again; UDP: until the next client is idle for too long */
	struct sockaddr_storage to;
	socklen_t to_len;
	int fd_max;   /* descriptors for connections and clients stay below this number */
	int pipe_max; /* and those for data on its way below this one */
	size_t count; /* of conns or of peers */
	union {
		struct { /* TCP */
			struct conn *conns;
			bool listening;
			int spare[2]; /* an empty pipe, or -1 */
		};
		struct { /* UDP */
			struct peer *newest, *oldest;
			uint64_t idle_ms; /* PROXY_IDLE_MS */
		};
	};
};

/* fd, which is closed if its number is not below max: descriptors are given out from the lowest, so as many are open. -errno. */
int proxy_take_fd(int fd, int max);

/* ---- proxy-tcp.c ---- */
int proxy_tcp_start(struct proxy *p);
void proxy_tcp_end(struct proxy *p);

/* ---- proxy-udp.c ---- */
int proxy_udp_start(struct proxy *p);
void proxy_udp_end(struct proxy *p); /* of all clients; the socket stays in use */
