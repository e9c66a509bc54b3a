/* Whether rules of others block containers: nft's JSON (with ' for ") and the text of iptables -S, as these programs write them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "net/foreign-private.h"

#define TABLE(family, table, chain) "'family':'" family "','table':'" table "','chain':'" chain "'"
#define CHAIN(family, table, name)  "{'chain':{'family':'" family "','table':'" table "','name':'" name "','handle':1}},"
#define BASE(family, table, name, hook, policy)                             \
	"{'chain':{'family':'" family "','table':'" table "','name':'" name \
	"','handle':1,'type':'filter','hook':'" hook "','prio':0,'policy':'" policy "'}},"
#define RULE(family, table, chain, handle, expr) \
	"{'rule':{" TABLE(family, table, chain) ",'handle':" #handle ",'expr':[" expr "]}},"
#define META(key, op, right) "{'match':{'op':'" op "','left':{'meta':{'key':'" key "'}},'right':" right "}},"
#define CT(key, right)       "{'match':{'op':'in','left':{'ct':{'key':'" key "'}},'right':" right "}},"
#define FIELD(protocol, field, right) \
	"{'match':{'op':'==','left':{'payload':{'protocol':'" protocol "','field':'" field "'}},'right':" right "}},"
#define COUNTER      "{'counter':{'packets':0,'bytes':0}},"
#define ACCEPT       "{'accept':null}"
#define DROP         "{'drop':null}"
#define REJECT       "{'reject':{'type':'icmpx','expr':'admin-prohibited'}}"
#define RETURN       "{'return':null}"
#define JUMP(target) "{'jump':{'target':'" target "'}}"
#define GOTO(target) "{'goto':{'target':'" target "'}}"

#define OUT     "what containers send out"
#define IN      "what comes to containers"
#define BETWEEN "what containers send to each other"
#define NAMES   "containers' questions for names"
#define HOST    "what the host sends to containers"

static char *const one[] = {(char *)"caisson0", NULL};
static const struct foreign_place plain = {.bridges = one, .outside = "eth0"};

static void collect(void *data, const char *text)
{
	assert_int_equal(buf_addf(data, "%s\n", text), 0);
}

/* The findings, a line each; the caller frees. */
static char *findings(const struct foreign_rules *r, const struct foreign_place *p)
{
	struct buf b = {0};
	struct err e = ERR_INIT;

	assert_int_equal(buf_adds(&b, ""), 0);
	int n = foreign_report(r, p, collect, &b, &e);
	if (n < 0)
		buf_addf(&b, "error: %s\n", e.msg);
	return b.data ? b.data : strdup("");
}

static char *nft_at(const char *items, const struct foreign_place *p)
{
	_cleanup_foreign_ struct foreign_rules rules = {0};
	_cleanup_free_ char *text = str_fmt("{'nftables':[{'metainfo':{'json_schema_version':1}},%s{}]}", items);
	struct err e = ERR_INIT;

	for (char *s = text; *s; s++)
		*s = *s == '\'' ? '"' : *s;
	if (foreign_read_nft(&rules, text, strlen(text), &e) < 0)
		fail_msg("%s", e.msg);
	return findings(&rules, p);
}

static char *iptables(const char *family, const char *text)
{
	_cleanup_foreign_ struct foreign_rules rules = {0};
	struct err e = ERR_INIT;

	assert_int_equal(foreign_read_iptables(&rules, family, "filter", "iptables-legacy", text, &e), 0);
	return findings(&rules, &plain);
}

/* It says all of these, or nothing. */
static void says(char *told, const char *const *parts)
{
	_cleanup_free_ char *text = told;

	if (!*parts && *text)
		fail_msg("a false alarm: %s", text);
	for (; *parts; parts++)
		if (!strstr(text, *parts))
			fail_msg("expected: %s\nseen: %s", *parts, text);
}
#define nft_says(items, ...)             says(nft_at(items, &plain), (const char *const[]){__VA_ARGS__, NULL})
#define nft_silent(items)                says(nft_at(items, &plain), (const char *const[]){NULL})
#define iptables_says(family, text, ...) says(iptables(family, text), (const char *const[]){__VA_ARGS__, NULL})
#define iptables_silent(family, text)    says(iptables(family, text), (const char *const[]){NULL})

/* ---- nft ---- */

#define FORWARD(policy)    BASE("inet", "t", "f", "forward", policy)
#define IN_F(handle, expr) RULE("inet", "t", "f", handle, expr)
#define USER               CHAIN("inet", "t", "u")
#define IN_U(handle, expr) RULE("inet", "t", "u", handle, expr)

static void policies(void **state)
{
	(void)state;
	nft_says(FORWARD("drop"),
		"table inet t, chain f (hook forward): policy drop blocks " OUT ", " IN ", " BETWEEN "; accept");
	nft_says(BASE("ip6", "t", "i", "input", "accept") BASE("ip", "t", "i", "input", "drop"),
		"table ip t, chain i (hook input): policy drop blocks " NAMES ";");
	nft_says(BASE("inet", "t", "i", "input", "drop"), "policy drop blocks " NAMES ";");
	nft_says(BASE("inet", "t", "o", "output", "drop"), "policy drop blocks " HOST);
	nft_says(BASE("inet", "t", "p", "prerouting", "drop"), "policy drop blocks " OUT);
	nft_says(BASE("bridge", "t", "f", "forward", "drop"), "policy drop blocks " BETWEEN, "csp*");
	nft_silent(FORWARD("accept"));
	nft_silent(BASE("inet", "caisson", "f", "forward", "drop"));
	nft_silent(BASE("arp", "t", "i", "input", "drop"));
	nft_silent(BASE("ip6", "t", "i", "input", "drop"));
	nft_silent(BASE("netdev", "t", "i", "ingress", "drop"));
	nft_silent("{'chain':{'family':'ip','table':'t','name':'n','type':'nat','hook':'input','policy':'drop'}},");
}

/* The accept that the message advises, in each place it may stand. */
static void advised(void **state)
{
	(void)state;
	nft_silent(FORWARD("drop") IN_F(3, META("iifname", "==", "'caisson*'") ACCEPT)
			IN_F(4, META("oifname", "==", "'caisson*'") COUNTER ACCEPT));
	nft_says(FORWARD("drop") IN_F(3, META("iifname", "==", "'caisson*'") ACCEPT),
		"f (hook forward): policy drop blocks " IN ";");
	nft_says(FORWARD("drop") USER IN_F(2, JUMP("u")) IN_U(3, META("oifname", "==", "'caisson*'") ACCEPT),
		"f (hook forward): policy drop blocks " OUT ";");
	nft_says(FORWARD("accept") IN_F(3, META("oifname", "==", "'caisson*'") ACCEPT) IN_F(4, REJECT),
		"the rule with handle 4 in chain f blocks " OUT ";");
	nft_says(FORWARD("accept") IN_F(4, REJECT) IN_F(5, META("oifname", "==", "'caisson*'") ACCEPT),
		"the rule with handle 4 in chain f blocks " OUT ", " IN);
}

static void on_interfaces(void **state)
{
	(void)state;
	nft_says(FORWARD("accept") IN_F(7, META("iifname", "==", "'caisson0'") DROP),
		"the rule with handle 7 in chain f blocks " OUT ", " BETWEEN ";");
	nft_says(FORWARD("accept") IN_F(7, META("oifname", "==", "'caisson*'") COUNTER REJECT),
		"the rule with handle 7 in chain f blocks " IN ", " BETWEEN ";");
	nft_says(FORWARD("accept") IN_F(7, META("iif", "==", "'caisson0'") META("oif", "==", "'caisson0'") DROP),
		"blocks " BETWEEN ";");
	nft_says(FORWARD("accept") IN_F(7, META("oifname", "!=", "{'set':['lo','caisson0']}") DROP), "blocks " OUT ";");
	nft_says(FORWARD("accept") IN_F(7, META("iifname", "==", "{'set':['lo',{'elem':{'val':'cais*'}}]}") DROP),
		"blocks " OUT);
	nft_says(BASE("inet", "t", "i", "input", "accept")
			 RULE("inet", "t", "i", 2, META("oifname", "!=", "'lo'") DROP),
		"blocks " NAMES);
}

static void concatenations(void **state)
{
	(void)state;
#define BOTH         "{'concat':[{'meta':{'key':'iifname'}},{'meta':{'key':'oifname'}}]}"
#define IN_BOTH(set) "{'match':{'op':'==','left':" BOTH ",'right':{'set':" set "}}},"
	nft_says(FORWARD("accept") IN_F(7, IN_BOTH("[{'concat':['caisson*','eth0']}]") DROP), "blocks " OUT ";");
	nft_silent(FORWARD("accept") IN_F(7, IN_BOTH("[{'concat':['caisson*','eth1']}]") DROP));
	nft_silent(FORWARD("accept") IN_F(7, IN_BOTH("[{'concat':['caisson*']},'caisson0',{'concat':[]}]") DROP));
	nft_says(FORWARD("accept") IN_F(7,
			 "{'vmap':{'key':" BOTH ",'data':{'set':[[{'concat':['eth0','caisson0']},"
			 "{'drop':null}]]}}}"),
		"blocks " IN ";");
}

static void maps(void **state)
{
	(void)state;
#define VMAP(data) "{'vmap':{'key':{'meta':{'key':'iifname'}},'data':" data "}}"
	nft_says(FORWARD("accept") IN_F(7, VMAP("{'set':[['eth0',{'accept':null}],['caisson0',{'drop':null}]]}")),
		"the rule with handle 7 in chain f blocks " OUT ", " BETWEEN ";");
	nft_says(FORWARD("accept") IN_F(7, VMAP("{'set':[['*',{'drop':null}],['caisson*',{'accept':null}]]}")),
		"blocks " IN ";");
	nft_says(FORWARD("accept") USER IN_F(7, VMAP("{'set':[['caisson*',{'goto':{'target':'u'}}]]}")) IN_F(8, DROP)
			 IN_U(2, META("oifname", "==", "'caisson0'") RETURN) IN_U(3, DROP),
		"the rule with handle 3 in chain u blocks " OUT, "the rule with handle 8 in chain f blocks " IN ";");
	nft_says("{'map':{'family':'inet','name':'m','table':'t','type':'ifname','map':'verdict',"
		 "'elem':[['caisson0',{'drop':null}]]}}," FORWARD("accept") IN_F(7, VMAP("'@m'")),
		"blocks " OUT);
	nft_says("{'set':{'family':'inet','name':'s','table':'t','type':'ifname','elem':['caisson*']}}," FORWARD("drop")
			 IN_F(7, META("iifname", "==", "'@s'") ACCEPT),
		"policy drop blocks " IN ";");
	nft_silent(FORWARD("accept") IN_F(7, META("iifname", "!=", "'@missing'") DROP));
	nft_silent("{'set':{'family':'ip','name':'s','table':'t','type':'ifname','elem':['caisson*']}}," FORWARD(
		"accept") IN_F(7, META("iifname", "==", "'@s'") DROP));
}

/* What an ordinary packet does not decide is not met; what it does is. */
#define LIMIT   "{'limit':{'rate':5,'burst':5,'per':'second'}},"
#define PHYSDEV "{'xt':{'type':'match','name':'physdev'}},"
#define COMMENT "{'xt':{'type':'match','name':'comment'}},"
#define SUBNET  "{'prefix':{'addr':'10.0.0.0','len':8}}"

static const char *const not_ours[] = {
	FORWARD("accept") IN_F(2, FIELD("ip", "saddr", "'10.0.0.5'") DROP),
	FORWARD("accept") IN_F(2, FIELD("ip", "daddr", SUBNET) DROP),
	FORWARD("accept") IN_F(2, FIELD("tcp", "dport", "25") DROP),
	FORWARD("accept") IN_F(2, META("mark", "==", "5") DROP),
	FORWARD("accept") IN_F(2, META("mark", "!=", "5") DROP),
	FORWARD("accept") IN_F(2, LIMIT DROP),
	FORWARD("accept") IN_F(2, PHYSDEV DROP),
	FORWARD("accept") IN_F(2, "{'queue':{'num':5}}"),
	FORWARD("accept") IN_F(2, CT("state", "['established','related']") DROP),
	FORWARD("accept") IN_F(2, CT("state", "'invalid'") DROP),
	FORWARD("accept") IN_F(2, META("l4proto", "==", "{'set':['icmp','udp']}") DROP),
	FORWARD("accept") IN_F(2, META("iifname", "==", "'caisson'") DROP),
	FORWARD("accept") IN_F(2, META("iifname", "==", "'caisson00'") DROP),
	FORWARD("accept") IN_F(2, META("iifname", "==", "'caisson1*'") DROP),
	FORWARD("accept") IN_F(2, META("iifname", "!=", "{'set':['caisson*','eth0']}") DROP),
};

static void not_met(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
		nft_silent(not_ours[i]);
}

static void met(void **state)
{
	(void)state;
	nft_says(FORWARD("accept") IN_F(2, CT("state", "'new'") DROP), "blocks " OUT);
	nft_says(FORWARD("accept") IN_F(2, META("l4proto", "==", "6") DROP), "blocks " OUT);
	nft_says(FORWARD("accept") IN_F(2, "{'log':{'prefix':'x'}}," DROP), "blocks " OUT);
	nft_says(FORWARD("accept") IN_F(2, COMMENT "{'xt':{'type':'target','name':'REJECT'}}"), "blocks " OUT);
	nft_says(FORWARD("drop") IN_F(2, CT("status", "'dnat'") ACCEPT), "policy drop blocks " OUT ";");
	nft_says(FORWARD("accept") IN_F(2, META("nfproto", "==", "'ipv6'") DROP),
		"blocks " OUT " (IPv6), " IN " (IPv6), " BETWEEN " (IPv6);");
	nft_says(FORWARD("accept") IN_F(2, FIELD("ip", "protocol", "'tcp'") DROP), "blocks " OUT " (IPv4), ");
}

static void to_the_name_server(void **state)
{
	(void)state;
#define INPUT      BASE("inet", "t", "i", "input", "drop")
#define IN_I(expr) RULE("inet", "t", "i", 2, expr)
	nft_silent(INPUT IN_I(META("iifname", "==", "'caisson*'") FIELD("udp", "dport", "53") ACCEPT));
	nft_silent(INPUT IN_I(FIELD("th", "dport", "{'set':[22,{'range':[50,60]}]}") ACCEPT));
	nft_silent(INPUT IN_I(
		"{'match':{'op':'==','left':{'fib':{'result':'type','flags':['daddr']}},'right':'local'}}," ACCEPT));
	nft_says(INPUT IN_I(FIELD("tcp", "dport", "53") ACCEPT), "policy drop blocks " NAMES);
	nft_says(INPUT IN_I(FIELD("udp", "dport", "{'range':[54,60]}") ACCEPT), "policy drop blocks " NAMES);
}

/* As firewalld 1.3 has it; a zone trusted that has our interfaces, or none. */
#define FW_BASE(name, hook)          BASE("inet", "firewalld", name, hook, "accept")
#define FW_CHAIN(name)               CHAIN("inet", "firewalld", name)
#define FW_RULE(chain, handle, expr) RULE("inet", "firewalld", chain, handle, expr)

static const char *const firewalld_has[] = {
	FW_BASE("filter_FORWARD", "forward"),
	FW_BASE("filter_INPUT", "input"),
	FW_CHAIN("filter_FORWARD_ZONES"),
	FW_CHAIN("filter_FWD_public"),
	FW_CHAIN("filter_FWD_public_allow"),
	FW_CHAIN("filter_FWD_trusted"),
	FW_RULE("filter_FORWARD", 10, CT("state", "['established','related']") ACCEPT),
	FW_RULE("filter_FORWARD", 11, CT("status", "'dnat'") ACCEPT),
	FW_RULE("filter_FORWARD", 12, META("iifname", "==", "'lo'") ACCEPT),
	FW_RULE("filter_FORWARD", 13, FIELD("ip6", "daddr", "{'set':[" SUBNET "]}") REJECT),
	FW_RULE("filter_FORWARD", 14, JUMP("filter_FORWARD_ZONES")),
	FW_RULE("filter_FORWARD", 15, CT("state", "'invalid'") DROP),
	FW_RULE("filter_FORWARD", 16, REJECT),
	FW_RULE("filter_FORWARD_ZONES", 21, META("iifname", "==", "'eth0'") GOTO("filter_FWD_public")),
	FW_RULE("filter_FORWARD_ZONES", 22, GOTO("filter_FWD_public")),
	FW_RULE("filter_FWD_public", 30, JUMP("filter_FWD_public_allow")),
	FW_RULE("filter_FWD_public", 31, REJECT),
	FW_RULE("filter_FWD_trusted", 40, ACCEPT),
	NULL,
};

static void firewalld_says(const char *first_in_zones, const struct foreign_place *p, const char *const *parts)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(buf_adds(&b, first_in_zones), 0);
	for (const char *const *s = firewalld_has; *s; s++)
		assert_int_equal(buf_adds(&b, *s), 0);
	says(nft_at(b.data, p), parts);
}

static void firewalld(void **state)
{
	const struct foreign_place bridged = {.bridges = one, .outside = "eth0", .bridged = true};

	(void)state;
	firewalld_says("", &plain,
		(const char *const[]){"table inet firewalld, chain filter_FORWARD (hook forward): the rule with handle "
				      "31 in chain filter_FWD_public blocks " OUT
				      "; firewall-cmd --permanent --zone=trusted",
			NULL});
	firewalld_says("", &bridged, (const char *const[]){" blocks " OUT ", " BETWEEN ";", NULL});
}

static void firewalld_trusts(void **state)
{
	static const char *const nothing[] = {NULL};

	(void)state;
	firewalld_says(
		FW_RULE("filter_FORWARD_ZONES", 20, META("iifname", "==", "'caisson*'") GOTO("filter_FWD_trusted")),
		&plain, nothing);
	firewalld_says(FW_RULE("filter_FORWARD_ZONES", 20,
			       VMAP("{'set':[['caisson*',{'goto':{'target':'filter_FWD_trusted'}}],"
				    "['eth0',{'goto':{'target':'filter_FWD_public'}}]]}")),
		&plain, nothing);
}

static void loops(void **state)
{
	(void)state;
	nft_says(FORWARD("drop") USER IN_F(2, JUMP("u")) IN_U(3, JUMP("u")),
		"error: follow the rules of table t, chain f: ");
	nft_says(FORWARD("drop") USER IN_F(2, GOTO("u")) IN_U(3, GOTO("f")), "error: follow");
	nft_says(FORWARD("drop") IN_F(2, GOTO("missing")) IN_F(3, JUMP("missing")), "policy drop blocks " OUT);
}

/* Sixty chains, each calling the next twice. */
static void very_many(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	(void)state;
	buf_adds(&b, FORWARD("drop") USER IN_F(2, JUMP("c0")));
	for (int i = 0; i < 60; i++)
		buf_addf(&b, CHAIN("inet", "t", "c%d"), i);
	for (int i = 0; i < 120; i++)
		buf_addf(&b, RULE("inet", "t", "c%d", 1, JUMP("c%d")), i / 2, i / 2 + 1);
	says(nft_at(b.data, &plain), (const char *const[]){"error: follow", NULL});
}

static const char *const senseless[] = {"1,'x',[],{}", "{'match':{}}," ACCEPT, "{'match':5}," ACCEPT,
	META("iifname", "==", "{'set':5}") ACCEPT, META("iifname", "==", "null") ACCEPT, "{'vmap':{}}",
	VMAP("{'set':[5,[],['caisson0'],['caisson0',{}]]}"),
	"{'match':{'op':'==','left':{'concat':[]},'right':'x'}}," ACCEPT, "{'jump':{}}", "{'jump':null}", "{'vmap':5}"};

static void odd(void **state)
{
	static const char *const answers[] = {"", "[]", "{}", "{\"nftables\":{}}", "{\"nftables\":[", "null"};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		_cleanup_foreign_ struct foreign_rules rules = {0};
		struct err e = ERR_INIT;
		assert_int_equal(foreign_read_nft(&rules, answers[i], strlen(answers[i]), &e), -EBADMSG);
	}
	nft_silent("1,null,[],'x',{'chain':5},{'rule':[]},{'rule':{}},{'chain':{'family':'ip','table':'t'}},");
	for (size_t i = 0; i < sizeof(senseless) / sizeof(*senseless); i++) {
		_cleanup_free_ char *items =
			str_fmt(FORWARD("drop") "{'rule':{" TABLE("inet", "t", "f") ",'expr':[%s]}},", senseless[i]);
		nft_says(items, "policy drop blocks " OUT);
	}
}

static void bridges(void **state)
{
	static char *const two[] = {(char *)"caisson0", (char *)"caisson-0123abcd", NULL};
	const struct foreign_place p = {.bridges = two, .outside = "eth0"};
	static const char other[] = FORWARD("accept") IN_F(7, META("iifname", "==", "'caisson-0123abcd'") DROP);

	(void)state;
	nft_silent(other);
	says(nft_at(other, &p), (const char *const[]){"chain f (hook forward) for caisson-0123abcd: the rule", NULL});
	says(nft_at(FORWARD("drop"), &p), (const char *const[]){"chain f (hook forward): policy", NULL});
	_cleanup_free_ char *once = nft_at(FORWARD("drop"), &p);
	assert_ptr_equal(strchr(once, '\n'), strrchr(once, '\n'));
}

#define DOCKERS(policy)  BASE("ip", "filter", "FORWARD", "forward", policy) CHAIN("ip", "filter", "DOCKER-USER")
#define IN_DOCKERS(expr) RULE("ip", "filter", "DOCKER-USER", 2, expr)
#define TO_DOCKER_USER   RULE("ip", "filter", "FORWARD", 3, JUMP("DOCKER-USER"))

static void dockers(void **state)
{
	const struct foreign_place p = {.bridges = one, .outside = "eth0", .dockers = true};

	(void)state;
	says(nft_at(DOCKERS("drop"), &p), (const char *const[]){NULL});
	says(nft_at(DOCKERS("drop") TO_DOCKER_USER IN_DOCKERS(META("iifname", "==", "'caisson0'") DROP), &p),
		(const char *const[]){"the rule with handle 2 in chain DOCKER-USER blocks " OUT, NULL});
	/* legacy tables, say, while docker's are nft's */
	says(nft_at(BASE("ip", "filter", "FORWARD", "forward", "drop"), &p),
		(const char *const[]){"policy drop", NULL});
	nft_says(DOCKERS("drop"), "policy drop", "ufw default allow routed", "caisson+");
}

/* ---- iptables ---- */

#define POLICIES(forward) "-P INPUT ACCEPT\n-P FORWARD " forward "\n-P OUTPUT ACCEPT\n"

static void legacy(void **state)
{
	(void)state;
	iptables_says("ip", POLICIES("DROP"),
		"iptables-legacy: table filter, chain FORWARD (hook forward): policy drop blocks " OUT ", " IN
		", " BETWEEN ";");
	iptables_says("ip", POLICIES("ACCEPT") "-A FORWARD -i caisson0 -j DROP\n",
		": -A FORWARD -i caisson0 -j DROP blocks " OUT ", " BETWEEN ";");
	iptables_says("ip6", POLICIES("ACCEPT") "-A FORWARD ! -i eth+ -j REJECT --reject-with icmp6-port-unreachable\n",
		"blocks " OUT);
	iptables_silent("ip", POLICIES("DROP") "-A FORWARD -i caisson+ -j ACCEPT\n-A FORWARD -o caisson+ -j ACCEPT\n");
	iptables_silent("ip", POLICIES("DROP") "-A FORWARD -m state --state NEW -p tcp -j ACCEPT\n");
	iptables_silent("ip",
		POLICIES("DROP") "-A FORWARD -i caisson+ -m comment --comment \"a \\\"b\\\" -j DROP\" -j ACCEPT\n"
				 "-A FORWARD -o caisson+ -m conntrack --ctstate RELATED,DNAT -j ACCEPT\n");
	iptables_silent("ip", POLICIES("ACCEPT") "-N X\n-A FORWARD -g X\n-A FORWARD -j DROP\n-A X -j RETURN\n");
	iptables_silent("ip",
		POLICIES("ACCEPT") "-A FORWARD -s 10.0.0.5/32 -j DROP\n-A FORWARD ! -d 10.0.0.5/32 -j DROP\n"
				   "-A FORWARD -p udp -m udp --dport 53 -j DROP\n-A FORWARD -j LOG\n"
				   "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j DROP\n"
				   "-A FORWARD -m physdev --physdev-is-bridged -j DROP\n-A FORWARD -p tcp\n"
				   "-A FORWARD -m conntrack ! --ctstate NEW -j DROP\n-A FORWARD -j NFQUEUE --queue-num "
				   "0\n");
	iptables_says("ip",
		POLICIES(
			"ACCEPT") "-N X\n-A FORWARD -g X\n-A FORWARD -j ACCEPT\n-A X -i eth0 -j RETURN\n-A X -j DROP\n",
		"-A X -j DROP blocks " OUT ", " BETWEEN ";");
	iptables_says("ip", "-P INPUT DROP\n-A INPUT -p udp -m multiport --dports 54:60,67 -j ACCEPT\n",
		"policy drop blocks " NAMES, "ufw allow in on caisson+");
	iptables_silent("ip", "-P INPUT DROP\n-A INPUT -p udp -m multiport --dports 22,50:60 -j ACCEPT\n");
}

/* The chains of ufw that matter, in its order. */
#define UFW(user)                                                                                                      \
	"# Warning: iptables-legacy tables present, use iptables-legacy to see them\n"                                 \
	"-P INPUT DROP\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N ufw-before-input\n-N ufw-before-forward\n"               \
	"-N ufw-not-local\n-N ufw-logging-deny\n-N ufw-user-input\n-N ufw-user-forward\n-N ufw-skip-to-policy-input\n" \
	"-N ufw-after-input\n-A INPUT -j ufw-before-input\n-A INPUT -j ufw-after-input\n"                              \
	"-A FORWARD -j ufw-before-forward\n"                                                                           \
	"-A ufw-before-input -i lo -j ACCEPT\n"                                                                        \
	"-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"                                   \
	"-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n"                                                 \
	"-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"                                                \
	"-A ufw-before-input -j ufw-not-local\n-A ufw-before-input -j ufw-user-input\n"                                \
	"-A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input\n"                                   \
	"-A ufw-after-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input\n"                            \
	"-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n"                                                    \
	"-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j ufw-logging-deny\n-A ufw-not-local -j DROP\n"     \
	"-A ufw-skip-to-policy-input -j DROP\n"                                                                        \
	"-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"                                 \
	"-A ufw-before-forward -j ufw-user-forward\n" user

static void ufw(void **state)
{
	(void)state;
	iptables_says("ip", UFW(""), "chain FORWARD (hook forward): policy drop blocks " OUT ", " IN ", " BETWEEN ";",
		"chain INPUT (hook input): policy drop blocks " NAMES ";");
	iptables_says("ip", UFW("-A ufw-user-forward -i caisson+ -j ACCEPT\n-A ufw-user-input -i caisson0 -j ACCEPT\n"),
		"chain FORWARD (hook forward): policy drop blocks " IN ";");
	iptables_silent("ip",
		UFW("-A ufw-user-forward -i caisson0 -o eth0 -j ACCEPT\n-A ufw-user-forward -o caisson0 -j ACCEPT\n"
		    "-A ufw-user-input -i caisson+ -p udp -m udp --dport 53 -j ACCEPT\n"));
}

static void odd_lines(void **state)
{
	(void)state;
	iptables_silent("ip", "");
	iptables_silent("ip", "\n-\n-A\n-A X\n-A FORWARD -j DROP\n-P\n-N\n   \n\"\n-P \"FORWARD\n");
	iptables_says("ip",
		POLICIES("DROP") "-A FORWARD\n-A FORWARD -j\n-A FORWARD !\n-A FORWARD -i\n-A FORWARD x y z\n"
				 "-A FORWARD -p , -j ACCEPT\n-A FORWARD \"\" \\\n-A FORWARD -i \"\" -j ACCEPT\n"
				 "-A FORWARD -m tcp --dport x-y -j ACCEPT\n-A FORWARD -i caisson0 -j DROP \x1b\xff",
		"-A FORWARD -i caisson0 -j DROP ?? blocks " OUT, "policy drop blocks " IN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies),
		cmocka_unit_test(advised),
		cmocka_unit_test(on_interfaces),
		cmocka_unit_test(concatenations),
		cmocka_unit_test(maps),
		cmocka_unit_test(not_met),
		cmocka_unit_test(met),
		cmocka_unit_test(to_the_name_server),
		cmocka_unit_test(firewalld),
		cmocka_unit_test(firewalld_trusts),
		cmocka_unit_test(loops),
		cmocka_unit_test(very_many),
		cmocka_unit_test(odd),
		cmocka_unit_test(bridges),
		cmocka_unit_test(dockers),
		cmocka_unit_test(legacy),
		cmocka_unit_test(ufw),
		cmocka_unit_test(odd_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
