/* Our rules in docker's chain DOCKER-USER. */
#include "net/docker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/rtnl.h"
#include "base/str.h"
#include "net/link.h"

#define CHAIN   "DOCKER-USER"
#define COMMENT "caisson"
#define MARKED  " -m comment --comment " COMMENT " "

/* In this order at the top of the chain. docker's own rules decide about its bridges, docker0 and br-...: RETURN goes on to them. */
static const char *const rules[] = {
	"-o " NET_BRIDGE_PREFIX "+ -m conntrack --ctstate RELATED,ESTABLISHED" MARKED "-j ACCEPT",
	"-o " NET_BRIDGE_PREFIX "+ -m conntrack --ctstate DNAT" MARKED "-j ACCEPT",
	"-i " NET_BRIDGE_PREFIX "+ -o " NET_BRIDGE_PREFIX "+" MARKED "-j ACCEPT",
	"-i " NET_BRIDGE_PREFIX "+ -o docker0" MARKED "-j RETURN",
	"-i " NET_BRIDGE_PREFIX "+ -o br-+" MARKED "-j RETURN",
	"-i " NET_BRIDGE_PREFIX "+" MARKED "-j ACCEPT",
};
enum { RULES = sizeof(rules) / sizeof(*rules) };

/* A packet filter that may have the chain. */
static const struct backend {
	uint8_t family;     /* of nf_tables; 0: legacy */
	const char *tables; /* legacy: the kernel's list of tables in use */
	const char *program, *restore;
} backends[] = {
	{NFPROTO_IPV4, NULL, "iptables-nft", "iptables-nft-restore"},
	{NFPROTO_IPV6, NULL, "ip6tables-nft", "ip6tables-nft-restore"},
	{0, "/proc/net/ip_tables_names", "iptables-legacy", "iptables-legacy-restore"},
	{0, "/proc/net/ip6_tables_names", "ip6tables-legacy", "ip6tables-legacy-restore"},
};

/* ---- looking: nf_tables by netlink ---- */

static void begin_query(struct rtnl_msg *m, uint16_t type, uint8_t family)
{
	struct nfgenmsg h = {.nfgen_family = family, .version = NFNETLINK_V0};

	rtnl_begin(m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0, &h, sizeof(h));
}

static bool chain_exists(int fd, uint8_t family)
{
	struct rtnl_msg m;

	begin_query(&m, NFT_MSG_GETCHAIN, family);
	rtnl_add_str(&m, NFTA_CHAIN_TABLE, "filter");
	rtnl_add_str(&m, NFTA_CHAIN_NAME, CHAIN);
	return rtnl_call(fd, &m) == 0;
}

/* By the comment, the information of iptables' comment match: a rule of the administrator's may name our bridges too. */
static int count_rule(void *data, const struct nlmsghdr *h)
{
	static const char mark[] = {NFTA_MATCH_INFO, 0, 'c', 'a', 'i', 's', 's', 'o', 'n', 0};

	if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE) &&
		memmem(h, h->nlmsg_len, mark, sizeof(mark)))
		++*(int *)data;
	return 0;
}

/* How many of the chain's rules are ours; -ENOENT: there is no such chain. */
static int count_nft(uint8_t family)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct rtnl_msg m;
	int n = 0;

	if (fd < 0 || !chain_exists(fd, family))
		return -ENOENT;
	begin_query(&m, NFT_MSG_GETRULE, family);
	rtnl_add_str(&m, NFTA_RULE_TABLE, "filter");
	rtnl_add_str(&m, NFTA_RULE_CHAIN, CHAIN);
	int r = rtnl_dump(fd, &m, count_rule, &n);
	return r < 0 ? r : n;
}

/* ---- looking: what iptables -S says ---- */

static int list_chain(const struct backend *b, char ***ret)
{
	_cleanup_buf_ struct buf out = {0};
	struct err none;
	int r = proc_run((char *[]){(char *)b->program, (char *)"-w", (char *)"5", (char *)"-S", (char *)CHAIN, NULL},
		&out, &none);

	if (r)
		return r < 0 ? r : -ENOENT;
	*ret = strv_split(out.data ? out.data : "", "\n");
	return 0;
}

static bool is_ours(const char *rule)
{
	return str_starts(rule, "-A ") && strstr(rule, "--comment " COMMENT " ");
}

static int count_legacy(const struct backend *b)
{
	_cleanup_buf_ struct buf tables = {0};
	_cleanup_strv_ char **lines = NULL;
	int n = 0;

	if (file_read(AT_FDCWD, b->tables, 4096, &tables) < 0 || !tables.data || !strstr(tables.data, "filter"))
		return -ENOENT;
	int r = list_chain(b, &lines);
	strv_foreach(line, lines)
		n += is_ours(line);
	return r < 0 ? r : n;
}

static int count_ours(const struct backend *b)
{
	return b->family ? count_nft(b->family) : count_legacy(b);
}

/* ---- changing ---- */

/* Whatever is ours goes, in one transaction with what comes instead. */
static int replace(const struct backend *b, bool with_rules, struct err *e)
{
	_cleanup_buf_ struct buf script = {0}, out = {0};
	_cleanup_strv_ char **lines = NULL;

	list_chain(b, &lines);
	int r = buf_adds(&script, "*filter\n");
	strv_foreach(line, lines) {
		if (r == 0 && is_ours(line))
			r = buf_addf(&script, "-D %s\n", line + strlen("-A "));
	}
	for (int i = 0; r == 0 && with_rules && i < RULES; i++)
		r = buf_addf(&script, "-I " CHAIN " %d %s\n", i + 1, rules[i]);
	if (r < 0 || buf_adds(&script, "COMMIT\n") < 0)
		return err_nomem(e);
	r = proc_run_input((char *[]){(char *)b->restore, (char *)"-n", (char *)"-w", (char *)"5", NULL}, script.data,
		script.len, &out, e);
	return r > 0 ? err_set(e, EIO, "%s: %.200s", b->restore, out.data ? out.data : "") : r;
}

int docker_rules_ensure(struct err *e)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		int n = count_ours(&backends[i]);
		if (n < 0 || n == RULES)
			continue;
		int r = replace(&backends[i], true, e);
		if (r < 0) {
			log_trace("net", "rules in " CHAIN ": %s", e->msg);
			failed = r;
		}
	}
	return failed;
}

void docker_rules_remove(void)
{
	struct err none;

	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++)
		if (count_ours(&backends[i]) > 0)
			replace(&backends[i], false, &none);
}

bool docker_is_here(void)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++)
		if (count_ours(&backends[i]) >= 0)
			return true;
	return false;
}

bool docker_rules_missing(void)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		int n = count_ours(&backends[i]);
		if (n >= 0 && n != RULES)
			return true;
	}
	return false;
}
