/*
 * Network cards: those that are there from the start, and those that come and go while the container runs. The guest's first network namespace is
 * the container's. A card that is disconnected moves to a namespace of the agent's own, where the container does not see it, and back when it is
 * used again.
 */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/rtnl.h"
#include "sandbox/network.h"

#define OWN_NETNS "/proc/self/ns/net"

/* The namespace for what is put by; this process is back in the container's afterwards. */
static int open_parking(struct agent *a, int home, struct err *e)
{
	if (a->parking >= 0)
		return 0;
	if (unshare(CLONE_NEWNET) < 0)
		return err_errno(e, errno, "make a network namespace");
	a->parking = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	int r = a->parking < 0 ? err_errno(e, errno, "open a network namespace") : 0;
	if (setns(home, CLONE_NEWNET) < 0)
		r = err_errno(e, errno, "return to the container's network namespace");
	return r;
}

/* Down and without addresses under its own hardware address and a name that no other card has, then into the namespace `to`. */
static int move(int rtnl, int index, const uint8_t mac[MAC_LEN], int to)
{
	struct ifinfomsg h = {.ifi_index = index};
	struct rtnl_msg m;
	char name[IF_NAMESIZE];

	snprintf(name, sizeof(name), "card%02x%02x%02x", mac[3], mac[4], mac[5]);
	int r = rtnl_link_up(rtnl, (unsigned)index, false);
	if (r == 0)
		r = rtnl_address_flush(rtnl, (unsigned)index);
	if (r == 0)
		r = rtnl_link_change(rtnl, (unsigned)index, name, mac, 0);
	if (r < 0)
		return r;
	rtnl_begin(&m, RTM_NEWLINK, 0, &h, sizeof(h));
	rtnl_add_u32(&m, IFLA_NET_NS_FD, (uint32_t)to);
	return rtnl_call(rtnl, &m);
}

/* Moves the card with the hardware address `has`, found in the caller's namespace. */
static int take_card(const uint8_t has[MAC_LEN], const uint8_t own[MAC_LEN], int to, struct err *e)
{
	_cleanup_close_ int rtnl = rtnl_open();
	int index = rtnl < 0 ? rtnl : rtnl_link_by_mac(rtnl, has);
	int r = index < 0 ? index : move(rtnl, index, own, to);

	return r < 0 ? err_errno(e, r, "move a network card") : 0;
}

static int fetch_parked(struct agent *a, const uint8_t own[MAC_LEN], struct err *e)
{
	_cleanup_close_ int home = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);

	if (home < 0 || a->parking < 0 || setns(a->parking, CLONE_NEWNET) < 0)
		return err_set(e, ENODEV, "no network card was put by");
	int r = take_card(own, own, home, e);
	if (setns(home, CLONE_NEWNET) < 0)
		return err_errno(e, errno, "return to the container's network namespace");
	return r;
}

/* name: what it may be called. */
static int set_mac(const char *name, const uint8_t own[MAC_LEN], const char *wanted, struct err *e)
{
	_cleanup_close_ int rtnl = rtnl_open();
	uint8_t mac[MAC_LEN];
	int index = rtnl < 0 ? rtnl : network_find(rtnl, name, own);
	int r = index < 0 ? index : mac_parse(wanted ? wanted : "", mac);

	if (r == 0)
		r = rtnl_link_change(rtnl, (unsigned)index, NULL, mac, 0);
	return r < 0 ? err_errno(e, r, "set the network card's hardware address") : 0;
}

static int first_mac(uint8_t ret[MAC_LEN], struct err *e)
{
	int r = mac_parse(AGENT_CARD_MAC, ret);

	return r < 0 ? err_errno(e, r, "the first network card") : 0;
}

int card_prepare(struct agent *a, struct err *e)
{
	uint8_t own[MAC_LEN];
	int r = first_mac(own, e);

	return r == 0 ? network_prepare(own, &a->card, e) : r;
}

int cards_setup(const struct agent *a, const struct plan *p, struct err *e)
{
	const struct network_ahead *ahead = a->prepared ? &a->card : NULL;
	uint8_t own[MAC_LEN];
	int r = 0;

	if (p->interfaces_len && !ahead) {
		r = a->machine->load("net", e);
		if (r == 0)
			r = first_mac(own, e);
		if (r == 0)
			r = set_mac(p->interfaces[0].name, own, p->interfaces[0].mac, e);
	}
	for (unsigned i = 1; r == 0 && i < p->interfaces_len; i++)
		r = a->machine->plugged(AGENT_CARDS_BUS + i - 1, e);
	return r == 0 ? network_setup(p, ahead, e) : r;
}

int card_connect(struct agent *a, struct wire *w, struct err *e)
{
	uint32_t bus = wire_u32(w);
	_cleanup_free_ char *text = wire_str(w);
	struct plan p = {0};
	uint8_t own[MAC_LEN];
	size_t n;
	const char *bytes = wire_bytes(w, &n);

	if (w->bad || w->left || mac_parse(text, own) < 0) {
		w->bad = true;
		return 0;
	}
	int r = plan_decode(&p, bytes, n, e);
	if (r == 0 && p.interfaces_len != 1)
		r = err_set(e, EBADMSG, "not one interface");
	if (r == 0)
		r = bus ? a->machine->plugged(bus, e) : fetch_parked(a, own, e);
	if (r == 0 && !bus)
		r = set_mac(NULL, own, p.interfaces[0].mac, e);
	if (r == 0)
		r = sandbox_add_interface(&a->sandbox, &a->plan, &p.interfaces[0], e);
	plan_done(&p);
	return r;
}

int card_disconnect(struct agent *a, struct wire *w, struct err *e)
{
	_cleanup_free_ char *own_text = wire_str(w), *now_text = wire_str(w);
	_cleanup_close_ int home = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
	uint8_t own[MAC_LEN], now[MAC_LEN];

	if (w->bad || w->left || mac_parse(own_text, own) < 0 || mac_parse(now_text, now) < 0) {
		w->bad = true;
		return 0;
	}
	int r = home < 0 ? err_errno(e, errno, "open " OWN_NETNS) : open_parking(a, home, e);
	return r < 0 ? r : take_card(now, own, a->parking, e);
}
