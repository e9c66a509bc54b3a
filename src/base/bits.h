/* Sets of small numbers as the kernel and users write them: "0-2,4". */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bits {
	bool *set; /* owned; set[i]: i is in it */
	size_t size, count;
};

/* Numbers below max. -EINVAL, -ERANGE, -ENOMEM: *ret is left alone. */
int bits_parse(const char *s, size_t max, struct bits *ret);
bool bits_within(const struct bits *a, const struct bits *b); /* all of a are in b */
void bits_done(struct bits *b);
