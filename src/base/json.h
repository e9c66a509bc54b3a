/* Small helpers over jansson. Getters never fail: what is missing or of another type is the default. Borrowed strings live with their object. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

/* At most max bytes, no duplicate keys, one value only; `what` names it in the error. New reference. */
json_t *json_parse(const char *text, size_t n, const char *what, struct err *e);
json_t *json_parse_file(int dirfd, const char *path, size_t max, struct err *e);
const char *json_str(const json_t *o, const char *key); /* NULL if missing */
bool json_flag(const json_t *o, const char *key);
int64_t json_int(const json_t *o, const char *key, int64_t dflt);
char **json_strv(const json_t *array);  /* strings of an array; NULL for none or no memory; the caller frees */
json_t *json_from_strv(char *const *v); /* an array, [] for NULL; new reference */
json_t *json_from_str(const char *s);   /* "" for NULL or what is not UTF-8-clean is replaced; new reference */
json_t *json_path(const json_t *o, const char *path);    /* "Config.Env"; borrowed or NULL */
int json_set(json_t *o, const char *key, json_t *value); /* steals value; -ENOMEM */
