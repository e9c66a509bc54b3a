/*
 * Rules of others as plain structs: two readers fill them (what `nft -j list ruleset` says, what `iptables -S` says), one walk asks them what
 * becomes of packets of containers.
 *
 * The walk looks at ordinary packets. What it cannot know (addresses, marks, most ports) counts as not met, and so the readers leave out a rule
 * with a condition on such a thing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "net/foreign.h"

enum { FOREIGN_PARTS = 4 }; /* of a concatenation */

enum foreign_field {
	FOREIGN_UNKNOWN,
	FOREIGN_IIF,
	FOREIGN_OIF,
	FOREIGN_IIF_BRIDGE, /* the bridge whose port the frame came in by */
	FOREIGN_OIF_BRIDGE,
	FOREIGN_CT, /* state and status, as iptables mixes them: new, established, dnat, ... */
	FOREIGN_FAMILY,
	FOREIGN_L4,
	FOREIGN_L4_IP4, /* the field of the IPv4 header, which IPv6 has not; and the reverse */
	FOREIGN_L4_IP6,
	FOREIGN_PORT, /* where to */
	FOREIGN_PORT_TCP,
	FOREIGN_PORT_UDP,
	FOREIGN_TYPE, /* of the address where to: local, unicast */
};

enum foreign_verdict {
	FOREIGN_CONTINUE,
	FOREIGN_ACCEPT,
	FOREIGN_DROP, /* or reject */
	FOREIGN_RETURN,
	FOREIGN_JUMP,
	FOREIGN_GOTO,
};

struct foreign_element {
	char *parts[FOREIGN_PARTS]; /* words; "name*", "1-9"; an only "*" is whatever no other element is */
	size_t count;
	enum foreign_verdict verdict; /* of a map */
	char *target;
};

struct foreign_test {
	enum foreign_field fields[FOREIGN_PARTS];
	size_t field_count;
	bool inverted, map;
	struct foreign_element *elements;
	size_t count;
};

struct foreign_rule {
	struct foreign_test *tests; /* all hold, or the rule has no verdict */
	size_t count;
	enum foreign_verdict verdict;
	char *target;
	char *name; /* for people */
};

struct foreign_chain {
	char *family, *table, *name;
	char *hook;          /* NULL: not a base chain of the type filter */
	const char *program; /* that tells of it, if that is not nft; static */
	bool drops;          /* its policy */
	bool opaque;         /* the reader could not see into a part that iptables put in */
	struct foreign_rule *rules;
	size_t count;
};

struct foreign_rules {
	struct foreign_chain *chains;
	size_t count;
};

void foreign_rules_done(struct foreign_rules *r);
#define _cleanup_foreign_ _cleanup_(foreign_rules_done)

/* Builders. Strings are copied; a new item is zeroed and good until the next one of its list. NULL or -ENOMEM: no memory. */
struct foreign_chain *foreign_chain_add(
	struct foreign_rules *r, const char *family, const char *table, const char *name, const char *hook);
struct foreign_chain *foreign_chain_find(
	const struct foreign_rules *r, const char *family, const char *table, const char *name);
struct foreign_rule *foreign_rule_add(struct foreign_chain *c);
void foreign_rule_drop(struct foreign_chain *c); /* the last one */
struct foreign_test *foreign_test_add(struct foreign_rule *r, enum foreign_field field);
struct foreign_element *foreign_element_add(struct foreign_test *t);
int foreign_part_add(struct foreign_element *e, const char *word, size_t n); /* at most FOREIGN_PARTS */

/* What is opaque in this table has been looked at; hide: read otherwise, so that its chains here are no base chains any more. */
void foreign_rules_seen(struct foreign_rules *r, const char *family, const char *table, bool hide);

/* Adds every chain but our own. -EBADMSG: this is not what nft says; rules in it that make no sense are passed over. */
int foreign_read_nft(struct foreign_rules *r, const char *text, size_t n, struct err *e);
/* Adds the chains of one table; lines that make no sense are passed over. `program` is static, or NULL for one that nft knows as well. */
int foreign_read_iptables(struct foreign_rules *r, const char *family, const char *table, const char *program,
	const char *text, struct err *e);

struct foreign_packet {
	const char *iif, *oif;               /* "": none */
	const char *iif_bridge, *oif_bridge; /* NULL: not known */
	bool v6, udp;                        /* else IPv4, TCP */
	bool dnat;                           /* to a published port, or to the name server */
	bool local;                          /* to the host */
	unsigned port;                       /* 0: not known */
};

/* 1: dropped, by *ret_rule or (NULL) by the policy; 0: not; -ELOOP: its way is too long, or goes round. The packet's connection is new. */
int foreign_fate(const struct foreign_rules *r, const struct foreign_chain *base, const struct foreign_packet *p,
	const struct foreign_rule **ret_rule);

/* What our packets look like here. */
struct foreign_place {
	char *const *bridges; /* of our networks */
	const char *outside;  /* the interface to the rest of the world */
	bool bridged;         /* frames between neighbours pass the hooks of IP too: br_netfilter */
	bool dockers;         /* docker's chain for such rules has ours, so that its policy does not matter */
};

/* As foreign_blockers, for rules that have been read. */
int foreign_report(
	const struct foreign_rules *r, const struct foreign_place *p, foreign_fn *fn, void *data, struct err *e);
