/*
 * Who can connect: every port that is listened on inside is tried, from the host and from a neighbour on each network.
 *
 * Tried are the addresses that the engine gave the container, and the link-local one that follows from its hardware address: nothing else gets past
 * its port's filter, and a guest that names other addresses as its own must not make the host connect to them. Of a container on the host's kernel,
 * whose interfaces the kernel itself tells, these are tried too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "audit/audit-private.h"
#include "audit/reach.h"
#include "base/rtnl.h"

enum { PLACES_MAX = 64, FIRST_UNUSED_PORT = 33434, READY_TRIES = 5 };

/* An address of the container's. */
struct place {
	struct address address;
	size_t interface;                         /* of the target's; SIZE_MAX: none of them */
	const char *host_scope, *neighbour_scope; /* for a link-local address */
};

/* What an attempt was made for. */
struct trial {
	const struct look_socket *socket; /* NULL: an echo, or a datagram to a port where nothing listens */
	const struct place *place;
	bool neighbour;
};

struct reaching {
	struct place places[PLACES_MAX];
	size_t places_len;
	struct trial *trials;
	struct attempt *attempts;
	size_t len, room;
	uint16_t unused;    /* a UDP port where nothing listens */
	char failures[512]; /* why an origin could not be tried */
};

void reaching_free(struct reaching *r)
{
	if (!r)
		return;
	free(r->trials);
	free(r->attempts);
	free(r);
}

/* ---- the addresses ---- */

static void add_place(struct reaching *r, const struct address *a, size_t interface, const char *host_scope,
	const char *neighbour_scope)
{
	for (size_t i = 0; i < r->places_len; i++)
		if (address_equal(&r->places[i].address, a))
			return;
	if (r->places_len < PLACES_MAX)
		r->places[r->places_len++] = (struct place){*a, interface, host_scope, neighbour_scope};
}

/* RFC 4291, appendix A */
static bool link_local(const char *mac, struct address *ret)
{
	uint8_t m[MAC_LEN];

	if (mac_parse(mac, m) < 0)
		return false;
	*ret = (struct address){.family = AF_INET6,
		.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)(m[0] ^ 2), m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}};
	return true;
}

static void add_interface(struct reaching *r, const struct plan_interface *f, size_t number)
{
	char text[ADDRESS_TEXT];
	struct address a;
	bool ipv6 = false;

	strv_foreach(s, f->addresses) {
		without_prefix(s, text);
		if (address_parse(text, &a) < 0)
			continue;
		ipv6 = ipv6 || a.family == AF_INET6;
		add_place(r, &a, number, NULL, NULL);
	}
	if (ipv6 && link_local(f->mac, &a))
		add_place(r, &a, number, f->bridge, f->name);
}

static struct address address_of(const struct look_address *a)
{
	struct address r = {.family = a->len == 4 ? AF_INET : AF_INET6};

	memcpy(r.bytes, a->bytes, a->len);
	return r;
}

static void add_seen(struct reaching *r, const struct look *l)
{
	for (uint32_t i = 0; i < l->interfaces_len; i++) {
		const struct look_interface *f = &l->interfaces[i];
		for (uint32_t k = 0; !f->loopback && k < f->addresses_len; k++) {
			struct address a = address_of(&f->addresses[k]);
			/* without a scope a link-local address says nothing */
			if (a.family == AF_INET || a.bytes[0] != 0xfe || (a.bytes[1] & 0xc0) != 0x80)
				add_place(r, &a, SIZE_MAX, NULL, NULL);
		}
	}
}

/* ---- the attempts ---- */

static void add_trial(struct reaching *r, struct trial t, struct attempt a)
{
	for (size_t i = 0; i < r->len; i++)
		if (r->trials[i].neighbour == t.neighbour && r->trials[i].place == t.place &&
			r->attempts[i].kind == a.kind && r->attempts[i].port == a.port)
			return;
	if (r->len == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		struct trial *trials = realloc(r->trials, room * sizeof(*trials));
		r->trials = trials ? trials : r->trials;
		struct attempt *attempts = trials ? realloc(r->attempts, room * sizeof(*attempts)) : NULL;
		if (!attempts) {
			snprintf(r->failures, sizeof(r->failures), "out of memory");
			return;
		}
		r->attempts = attempts;
		r->room = room;
	}
	a.to = t.place->address;
	a.scope = t.neighbour ? t.place->neighbour_scope : t.place->host_scope;
	r->trials[r->len] = t;
	r->attempts[r->len++] = a;
}

/* ::ffff:a.b.c.d is the IPv4 address. */
static bool is_mapped(const struct look_address *a)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return a->len == 16 && !memcmp(a->bytes, prefix, sizeof(prefix));
}

/* A socket of :: takes IPv4 too, unless it says otherwise, which cannot be seen. */
static bool takes(const struct look_socket *s, const struct address *a)
{
	const struct look_address *bound = &s->address;

	if (look_address_any(bound))
		return bound->len == 16 || a->family == AF_INET;
	if (is_mapped(bound))
		return a->family == AF_INET &&
			(!memcmp(bound->bytes + 12, a->bytes, 4) || !memcmp(bound->bytes + 12, "\0\0\0\0", 4));
	return bound->len == (a->family == AF_INET ? 4 : 16) && !memcmp(bound->bytes, a->bytes, bound->len);
}

static uint16_t unused_port(const struct look *l)
{
	uint16_t port = FIRST_UNUSED_PORT;

	for (uint32_t i = 0; i < l->sockets_len; i++)
		if (l->sockets[i].udp && l->sockets[i].port == port) {
			port++;
			i = UINT32_MAX; /* from the beginning */
		}
	return port;
}

static void add_trials(struct reaching *r, const struct look *l, const struct place *p, bool neighbour)
{
	bool udp = false;

	add_trial(r, (struct trial){.place = p, .neighbour = neighbour}, (struct attempt){.kind = ATTEMPT_PING});
	for (uint32_t i = 0; i < l->sockets_len; i++) {
		const struct look_socket *s = &l->sockets[i];
		if (!takes(s, &p->address))
			continue;
		udp = udp || s->udp;
		if (!s->udp)
			add_trial(r, (struct trial){s, p, neighbour},
				(struct attempt){.kind = ATTEMPT_TCP, .port = s->port});
	}
	if (udp)
		add_trial(r, (struct trial){.place = p, .neighbour = neighbour},
			(struct attempt){.kind = ATTEMPT_UDP, .port = r->unused});
}

static void note_failure(struct reaching *r, const char *origin, const struct err *e)
{
	size_t n = strlen(r->failures);

	snprintf(r->failures + n, sizeof(r->failures) - n, "%snot tried from %s: %s", n ? "; " : "", origin, e->msg);
}

static void try_from_host(struct reaching *r, const struct look *l)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < r->places_len; i++)
		add_trials(r, l, &r->places[i], false);
	if (reach_try(-1, r->attempts, r->len, &e) < 0)
		note_failure(r, "the host", &e);
}

/* A new port of a bridge may need a second before it carries anything: what it would find silent until then would mean nothing. */
static int wait_until_ready(const struct audit_neighbour *n, struct err *e)
{
	struct attempt pings[2];
	size_t len = 0, answered = 0;

	for (size_t i = 0; i < 2; i++) {
		pings[len] = (struct attempt){.kind = ATTEMPT_PING};
		len += n->gateways[i] && address_parse(n->gateways[i], &pings[len].to) == 0;
	}
	for (int tries = 0; answered < len && tries < READY_TRIES; tries++) {
		for (size_t i = 0; i < len; i++)
			pings[i].reach = REACH_NOT_TRIED;
		int r = reach_try(n->netns, pings, len, e);
		if (r < 0)
			return r;
		answered = 0;
		for (size_t i = 0; i < len; i++)
			answered += pings[i].reach == REACH_ANSWERED;
	}
	return answered == len ? 0 : err_set(e, EHOSTUNREACH, "not even the network's gateway answers");
}

/* A neighbour is on one network: it tries the addresses there. */
static void try_from_neighbour(struct audit *a, struct reaching *r, size_t interface)
{
	const struct audit_target *t = a->target;
	size_t from = r->len;
	struct err e = ERR_INIT;
	struct audit_neighbour n = {.netns = -1};

	int done = t->neighbour ? t->neighbour(t->neighbour_data, interface, &n, &e)
				: err_set(&e, ENOTSUP, "no neighbour can be made");
	if (done == 0) {
		for (size_t i = 0; i < r->places_len; i++)
			if (r->places[i].interface == interface)
				add_trials(r, t->look, &r->places[i], true);
		done = wait_until_ready(&n, &e);
		if (done == 0)
			done = reach_try(n.netns, r->attempts + from, r->len - from, &e);
		t->neighbour_done(t->neighbour_data);
	}
	if (done < 0)
		note_failure(r, "a neighbour", &e);
}

/* Everything is tried once, for both statements. NULL: out of memory. */
static struct reaching *reach_all(struct audit *a)
{
	const struct audit_target *t = a->target;

	if (a->reaching)
		return a->reaching;
	struct reaching *r = a->reaching = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	for (size_t i = 0; i < t->interfaces_len; i++)
		add_interface(r, &t->interfaces[i], i);
	if (!a->vmm)
		add_seen(r, t->look);
	r->unused = unused_port(t->look);
	try_from_host(r, t->look);
	for (size_t i = 0; i < t->interfaces_len; i++)
		try_from_neighbour(a, r, i);
	return r;
}

/* ---- the statements ---- */

static const char *reach_text(enum reach reach)
{
	static const char *const texts[] = {[REACH_NOT_TRIED] = "not tried",
		[REACH_SILENT] = "no answer",
		[REACH_BLOCKED] = "no way there",
		[REACH_REFUSED] = "refused",
		[REACH_ANSWERED] = "connected"};

	return texts[reach];
}

/* Whether a socket of this kind can be reached there, as far as it was tried: for UDP, whether a datagram arrived at all. */
static bool reached(
	const struct reaching *r, const struct look_socket *s, const struct place *p, bool neighbour, enum reach *ret)
{
	for (size_t i = 0; i < r->len; i++) {
		const struct trial *t = &r->trials[i];
		if (t->place != p || t->neighbour != neighbour)
			continue;
		if (!s->udp && r->attempts[i].kind == ATTEMPT_TCP && r->attempts[i].port == s->port) {
			*ret = r->attempts[i].reach;
			return *ret == REACH_ANSWERED;
		}
		if (s->udp && r->attempts[i].kind == ATTEMPT_UDP) {
			*ret = r->attempts[i].reach;
			return *ret == REACH_REFUSED || *ret == REACH_ANSWERED;
		}
	}
	*ret = REACH_NOT_TRIED;
	return false;
}

struct openness {
	size_t host, neighbour, published;
	bool udp;
};

/* "tcp 135 from the host: 10.0.0.2 connected, fd00::2 no answer"; whether it is open without being published. */
static bool note_origin(
	struct audit *a, struct finding *f, const struct look_socket *s, bool neighbour, struct openness *o)
{
	const struct reaching *r = a->reaching;
	_cleanup_buf_ struct buf b = {0};
	char text[ADDRESS_TEXT];
	bool open = false;

	for (size_t i = 0; i < r->places_len; i++) {
		const struct place *p = &r->places[i];
		enum reach reach;
		if (!takes(s, &p->address) || (neighbour && p->interface == SIZE_MAX))
			continue;
		bool here = reached(r, s, p, neighbour, &reach);
		address_format(&p->address, text);
		bool published = here && tables_publish(a, text, s->udp, s->port);
		buf_addf(&b, "%s%s %s%s", b.len ? ", " : "", text, s->udp && here ? "arrives" : reach_text(reach),
			published ? " (published)" : "");
		open = open || (here && !published);
		o->published += published;
	}
	if (b.len)
		finding_note(f, "%s %u from %s: %s", s->udp ? "udp" : "tcp", s->port,
			neighbour ? "a neighbour" : "the host", b.data);
	return open;
}

static bool same_socket_before(const struct look *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (l->sockets[i].udp == l->sockets[n].udp && l->sockets[i].port == l->sockets[n].port &&
			l->sockets[i].address.len == l->sockets[n].address.len &&
			!memcmp(l->sockets[i].address.bytes, l->sockets[n].address.bytes, l->sockets[n].address.len))
			return true;
	return false;
}

static bool taken_anywhere(const struct reaching *r, const struct look_socket *s)
{
	for (size_t i = 0; i < r->places_len; i++)
		if (takes(s, &r->places[i].address))
			return true;
	return false;
}

static void note_sockets(struct audit *a, struct finding *f, struct openness *o)
{
	const struct look *l = a->target->look;
	char bound[64];

	for (uint32_t i = 0; i < l->sockets_len; i++) {
		const struct look_socket *s = &l->sockets[i];
		if (same_socket_before(l, i))
			continue;
		if (!taken_anywhere(a->reaching, s)) {
			finding_note(f, "%s %u is bound to %s: no address of its networks'", s->udp ? "udp" : "tcp",
				s->port, look_address_format(&s->address, false, bound));
			continue;
		}
		o->udp = o->udp || s->udp;
		o->host += note_origin(a, f, s, false, o);
		o->neighbour += note_origin(a, f, s, true, o);
	}
	if (o->udp)
		finding_note(f,
			"udp has no connections: told is whether a datagram to port %u, where nothing listens, is "
			"refused from inside",
			a->reaching->unused);
}

/* What makes connecting pointless, or impossible to judge. */
static bool judged_without_trying(struct audit *a, struct finding *f)
{
	if (on_host_network(a)) {
		finding_value(f, "its ports are the host's");
		f->result = FINDING_FAILS;
		finding_because(f, "it is in the host's network namespace");
	} else if (!a->target->look) {
		finding_unknown(f, "what listens inside is not known: %s", a->target->look_error);
	} else {
		return false;
	}
	return true;
}

void measure_closed(struct audit *a, struct finding *f)
{
	struct openness o = {0};

	if (judged_without_trying(a, f))
		return;
	if (!reach_all(a)) {
		f->failed = true;
		return;
	}
	note_sockets(a, f, &o);
	finding_value(f, "%u listening; open to the host: %zu, to neighbours: %zu%s", a->target->look->sockets_total,
		o.host, o.neighbour, o.published ? ", save those published" : "");
	if (!a->reaching->places_len)
		finding_note(f, "it has no address on any network");
	if (o.host || o.neighbour) {
		f->result = FINDING_FAILS;
		finding_because(f, "ports that are not published can be reached");
	} else if (*a->reaching->failures) {
		finding_unknown(f, "%s", a->reaching->failures);
	} else if (a->target->look->sockets_total > a->target->look->sockets_len) {
		finding_unknown(f, "more listens inside than was told");
	} else {
		f->result = FINDING_HOLDS;
	}
}

void measure_ping(struct audit *a, struct finding *f)
{
	size_t answered[2] = {0}, tried[2] = {0};
	char text[ADDRESS_TEXT];

	f->result = FINDING_INFO;
	if (on_host_network(a)) {
		finding_value(f, "it answers as the host does");
		return;
	}
	if (!a->target->look || !reach_all(a)) {
		finding_unknown(f, "its addresses are not known: %s",
			a->target->look ? "out of memory" : a->target->look_error);
		return;
	}
	const struct reaching *r = a->reaching;
	for (size_t i = 0; i < r->len; i++) {
		bool neighbour = r->trials[i].neighbour, ok = r->attempts[i].reach == REACH_ANSWERED;
		if (r->attempts[i].kind != ATTEMPT_PING)
			continue;
		tried[neighbour]++;
		answered[neighbour] += ok;
		finding_note(f, "from %s to %s: %s", neighbour ? "a neighbour" : "the host",
			address_format(&r->attempts[i].to, text), ok ? "answered" : reach_text(r->attempts[i].reach));
	}
	finding_value(
		f, "host: %zu of %zu answered; neighbours: %zu of %zu", answered[0], tried[0], answered[1], tried[1]);
	if (*r->failures)
		finding_because(f, "%s", r->failures);
}
