/* The choice of subnets and addresses. */
#include "net/ipam.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/rtnl.h"
#include "base/address.h"
#include "net/link.h"

/* ---- subnets ---- */

struct taken {
	const struct subnet *wanted;
	char by[256]; /* name of the network that has it */
};

static int compare_network(void *data, const struct network_row *n, struct err *e)
{
	struct taken *t = data;
	struct subnet s;

	(void)e;
	if ((subnet_parse(n->subnet4, &s) == 0 && subnet_overlaps(&s, t->wanted)) ||
		(subnet_parse(n->subnet6, &s) == 0 && subnet_overlaps(&s, t->wanted)))
		snprintf(t->by, sizeof(t->by), "%s", n->name);
	return 0;
}

/* A name server of the host's that it reaches by its default route must stay reachable. */
static bool holds_nameserver(const struct subnet *s)
{
	_cleanup_buf_ struct buf b = {0};
	struct address a;

	if (file_read(AT_FDCWD, "/etc/resolv.conf", 65536, &b) < 0 || !b.data)
		return false;
	_cleanup_strv_ char **words = strv_split(b.data, " \t\n");
	strv_foreach(w, words) {
		if (address_parse(w, &a) == 0 && a.family == s->base.family && subnet_contains(s, &a))
			return true;
	}
	return false;
}

/* 0: free; -EEXIST with *e telling who has it. */
static int check_free(struct db *d, const struct subnet *s, struct err *e)
{
	struct taken t = {.wanted = s};
	char text[ADDRESS_TEXT + 4];
	bool routed;

	int r = networks_each(d, compare_network, &t, e);
	if (r < 0)
		return r;
	if (*t.by)
		return err_set(e, EEXIST,
			"invalid pool request: Pool overlaps with other one on this address space: %s is in use by "
			"network %s",
			subnet_format(s, text), t.by);
	r = link_routes_overlap(s, &routed, e);
	if (r == 0 && routed)
		r = err_set(e, EEXIST,
			"invalid pool request: Pool overlaps with other one on this address space: the host has a "
			"route to %s "
			"or a part of it",
			subnet_format(s, text));
	return r;
}

/* The n-th candidate: 10.200 to 10.254 as /16, then 192.168 as /20, then 172.16 to 172.31 as /16, then 10.192 to 10.199 as /24. */
static bool candidate4(unsigned n, struct subnet *ret)
{
	struct subnet s = {.base.family = AF_INET, .prefix = 16};

	if (n < 55) {
		s.base.bytes[0] = 10;
		s.base.bytes[1] = (uint8_t)(200 + n);
	} else if (n < 71) {
		s.base.bytes[0] = 192;
		s.base.bytes[1] = 168;
		s.base.bytes[2] = (uint8_t)((n - 55) << 4);
		s.prefix = 20;
	} else if (n < 87) {
		s.base.bytes[0] = 172;
		s.base.bytes[1] = (uint8_t)(16 + n - 71);
	} else if (n < 87 + 2048) {
		s.base.bytes[0] = 10;
		s.base.bytes[1] = (uint8_t)(192 + ((n - 87) >> 8));
		s.base.bytes[2] = (uint8_t)(n - 87);
		s.prefix = 24;
	} else {
		return false;
	}
	*ret = s;
	return true;
}

static int set_text(char **at, const char *text)
{
	free(*at);
	*at = strdup(text);
	return *at ? 0 : -ENOMEM;
}

static int pick4(struct db *d, char **ret, struct err *e)
{
	char text[ADDRESS_TEXT + 4];
	struct subnet s;

	for (unsigned n = 0; candidate4(n, &s); n++) {
		int r = holds_nameserver(&s) ? -EEXIST : check_free(d, &s, e);
		if (r == 0)
			return set_text(ret, subnet_format(&s, text)) < 0 ? err_nomem(e) : 0;
		if (r != -EEXIST)
			return r;
	}
	return err_set(e, ENOSPC,
		"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the "
		"network");
}

/* fd, and 56 random bits: RFC 4193 has 40 of them for the site and 16 for the subnet. */
static int pick6(struct db *d, char **ret, struct err *e)
{
	char text[ADDRESS_TEXT + 4];
	int r = -EEXIST;

	for (int tries = 0; r == -EEXIST && tries < 16; tries++) {
		struct subnet s = {.base = {.family = AF_INET6, .bytes = {0xfd}}, .prefix = 64};
		if (random_bytes(s.base.bytes + 1, 7) < 0)
			return err_set(e, EIO, "no random bytes");
		r = check_free(d, &s, e);
		if (r == 0 && set_text(ret, subnet_format(&s, text)) < 0)
			r = err_nomem(e);
	}
	return r;
}

/* What the user chose for one family. A subnet that is not one is said in docker's words. */
static int check_chosen(struct db *d, char **subnet, char **gateway, char **range, int family, struct err *e)
{
	char text[ADDRESS_TEXT + 4];
	struct subnet s, r;
	struct address g;

	if (subnet_parse(*subnet, &s) < 0 || s.base.family != family)
		return err_set(e, EINVAL, "invalid subnet %s: it is not of the form ADDRESS/LENGTH", *subnet);
	if (s.prefix < 8 || s.prefix > address_bits(&s.base) - 2)
		return err_set(e, EINVAL, "invalid subnet %s: its length must be between 8 and %u", *subnet,
			address_bits(&s.base) - 2);
	if (!str_empty(*gateway) &&
		(address_parse(*gateway, &g) < 0 || g.family != family || !subnet_contains(&s, &g) ||
			!subnet_is_host(&s, &g)))
		return err_set(e, EINVAL, "invalid gateway %s: it is not in subnet %s", *gateway, *subnet);
	if (!str_empty(*range) && (subnet_parse(*range, &r) < 0 || r.base.family != family || !subnet_within(&r, &s)))
		return err_set(e, EINVAL, "invalid ip-range %s: it is not in subnet %s", *range, *subnet);
	int k = check_free(d, &s, e);
	if (k == 0 &&
		(set_text(subnet, subnet_format(&s, text)) < 0 ||
			(!str_empty(*range) && set_text(range, subnet_format(&r, text)) < 0) ||
			(!str_empty(*gateway) && set_text(gateway, address_format(&g, text)) < 0)))
		k = err_nomem(e);
	return k;
}

static int complete(char **subnet, char **gateway, char **range, struct err *e)
{
	char text[ADDRESS_TEXT];
	struct address a;
	struct subnet s;

	if (!*subnet)
		*subnet = strdup("");
	if (*subnet && str_empty(*gateway) && subnet_parse(*subnet, &s) == 0 && subnet_nth(&s, 1, &a))
		set_text(gateway, address_format(&a, text));
	if (!*gateway)
		*gateway = strdup("");
	if (!*range)
		*range = strdup("");
	return *subnet && *gateway && *range ? 0 : err_nomem(e);
}

int ipam_network(struct db *d, struct network_row *n, bool ipv6, struct err *e)
{
	int r = 0;

	n->chosen = !str_empty(n->subnet4) || !str_empty(n->subnet6);
	if (!str_empty(n->subnet4))
		r = check_chosen(d, &n->subnet4, &n->gateway4, &n->range4, AF_INET, e);
	else if (!str_empty(n->gateway4) || !str_empty(n->range4))
		r = err_set(e, EINVAL, "no matching subnet for %s %s", str_empty(n->gateway4) ? "range" : "gateway",
			str_empty(n->gateway4) ? n->range4 : n->gateway4);
	else
		r = pick4(d, &n->subnet4, e);
	if (r == 0 && !str_empty(n->subnet6))
		r = check_chosen(d, &n->subnet6, &n->gateway6, &n->range6, AF_INET6, e);
	else if (r == 0 && ipv6)
		r = pick6(d, &n->subnet6, e);
	if (r == 0)
		r = complete(&n->subnet4, &n->gateway4, &n->range4, e);
	return r == 0 ? complete(&n->subnet6, &n->gateway6, &n->range6, e) : r;
}

/* ---- addresses ---- */

/* What of one family is taken on a network, as indices in its subnet. */
struct used {
	struct subnet subnet;
	uint64_t *index;
	size_t len;
};

static int add_used(struct used *u, const char *text)
{
	struct address a;

	if (str_empty(text) || address_parse(text, &a) < 0 || a.family != u->subnet.base.family)
		return 0;
	if (u->len % 64 == 0) {
		uint64_t *more = reallocarray(u->index, u->len + 64, sizeof(*more));
		if (!more)
			return -ENOMEM;
		u->index = more;
	}
	u->index[u->len++] = subnet_index(&u->subnet, &a);
	return 0;
}

static int note_used(void *data, const struct endpoint_row *p, struct err *e)
{
	struct used *u = data;

	return add_used(u, u->subnet.base.family == AF_INET ? p->address4 : p->address6) < 0 ? err_nomem(e) : 0;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int read_used(struct db *d, const struct network_row *n, int family, struct used *u, struct err *e)
{
	if (subnet_parse(family == AF_INET ? n->subnet4 : n->subnet6, &u->subnet) < 0)
		return err_set(e, EBADMSG, "network %s: its record is damaged", n->name);
	int r = add_used(u, family == AF_INET ? n->gateway4 : n->gateway6);
	if (r == 0)
		r = endpoints_of_network(d, n->id, note_used, u, e);
	if (r == 0 && u->len)
		qsort(u->index, u->len, sizeof(*u->index), ascending);
	return r;
}

static bool is_used(const struct used *u, uint64_t index)
{
	return u->len && bsearch(&index, u->index, u->len, sizeof(index), ascending);
}

/* The lowest free one in the range; `first` is tried before, unless it is 0. */
static bool find_free(const struct used *u, const char *range_text, uint64_t first, struct address *ret)
{
	struct subnet range = u->subnet;
	struct address a;

	if (!str_empty(range_text))
		subnet_parse(range_text, &range);
	uint64_t from = subnet_index(&u->subnet, &range.base), size = subnet_size(&range);
	if (first && !is_used(u, first) && first >= from && first - from < size && subnet_nth(&u->subnet, first, ret) &&
		subnet_is_host(&u->subnet, ret))
		return true;
	for (uint64_t k = 0; k < size; k++) {
		if (!subnet_nth(&u->subnet, from + k, &a))
			return false;
		if (subnet_is_host(&u->subnet, &a) && !is_used(u, from + k)) {
			*ret = a;
			return true;
		}
	}
	return false;
}

static int check_wanted(const struct used *u, const struct network_row *n, const char *text, struct err *e)
{
	struct address a;

	if (address_parse(text, &a) < 0 || a.family != u->subnet.base.family)
		return err_set(
			e, EINVAL, "invalid %s address: %s", u->subnet.base.family == AF_INET ? "IPv4" : "IPv6", text);
	if (!n->chosen)
		return err_set(e, EINVAL,
			"invalid config for network %s: user specified IP address is supported only when connecting to "
			"networks "
			"with user configured subnets",
			n->name);
	if (!subnet_contains(&u->subnet, &a) || !subnet_is_host(&u->subnet, &a))
		return err_set(e, EINVAL, "invalid config for network %s: no configured subnet contains IP address %s",
			n->name, text);
	if (is_used(u, subnet_index(&u->subnet, &a)))
		return err_set(e, EADDRINUSE, "Address already in use: %s on network %s", text, n->name);
	return 0;
}

static int choose(struct db *d, const struct network_row *n, int family, uint64_t *index, char **address, struct err *e)
{
	struct used u = {0};
	char text[ADDRESS_TEXT];
	struct address a;

	int r = read_used(d, n, family, &u, e);
	if (r == 0 && !str_empty(*address)) {
		r = check_wanted(&u, n, *address, e);
		if (r == 0)
			address_parse(*address, &a);
	} else if (r == 0 && !find_free(&u, family == AF_INET ? n->range4 : n->range6, *index, &a)) {
		r = err_set(e, ENOSPC, "no available IPv%d addresses on this network's address pools: %s (%s)",
			family == AF_INET ? 4 : 6, n->name, n->id);
	}
	if (r == 0) {
		*index = subnet_index(&u.subnet, &a);
		if (set_text(address, address_format(&a, text)) < 0)
			r = err_nomem(e);
	}
	free(u.index);
	return r;
}

/* From the IPv4 address, as docker does: who gets an address later has the same hardware address, which neighbours may still remember. */
static void make_mac(struct endpoint_row *p)
{
	struct address a = {0};
	uint8_t mac[MAC_LEN] = {0x02, 0x42};

	address_parse(p->address4, &a);
	memcpy(mac + 2, a.bytes, 4);
	mac_format(mac, p->mac);
}

int ipam_endpoint(struct db *d, const struct network_row *n, struct endpoint_row *p, struct err *e)
{
	uint64_t index = 0;
	uint8_t mac[MAC_LEN], random[6];

	int r = choose(d, n, AF_INET, &index, &p->address4, e);
	if (r == 0 && *n->subnet6)
		r = choose(d, n, AF_INET6, &index, &p->address6, e);
	else if (r == 0 && !str_empty(p->address6))
		r = err_set(e, EINVAL, "invalid config for network %s: no configured subnet contains IP address %s",
			n->name, p->address6);
	if (r < 0)
		return r;
	if (!*p->mac)
		make_mac(p);
	if (mac_parse(p->mac, mac) < 0 || mac[0] & 1)
		return err_set(e, EINVAL, "invalid MAC address: %s", p->mac);
	mac_format(mac, p->mac);
	if (random_bytes(random, sizeof(random)) < 0)
		return err_set(e, EIO, "no random bytes");
	snprintf(p->port, sizeof(p->port), NET_PORT_PREFIX "%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2],
		random[3], random[4], random[5]);
	return 0;
}
