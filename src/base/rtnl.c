/* rtnetlink messages and the verbs that both kernels need. */
#include "base/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/cleanup.h"

enum { ANSWER_MAX = 32 * 1024 };

int rtnl_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

/* ---- messages ---- */

static void *extend(struct rtnl_msg *m, size_t n)
{
	size_t room = NLMSG_ALIGN(n);

	if (m->full || room > sizeof(m->data) - m->len) {
		m->full = true;
		return NULL;
	}
	void *at = m->data + m->len;
	memset(at, 0, room);
	m->len += room;
	return at;
}

void rtnl_begin(struct rtnl_msg *m, uint16_t type, uint16_t flags, const void *header, size_t n)
{
	m->len = 0;
	m->full = false;
	struct nlmsghdr *h = extend(m, sizeof(*h));
	h->nlmsg_type = type;
	h->nlmsg_flags = flags | NLM_F_REQUEST;
	void *at = extend(m, n);
	if (at)
		memcpy(at, header, n);
}

void rtnl_add(struct rtnl_msg *m, uint16_t attribute, const void *p, size_t n)
{
	struct rtattr *a = extend(m, RTA_LENGTH(n));

	if (!a)
		return;
	a->rta_type = attribute;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), p, n);
}

void rtnl_add_str(struct rtnl_msg *m, uint16_t attribute, const char *s)
{
	rtnl_add(m, attribute, s, strlen(s) + 1);
}

void rtnl_add_u32(struct rtnl_msg *m, uint16_t attribute, uint32_t v)
{
	rtnl_add(m, attribute, &v, sizeof(v));
}

size_t rtnl_nest(struct rtnl_msg *m, uint16_t attribute)
{
	size_t at = m->len;

	rtnl_add(m, attribute | NLA_F_NESTED, NULL, 0);
	return at;
}

void rtnl_nest_end(struct rtnl_msg *m, size_t at)
{
	if (!m->full)
		((struct rtattr *)(void *)(m->data + at))->rta_len = (unsigned short)(m->len - at);
}

static int send_message(int fd, struct rtnl_msg *m)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (m->full)
		return -EMSGSIZE;
	((struct nlmsghdr *)(void *)m->data)->nlmsg_len = (uint32_t)m->len;
	ssize_t n = sendto(fd, m->data, m->len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	return n < 0 ? -errno : 0;
}

/* fn for the messages of one datagram. 1: the end of the answer; 0: more to come. */
static int take_messages(char *answer, size_t n, rtnl_fn *fn, void *data)
{
	size_t left = n;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(h);
			return e->error ? e->error : 1;
		}
		int r = fn ? fn(data, h) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int answer_to(int fd, rtnl_fn *fn, void *data)
{
	_Alignas(8) char answer[ANSWER_MAX];
	int r = 0;

	while (r == 0) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			r = take_messages(answer, (size_t)n, fn, data);
	}
	return r < 0 ? r : 0;
}

int rtnl_call(int fd, struct rtnl_msg *m)
{
	((struct nlmsghdr *)(void *)m->data)->nlmsg_flags |= NLM_F_ACK;
	int r = send_message(fd, m);
	return r < 0 ? r : answer_to(fd, NULL, NULL);
}

int rtnl_dump(int fd, struct rtnl_msg *m, rtnl_fn *fn, void *data)
{
	((struct nlmsghdr *)(void *)m->data)->nlmsg_flags |= NLM_F_DUMP;
	int r = send_message(fd, m);
	return r < 0 ? r : answer_to(fd, fn, data);
}

/* ---- verbs ---- */

int mac_parse(const char *s, uint8_t ret[MAC_LEN])
{
	unsigned b[MAC_LEN];
	int end = 0;

	if (strlen(s) != 17 || strspn(s, "0123456789abcdefABCDEF:") != 17 ||
		sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != MAC_LEN ||
		end != 17)
		return -EINVAL;
	for (int i = 0; i < MAC_LEN; i++)
		ret[i] = (uint8_t)b[i];
	return 0;
}

char *mac_format(const uint8_t mac[MAC_LEN], char ret[18])
{
	snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return ret;
}

int rtnl_address_add(int fd, unsigned index, const char *address)
{
	struct ifaddrmsg h = {.ifa_index = index, .ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD};
	_cleanup_free_ char *alone = strndup(address, strcspn(address, "/"));
	struct rtnl_msg m;
	struct address a;
	struct subnet s;

	if (!alone)
		return -ENOMEM;
	if (address_parse(alone, &a) < 0 || subnet_parse(address, &s) < 0)
		return -EINVAL;
	size_t n = address_bits(&a) / 8;
	h.ifa_family = (uint8_t)a.family;
	h.ifa_prefixlen = (uint8_t)s.prefix;
	rtnl_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &h, sizeof(h));
	rtnl_add(&m, IFA_LOCAL, a.bytes, n);
	rtnl_add(&m, IFA_ADDRESS, a.bytes, n);
	if (a.family == AF_INET) {
		uint32_t broadcast;
		memcpy(&broadcast, a.bytes, sizeof(broadcast));
		broadcast |= s.prefix < 32 ? htonl(UINT32_MAX >> s.prefix) : 0;
		rtnl_add(&m, IFA_BROADCAST, &broadcast, sizeof(broadcast));
	}
	return rtnl_call(fd, &m);
}

struct addresses {
	unsigned index;
	size_t len;
	struct rtnl_msg remove[16];
};

static int note_address(void *data, const struct nlmsghdr *h)
{
	struct addresses *all = data;
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	int left = (int)IFA_PAYLOAD(h);

	if (h->nlmsg_type != RTM_NEWADDR || a->ifa_index != all->index || a->ifa_scope != RT_SCOPE_UNIVERSE ||
		all->len == sizeof(all->remove) / sizeof(*all->remove))
		return 0;
	for (struct rtattr *r = IFA_RTA(a); RTA_OK(r, left); r = RTA_NEXT(r, left)) {
		if (r->rta_type != (a->ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS))
			continue;
		struct rtnl_msg *m = &all->remove[all->len++];
		rtnl_begin(m, RTM_DELADDR, 0, a, sizeof(*a));
		rtnl_add(m, r->rta_type, RTA_DATA(r), RTA_PAYLOAD(r));
		break;
	}
	return 0;
}

int rtnl_address_flush(int fd, unsigned index)
{
	struct addresses *all = calloc(1, sizeof(*all));
	struct ifaddrmsg h = {0};
	struct rtnl_msg m;

	if (!all)
		return -ENOMEM;
	all->index = index;
	rtnl_begin(&m, RTM_GETADDR, 0, &h, sizeof(h));
	int r = rtnl_dump(fd, &m, note_address, all);
	for (size_t i = 0; r == 0 && i < all->len; i++)
		r = rtnl_call(fd, &all->remove[i]);
	free(all);
	return r;
}

int rtnl_route_add(int fd, unsigned index, const char *to, const char *gateway, uint32_t metric)
{
	struct rtmsg h = {.rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST};
	struct rtnl_msg m;
	struct address by, dst = {0};

	if (address_parse(gateway, &by) < 0 || (to && (address_parse(to, &dst) < 0 || dst.family != by.family)))
		return -EINVAL;
	h.rtm_family = (uint8_t)by.family;
	h.rtm_dst_len = to ? (uint8_t)address_bits(&by) : 0;
	rtnl_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &h, sizeof(h));
	if (to)
		rtnl_add(&m, RTA_DST, dst.bytes, address_bits(&by) / 8);
	rtnl_add(&m, RTA_GATEWAY, by.bytes, address_bits(&by) / 8);
	rtnl_add_u32(&m, RTA_OIF, index);
	if (metric)
		rtnl_add_u32(&m, RTA_PRIORITY, metric);
	return rtnl_call(fd, &m);
}

int rtnl_link_change(int fd, unsigned index, const char *name, const uint8_t *mac, uint32_t mtu)
{
	struct ifinfomsg h = {.ifi_index = (int)index};
	struct rtnl_msg m;

	rtnl_begin(&m, RTM_NEWLINK, 0, &h, sizeof(h));
	if (name)
		rtnl_add_str(&m, IFLA_IFNAME, name);
	if (mac)
		rtnl_add(&m, IFLA_ADDRESS, mac, MAC_LEN);
	if (mtu)
		rtnl_add_u32(&m, IFLA_MTU, mtu);
	return rtnl_call(fd, &m);
}

int rtnl_link_up(int fd, unsigned index, bool up)
{
	struct ifinfomsg h = {.ifi_index = (int)index, .ifi_change = IFF_UP, .ifi_flags = up ? IFF_UP : 0};
	struct rtnl_msg m;

	rtnl_begin(&m, RTM_NEWLINK, 0, &h, sizeof(h));
	return rtnl_call(fd, &m);
}

int rtnl_link_delete(int fd, unsigned index)
{
	struct ifinfomsg h = {.ifi_index = (int)index};
	struct rtnl_msg m;

	rtnl_begin(&m, RTM_DELLINK, 0, &h, sizeof(h));
	return rtnl_call(fd, &m);
}

struct wanted {
	const uint8_t *mac;
	int index;
};

static int compare_mac(void *data, const struct nlmsghdr *h)
{
	struct wanted *w = data;
	const struct ifinfomsg *i = NLMSG_DATA(h);
	int left = (int)IFLA_PAYLOAD(h);

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	for (struct rtattr *r = IFLA_RTA(i); RTA_OK(r, left); r = RTA_NEXT(r, left))
		if (r->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(r) == MAC_LEN && !memcmp(RTA_DATA(r), w->mac, MAC_LEN))
			w->index = i->ifi_index;
	return 0;
}

int rtnl_link_by_mac(int fd, const uint8_t mac[MAC_LEN])
{
	struct wanted w = {.mac = mac, .index = -ENODEV};
	struct ifinfomsg h = {0};
	struct rtnl_msg m;

	rtnl_begin(&m, RTM_GETLINK, 0, &h, sizeof(h));
	int r = rtnl_dump(fd, &m, compare_mac, &w);
	return r < 0 ? r : w.index;
}

int rtnl_link_named(int fd, const char *name, uint8_t ret_mac[MAC_LEN])
{
	struct ifreq q = {0};

	if (strlen(name) >= sizeof(q.ifr_name))
		return -ENODEV;
	strcpy(q.ifr_name, name);
	if (ioctl(fd, SIOCGIFHWADDR, &q) < 0)
		return -errno;
	memcpy(ret_mac, q.ifr_hwaddr.sa_data, MAC_LEN);
	return ioctl(fd, SIOCGIFINDEX, &q) < 0 ? -errno : q.ifr_ifindex;
}
