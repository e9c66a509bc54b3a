/* Links on the host: bridges and their ports. */
#include "net/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int open_rtnl(struct err *e)
{
	int fd = rtnl_open();

	return fd < 0 ? err_errno(e, fd, "open rtnetlink") : fd;
}

bool link_bridge_exists(const char *bridge)
{
	return if_nametoindex(bridge) != 0;
}

/* ---- bridges ---- */

static void set_conf(int family, const char *interface, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv%d/conf/%s/%s", family, interface, key);
	file_write(AT_FDCWD, path, value);
}

void link_bridge_mac(const struct network_row *n, uint8_t mac[MAC_LEN])
{
	unsigned b[4] = {0};

	sscanf(n->id, "%2x%2x%2x%2x", &b[0], &b[1], &b[2], &b[3]);
	memcpy(mac, (uint8_t[MAC_LEN]){0x02, 0xca, (uint8_t)b[0], (uint8_t)b[1], (uint8_t)b[2], (uint8_t)b[3]},
		MAC_LEN);
}

static int make_bridge(int rtnl, const struct network_row *n)
{
	struct ifinfomsg h = {0};
	struct rtnl_msg m;
	uint8_t mac[MAC_LEN];

	link_bridge_mac(n, mac);
	rtnl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	rtnl_add_str(&m, IFLA_IFNAME, n->bridge);
	rtnl_add(&m, IFLA_ADDRESS, mac, MAC_LEN);
	rtnl_add_u32(&m, IFLA_MTU, n->mtu);
	size_t info = rtnl_nest(&m, IFLA_LINKINFO);
	rtnl_add_str(&m, IFLA_INFO_KIND, "bridge");
	size_t data = rtnl_nest(&m, IFLA_INFO_DATA);
	/* nobody asks for groups here: without snooping a group reaches all at once */
	rtnl_add(&m, IFLA_BR_MCAST_SNOOPING, &(uint8_t){0}, 1);
	/* reserved addresses, but for those that may not be in the mask: else their frames pass no rules, and the bridge learns from them where a sender is */
	rtnl_add(&m, IFLA_BR_GROUP_FWD_MASK, &(uint16_t){0xfff8}, sizeof(uint16_t));
	rtnl_nest_end(&m, data);
	rtnl_nest_end(&m, info);
	return rtnl_call(rtnl, &m);
}

/* In a child: what is made there goes with it. Only a try tells of a module that is loaded when it is needed. */
bool link_bridges_known(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct network_row n = {.id = "00000000", .bridge = NET_BRIDGE_PREFIX "0", .mtu = 1500};
		int rtnl = unshare(CLONE_NEWNET) < 0 ? -1 : rtnl_open();
		_exit(rtnl < 0 || make_bridge(rtnl, &n) < 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool link_any_bridge(void)
{
	struct if_nameindex *all = if_nameindex();
	bool found = false;

	for (struct if_nameindex *i = all; i && i->if_index && !found; i++)
		found = str_starts(i->if_name, NET_BRIDGE_PREFIX);
	if_freenameindex(all);
	return found;
}

static int add_gateway(int rtnl, unsigned index, const char *gateway, const char *subnet)
{
	char text[ADDRESS_TEXT + 8];
	const char *slash = strchr(subnet, '/');

	if (!slash)
		return 0; /* no such family */
	snprintf(text, sizeof(text), "%s%s", gateway, slash);
	return rtnl_address_add(rtnl, index, text);
}

static int set_up_bridge(int rtnl, const struct network_row *n)
{
	unsigned index = if_nametoindex(n->bridge);

	set_conf(6, n->bridge, "disable_ipv6", *n->subnet6 ? "0" : "1");
	set_conf(6, n->bridge, "accept_ra", "0");
	set_conf(6, n->bridge, "accept_dad", "0");
	int r = add_gateway(rtnl, index, n->gateway4, n->subnet4);
	if (r == 0)
		r = add_gateway(rtnl, index, n->gateway6, n->subnet6);
	return r < 0 ? r : rtnl_link_up(rtnl, index, true);
}

static bool is_on(const char *path)
{
	char value[8];

	return file_read_line(AT_FDCWD, path, value, sizeof(value)) == 0 && *value != '0';
}

static int turn_on(const char *path, struct err *e)
{
	int r = is_on(path) ? 0 : file_write(AT_FDCWD, path, "1");

	return r < 0 ? err_errno(e, r, "turn on forwarding for containers: write 1 to %s", path) : 0;
}

/* A host that forwards does not listen to router advertisements any more, and would lose its own default route, unless told to (2). */
static void keep_advertisements(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char path[300], value[8];
		snprintf(path, sizeof(path), "%s/accept_ra", entry->d_name);
		if (*entry->d_name != '.' && file_read_line(dirfd(d), path, value, sizeof(value)) == 0 &&
			!strcmp(value, "1"))
			file_write(dirfd(d), path, "2");
	}
}

static int forward(const struct network_row *n, struct err *e)
{
	static const char v6[] = "/proc/sys/net/ipv6/conf/all/forwarding";
	int r = turn_on("/proc/sys/net/ipv4/ip_forward", e);

	if (r < 0 || !*n->subnet6 || is_on(v6))
		return r;
	keep_advertisements();
	return turn_on(v6, e);
}

int link_bridge_ensure(const struct network_row *n, bool again, struct err *e)
{
	bool exists = link_bridge_exists(n->bridge);

	/* an --internal network needs no forwarding */
	int r = n->internal ? 0 : forward(n, e);

	if (r < 0 || (exists && !again))
		return r;
	_cleanup_close_ int rtnl = open_rtnl(e);
	if (rtnl < 0)
		return rtnl;
	r = exists ? 0 : make_bridge(rtnl, n);
	if (r == -EOPNOTSUPP)
		return err_set(e, EOPNOTSUPP, "the kernel has no bridges: modprobe bridge");
	if (r == 0)
		r = set_up_bridge(rtnl, n);
	if (r < 0 && !exists)
		link_bridge_remove(n->bridge, &(struct err){0});
	return r < 0 ? err_errno(e, r, "make the bridge %s of network %s", n->bridge, n->name) : 0;
}

static int remove_link(const char *name, struct err *e)
{
	_cleanup_close_ int rtnl = open_rtnl(e);
	unsigned index = if_nametoindex(name);

	if (rtnl < 0 || !index)
		return rtnl < 0 ? rtnl : 0;
	int r = rtnl_link_delete(rtnl, index);
	return r < 0 && r != -ENODEV ? err_errno(e, r, "remove the interface %s", name) : 0;
}

int link_bridge_remove(const char *bridge, struct err *e)
{
	return remove_link(bridge, e);
}

/* ---- ports ---- */

/* With br_netfilter a published port is translated while the frame is in the bridge, and may have to leave by the port that it came from. */
static bool needs_hairpin(void)
{
	return is_on("/proc/sys/net/bridge/bridge-nf-call-iptables");
}

static int set_hairpin(int rtnl, unsigned index)
{
	struct ifinfomsg h = {.ifi_family = AF_BRIDGE, .ifi_index = (int)index};
	struct rtnl_msg m;

	rtnl_begin(&m, RTM_SETLINK, 0, &h, sizeof(h));
	size_t port = rtnl_nest(&m, IFLA_PROTINFO);
	rtnl_add(&m, IFLA_BRPORT_MODE, &(uint8_t){1}, 1);
	rtnl_nest_end(&m, port);
	return rtnl_call(rtnl, &m);
}

/* Joins the bridge and comes up. IPv6 is for the container, not for the host on its port. */
static int raise_port(int rtnl, const char *port, unsigned bridge)
{
	unsigned index = if_nametoindex(port);
	struct ifinfomsg h = {.ifi_index = (int)index, .ifi_change = IFF_UP, .ifi_flags = IFF_UP};
	struct rtnl_msg m;

	set_conf(6, port, "disable_ipv6", "1");
	rtnl_begin(&m, RTM_NEWLINK, 0, &h, sizeof(h));
	rtnl_add_u32(&m, IFLA_MASTER, bridge);
	int r = rtnl_call(rtnl, &m);
	return r == 0 && needs_hairpin() ? set_hairpin(rtnl, index) : r;
}

static int find_bridge(const struct plan_interface *f, unsigned *ret, struct err *e)
{
	*ret = if_nametoindex(f->bridge);
	return *ret ? 0 : err_set(e, ENODEV, "the bridge %s has gone: caisson network reload", f->bridge);
}

static int make_veth(int rtnl, const struct plan_interface *f, const uint8_t mac[MAC_LEN], pid_t pid)
{
	struct ifinfomsg h = {0};
	struct rtnl_msg m;

	rtnl_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	rtnl_add_str(&m, IFLA_IFNAME, f->port);
	rtnl_add_u32(&m, IFLA_MTU, f->mtu);
	size_t info = rtnl_nest(&m, IFLA_LINKINFO);
	rtnl_add_str(&m, IFLA_INFO_KIND, "veth");
	size_t data = rtnl_nest(&m, IFLA_INFO_DATA);
	size_t peer = rtnl_nest(&m, VETH_INFO_PEER);
	/* the peer's header stands before its attributes */
	memset(m.data + m.len, 0, sizeof(h));
	m.len += sizeof(h);
	rtnl_add_str(&m, IFLA_IFNAME, f->name);
	rtnl_add(&m, IFLA_ADDRESS, mac, MAC_LEN);
	rtnl_add_u32(&m, IFLA_MTU, f->mtu);
	rtnl_add_u32(&m, IFLA_NET_NS_PID, (uint32_t)pid);
	rtnl_nest_end(&m, peer);
	rtnl_nest_end(&m, data);
	rtnl_nest_end(&m, info);
	return rtnl_call(rtnl, &m);
}

int link_veth_add(const struct plan_interface *f, pid_t pid, struct err *e)
{
	_cleanup_close_ int rtnl = open_rtnl(e);
	uint8_t mac[MAC_LEN];
	unsigned bridge;

	if (rtnl < 0)
		return rtnl;
	int r = find_bridge(f, &bridge, e);
	if (r < 0)
		return r;
	if (mac_parse(f->mac, mac) < 0)
		return err_set(e, EINVAL, "%s is no hardware address", f->mac);
	r = make_veth(rtnl, f, mac, pid);
	if (r == -EEXIST) {
		/* the container ran a moment ago: the kernel removes what was in its namespace, but later */
		link_port_remove(f->port, &(struct err){0});
		r = make_veth(rtnl, f, mac, pid);
	}
	if (r == 0) {
		r = raise_port(rtnl, f->port, bridge);
		if (r < 0)
			link_port_remove(f->port, &(struct err){0});
	}
	return r < 0 ? err_errno(e, r, "make the container's interface %s (%s)", f->name, f->port) : 0;
}

int link_tap_add(const struct plan_interface *f, int *ret_fd, struct err *e)
{
	_cleanup_close_ int rtnl = open_rtnl(e);
	_cleanup_close_ int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq q = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	unsigned bridge;

	if (rtnl < 0)
		return rtnl;
	int r = find_bridge(f, &bridge, e);
	if (r < 0)
		return r;
	if (tap < 0)
		return err_errno(e, errno, "/dev/net/tun, which --isolation=hyperv needs for a network");
	strncpy(q.ifr_name, f->port, sizeof(q.ifr_name) - 1);
	if (ioctl(tap, TUNSETIFF, &q) < 0)
		return err_errno(e, errno, "make the tap %s", f->port);
	r = rtnl_link_change(rtnl, if_nametoindex(f->port), NULL, NULL, f->mtu);
	if (r == 0)
		r = raise_port(rtnl, f->port, bridge);
	if (r < 0)
		return err_errno(e, r, "make the tap %s a port of %s", f->port, f->bridge);
	*ret_fd = steal_fd(&tap);
	return 0;
}

int link_tap_reuse(const struct plan_interface *f, const char *parked, struct err *e)
{
	_cleanup_close_ int rtnl = open_rtnl(e);
	unsigned bridge, index = if_nametoindex(parked);

	if (rtnl < 0)
		return rtnl;
	int r = find_bridge(f, &bridge, e);
	if (r < 0)
		return r;
	r = rtnl_link_change(rtnl, index, f->port, NULL, f->mtu);
	if (r == 0)
		r = raise_port(rtnl, f->port, bridge);
	return r < 0 ? err_errno(e, r, "make the tap %s a port of %s", f->port, f->bridge) : 0;
}

int link_tap_park(const char *port, struct err *e)
{
	_cleanup_close_ int rtnl = open_rtnl(e);
	struct ifinfomsg h = {.ifi_index = (int)if_nametoindex(port), .ifi_change = IFF_UP};
	struct rtnl_msg m;

	if (rtnl < 0)
		return rtnl;
	rtnl_begin(&m, RTM_NEWLINK, 0, &h, sizeof(h));
	rtnl_add_u32(&m, IFLA_MASTER, 0);
	int r = rtnl_call(rtnl, &m);
	return r < 0 ? err_errno(e, r, "take the tap %s off its bridge", port) : 0;
}

int link_port_join(const char *port, const char *bridge, struct err *e)
{
	unsigned index = if_nametoindex(port);

	if (!index)
		return 0;
	_cleanup_close_ int rtnl = open_rtnl(e);
	if (rtnl < 0)
		return rtnl;
	int r = raise_port(rtnl, port, if_nametoindex(bridge));
	return r < 0 ? err_errno(e, r, "make %s a port of %s", port, bridge) : 0;
}

void link_drop(unsigned index)
{
	_cleanup_close_ int rtnl = rtnl_open();

	if (rtnl >= 0 && index)
		rtnl_link_delete(rtnl, index);
}

int link_port_remove(const char *port, struct err *e)
{
	return remove_link(port, e);
}

/* ---- the host's routes ---- */

struct overlap {
	const struct subnet *subnet;
	bool found;
};

static int compare_route(void *data, const struct nlmsghdr *h)
{
	struct overlap *o = data;
	const struct rtmsg *t = NLMSG_DATA(h);
	int left = (int)RTM_PAYLOAD(h);

	if (h->nlmsg_type != RTM_NEWROUTE || !t->rtm_dst_len || t->rtm_family != o->subnet->base.family)
		return 0;
	for (struct rtattr *r = RTM_RTA(t); RTA_OK(r, left); r = RTA_NEXT(r, left)) {
		struct subnet s = {.base.family = t->rtm_family, .prefix = t->rtm_dst_len};
		if (r->rta_type != RTA_DST || RTA_PAYLOAD(r) > sizeof(s.base.bytes))
			continue;
		memcpy(s.base.bytes, RTA_DATA(r), RTA_PAYLOAD(r));
		o->found |= subnet_overlaps(&s, o->subnet);
	}
	return 0;
}

int link_routes_overlap(const struct subnet *s, bool *ret, struct err *e)
{
	_cleanup_close_ int rtnl = open_rtnl(e);
	struct rtmsg h = {.rtm_family = (unsigned char)s->base.family};
	struct overlap o = {.subnet = s};
	struct rtnl_msg m;

	if (rtnl < 0)
		return rtnl;
	rtnl_begin(&m, RTM_GETROUTE, 0, &h, sizeof(h));
	int r = rtnl_dump(rtnl, &m, compare_route, &o);
	*ret = o.found;
	return r < 0 ? err_errno(e, r, "read the host's routes") : 0;
}
