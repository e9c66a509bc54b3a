/*
 * The sockets of published ports. The kernel's rules carry most of what is published; a bound socket makes the port taken for everybody else, lets the
 * kernel pick one, and serves what the rules do not carry (container/proxy.h).
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What one -p asks for. */
struct port_binding {
	int proto;            /* IPPROTO_TCP, IPPROTO_UDP */
	const char *host;     /* the host's address, without brackets; NULL or "": all, of both families */
	uint16_t first, last; /* the host's port: the first of these that is free; 0 and 0: any that is */
	uint16_t container_port;
};

struct port_socket {
	int fd; /* bound, and listening if it is TCP; close-on-exec */
	int family, proto;
	char host[INET6_ADDRSTRLEN]; /* "0.0.0.0", "::", "127.0.0.1" */
	uint16_t host_port, container_port;
};

/*
 * Opens all or none, in the order of the bindings; a binding to all addresses has two sockets with the same port, or only the IPv4 one where the host has
 * no IPv6. *ret is the caller's: port_sockets_free. Errors are docker's, without what it puts before them ("driver failed programming external
 * connectivity on endpoint NAME"); -EADDRINUSE if the port is taken.
 */
int port_sockets_open(const struct port_binding *b, size_t n, struct port_socket **ret, size_t *ret_len, struct err *e);
void port_sockets_free(struct port_socket *s, size_t n); /* closes those whose fd is not -1 */
