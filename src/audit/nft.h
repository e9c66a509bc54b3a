/* The engine's own tables as the kernel has them, by the nft program: libnftables-json(5). */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* One table: an array of {"set"|"map"|"chain"|"rule": {...}}. -ENOENT: there is none; else what keeps it from being listed. New reference. */
int nft_table(const char *family, json_t **ret, struct err *e);
/* The same, of the rules in a file, which are loaded into a network namespace of their own for that. */
int nft_table_of_file(const char *family, const char *file, json_t **ret, struct err *e);

/* The elements of a set or map; borrowed. NULL: there is no such set, or it is empty, which *ret_there tells apart. */
const json_t *nft_elements(const json_t *table, const char *set, bool *ret_there);
/* "csp0 . 02:42:ac:11:00:02", "tcp . 8080 : 10.0.0.2 . 80" */
int nft_element_text(const json_t *element, struct buf *b);
bool nft_element_names(const json_t *element, const char *word); /* as one of its parts */

/* A table's chains and rules as texts that are the same when these are: "prerouting filter prerouting -300 accept", "prerouting: [...]", in order. */
char **nft_rules(const json_t *table);
