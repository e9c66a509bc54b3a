/* The lists that rules of others are kept in. */
#include "net/foreign-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Room for one more; doubles whenever the count is a power of two. */
static void *add(void *list, size_t *count, size_t size)
{
	void **p = list;

	if ((*count & (*count - 1)) == 0) {
		void *more = reallocarray(*p, *count ? *count * 2 : 1, size);
		if (!more)
			return NULL;
		*p = more;
	}
	return memset((char *)*p + (*count)++ * size, 0, size);
}

static void test_done(struct foreign_test *t)
{
	for (size_t i = 0; i < t->count; i++) {
		for (size_t k = 0; k < t->elements[i].count; k++)
			free(t->elements[i].parts[k]);
		free(t->elements[i].target);
	}
	free(t->elements);
}

static void rule_done(struct foreign_rule *r)
{
	for (size_t i = 0; i < r->count; i++)
		test_done(&r->tests[i]);
	free(r->tests);
	free(r->target);
	free(r->name);
}

static void chain_done(struct foreign_chain *c)
{
	for (size_t i = 0; i < c->count; i++)
		rule_done(&c->rules[i]);
	free(c->rules);
	free(c->family);
	free(c->table);
	free(c->name);
	free(c->hook);
}

void foreign_rules_done(struct foreign_rules *r)
{
	for (size_t i = 0; i < r->count; i++)
		chain_done(&r->chains[i]);
	free(r->chains);
	*r = (struct foreign_rules){0};
}

struct foreign_chain *foreign_chain_add(
	struct foreign_rules *r, const char *family, const char *table, const char *name, const char *hook)
{
	struct foreign_chain *c = add(&r->chains, &r->count, sizeof(*c));

	if (!c)
		return NULL;
	c->family = strdup(family);
	c->table = strdup(table);
	c->name = strdup(name);
	c->hook = hook ? strdup(hook) : NULL;
	if (c->family && c->table && c->name && (c->hook || !hook))
		return c;
	chain_done(c);
	r->count--;
	return NULL;
}

/* From the end: that is where rules are added. */
struct foreign_chain *foreign_chain_find(
	const struct foreign_rules *r, const char *family, const char *table, const char *name)
{
	for (size_t i = r->count; i-- > 0;) {
		struct foreign_chain *c = &r->chains[i];
		if (!strcmp(c->name, name) && !strcmp(c->table, table) && !strcmp(c->family, family))
			return c;
	}
	return NULL;
}

void foreign_rules_seen(struct foreign_rules *r, const char *family, const char *table, bool hide)
{
	for (size_t i = 0; i < r->count; i++) {
		struct foreign_chain *c = &r->chains[i];
		if (strcmp(c->table, table) != 0 || strcmp(c->family, family) != 0)
			continue;
		c->opaque = false;
		if (hide)
			free(steal_ptr(c->hook));
	}
}

struct foreign_rule *foreign_rule_add(struct foreign_chain *c)
{
	return add(&c->rules, &c->count, sizeof(*c->rules));
}

void foreign_rule_drop(struct foreign_chain *c)
{
	rule_done(&c->rules[--c->count]);
}

struct foreign_test *foreign_test_add(struct foreign_rule *r, enum foreign_field field)
{
	struct foreign_test *t = add(&r->tests, &r->count, sizeof(*t));

	if (t)
		t->fields[t->field_count++] = field;
	return t;
}

struct foreign_element *foreign_element_add(struct foreign_test *t)
{
	return add(&t->elements, &t->count, sizeof(*t->elements));
}

int foreign_part_add(struct foreign_element *e, const char *word, size_t n)
{
	char *copy = e->count < FOREIGN_PARTS ? strndup(word, n) : NULL;

	if (!copy)
		return -ENOMEM;
	e->parts[e->count++] = copy;
	return 0;
}
