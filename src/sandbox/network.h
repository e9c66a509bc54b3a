/* The container's end of its network interfaces: names, addresses, routes. */
#pragma once

#include "base/err.h"
#include "base/rtnl.h"
#include "plan/plan.h"

/*
 * Sets an interface up in the caller's network namespace. The link is there already, or is about to appear (a card that was just plugged in): it is
 * found by its hardware address, for which it waits some seconds. It gets the plan's name, MTU, addresses and default routes; IPv6 is off without
 * an IPv6 address, and no router advertisement is listened to.
 */
int network_add(const struct plan_interface *f, struct err *e);
/* The index of the link with this hardware address, perhaps that of this name (may be NULL), waiting some seconds for it; -ENODEV. */
int network_find(int rtnl, const char *name, const uint8_t mac[MAC_LEN]);

/* What can be done before there is a plan, with the link of this hardware address, if there is one: it is up, has no address, and is called NETWORK_FIRST. */
#define NETWORK_FIRST "eth0"
struct network_ahead {
	int rtnl, index; /* of the link; 0: there is none */
	int ipv6;        /* the link's disable_ipv6, open for writing; -1: the kernel has no IPv6 */
};
#define NETWORK_NOTHING_AHEAD ((struct network_ahead){.rtnl = -1, .ipv6 = -1})
/* *ret: NETWORK_NOTHING_AHEAD before, the caller's afterwards. */
int network_prepare(const uint8_t mac[MAC_LEN], struct network_ahead *ret, struct err *e);
void network_ahead_done(struct network_ahead *a);
/*
 * All of the plan, with what docker sets in a network namespace of a container's own. ahead: NULL, or what network_prepare has made: the link of the first
 * interface, which gets its hardware address now.
 */
int network_setup(const struct plan *p, const struct network_ahead *ahead, struct err *e);
