/*
 * The VM's network cards. Each is a tap on the host, a port of a network's bridge, whose descriptor QEMU holds.
 *
 * The first of the plan is there when QEMU starts, as it is in a template. Each other one, of the plan or of a network that is connected later, is
 * plugged into one of VM_SLOTS PCIe slots. A guest never gives a card back cleanly (QEMU sends no DEVICE_DELETED here), so disconnecting puts it by: the
 * host takes its tap off the bridge, the agent hides it from the container, and the next connect uses it again. So the slots bound how many networks a
 * container has at once, not how often it changes them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "isolation/hyperv-private.h"
#include "proto/agent.h"

/* first: it is there when QEMU starts. */
static struct card *add_card(struct cards *c, const struct plan_interface *f, int tap, bool first)
{
	struct card *k = &c->all[c->len++];

	*k = (struct card){.tap = tap};
	snprintf(k->mac, sizeof(k->mac), "%s", first ? AGENT_CARD_MAC : f->mac);
	snprintf(k->port, sizeof(k->port), "%s", f->port);
	return k;
}

static int attach(struct cards *c, const struct plan_interface *f, const char *parked, int *ret_tap, struct err *e)
{
	*ret_tap = -1;
	return c->isolate->events.attach(c->isolate->events_data, f, 0, parked, ret_tap, e);
}

static void detach(struct cards *c, const char *port, bool park)
{
	struct err none;

	c->isolate->events.detach(c->isolate->events_data, port, park, &none);
}

int cards_open(struct cards *c, struct isolate *i, struct err *e)
{
	const struct plan *p = i->plan;

	*c = (struct cards){.isolate = i};
	if (p->interfaces_len > VM_CARDS_MAX)
		return err_set(e, E2BIG, "a container in a virtual machine can have %d networks at most", VM_CARDS_MAX);
	for (size_t k = 0; k < p->interfaces_len; k++) {
		int tap;
		int r = attach(c, &p->interfaces[k], NULL, &tap, e);
		if (r < 0)
			return r;
		add_card(c, &p->interfaces[k], tap, k == 0);
	}
	c->slots_used = c->len ? (unsigned)c->len - 1 : 0;
	return 0;
}

/* ---- a change while the VM runs ---- */

/* One connect or disconnect: QEMU may be asked first, then the agent. */
struct change {
	struct cards *cards;
	struct peer *peer;
	size_t card;
	uint8_t op;
	bool plugged;
	struct buf request; /* for the agent */
	isolate_done_fn *fn;
	void *data;
};

static void change_free(struct change *x)
{
	if (!x)
		return;
	buf_done(&x->request);
	free(x);
}

static void cleanup_change(struct change **x)
{
	change_free(*x);
}

static struct change *change_new(const struct change *init)
{
	struct change *x = malloc(sizeof(*x));

	if (x)
		*x = *init;
	return x;
}

/* Whatever a guest says: a card that is to be off its network is, and one that it did not take up is not on it. */
static void settle(struct cards *c, struct card *k, bool keep, bool plugged)
{
	if (keep)
		return;
	k->parked = !plugged; /* one that never showed up is lost with its slot */
	detach(c, k->port, true);
}

static void on_changed(void *data, struct wire *w, const struct err *e)
{
	struct change *x = data;
	bool connect = x->op == AGENT_CONNECT;

	(void)w;
	settle(x->cards, &x->cards->all[x->card], connect && !e, x->plugged);
	x->fn(x->data, connect ? e : NULL);
	change_free(x);
}

static int ask_agent(struct change *x, struct err *e)
{
	return peer_request(x->peer, x->op, x->request.data, x->request.len, on_changed, x, e);
}

/* Only now is there something for the guest to find. */
static void on_plugged(void *data, const struct err *e)
{
	struct change *x = data;
	struct err own = ERR_INIT;

	if (e || ask_agent(x, &own) < 0)
		on_changed(x, NULL, e ? e : &own);
}

/* bus: that it is plugged into, or 0. */
static int encode_connect(const struct card *k, uint32_t bus, const struct plan_interface *f, struct buf *b)
{
	struct plan one = {.interfaces = (struct plan_interface *)f, .interfaces_len = 1};
	_cleanup_buf_ struct buf encoded = {0};
	int r = plan_encode(&one, &encoded);

	if (r >= 0)
		r = wire_add_u32(b, bus);
	if (r >= 0)
		r = wire_add_str(b, k->mac);
	return r < 0 ? r : wire_add_bytes(b, encoded.data, encoded.len);
}

static struct card *find_parked(struct cards *c)
{
	for (size_t i = 0; i < c->len; i++)
		if (c->all[i].parked)
			return &c->all[i];
	return NULL;
}

/* The commands go out at once; if one fails the last one does too, and its answer goes on with the change. */
static int plug(struct change *x, struct qmp *q, struct err *e)
{
	struct cards *c = x->cards;
	unsigned number = (unsigned)x->card;
	_cleanup_free_ char *name = str_fmt("\"fdname\":\"tap%u\"", number);
	_cleanup_free_ char *net =
		str_fmt("\"type\":\"tap\",\"id\":\"net%u\",\"fd\":\"tap%u\",\"vhost\":false", number, number);
	_cleanup_free_ char *device = vm_card_arguments(c->slots_used, number, c->all[x->card].mac);

	if (!name || !net || !device)
		return err_nomem(e);
	c->slots_used++;
	int r = qmp_run(q, "getfd", name, c->all[x->card].tap, NULL, NULL);
	if (r == 0)
		r = qmp_run(q, "netdev_add", net, -1, NULL, NULL);
	if (r == 0)
		r = qmp_run(q, "device_add", device, -1, on_plugged, x);
	return r < 0 ? err_errno(e, r, "plug a network card into the VM") : 0;
}

int cards_connect(struct cards *c, struct qmp *q, struct peer *p, const struct plan_interface *f, isolate_done_fn *fn,
	void *data, struct err *e)
{
	_cleanup_(cleanup_change) struct change *x =
		change_new(&(struct change){.cards = c, .peer = p, .op = AGENT_CONNECT, .fn = fn, .data = data});
	struct card *k = find_parked(c);
	int tap = -1;

	if (!x)
		return err_nomem(e);
	x->plugged = !k;
	if (!k && c->slots_used == VM_SLOTS)
		return err_set(e, ENOSPC,
			"container %s has no slot left for another network card: a virtual machine takes %d; "
			"disconnect one, or start the container again",
			c->isolate->plan->name, VM_CARDS_MAX);
	int r = attach(c, f, k ? k->port : NULL, &tap, e);
	if (r < 0)
		return r;
	if (k)
		snprintf(k->port, sizeof(k->port), "%s", f->port);
	else
		k = add_card(c, f, tap, false);
	k->parked = false;
	x->card = (size_t)(k - c->all);
	if (encode_connect(k, x->plugged ? AGENT_CARDS_BUS + c->slots_used : 0, f, &x->request) < 0)
		r = err_nomem(e);
	if (r == 0)
		r = x->plugged ? plug(x, q, e) : ask_agent(x, e);
	if (r < 0)
		settle(c, k, false, x->plugged);
	else
		steal_ptr(x);
	return r;
}

int cards_disconnect(
	struct cards *c, struct peer *p, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	_cleanup_(cleanup_change) struct change *x =
		change_new(&(struct change){.cards = c, .peer = p, .op = AGENT_DISCONNECT, .fn = fn, .data = data});
	struct card *k = NULL;

	if (!x)
		return err_nomem(e);
	for (size_t i = 0; i < c->len && !k; i++)
		if (!c->all[i].parked && !strcmp(c->all[i].port, f->port))
			k = &c->all[i];
	if (!k)
		return err_set(e, ENOENT, "container %s has no network card %s", c->isolate->plan->name, f->port);
	x->card = (size_t)(k - c->all);
	if (wire_add_str(&x->request, k->mac) < 0 || wire_add_str(&x->request, f->mac) < 0)
		return err_nomem(e);
	int r = ask_agent(x, e);
	if (r == 0)
		steal_ptr(x);
	return r;
}
