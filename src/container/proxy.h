/*
 * One published port's socket: carries what reaches it to a container's address. The kernel's rules carry what comes from elsewhere; this socket
 * keeps the port, and serves loopback, IPv6 where the container has only IPv4, and everybody while the rules are gone.
 *
 * Works inside the monitor's loop. Clients and the container are hostile: the connections, the descriptors and the work done in one event are bounded,
 * and what does not move forward is waited for, never asked again.
 */
#pragma once

#include <sys/socket.h>

#include "base/loop.h"

struct proxy;

/*
 * fd is bound, IPPROTO_TCP and listening or IPPROTO_UDP; it is the proxy's once this has succeeded. `to` is where the container listens.
 * 0 or -errno.
 */
int proxy_new(struct loop *l, int fd, int proto, const struct sockaddr *to, socklen_t to_len, struct proxy **ret);
/* New connections go there; without an address (to_len 0) they are refused. UDP: for all clients from now on. */
void proxy_set_target(struct proxy *p, const struct sockaddr *to, socklen_t to_len);
/* Closes everything at once; what the container had sent already is still given to clients that take it. p may be NULL. */
void proxy_free(struct proxy *p);
