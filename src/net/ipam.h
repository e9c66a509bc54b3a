/*
 * Which subnet a network gets, and which addresses an endpoint. Both are decided inside a write transaction of the caller's (db_begin), so that of many
 * commands at once no two get the same.
 */
#pragma once

#include "base/err.h"
#include "store/networks.h"

struct db;

/*
 * Completes and checks the row's subnets, gateways and ranges: what the user chose must be valid and free, the rest is picked. A picked subnet
 * overlaps neither another network's nor anything the host routes. With `ipv6`, an IPv6 subnet is picked (RFC 4193) unless one was chosen.
 */
int ipam_network(struct db *d, struct network_row *n, bool ipv6, struct err *e);

/* Fills in the endpoint's addresses and hardware address; those that it has are wanted, and checked. */
int ipam_endpoint(struct db *d, const struct network_row *n, struct endpoint_row *p, struct err *e);
