/*
 * Networks and endpoints in the database. An endpoint is a container's place on a network, with its addresses; it exists from the container's
 * creation (or its connect) to its removal (or its disconnect), whether the container runs or not. The UNIQUE constraints are what keeps an address
 * from being given twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct db;

struct network_row {
	char id[65];
	char *name;
	char bridge[16]; /* the name of its interface on the host */
	int64_t created_ns;
	char *subnet4, *gateway4,
		*range4; /* "10.200.0.0/16", "10.200.0.1", ""; range: what addresses are picked from */
	char *subnet6, *gateway6, *range6; /* "" for a network without IPv6 */
	uint32_t mtu;
	bool internal, isolated;
	bool chosen;   /* the user chose the subnet: addresses may be asked for */
	char *labels;  /* JSON object */
	char *options; /* JSON object */
};
void network_row_done(struct network_row *r);

struct endpoint_row {
	char *container; /* its id; or "probe:PID:STARTTIME" of an audit */
	char network[65];
	int position;  /* 0: eth0, the interface with the default route */
	char port[16]; /* the host's end */
	char mac[18];
	char *address4, *address6; /* without a prefix; "" for none */
	char *aliases;             /* JSON array */
	bool closed;               /* --network-policy=closed, or the network is isolated */
};
void endpoint_row_done(struct endpoint_row *r);

extern const char networks_schema[];

int networks_insert(struct db *d, const struct network_row *r, struct err *e); /* -EEXIST: the name is taken */
/* By name, full id, or unique prefix of the id, in this order. -ENOENT, -ENOTUNIQ. */
int networks_find(struct db *d, const char *ref, struct network_row *ret, struct err *e);
int networks_delete(struct db *d, const char *id, struct err *e);
typedef int network_fn(void *data, const struct network_row *r, struct err *e);
int networks_each(struct db *d, network_fn *fn, void *data, struct err *e);

/* -EEXIST: one of its addresses, or the container's place there, is taken. */
int endpoints_insert(struct db *d, const struct endpoint_row *r, struct err *e);
int endpoints_delete(struct db *d, const char *container, const char *network, struct err *e); /* network NULL: all */
typedef int endpoint_fn(void *data, const struct endpoint_row *r, struct err *e);
/* Those of a container, in the order of their positions; those of a network, in that of their addresses. */
int endpoints_of_container(struct db *d, const char *container, endpoint_fn *fn, void *data, struct err *e);
int endpoints_of_network(struct db *d, const char *network, endpoint_fn *fn, void *data, struct err *e);
