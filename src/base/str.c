/* Strings, growing buffers, string vectors. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t size = b->size ? b->size : 128;

	if (n > SIZE_MAX / 4 - b->len)
		return -ENOMEM;
	while (size < b->len + n + 1)
		size *= 2;
	if (size == b->size)
		return 0;
	char *p = realloc(b->data, size);
	if (!p)
		return -ENOMEM;
	b->data = p;
	b->size = size;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = 0;
	return 0;
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || buf_reserve(b, (size_t)n) < 0)
		return -ENOMEM;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

char *str_fmt(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

bool str_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && !strcmp(s + n - k, suffix);
}

bool str_in(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(s, *list))
			return true;
	return false;
}

char *str_lower(char *s)
{
	for (char *p = s; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 'a' - 'A');
	return s;
}

bool str_empty(const char *s)
{
	return !s || !*s;
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

/* Takes ownership of s. */
static int push_owned(char ***v, char *s)
{
	size_t n = strv_len(*v);

	if (!s)
		return -ENOMEM;
	/* grows at powers of two: the length tells when */
	if (!n || !(n & (n + 1))) {
		char **p = realloc(*v, (2 * (n + 1) + 1) * sizeof(*p));
		if (!p) {
			free(s);
			return -ENOMEM;
		}
		*v = p;
	}
	(*v)[n] = s;
	(*v)[n + 1] = NULL;
	return 0;
}

int strv_push(char ***v, const char *s)
{
	return push_owned(v, strdup(s));
}

int strv_pushf(char ***v, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return push_owned(v, n < 0 ? NULL : s);
}

int strv_push_all(char ***v, char *const *from)
{
	strv_foreach(s, from) {
		int r = strv_push(v, s);
		if (r < 0)
			return r;
	}
	return 0;
}

char **strv_dup(char *const *v)
{
	char **copy = NULL;

	if (strv_push_all(&copy, v) < 0) {
		strv_free(copy);
		return NULL;
	}
	return copy;
}

char **strv_split(const char *s, const char *separators)
{
	char **v = NULL;

	for (;;) {
		s += strspn(s, separators);
		size_t n = strcspn(s, separators);
		if (!n)
			return v;
		if (push_owned(&v, strndup(s, n)) < 0) {
			strv_free(v);
			return NULL;
		}
		s += n;
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **v)
{
	if (v)
		qsort(v, strv_len(v), sizeof(*v), compare);
}

bool strv_has(char *const *v, const char *s)
{
	strv_foreach(t, v) {
		if (!strcmp(s, t))
			return true;
	}
	return false;
}

void strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

int env_set(char ***env, const char *assignment)
{
	size_t n = strcspn(assignment, "=");

	for (size_t i = 0; *env && (*env)[i]; i++) {
		char *old = (*env)[i];
		if (strncmp(old, assignment, n) || (old[n] && old[n] != '='))
			continue;
		char *copy = strdup(assignment);
		if (!copy)
			return -ENOMEM;
		free(old);
		(*env)[i] = copy;
		return 0;
	}
	return strv_push(env, assignment);
}

const char *env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	strv_foreach(s, env) {
		if (!strncmp(s, name, n) && s[n] == '=')
			return s + n + 1;
	}
	return NULL;
}
