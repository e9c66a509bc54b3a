/* The container's end of its network interfaces. */
#include "sandbox/network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/rtnl.h"

enum { APPEAR_MS = 5000, LOOK_AGAIN_MS = 5 };

int network_find(int rtnl, const uint8_t mac[MAC_LEN])
{
	uint64_t deadline = clock_mono_ms() + APPEAR_MS;
	int index;

	while ((index = rtnl_link_by_mac(rtnl, mac)) == -ENODEV && clock_mono_ms() < deadline)
		nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_MS * 1000000L}, NULL);
	return index;
}

static int find_link(int rtnl, const struct plan_interface *f, struct err *e)
{
	uint8_t mac[MAC_LEN];

	if (!f->mac || mac_parse(f->mac, mac) < 0)
		return err_set(e, EINVAL, "network interface %s: its hardware address is no such address", f->name);
	int index = network_find(rtnl, mac);
	return index < 0 ? err_errno(e, index, "find network interface %s (%s)", f->name, f->mac) : index;
}

/* Where several cards came in another order than their names, the one that has the name makes way. */
static int set_name(int rtnl, unsigned index, const struct plan_interface *f)
{
	char other[IF_NAMESIZE];
	unsigned holder = if_nametoindex(f->name);

	if (holder == index)
		return f->mtu ? rtnl_link_change(rtnl, index, NULL, NULL, f->mtu) : 0;
	if (holder) {
		snprintf(other, sizeof(other), "other%u", holder % 1000000);
		int r = rtnl_link_change(rtnl, holder, other, NULL, 0);
		if (r < 0)
			return r;
	}
	return rtnl_link_change(rtnl, index, f->name, NULL, f->mtu);
}

static bool has_ipv6(const struct plan_interface *f)
{
	strv_foreach(a, f->addresses) {
		if (strchr(a, ':'))
			return true;
	}
	return false;
}

static void set_ipv6(const char *interface, const char *key, const char *value)
{
	char path[96];

	/* a kernel without IPv6 has nothing to be set */
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", interface, key);
	file_write(AT_FDCWD, path, value);
}

int network_add(const struct plan_interface *f, struct err *e)
{
	_cleanup_close_ int rtnl = rtnl_open();

	if (rtnl < 0)
		return err_errno(e, rtnl, "open rtnetlink");
	if (!f->name || strlen(f->name) >= IF_NAMESIZE)
		return err_set(e, EINVAL, "invalid name of a network interface");
	int index = find_link(rtnl, f, e);
	if (index < 0)
		return index;
	int r = set_name(rtnl, (unsigned)index, f);
	set_ipv6(f->name, "disable_ipv6", has_ipv6(f) ? "0" : "1");
	set_ipv6(f->name, "accept_ra", "0");
	set_ipv6(f->name, "accept_dad", "0");
	strv_foreach(address, f->addresses) {
		if (r == 0)
			r = rtnl_address_add(rtnl, (unsigned)index, address);
	}
	if (r == 0)
		r = rtnl_link_up(rtnl, (unsigned)index, true);
	strv_foreach(gateway, f->gateways) {
		if (r == 0)
			r = rtnl_route_add(rtnl, (unsigned)index, NULL, gateway, f->metric);
	}
	/* by the default route, unless there is none */
	if (r == 0 && f->nameserver && !f->gateways)
		r = rtnl_route_add(rtnl, (unsigned)index, PLAN_NAMESERVER, f->nameserver, f->metric);
	return r < 0 ? err_errno(e, r, "set up network interface %s", f->name) : 0;
}

int network_setup(const struct plan *p, struct err *e)
{
	/* as docker has them: any user of the container may ping and listen below 1024 */
	file_write(AT_FDCWD, "/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	file_write(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	for (size_t i = 0; i < p->interfaces_len; i++) {
		int r = network_add(&p->interfaces[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}
