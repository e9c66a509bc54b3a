/* Strings, growing buffers, string vectors, and the numbers that users write. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* A growing byte buffer. Zero-initialised it is empty. data ends in a NUL beyond len whenever len > 0. */
struct buf {
	char *data;
	size_t len;
	size_t size;
};

void buf_done(struct buf *b);                        /* frees the data and makes *b empty */
int buf_reserve(struct buf *b, size_t n);            /* room for n more bytes and a NUL; -ENOMEM */
int buf_add(struct buf *b, const void *p, size_t n); /* -ENOMEM */
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define _cleanup_buf_ _cleanup_(buf_done)

/* asprintf that returns the string, or NULL when out of memory. The caller frees. */
char *str_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_in(const char *s, const char *const *list); /* list ends in NULL */
char *str_lower(char *s);                            /* in place, ASCII; returns s */
bool str_empty(const char *s);                       /* NULL or "" */

/* NULL-terminated vectors of strings; NULL is the empty vector. The vector owns its strings. */
size_t strv_len(char *const *v);
int strv_push(char ***v, const char *s); /* copies s; -ENOMEM */
int strv_pushf(char ***v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int strv_push_all(char ***v, char *const *from);
char **strv_dup(char *const *v);                          /* NULL for empty or out of memory */
char **strv_split(const char *s, const char *separators); /* no empty parts */
void strv_sort(char **v);                                 /* by bytes */
bool strv_has(char *const *v, const char *s);
void strv_free(char **v);
static inline void cleanup_strv(char ***v)
{
	strv_free(*v);
}
#define _cleanup_strv_     _cleanup_(cleanup_strv)
#define strv_foreach(s, v) for (char *const *_p_##s = (v), *s; _p_##s && (s = *_p_##s); _p_##s++)

/* "NAME=value" vectors: sets or replaces NAME; the value of NAME or NULL. */
int env_set(char ***env, const char *assignment);
const char *env_get(char *const *env, const char *name);

/* Whole-string parsers: 0, -EINVAL, or -ERANGE. *ret is untouched on failure. */
int parse_u64(const char *s, uint64_t *ret); /* decimal */
int parse_u32(const char *s, uint32_t *ret);
int parse_int(const char *s, int *ret);
int parse_bool(const char *s, bool *ret);         /* Go's: 1 t T true TRUE True 0 f ... */
int parse_bytes(const char *s, uint64_t *ret);    /* docker's sizes: 512m, 1.5GiB, 2gb; binary units */
int parse_nanocpus(const char *s, uint64_t *ret); /* "1.5" -> 1500000000 */
int parse_signal(const char *s, int *ret);        /* 9, KILL, SIGKILL, RTMIN+3; any case */
const char *signal_name(int sig);                 /* "SIGKILL"; NULL if unknown */

/* "1.05MB": docker's decimal sizes with four digits (units.HumanSize); ret has room for 16 bytes. */
char *human_size(double bytes, char ret[16]);
