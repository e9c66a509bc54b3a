/* Rules of others from `iptables -S`: iptables(8), iptables-extensions(8). */
#include "net/foreign-private.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

enum { PASS_OVER = 1 }; /* the rule, as it depends on what is not known */

/* Words of a line; quotes and backslashes as iptables writes them for iptables-restore. */
static int split(const char *s, size_t n, char ***ret)
{
	const char *end = s + n;

	while (s < end) {
		_cleanup_buf_ struct buf word = {0};
		bool quoted = false, any = false;
		for (; s < end && (quoted || *s != ' '); s++) {
			any = true;
			if (*s == '"')
				quoted = !quoted;
			else if (buf_add(&word, *s == '\\' && s + 1 < end ? ++s : s, 1) < 0)
				return -ENOMEM;
		}
		s += s < end;
		if (any && strv_push(ret, word.data ? word.data : "") < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Options of one argument that say something the walk knows. */
static const struct option {
	const char *name;
	enum foreign_field field;
} options[] = {
	{"-i", FOREIGN_IIF},
	{"-o", FOREIGN_OIF},
	{"-p", FOREIGN_L4},
	{"--dport", FOREIGN_PORT},
	{"--dports", FOREIGN_PORT},
	{"--ctstate", FOREIGN_CT},
	{"--state", FOREIGN_CT},
	{"--dst-type", FOREIGN_TYPE},
};

static const struct option *option_find(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

/* As nft would write it: "caisson*", "new", "50-60". */
static void translate(enum foreign_field field, char *word)
{
	size_t n = strlen(word);
	char *colon = field == FOREIGN_PORT ? strchr(word, ':') : NULL;

	if (colon)
		*colon = '-';
	else if (field == FOREIGN_CT || field == FOREIGN_TYPE)
		str_lower(word);
	else if (field != FOREIGN_L4 && field != FOREIGN_PORT && n && word[n - 1] == '+')
		word[n - 1] = '*';
}

static int test_add(struct foreign_rule *r, const struct option *o, bool inverted, const char *value)
{
	bool interface = o->field == FOREIGN_IIF || o->field == FOREIGN_OIF;
	_cleanup_strv_ char **words = strv_split(value, interface ? "" : ",");
	struct foreign_test *t = foreign_test_add(r, o->field);

	if (!value[strspn(value, ",")])
		return PASS_OVER;
	if (!t || !words)
		return -ENOMEM;
	t->inverted = inverted;
	strv_foreach(word, words) {
		struct foreign_element *e = foreign_element_add(t);
		translate(o->field, word);
		if (!e || foreign_part_add(e, word, strlen(word)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int verdict_set(struct foreign_rule *r, bool go, const char *target)
{
	static const struct {
		const char *name;
		enum foreign_verdict verdict;
	} known[] = {{"ACCEPT", FOREIGN_ACCEPT}, {"DROP", FOREIGN_DROP}, {"REJECT", FOREIGN_DROP},
		{"RETURN", FOREIGN_RETURN}};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].name, target) != 0)
			continue;
		r->verdict = known[i].verdict;
		return 0;
	}
	/* a chain, or LOG and others, which are found nowhere */
	r->verdict = go ? FOREIGN_GOTO : FOREIGN_JUMP;
	r->target = strdup(target);
	return r->target ? 0 : -ENOMEM;
}

/* From `-i caisson0 -m conntrack ! --ctstate NEW -j DROP`. What follows the target belongs to it. */
static int conditions_add(struct foreign_rule *r, char *const *words)
{
	static const char *const modules[] = {
		"tcp", "udp", "comment", "conntrack", "state", "multiport", "addrtype", NULL};
	bool inverted = false;

	for (char *const *w = words; w && *w; w++) {
		const struct option *o = option_find(*w);
		int n = 0;
		if (!strcmp(*w, "!")) {
			inverted = true;
			continue;
		}
		if (!w[1])
			return PASS_OVER;
		if (!strcmp(*w, "-j") || !strcmp(*w, "-g"))
			return verdict_set(r, (*w)[1] == 'g', w[1]);
		if (o)
			n = test_add(r, o, inverted, w[1]);
		else if (strcmp(*w, "--comment") != 0 && (strcmp(*w, "-m") != 0 || !str_in(w[1], modules)))
			n = PASS_OVER;
		if (n)
			return n;
		inverted = false;
		w++;
	}
	return 0;
}

static int read_rule(struct foreign_chain *c, char *const *words, const char *line, size_t n)
{
	struct foreign_rule *r = foreign_rule_add(c);

	if (!r)
		return -ENOMEM;
	r->name = str_fmt("%.*s", (int)n, line);
	int done = conditions_add(r, words);
	if (done > 0)
		foreign_rule_drop(c);
	return done < 0 || (done == 0 && !r->name) ? -ENOMEM : 0;
}

static const char *hook_of(const char *chain)
{
	static const char *const hooks[] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", NULL};
	static const char *const names[] = {"prerouting", "input", "forward", "output", "postrouting"};

	for (size_t i = 0; hooks[i]; i++)
		if (!strcmp(hooks[i], chain))
			return names[i];
	return NULL;
}

struct table {
	struct foreign_rules *rules;
	const char *family, *name, *program;
};

static int read_line(const struct table *t, const char *line, size_t n)
{
	_cleanup_strv_ char **words = NULL;

	if (n < 2 || *line != '-')
		return 0; /* a warning */
	if (split(line, n, &words) < 0)
		return -ENOMEM;
	if (strv_len(words) < 2)
		return 0;
	if (!strcmp(words[0], "-A")) {
		struct foreign_chain *c = foreign_chain_find(t->rules, t->family, t->name, words[1]);
		return c ? read_rule(c, words + 2, line, n) : 0;
	}
	bool base = !strcmp(words[0], "-P");
	if (!base && strcmp(words[0], "-N") != 0)
		return 0;
	struct foreign_chain *c =
		foreign_chain_add(t->rules, t->family, t->name, words[1], base ? hook_of(words[1]) : NULL);
	if (!c)
		return -ENOMEM;
	c->drops = base && words[2] && !strcmp(words[2], "DROP");
	c->program = t->program;
	return 0;
}

int foreign_read_iptables(struct foreign_rules *r, const char *family, const char *table, const char *program,
	const char *text, struct err *e)
{
	struct table t = {r, family, table, program};

	for (const char *s = text, *end; *s; s = *end ? end + 1 : end) {
		end = s + strcspn(s, "\n");
		if (read_line(&t, s, (size_t)(end - s)) < 0)
			return err_nomem(e);
	}
	return 0;
}
