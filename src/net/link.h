/*
 * Links on the host: a bridge per network, and a port of it for each endpoint, which is one end of a veth pair (its other end is in a container's
 * network namespace) or a tap (whose descriptor QEMU holds).
 *
 * Names: bridges begin with NET_BRIDGE_PREFIX, ports with NET_PORT_PREFIX; the rules in data/ruleset.nft go by these.
 * All functions act on the caller's network namespace, which is the host's, and return 0 or -errno with *e set.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "base/address.h"
#include "base/rtnl.h"
#include "plan/plan.h"
#include "store/networks.h"

#define NET_BRIDGE_PREFIX "caisson"
#define NET_PORT_PREFIX   "csp"

/* Makes the network's bridge with its addresses, and turns forwarding on. One that is there already is left as it is, or (again) gets its addresses anew. */
int link_bridge_ensure(const struct network_row *n, bool again, struct err *e);
int link_bridge_remove(const char *bridge, struct err *e); /* a missing one is fine */
bool link_bridge_exists(const char *bridge);
bool link_any_bridge(void);    /* one of ours */
bool link_bridges_known(void); /* the kernel can make bridges; tried with one in a network namespace of its own */
/* Its hardware address, which is fixed: without one a bridge takes the lowest of its ports, and changes it as they come and go. */
void link_bridge_mac(const struct network_row *n, uint8_t mac[MAC_LEN]);

int link_veth_add(const struct plan_interface *f, pid_t pid, struct err *e);
int link_tap_add(const struct plan_interface *f, int *ret_fd, struct err *e);
/* A tap without a bridge becomes a port again, under another name; and the reverse. */
int link_tap_reuse(const struct plan_interface *f, const char *parked, struct err *e);
int link_tap_park(const char *port, struct err *e);
/* Makes a port that is there a port of this bridge, which may have been made anew; a missing one is fine. */
int link_port_join(const char *port, const char *bridge, struct err *e);
void link_drop(unsigned index);                        /* by its index, which is never another's */
int link_port_remove(const char *port, struct err *e); /* a missing one is fine */

/* Whether the host has an address in the subnet, or a route to a part of it or to all of it other than a default route. */
int link_routes_overlap(const struct subnet *s, bool *ret, struct err *e);
