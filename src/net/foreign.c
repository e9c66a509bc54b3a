/* Where the rules of others are, and what our packets look like here. */
#include "net/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/proc.h"
#include "net/docker.h"
#include "net/foreign-private.h"
#include "net/link.h"

enum { ROUTES_MAX = 1 << 20, NAMES_MAX = 4096 };

struct search {
	struct foreign_place place;
	foreign_fn *fn;
	void *data;
	int found;
};

/* ---- our packets ---- */

/* The default network's bridge, whether it is there or not, and all that are. */
static int list_bridges(char ***ret)
{
	struct if_nameindex *all = if_nameindex();
	int r = strv_push(ret, NET_BRIDGE_PREFIX "0");

	for (const struct if_nameindex *i = all; i && i->if_name && r == 0; i++)
		if (str_starts(i->if_name, NET_BRIDGE_PREFIX) && !strv_has(*ret, i->if_name))
			r = strv_push(ret, i->if_name);
	if (all)
		if_freenameindex(all);
	return r;
}

/* The default route's interface: proc_net(5), route. */
static void find_outside(char ret[IF_NAMESIZE])
{
	_cleanup_buf_ struct buf routes = {0};
	_cleanup_strv_ char **lines = NULL;

	strcpy(ret, "eth0");
	if (file_read(AT_FDCWD, "/proc/net/route", ROUTES_MAX, &routes) < 0 || !routes.data)
		return;
	lines = strv_split(routes.data, "\n");
	strv_foreach(line, lines) {
		char name[IF_NAMESIZE];
		unsigned to, mask;
		if (sscanf(line, "%15s %x %*x %*x %*d %*d %*d %x", name, &to, &mask) == 3 && !to && !mask) {
			strcpy(ret, name);
			return;
		}
	}
}

static bool frames_pass(void)
{
	char value[8] = "";

	file_read_line(AT_FDCWD, "/proc/sys/net/bridge/bridge-nf-call-iptables", value, sizeof(value));
	return *value == '1';
}

/* ---- their rules ---- */

static int report(struct search *s, const struct foreign_rules *rules, struct err *e)
{
	int n = foreign_report(rules, &s->place, s->fn, s->data, e);

	s->found += n > 0 ? n : 0;
	return n < 0 ? n : 0;
}

/* The table nat has no say in what passes. */
static bool filters(const char *table)
{
	return strcmp(table, "nat") != 0;
}

/* 1: the program does not know such a table, or is not there. */
static int read_iptables(struct foreign_rules *rules, const char *program, bool legacy, const char *family,
	const char *table, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	struct err none;

	if (proc_run((char *[]){(char *)program, (char *)"-w", (char *)"5", (char *)"-t", (char *)table, (char *)"-S",
			     NULL},
		    &out, &none) != 0)
		return 1;
	return foreign_read_iptables(rules, family, table, legacy ? program : NULL, out.data ? out.data : "", e);
}

/* iptables sees what it put into nftables better than nft does. */
static int look_again(struct search *s, struct foreign_rules *rules, const struct foreign_chain *opaque, struct err *e)
{
	_cleanup_foreign_ struct foreign_rules better = {0};
	bool v6 = !strcmp(opaque->family, "ip6"),
	     known = (v6 || !strcmp(opaque->family, "ip")) && filters(opaque->table);
	int r = known
		? read_iptables(&better, v6 ? "ip6tables-nft" : "iptables-nft", false, opaque->family, opaque->table, e)
		: 1;

	if (r < 0)
		return r;
	foreign_rules_seen(rules, opaque->family, opaque->table, r == 0);
	return report(s, &better, e);
}

static int search_nft(struct search *s, struct err *e)
{
	_cleanup_foreign_ struct foreign_rules rules = {0};
	_cleanup_buf_ struct buf out = {0};
	int r = proc_run((char *[]){(char *)"nft", (char *)"-j", (char *)"list", (char *)"ruleset", NULL}, &out, e);

	if (r)
		return r < 0 ? r : err_set(e, EIO, "nft list ruleset: %.200s", out.data ? out.data : "");
	r = foreign_read_nft(&rules, out.data ? out.data : "", out.len, e);
	for (size_t i = 0; i < rules.count && r == 0; i++)
		if (rules.chains[i].opaque)
			r = look_again(s, &rules, &rules.chains[i], e);
	return r < 0 ? r : report(s, &rules, e);
}

/* The kernel's list has the tables in use; asking for another would load it. */
static int search_legacy(struct search *s, bool v6, struct err *e)
{
	const char *list = v6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names",
		   *program = v6 ? "ip6tables-legacy" : "iptables-legacy";
	_cleanup_buf_ struct buf names = {0};
	_cleanup_strv_ char **tables = NULL;
	int r = 0;

	if (file_read(AT_FDCWD, list, NAMES_MAX, &names) < 0 || !names.data)
		return 0;
	tables = strv_split(names.data, "\n");
	strv_foreach(table, tables) {
		_cleanup_foreign_ struct foreign_rules rules = {0};
		if (!filters(table))
			continue;
		int n = read_iptables(&rules, program, true, v6 ? "ip6" : "ip", table, e);
		if (n == 0)
			n = report(s, &rules, e);
		else if (n > 0)
			n = err_set(e, EIO, "%s cannot list the kernel's table %.32s", program, table);
		r = n < 0 ? n : r;
	}
	return r;
}

int foreign_blockers(foreign_fn *fn, void *data, struct err *e)
{
	_cleanup_strv_ char **bridges = NULL;
	char outside[IF_NAMESIZE];

	if (list_bridges(&bridges) < 0)
		return err_nomem(e);
	find_outside(outside);
	struct search s = {.fn = fn, .data = data};
	s.place = (struct foreign_place){.bridges = bridges,
		.outside = outside,
		.bridged = frames_pass(),
		.dockers = docker_is_here() && !docker_rules_missing()};
	int r = search_nft(&s, e), r4 = search_legacy(&s, false, e), r6 = search_legacy(&s, true, e);
	r = r < 0 ? r : r4 < 0 ? r4 : r6;
	return r < 0 ? r : s.found;
}
