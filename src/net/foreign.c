/* Rules of others that may block us, from `nft -j list ruleset`. */
#include "net/foreign.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/proc.h"
#include "net/docker.h"

struct chain {
	const char *family, *table, *name, *hook;
};

/* The hooks that packets of containers pass. */
static bool concerns_us(const json_t *chain)
{
	static const char *const families[] = {"ip", "ip6", "inet", "bridge", NULL};
	static const char *const hooks[] = {"forward", "input", "output", NULL};
	const char *family = json_str(chain, "family"), *hook = json_str(chain, "hook"),
		   *table = json_str(chain, "table");
	const char *type = json_str(chain, "type");

	return family && hook && table && type && !strcmp(type, "filter") && strcmp(table, "caisson") != 0 &&
		str_in(family, families) && str_in(hook, hooks);
}

static bool is_rule_of(const json_t *rule, const struct chain *c)
{
	const char *family = json_str(rule, "family"), *table = json_str(rule, "table"),
		   *chain = json_str(rule, "chain");

	return family && table && chain && !strcmp(family, c->family) && !strcmp(table, c->table) &&
		!strcmp(chain, c->name);
}

/* A rule without a condition that ends in drop or reject. */
static bool drops_all(const json_t *rule)
{
	const json_t *expr = json_object_get(rule, "expr");
	size_t i;
	json_t *x;
	bool drops = false;

	json_array_foreach((json_t *)expr, i, x) {
		if (json_object_get(x, "drop") || json_object_get(x, "reject"))
			drops = true;
		else if (!json_object_get(x, "counter") && !json_object_get(x, "log"))
			return false;
	}
	return drops;
}

static const json_t *last_rule(const json_t *all, const struct chain *c)
{
	const json_t *last = NULL;
	size_t i;
	json_t *item;

	json_array_foreach((json_t *)all, i, item) {
		const json_t *rule = json_object_get(item, "rule");
		if (rule && is_rule_of(rule, c))
			last = rule;
	}
	return last;
}

static const char *remedy(const struct chain *c)
{
	if (!strcmp(c->table, "firewalld"))
		return "firewall-cmd --permanent --zone=trusted --add-interface=caisson+ && firewall-cmd --reload";
	if (!strcmp(c->table, "filter") && !strcmp(c->hook, "forward"))
		return "with ufw: ufw default allow routed; else accept what comes from and goes to caisson+ there";
	return "accept what comes from and goes to caisson+ there";
}

/* docker's policy is drop; its own chain for such rules has ours, or docker_rules_missing says so. */
static bool is_dockers(const struct chain *c)
{
	return !strcmp(c->table, "filter") && !strcmp(c->name, "FORWARD") && docker_is_here() &&
		!docker_rules_missing();
}

static int look_at(const json_t *all, const json_t *chain, foreign_fn *fn, void *data)
{
	struct chain c = {
		json_str(chain, "family"), json_str(chain, "table"), json_str(chain, "name"), json_str(chain, "hook")};
	const char *policy = json_str(chain, "policy");
	bool drop = policy && !strcmp(policy, "drop");
	char text[512];

	if (!c.name || is_dockers(&c) || (!drop && !drops_all(last_rule(all, &c))))
		return 0;
	snprintf(text, sizeof(text), "table %s %s, chain %s (hook %s) %s: it may block containers; %s", c.family,
		c.table, c.name, c.hook,
		drop ? "has the policy drop" : "ends in a rule that drops or rejects everything", remedy(&c));
	fn(data, text);
	return 1;
}

int foreign_blockers(foreign_fn *fn, void *data, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	int found = 0;
	size_t i;
	json_t *item;

	int r = proc_run((char *[]){(char *)"nft", (char *)"-j", (char *)"list", (char *)"ruleset", NULL}, &out, e);
	if (r)
		return r < 0 ? r : err_set(e, EIO, "nft list ruleset: %.200s", out.data ? out.data : "");
	_cleanup_json_ json_t *all = json_parse(out.data ? out.data : "", out.len, "nft's answer", e);
	if (!all)
		return -EBADMSG;
	const json_t *list = json_object_get(all, "nftables");
	json_array_foreach((json_t *)list, i, item) {
		const json_t *chain = json_object_get(item, "chain");
		if (chain && concerns_us(chain))
			found += look_at(list, chain, fn, data);
	}
	return found;
}
