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

int network_find(int rtnl, const char *name, const uint8_t mac[MAC_LEN])
{
	uint64_t deadline = clock_mono_ms() + APPEAR_MS;
	uint8_t has[MAC_LEN];
	int index = name ? rtnl_link_named(rtnl, name, has) : -ENODEV;

	if (index > 0 && !memcmp(has, mac, MAC_LEN))
		return index;
	while ((index = rtnl_link_by_mac(rtnl, mac)) == -ENODEV && clock_mono_ms() < deadline)
		nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_MS * 1000000L}, NULL);
	return index;
}

static int find_link(int rtnl, const struct plan_interface *f, struct err *e)
{
	uint8_t mac[MAC_LEN];

	if (!f->mac || mac_parse(f->mac, mac) < 0)
		return err_set(e, EINVAL, "network interface %s: its hardware address is no such address", f->name);
	int index = network_find(rtnl, f->name, mac);
	return index < 0 ? err_errno(e, index, "find network interface %s (%s)", f->name, f->mac) : index;
}

/* A link that is up keeps its name. */
static int rename_link(int rtnl, int index, const char *name, unsigned mtu)
{
	int r = rtnl_link_up(rtnl, (unsigned)index, false);

	return r == 0 ? rtnl_link_change(rtnl, (unsigned)index, name, NULL, mtu) : r;
}

/* Where several cards came in another order than their names, the one that has the name makes way. */
static int set_name(int rtnl, int index, const char *name, unsigned mtu)
{
	char other[IF_NAMESIZE];
	uint8_t mac[MAC_LEN];
	int holder = rtnl_link_named(rtnl, name, mac);

	if (holder == index)
		return mtu ? rtnl_link_change(rtnl, (unsigned)index, NULL, NULL, mtu) : 0;
	if (holder > 0) {
		snprintf(other, sizeof(other), "other%d", holder % 1000000);
		int r = rename_link(rtnl, holder, other, 0);
		if (r < 0)
			return r;
	}
	return rename_link(rtnl, index, name, mtu);
}

static bool has_ipv6(const struct plan_interface *f)
{
	strv_foreach(a, f->addresses) {
		if (strchr(a, ':'))
			return true;
	}
	return false;
}

#define IPV6_SWITCHES "/proc/sys/net/ipv6/conf/"
#define IPV6_DISABLE  "disable_ipv6"

static void set_ipv6(const char *interface, const char *key, const char *value)
{
	char path[96];

	/* a kernel without IPv6 has nothing to be set */
	snprintf(path, sizeof(path), IPV6_SWITCHES "%s/%s", interface, key);
	file_write(AT_FDCWD, path, value);
}

/* No address of its own making, and none that a router gives. */
static void quiet_ipv6(const char *interface, bool on)
{
	set_ipv6(interface, IPV6_DISABLE, on ? "0" : "1");
	set_ipv6(interface, "accept_ra", "0");
	set_ipv6(interface, "accept_dad", "0");
}

static int check_name(const struct plan_interface *f, struct err *e)
{
	return f->name && strlen(f->name) < IF_NAMESIZE ? 0 : err_set(e, EINVAL, "invalid name of a network interface");
}

/* The link has its name. */
static int set_addresses(int rtnl, int index, const struct plan_interface *f, struct err *e)
{
	int r = 0;

	strv_foreach(address, f->addresses) {
		if (r == 0)
			r = rtnl_address_add(rtnl, (unsigned)index, address);
	}
	strv_foreach(gateway, f->gateways) {
		if (r == 0)
			r = rtnl_route_add(rtnl, (unsigned)index, NULL, gateway, f->metric);
	}
	/* by the default route, unless there is none */
	if (r == 0 && f->nameserver && !f->gateways)
		r = rtnl_route_add(rtnl, (unsigned)index, PLAN_NAMESERVER, f->nameserver, f->metric);
	return r < 0 ? err_errno(e, r, "set up network interface %s", f->name) : 0;
}

int network_add(const struct plan_interface *f, struct err *e)
{
	_cleanup_close_ int rtnl = rtnl_open();

	if (rtnl < 0)
		return err_errno(e, rtnl, "open rtnetlink");
	int r = check_name(f, e);
	int index = r < 0 ? r : find_link(rtnl, f, e);
	if (index < 0)
		return index;
	r = set_name(rtnl, index, f->name, f->mtu);
	quiet_ipv6(f->name, has_ipv6(f));
	if (r == 0)
		r = rtnl_link_up(rtnl, (unsigned)index, true);
	return r < 0 ? err_errno(e, r, "set up network interface %s", f->name) : set_addresses(rtnl, index, f, e);
}

/* Only what network_prepare could not know. */
static int add_ahead(const struct network_ahead *a, const struct plan_interface *f, struct err *e)
{
	uint8_t mac[MAC_LEN];
	int r = check_name(f, e);

	if (r < 0)
		return r;
	r = mac_parse(f->mac ? f->mac : "", mac);
	if (r == 0)
		r = rtnl_link_change(a->rtnl, (unsigned)a->index, NULL, mac, f->mtu);
	bool renamed = strcmp(f->name, NETWORK_FIRST) != 0;
	if (r == 0 && renamed)
		r = set_name(a->rtnl, a->index, f->name, 0);
	if (r == 0 && renamed)
		r = rtnl_link_up(a->rtnl, (unsigned)a->index, true);
	if (has_ipv6(f) && renamed) /* what was open went with the name */
		set_ipv6(f->name, IPV6_DISABLE, "0");
	else if (has_ipv6(f) && a->ipv6 >= 0)
		(void)!write(a->ipv6, "0", 1);
	return r < 0 ? err_errno(e, r, "set up network interface %s", f->name) : set_addresses(a->rtnl, a->index, f, e);
}

static void set_defaults(void)
{
	/* as docker has them: any user of the container may ping and listen below 1024 */
	file_write(AT_FDCWD, "/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	file_write(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

int network_prepare(const uint8_t mac[MAC_LEN], struct network_ahead *ret, struct err *e)
{
	_cleanup_close_ int rtnl = rtnl_open();

	set_defaults();
	int index = rtnl < 0 ? rtnl : rtnl_link_by_mac(rtnl, mac);
	if (index == -ENODEV)
		return 0;
	int r = index < 0 ? index : set_name(rtnl, index, NETWORK_FIRST, 0);
	quiet_ipv6(NETWORK_FIRST, false);
	if (r == 0)
		r = rtnl_link_up(rtnl, (unsigned)index, true);
	if (r < 0)
		return err_errno(e, r, "prepare the network");
	int ipv6 = open(IPV6_SWITCHES NETWORK_FIRST "/" IPV6_DISABLE, O_WRONLY | O_CLOEXEC);
	*ret = (struct network_ahead){steal_fd(&rtnl), index, ipv6};
	return 0;
}

void network_ahead_done(struct network_ahead *a)
{
	close_fd(&a->rtnl);
	close_fd(&a->ipv6);
}

int network_setup(const struct plan *p, const struct network_ahead *ahead, struct err *e)
{
	int r = 0;

	if (!ahead)
		set_defaults();
	for (size_t i = 0; r == 0 && i < p->interfaces_len; i++)
		r = ahead && ahead->index && i == 0 ? add_ahead(ahead, &p->interfaces[i], e)
						    : network_add(&p->interfaces[i], e);
	return r;
}
