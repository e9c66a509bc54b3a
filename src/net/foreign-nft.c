/* Rules of others from `nft -j list ruleset`: libnftables-json(5). */
#include "net/foreign-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum { PASS_OVER = 1 }; /* the rule, as it depends on what is not known */

/* ---- conditions ---- */

static enum foreign_field field_of(const json_t *x)
{
	static const struct {
		const char *kind, *key, *value; /* value: of the second member */
		enum foreign_field field;
	} known[] = {
		{"meta.key", "iifname", NULL, FOREIGN_IIF},
		{"meta.key", "iif", NULL, FOREIGN_IIF},
		{"meta.key", "oifname", NULL, FOREIGN_OIF},
		{"meta.key", "oif", NULL, FOREIGN_OIF},
		{"meta.key", "ibrname", NULL, FOREIGN_IIF_BRIDGE},
		{"meta.key", "obrname", NULL, FOREIGN_OIF_BRIDGE},
		{"meta.key", "nfproto", NULL, FOREIGN_FAMILY},
		{"meta.key", "protocol", NULL, FOREIGN_FAMILY},
		{"meta.key", "l4proto", NULL, FOREIGN_L4},
		{"ct.key", "state", NULL, FOREIGN_CT},
		{"ct.key", "status", NULL, FOREIGN_CT},
		{"payload.protocol", "ether", "type", FOREIGN_FAMILY},
		{"payload.protocol", "ip", "protocol", FOREIGN_L4_IP4},
		{"payload.protocol", "ip6", "nexthdr", FOREIGN_L4_IP6},
		{"payload.protocol", "th", "dport", FOREIGN_PORT},
		{"payload.protocol", "tcp", "dport", FOREIGN_PORT_TCP},
		{"payload.protocol", "udp", "dport", FOREIGN_PORT_UDP},
		{"fib.result", "type", NULL, FOREIGN_TYPE},
	};
	const char *payload = json_string_value(json_path(x, "payload.field"));
	const char *flag = json_string_value(json_array_get(json_path(x, "fib.flags"), 0));

	if (json_object_get(x, "fib") && (!flag || strcmp(flag, "daddr") != 0))
		return FOREIGN_UNKNOWN;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const char *key = json_string_value(json_path(x, known[i].kind));
		if (key && !strcmp(key, known[i].key) &&
			(!known[i].value || (payload && !strcmp(payload, known[i].value))))
			return known[i].field;
	}
	return FOREIGN_UNKNOWN;
}

/* The members of a concatenation; what is none is its own only member. */
static const json_t *member(const json_t *x, size_t i)
{
	const json_t *all = json_object_get(x, "concat");

	return all ? json_array_get(all, i) : i == 0 ? x : NULL;
}

static int test_add(struct foreign_rule *r, const json_t *left, struct foreign_test **ret)
{
	struct foreign_test *t = NULL;
	const json_t *x;

	for (size_t i = 0; (x = member(left, i)); i++) {
		enum foreign_field f = field_of(x);
		if (f == FOREIGN_UNKNOWN || i == FOREIGN_PARTS)
			return PASS_OVER;
		if (t)
			t->fields[t->field_count++] = f;
		else if (!(t = foreign_test_add(r, f)))
			return -ENOMEM;
	}
	*ret = t;
	return t ? 0 : PASS_OVER;
}

static int add_word(struct foreign_element *e, const json_t *x)
{
	const json_t *range = json_object_get(x, "range");
	char text[64];

	if (json_is_string(x))
		return foreign_part_add(e, json_string_value(x), json_string_length(x));
	if (json_is_integer(x))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(x));
	else if (json_is_integer(json_array_get(range, 0)) && json_is_integer(json_array_get(range, 1)))
		snprintf(text, sizeof(text), "%lld-%lld", (long long)json_integer_value(json_array_get(range, 0)),
			(long long)json_integer_value(json_array_get(range, 1)));
	else
		return PASS_OVER;
	return foreign_part_add(e, text, strlen(text));
}

static int verdict_of(const json_t *x, enum foreign_verdict *ret, char **target)
{
	static const struct {
		const char *name;
		enum foreign_verdict verdict;
	} known[] = {{"accept", FOREIGN_ACCEPT}, {"drop", FOREIGN_DROP}, {"reject", FOREIGN_DROP},
		{"return", FOREIGN_RETURN}, {"continue", FOREIGN_CONTINUE}, {"jump", FOREIGN_JUMP},
		{"goto", FOREIGN_GOTO}};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const json_t *v = json_object_get(x, known[i].name);
		const char *to = json_str(v, "target");
		if (!v)
			continue;
		*ret = known[i].verdict;
		return to && !(*target = strdup(to)) ? -ENOMEM : 0;
	}
	return PASS_OVER;
}

static int element_add(struct foreign_test *t, const json_t *x)
{
	struct foreign_element *e = foreign_element_add(t);
	const json_t *key = t->map ? json_array_get(x, 0) : x, *inner = json_object_get(key, "elem"), *word;
	int r = e ? 0 : -ENOMEM;

	if (inner)
		key = json_object_get(inner, "val");
	for (size_t i = 0; r == 0 && i < t->field_count && (word = member(key, i)); i++)
		r = add_word(e, word);
	if (r == 0 && t->map)
		r = verdict_of(json_array_get(x, 1), &e->verdict, &e->target);
	return r;
}

/* A named set's or map's elements. */
static const json_t *named(const json_t *all, const json_t *rule, const char *name)
{
	size_t i;
	json_t *item;

	json_array_foreach((json_t *)all, i, item) {
		const json_t *set = json_object_get(item, "set");
		if (!set)
			set = json_object_get(item, "map");
		if (set && json_equal(json_object_get(set, "family"), json_object_get(rule, "family")) &&
			json_equal(json_object_get(set, "table"), json_object_get(rule, "table")) &&
			!strcmp(json_str(set, "name") ? json_str(set, "name") : "", name))
			return set;
	}
	return NULL;
}

static int elements_add(struct foreign_test *t, const json_t *all, const json_t *rule, const json_t *right)
{
	const char *text = json_string_value(right);
	const json_t *list = json_is_array(right) ? right : json_object_get(right, "set");
	size_t i;
	json_t *x;
	int r = 0;

	if (text && *text == '@') {
		const json_t *set = named(all, rule, text + 1);
		if (!set)
			return PASS_OVER;
		list = json_object_get(set, "elem");
	} else if (!list)
		return element_add(t, right);
	json_array_foreach((json_t *)list, i, x) {
		r = element_add(t, x);
		if (r)
			break;
	}
	return r;
}

static int match_add(struct foreign_rule *r, const json_t *all, const json_t *rule, const json_t *match)
{
	const char *op = json_str(match, "op");
	struct foreign_test *t;

	if (!op || (strcmp(op, "==") != 0 && strcmp(op, "in") != 0 && strcmp(op, "!=") != 0))
		return PASS_OVER;
	int n = test_add(r, json_object_get(match, "left"), &t);
	if (n)
		return n;
	t->inverted = *op == '!';
	return elements_add(t, all, rule, json_object_get(match, "right"));
}

static int map_add(struct foreign_rule *r, const json_t *all, const json_t *rule, const json_t *map)
{
	struct foreign_test *t;
	int n = test_add(r, json_object_get(map, "key"), &t);

	if (n)
		return n;
	t->map = true;
	return elements_add(t, all, rule, json_object_get(map, "data"));
}

/* ---- rules and chains ---- */

/* What iptables puts in and nft cannot show. */
static int xt_add(struct foreign_chain *c, struct foreign_rule *r, const json_t *xt)
{
	const char *type = json_str(xt, "type"), *name = json_str(xt, "name");

	if (type && name && !strcmp(type, "match") && !strcmp(name, "comment"))
		return 0;
	c->opaque = true;
	if (!type || !name || strcmp(type, "target") != 0)
		return PASS_OVER;
	if (!strcmp(name, "REJECT"))
		r->verdict = FOREIGN_DROP;
	return 0;
}

static int statement_add(
	struct foreign_chain *c, struct foreign_rule *r, const json_t *all, const json_t *rule, json_t *x)
{
	static const char *const plain[] = {"counter", "log", "mangle", "notrack", "set", "map", "flow", "dup",
		"ct helper", "ct timeout", "ct expectation", "last", NULL};
	const char *kind = json_object_iter_key(json_object_iter(x));
	const json_t *body = kind ? json_object_get(x, kind) : NULL;

	if (!kind)
		return PASS_OVER;
	if (!strcmp(kind, "match"))
		return match_add(r, all, rule, body);
	if (!strcmp(kind, "vmap"))
		return map_add(r, all, rule, body);
	if (!strcmp(kind, "xt"))
		return xt_add(c, r, body);
	return str_in(kind, plain) ? 0 : verdict_of(x, &r->verdict, &r->target);
}

static int read_rule(struct foreign_rules *into, const json_t *all, const json_t *rule)
{
	const char *family = json_str(rule, "family"), *table = json_str(rule, "table"),
		   *chain = json_str(rule, "chain");
	struct foreign_chain *c = family && table && chain ? foreign_chain_find(into, family, table, chain) : NULL;
	size_t i;
	json_t *x;
	int n = 0;

	if (!c)
		return 0;
	struct foreign_rule *r = foreign_rule_add(c);
	if (!r)
		return -ENOMEM;
	r->name = str_fmt("the rule with handle %lld in chain %s", (long long)json_int(rule, "handle", 0), chain);
	json_array_foreach(json_object_get(rule, "expr"), i, x) {
		n = statement_add(c, r, all, rule, x);
		if (n || r->verdict != FOREIGN_CONTINUE)
			break;
	}
	if (n > 0)
		foreign_rule_drop(c);
	return n < 0 || (n == 0 && !r->name) ? -ENOMEM : 0;
}

static int read_chain(struct foreign_rules *into, const json_t *chain)
{
	const char *family = json_str(chain, "family"), *table = json_str(chain, "table"),
		   *name = json_str(chain, "name"), *type = json_str(chain, "type"),
		   *policy = json_str(chain, "policy");

	if (!family || !table || !name || !strcmp(table, "caisson"))
		return 0;
	struct foreign_chain *c = foreign_chain_add(
		into, family, table, name, type && !strcmp(type, "filter") ? json_str(chain, "hook") : NULL);
	if (c)
		c->drops = policy && !strcmp(policy, "drop");
	return c ? 0 : -ENOMEM;
}

int foreign_read_nft(struct foreign_rules *r, const char *text, size_t n, struct err *e)
{
	_cleanup_json_ json_t *answer = json_parse(text, n, "nft's answer", e);
	json_t *all = json_object_get(answer, "nftables"), *item;
	size_t i;
	int failed = 0;

	if (!answer)
		return -EBADMSG;
	if (!json_is_array(all))
		return err_set(e, EBADMSG, "nft's answer: no list of rules");
	json_array_foreach(all, i, item)
		if (failed == 0 && json_object_get(item, "chain"))
			failed = read_chain(r, json_object_get(item, "chain"));
	json_array_foreach(all, i, item)
		if (failed == 0 && json_object_get(item, "rule"))
			failed = read_rule(r, all, json_object_get(item, "rule"));
	return failed < 0 ? err_nomem(e) : 0;
}
