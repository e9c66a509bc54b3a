/* What becomes of a packet: its way through a base chain and the chains that it leads to. */
#include "net/foreign-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* nftables allows 16 jumps, iptables as many as there are chains; a rule set of 100,000 rules is a large one. */
enum { DEPTH_MAX = 64, STEPS_MAX = 1 << 20 };

struct walk {
	const struct foreign_rules *rules;
	const struct foreign_packet *packet;
	const struct foreign_rule *dropped_by;
	size_t steps;
	unsigned depth;
	bool lost;
};

/* ---- one condition ---- */

static bool is_known(enum foreign_field field, const struct foreign_packet *p)
{
	switch (field) {
	case FOREIGN_IIF:
	case FOREIGN_OIF:
	case FOREIGN_CT:
	case FOREIGN_FAMILY:
	case FOREIGN_L4:
	case FOREIGN_TYPE:
		return true;
	case FOREIGN_IIF_BRIDGE:
		return p->iif_bridge != NULL;
	case FOREIGN_OIF_BRIDGE:
		return p->oif_bridge != NULL;
	case FOREIGN_L4_IP4:
		return !p->v6;
	case FOREIGN_L4_IP6:
		return p->v6;
	case FOREIGN_PORT:
		return p->port != 0;
	case FOREIGN_PORT_TCP:
		return p->port && !p->udp;
	case FOREIGN_PORT_UDP:
		return p->port && p->udp;
	case FOREIGN_UNKNOWN:
		break;
	}
	return false;
}

/* "caisson*" is a beginning. */
static bool is_name(const char *word, const char *name)
{
	size_t n = strlen(word);

	return n && word[n - 1] == '*' ? !strncmp(word, name, n - 1) : !strcmp(word, name);
}

static bool is_port(const char *word, unsigned port)
{
	char *end;
	unsigned long first = strtoul(word, &end, 10), last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

	return end != word && !*end && port >= first && port <= last;
}

static bool either(const char *word, const char *a, const char *b)
{
	return !strcmp(word, a) || !strcmp(word, b);
}

static bool is_word(enum foreign_field field, const char *word, const struct foreign_packet *p)
{
	switch (field) {
	case FOREIGN_IIF:
		return is_name(word, p->iif);
	case FOREIGN_OIF:
		return is_name(word, p->oif);
	case FOREIGN_IIF_BRIDGE:
		return is_name(word, p->iif_bridge);
	case FOREIGN_OIF_BRIDGE:
		return is_name(word, p->oif_bridge);
	case FOREIGN_CT:
		return either(word, "new", p->dnat ? "dnat" : "new");
	case FOREIGN_FAMILY:
		return p->v6 ? either(word, "ipv6", "ip6") : either(word, "ipv4", "ip");
	case FOREIGN_L4:
	case FOREIGN_L4_IP4:
	case FOREIGN_L4_IP6:
		return p->udp ? either(word, "udp", "17") : either(word, "tcp", "6");
	case FOREIGN_PORT:
	case FOREIGN_PORT_TCP:
	case FOREIGN_PORT_UDP:
		return is_port(word, p->port);
	case FOREIGN_TYPE:
		return !strcmp(word, p->local ? "local" : "unicast");
	case FOREIGN_UNKNOWN:
		break;
	}
	return false;
}

static bool is_catchall(const struct foreign_element *e)
{
	return e->count == 1 && !strcmp(e->parts[0], "*");
}

static const struct foreign_element *find_element(const struct foreign_test *t, const struct foreign_packet *p)
{
	const struct foreign_element *any = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct foreign_element *e = &t->elements[i];
		size_t k = 0;
		while (k < e->count && k < t->field_count && is_word(t->fields[k], e->parts[k], p))
			k++;
		if (is_catchall(e))
			any = e;
		else if (k == t->field_count)
			return e;
	}
	return any;
}

/* ---- rules and chains ---- */

/* The rule's own verdict, or that of the map in it. */
static enum foreign_verdict verdict_of(
	const struct foreign_rule *r, const struct foreign_packet *p, const char **ret_target)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct foreign_test *t = &r->tests[i];
		for (size_t k = 0; k < t->field_count; k++)
			if (!is_known(t->fields[k], p))
				return FOREIGN_CONTINUE;
		const struct foreign_element *e = find_element(t, p);
		if ((e != NULL) == t->inverted)
			return FOREIGN_CONTINUE;
		if (t->map && e && e->verdict != FOREIGN_CONTINUE) {
			*ret_target = e->target;
			return e->verdict;
		}
	}
	*ret_target = r->target;
	return r->verdict;
}

static enum foreign_verdict run(struct walk *w, const struct foreign_chain *c);

/* Where a jump or goto leads; a target that is none of the chains (LOG, ...) leads on. */
static enum foreign_verdict follow(
	struct walk *w, const struct foreign_chain *from, const char *target, enum foreign_verdict *v)
{
	const struct foreign_chain *to =
		target ? foreign_chain_find(w->rules, from->family, from->table, target) : NULL;

	w->steps += w->rules->count / 8; /* what finding costs */
	if (!to) {
		*v = FOREIGN_JUMP;
		return FOREIGN_CONTINUE;
	}
	if (++w->depth > DEPTH_MAX)
		w->lost = true;
	enum foreign_verdict end = w->lost ? FOREIGN_ACCEPT : run(w, to);
	w->depth--;
	return end;
}

/* FOREIGN_ACCEPT, FOREIGN_DROP, or FOREIGN_CONTINUE: back to whence it came. */
static enum foreign_verdict run(struct walk *w, const struct foreign_chain *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const char *target = NULL;
		if (++w->steps > STEPS_MAX)
			w->lost = true;
		enum foreign_verdict v = w->lost ? FOREIGN_ACCEPT : verdict_of(&c->rules[i], w->packet, &target);
		if (v == FOREIGN_DROP)
			w->dropped_by = &c->rules[i];
		if (v == FOREIGN_DROP || v == FOREIGN_ACCEPT)
			return v;
		if (v == FOREIGN_RETURN)
			return FOREIGN_CONTINUE;
		if (v == FOREIGN_CONTINUE)
			continue;
		enum foreign_verdict end = follow(w, c, target, &v);
		if (end != FOREIGN_CONTINUE || v == FOREIGN_GOTO)
			return end;
	}
	return FOREIGN_CONTINUE;
}

int foreign_fate(const struct foreign_rules *r, const struct foreign_chain *base, const struct foreign_packet *p,
	const struct foreign_rule **ret_rule)
{
	struct walk w = {.rules = r, .packet = p};
	enum foreign_verdict v = run(&w, base);

	if (w.lost)
		return -ELOOP;
	*ret_rule = v == FOREIGN_DROP ? w.dropped_by : NULL;
	return v == FOREIGN_DROP || (v == FOREIGN_CONTINUE && base->drops);
}
