/* Which of our packets others' rules drop, in words. */
#include "net/foreign-private.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "net/link.h"

enum direction { OUT, IN, BETWEEN, NAMES, FROM_HOST, DIRECTIONS };

static const char *const direction_text[DIRECTIONS] = {"what containers send out", "what comes to containers",
	"what containers send to each other", "containers' questions for names", "what the host sends to containers"};

enum end { NOTHING, OUTSIDE, BRIDGE, PORT };

/* Ways through the hooks. In the family bridge interfaces are ports; names are asked for by IPv4. */
static const struct way {
	const char *hook;
	bool bridge;
	enum direction direction;
	enum end from, to;
} ways[] = {
	{"prerouting", false, OUT, BRIDGE, NOTHING},
	{"forward", false, OUT, BRIDGE, OUTSIDE},
	{"forward", false, IN, OUTSIDE, BRIDGE},
	{"forward", false, BETWEEN, BRIDGE, BRIDGE},
	{"input", false, NAMES, BRIDGE, NOTHING},
	{"output", false, FROM_HOST, NOTHING, BRIDGE},
	{"postrouting", false, IN, OUTSIDE, BRIDGE},
	{"prerouting", true, OUT, PORT, NOTHING},
	{"forward", true, BETWEEN, PORT, PORT},
	{"input", true, OUT, PORT, NOTHING},
	{"output", true, IN, NOTHING, PORT},
	{"postrouting", true, IN, NOTHING, PORT},
};

/* What drops, and what it drops: bits of directions. */
struct cause {
	const struct foreign_rule *rule; /* NULL: the policy */
	unsigned v4, v6;
};

struct causes {
	struct cause list[2 * DIRECTIONS];
	size_t count;
};

static const char *end_name(enum end end, const struct foreign_place *p, const char *bridge)
{
	return end == OUTSIDE ? p->outside : end == BRIDGE ? bridge : end == PORT ? NET_PORT_PREFIX "0" : "";
}

static struct foreign_packet packet_of(
	const struct way *way, const struct foreign_place *p, const char *bridge, bool v6)
{
	bool names = way->direction == NAMES;

	return (struct foreign_packet){
		.iif = end_name(way->from, p, bridge),
		.oif = end_name(way->to, p, bridge),
		.iif_bridge = way->from == PORT ? bridge : NULL,
		.oif_bridge = way->to == PORT ? bridge : NULL,
		.v6 = v6,
		.udp = names,
		.port = names ? 53 : 0,
		.local = names,
		.dnat = names || way->direction == IN || (way->direction == BETWEEN && !way->bridge && !p->bridged),
	};
}

static bool passes(const struct foreign_chain *c, const struct way *way, bool v6)
{
	bool bridge = !strcmp(c->family, "bridge"),
	     family = bridge || !strcmp(c->family, "inet") || !strcmp(c->family, v6 ? "ip6" : "ip");

	return c->hook && !strcmp(c->hook, way->hook) && family && bridge == way->bridge &&
		!(v6 && way->direction == NAMES);
}

static void add_cause(struct causes *all, const struct foreign_rule *rule, enum direction d, bool v6)
{
	struct cause *c = all->list;

	while (c < all->list + all->count && c->rule != rule)
		c++;
	if (c == all->list + all->count) {
		all->count++;
		c->rule = rule;
	}
	*(v6 ? &c->v6 : &c->v4) |= 1U << d;
}

/* docker's policy is drop; its own chain for such rules has ours. */
static bool is_dockers(const struct foreign_rules *r, const struct foreign_chain *c, const struct foreign_place *p)
{
	return p->dockers && !strcmp(c->table, "filter") && !strcmp(c->name, "FORWARD") &&
		foreign_chain_find(r, c->family, c->table, "DOCKER-USER");
}

static int find_causes(const struct foreign_rules *r, const struct foreign_chain *c, const struct foreign_place *p,
	const char *bridge, struct causes *ret)
{
	for (size_t i = 0; i < 2 * sizeof(ways) / sizeof(*ways); i++) {
		const struct way *way = &ways[i / 2];
		const struct foreign_rule *rule = NULL;
		bool v6 = i % 2;
		if (!passes(c, way, v6))
			continue;
		struct foreign_packet packet = packet_of(way, p, bridge, v6);
		int dropped = foreign_fate(r, c, &packet, &rule);
		if (dropped < 0)
			return dropped;
		if (dropped && (rule || !is_dockers(r, c, p)))
			add_cause(ret, rule, way->direction, v6);
	}
	return 0;
}

/* ---- words ---- */

/* "what containers send out, what comes to containers (IPv6)" */
static int directions_add(struct buf *b, const struct cause *c, bool both)
{
	const char *separator = " ";
	int r = 0;

	for (unsigned d = 0; d < DIRECTIONS && r == 0; d++) {
		bool v4 = c->v4 & 1U << d, v6 = c->v6 & 1U << d;
		if (!v4 && !v6)
			continue;
		r = buf_addf(b, "%s%s%s", separator, direction_text[d],
			!both || v4 == v6 || d == NAMES ? ""
				: v4                    ? " (IPv4)"
							: " (IPv6)");
		separator = ", ";
	}
	return r;
}

static int causes_add(struct buf *b, const struct foreign_chain *c, const struct causes *all)
{
	bool both = !strcmp(c->family, "inet") || !strcmp(c->family, "bridge");
	int r = 0;

	for (size_t i = 0; i < all->count && r == 0; i++) {
		const struct cause *cause = &all->list[i];
		r = buf_addf(b, "%s%s blocks", i ? "; " : "", cause->rule ? cause->rule->name : "policy drop");
		if (r == 0)
			r = directions_add(b, cause, both);
	}
	return r;
}

static int remedy_add(struct buf *b, const struct foreign_chain *c, bool by_iptables)
{
	const char *name = strcmp(c->family, "bridge") != 0 ? NET_BRIDGE_PREFIX : NET_PORT_PREFIX, *ufw = "";

	if (!strcmp(c->table, "firewalld"))
		return buf_adds(b,
			"; firewall-cmd --permanent --zone=trusted --add-interface=" NET_BRIDGE_PREFIX
			"+ && firewall-cmd --reload");
	if (!strcmp(c->table, "filter") && !strcmp(c->hook, "forward"))
		ufw = "with ufw: ufw default allow routed; else ";
	else if (!strcmp(c->table, "filter") && !strcmp(c->hook, "input"))
		ufw = "with ufw: ufw allow in on " NET_BRIDGE_PREFIX "+; else ";
	return buf_addf(
		b, "; %saccept what comes from and goes to %s%c before that", ufw, name, by_iptables ? '+' : '*');
}

/* Names of others' chains and comments in their rules may hold anything. */
static void make_plain(struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (!isascii((unsigned char)b->data[i]) || !isprint((unsigned char)b->data[i]))
			b->data[i] = '?';
}

static int tell(const struct foreign_chain *c, const char *bridges, const char *causes, foreign_fn *fn, void *data)
{
	_cleanup_buf_ struct buf b = {0};
	/* whose base chains are in capitals */
	bool by_iptables = c->program || isupper((unsigned char)*c->name);
	int r = c->program ? buf_addf(&b, "%s: table %s", c->program, c->table)
			   : buf_addf(&b, "table %s %s", c->family, c->table);

	if (r == 0)
		r = buf_addf(
			&b, ", chain %s (hook %s)%s%s: %s", c->name, c->hook, *bridges ? " for " : "", bridges, causes);
	if (r == 0)
		r = remedy_add(&b, c, by_iptables);
	if (r < 0)
		return r;
	make_plain(&b);
	fn(data, b.data);
	return 0;
}

/* ---- chains ---- */

/* What each bridge meets, and the bridges that meet the same. */
struct meetings {
	char **causes, **bridges;
};

static int meeting_add(struct meetings *m, const char *causes, const char *bridge)
{
	for (size_t i = 0; m->causes && m->causes[i]; i++) {
		if (strcmp(m->causes[i], causes) != 0)
			continue;
		char *longer = str_fmt("%s, %s", m->bridges[i], bridge);
		if (!longer)
			return -ENOMEM;
		free(m->bridges[i]);
		m->bridges[i] = longer;
		return 0;
	}
	int r = strv_push(&m->causes, causes);
	return r < 0 ? r : strv_push(&m->bridges, bridge);
}

static int meet(const struct foreign_rules *r, const struct foreign_chain *c, const struct foreign_place *p,
	struct meetings *m, size_t *ret_blocked)
{
	strv_foreach(bridge, p->bridges) {
		_cleanup_buf_ struct buf b = {0};
		struct causes causes = {0};
		int n = find_causes(r, c, p, bridge, &causes);
		if (n < 0)
			return n;
		if (!causes.count)
			continue;
		++*ret_blocked;
		n = causes_add(&b, c, &causes);
		if (n == 0)
			n = meeting_add(m, b.data, bridge);
		if (n < 0)
			return n;
	}
	return 0;
}

static int report_chain(const struct foreign_rules *r, const struct foreign_chain *c, const struct foreign_place *p,
	foreign_fn *fn, void *data)
{
	struct meetings m = {0};
	size_t blocked = 0;
	int n = meet(r, c, p, &m, &blocked), found = (int)strv_len(m.causes);
	bool all = found == 1 && blocked == strv_len(p->bridges);

	for (int i = 0; i < found && n == 0; i++)
		n = tell(c, all ? "" : m.bridges[i], m.causes[i], fn, data);
	strv_free(m.causes);
	strv_free(m.bridges);
	return n < 0 ? n : found;
}

int foreign_report(
	const struct foreign_rules *r, const struct foreign_place *p, foreign_fn *fn, void *data, struct err *e)
{
	int found = 0, failed = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct foreign_chain *c = &r->chains[i];
		int n = c->hook ? report_chain(r, c, p, fn, data) : 0;
		if (n < 0)
			failed = err_errno(e, n, "follow the rules of table %.64s, chain %.64s", c->table, c->name);
		else
			found += n;
	}
	return failed ? failed : found;
}
