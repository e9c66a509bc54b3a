/* Small helpers over jansson. */
#include "base/json.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"

json_t *json_parse(const char *text, size_t n, const char *what, struct err *e)
{
	json_error_t je;
	json_t *j = json_loadb(text ? text : "", n, JSON_REJECT_DUPLICATES, &je);

	if (!j)
		err_set(e, EBADMSG, "%s: not valid JSON: %s (line %d)", what, je.text, je.line);
	return j;
}

json_t *json_parse_file(int dirfd, const char *path, size_t max, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = file_read(dirfd, path, max, &b);

	if (r < 0) {
		err_errno(e, r, "read %s", path);
		return NULL;
	}
	return json_parse(b.data, b.len, path, e);
}

const char *json_str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

bool json_flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

int64_t json_int(const json_t *o, const char *key, int64_t dflt)
{
	const json_t *j = json_object_get(o, key);

	return json_is_integer(j) ? json_integer_value(j) : dflt;
}

char **json_strv(const json_t *array)
{
	_cleanup_strv_ char **v = NULL;
	size_t i;
	json_t *j;

	json_array_foreach(array, i, j)
		if (json_is_string(j) && strv_push(&v, json_string_value(j)) < 0)
			return NULL;
	return steal_ptr(v);
}

json_t *json_from_strv(char *const *v)
{
	_cleanup_json_ json_t *a = json_array();

	strv_foreach(s, v)
		if (!a || json_array_append_new(a, json_from_str(s)) < 0)
			return NULL;
	return steal_ptr(a);
}

/* The length of the UTF-8 sequence at s; 0 if there is none. RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80                ? 1
		: s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		: (s[0] & 0xf0) == 0xe0       ? 3
		: s[0] >= 0xf0 && s[0] < 0xf5 ? 4
					      : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
		(s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return n;
}

json_t *json_from_str(const char *s)
{
	_cleanup_buf_ struct buf b = {0};
	json_t *j = json_string(s ? s : "");

	if (j)
		return j;
	for (; *s;) {
		size_t n = utf8_len((const unsigned char *)s);
		if (buf_add(&b, n ? s : "\xef\xbf\xbd", n ? n : 3) < 0)
			return NULL;
		s += n ? n : 1;
	}
	return json_stringn(b.data, b.len);
}

json_t *json_path(const json_t *o, const char *path)
{
	while (o) {
		size_t n = strcspn(path, ".");
		o = json_object_getn(o, path, n);
		if (!path[n])
			break;
		path += n + 1;
	}
	return (json_t *)o;
}

int json_set(json_t *o, const char *key, json_t *value)
{
	return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}
