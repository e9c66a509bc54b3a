/*
 * The names of a network's containers. Each container that is up has a hosts file in RUN/networks/ID/hosts/; caisson-dns, one for each
 * network, holds a dnsmasq that follows them (src/dns/dns.h says what else is in RUN/networks/ID). Nothing here waits for it to be ready.
 *
 * Functions return 0 or a negative errno. Who calls dns_add or dns_remove holds the container, so that its file has one writer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct dns_place {
	const char *libexec_dir;
	int run_fd;      /* RUN */
	const char *run; /* its absolute path */
	const char *id;  /* of the network */
	const char *name;
	char *const *bridges; /* the interfaces that are served; it ends with the first */
	uint16_t port;        /* 0: 53 */
	char *const *
		listen; /* the bridge's addresses, "ADDRESS/LENGTH" as on the interface: lookups in these subnets are never forwarded */
	bool internal; /* no other names are resolved */
};

/* Writes the container's hosts file ("ADDRESS NAME [NAME...]\n" for each address), then starts caisson-dns if there is none. */
int dns_add(const struct dns_place *p, const char *container_id, const char *text, struct err *e);

/* The same without starting anything. */
int dns_write(const struct dns_place *p, const char *container_id, const char *text, struct err *e);

/* Removes it; a missing one is fine. caisson-dns ends by itself some time after the last. */
int dns_remove(const struct dns_place *p, const char *container_id);

/* Starts caisson-dns if there are hosts files and it does not run: it was killed. */
int dns_start(const struct dns_place *p, struct err *e);

/* Ends it and removes RUN/networks/ID: the network is being removed. -ETIMEDOUT after 2 s. */
int dns_stop(const struct dns_place *p);

/* The processes that run, caisson-dns and dnsmasq; 0 where there is none. */
struct dns_pids {
	pid_t supervisor, dnsmasq;
};
void dns_pids(const struct dns_place *p, struct dns_pids *ret);

/* Why dnsmasq does not run, in one line. False: nothing is known to be wrong. */
bool dns_error(const struct dns_place *p, char *ret, size_t size);
