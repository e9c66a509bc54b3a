#include "base/bits.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void bits_done(struct bits *b)
{
	free(b->set);
	*b = (struct bits){0};
}

static int number(const char **s, size_t max, size_t *ret)
{
	size_t v = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); (*s)++) {
		v = v * 10 + (size_t)(**s - '0');
		if (v >= max)
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int bits_parse(const char *s, size_t max, struct bits *ret)
{
	struct bits b = {.set = calloc(max, 1), .size = max};
	size_t first, last;
	int r = b.set ? 0 : -ENOMEM;

	while (r == 0) {
		r = number(&s, max, &first);
		last = first;
		if (r == 0 && *s == '-') {
			s++;
			r = number(&s, max, &last);
		}
		if (r == 0 && last < first)
			r = -EINVAL;
		for (size_t i = first; r == 0 && i <= last; i++) {
			b.count += !b.set[i];
			b.set[i] = true;
		}
		if (r < 0 || !*s)
			break;
		r = *s++ == ',' ? 0 : -EINVAL;
	}
	if (r < 0)
		bits_done(&b);
	else
		*ret = b;
	return r;
}

bool bits_within(const struct bits *a, const struct bits *b)
{
	for (size_t i = 0; i < a->size; i++)
		if (a->set[i] && (i >= b->size || !b->set[i]))
			return false;
	return true;
}
