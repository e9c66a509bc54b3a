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
/* The index of the link with this hardware address, waiting some seconds for it; -ENODEV. */
int network_find(int rtnl, const uint8_t mac[MAC_LEN]);
/* All of the plan, with what docker sets in a network namespace of a container's own. */
int network_setup(const struct plan *p, struct err *e);
