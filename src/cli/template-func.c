/* The functions of --format templates, and how values are printed. */
#include "cli/template-private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

bool template_truth(const json_t *v)
{
	if (!v)
		return false;
	switch (json_typeof(v)) {
	case JSON_TRUE:
		return true;
	case JSON_FALSE:
	case JSON_NULL:
		return false;
	case JSON_STRING:
		return json_string_length(v) > 0;
	case JSON_INTEGER:
		return json_integer_value(v) != 0;
	case JSON_REAL:
		return json_real_value(v) != 0;
	case JSON_ARRAY:
		return json_array_size(v) > 0;
	case JSON_OBJECT:
		return json_object_size(v) > 0;
	}
	return false;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int print_array(struct buf *out, const json_t *v)
{
	int r = buf_adds(out, "[");

	for (size_t i = 0; r == 0 && i < json_array_size(v); i++) {
		r = i ? buf_adds(out, " ") : 0;
		if (r == 0)
			r = template_print(out, json_array_get(v, i));
	}
	return r < 0 ? r : buf_adds(out, "]");
}

static int print_object(struct buf *out, const json_t *v)
{
	_cleanup_free_ const char **names = calloc(json_object_size(v) + 1, sizeof(*names));
	const char *name;
	json_t *member;
	size_t n = 0;

	if (!names)
		return -ENOMEM;
	json_object_foreach((json_t *)v, name, member)
		names[n++] = name;
	qsort(names, n, sizeof(*names), compare_keys);
	int r = buf_adds(out, "map[");
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = buf_addf(out, "%s%s:", i ? " " : "", names[i]);
		if (r == 0)
			r = template_print(out, json_object_get(v, names[i]));
	}
	return r < 0 ? r : buf_adds(out, "]");
}

int template_print(struct buf *out, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_TRUE:
		return buf_adds(out, "true");
	case JSON_FALSE:
		return buf_adds(out, "false");
	case JSON_NULL:
		return buf_adds(out, "<no value>");
	case JSON_STRING:
		return buf_add(out, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return buf_addf(out, "%lld", (long long)json_integer_value(v));
	case JSON_REAL:
		return buf_addf(out, "%.17g", json_real_value(v));
	case JSON_ARRAY:
		return print_array(out, v);
	case JSON_OBJECT:
		return print_object(out, v);
	}
	return 0;
}

/* A buffer as a string value. */
static int return_buf(struct buf *b, json_t **ret)
{
	*ret = json_from_str(b->data ? b->data : "");
	buf_done(b);
	return *ret ? 0 : -ENOMEM;
}

static int fn_json(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	(void)n;
	(void)e;
	_cleanup_free_ char *text = json_dumps(args[0], JSON_COMPACT | JSON_ENCODE_ANY);
	*ret = text ? json_string(text) : NULL;
	return *ret ? 0 : -ENOMEM;
}

static int fn_len(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	(void)n;
	if (json_is_string(args[0]))
		*ret = json_integer((json_int_t)json_string_length(args[0]));
	else if (json_is_array(args[0]))
		*ret = json_integer((json_int_t)json_array_size(args[0]));
	else if (json_is_object(args[0]))
		*ret = json_integer((json_int_t)json_object_size(args[0]));
	else if (json_is_null(args[0]))
		*ret = json_integer(0);
	else
		return err_set(e, EINVAL, "error calling len: len of a value that has none");
	return 0;
}

static int fn_index(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	json_t *v = args[0];

	for (size_t i = 1; i < n; i++) {
		if (json_is_object(v) && json_is_string(args[i])) {
			v = json_object_get(v, json_string_value(args[i]));
		} else if (json_is_array(v) && json_is_integer(args[i])) {
			json_int_t k = json_integer_value(args[i]);
			v = k < 0 ? NULL : json_array_get(v, (size_t)k);
			if (!v)
				return err_set(
					e, EINVAL, "error calling index: index out of range: %lld", (long long)k);
		} else if (!json_is_null(v)) {
			return err_set(e, EINVAL, "error calling index: cannot index it with this type");
		}
		if (!v || json_is_null(v)) {
			/* Go's zero value of a map of strings */
			*ret = i + 1 < n ? json_null() : json_string("");
			return *ret ? 0 : -ENOMEM;
		}
	}
	*ret = json_incref(v);
	return 0;
}

static int fn_slice(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	bool is_text = json_is_string(args[0]);
	size_t len = is_text ? json_string_length(args[0]) : json_array_size(args[0]);
	json_int_t bound[2] = {0, (json_int_t)len};

	if (!is_text && !json_is_array(args[0]))
		return err_set(e, EINVAL, "error calling slice: can't slice it");
	for (size_t i = 1; i < n; i++) {
		bound[i - 1] = json_integer_value(args[i]);
		if (!json_is_integer(args[i]) || bound[i - 1] < 0 || (size_t)bound[i - 1] > len)
			return err_set(
				e, EINVAL, "error calling slice: index out of range: %lld", (long long)bound[i - 1]);
	}
	if (bound[0] > bound[1])
		return err_set(e, EINVAL, "error calling slice: invalid slice index: %lld > %lld", (long long)bound[0],
			(long long)bound[1]);
	if (is_text) {
		_cleanup_free_ char *part =
			strndup(json_string_value(args[0]) + bound[0], (size_t)(bound[1] - bound[0]));
		*ret = part ? json_from_str(part) : NULL;
		return *ret ? 0 : -ENOMEM;
	}
	*ret = json_array();
	for (json_int_t i = bound[0]; *ret && i < bound[1]; i++)
		json_array_append(*ret, json_array_get(args[0], (size_t)i));
	return 0;
}

static int need_string(json_t *v, const char *function, struct err *e)
{
	return json_is_string(v) ? 0 : err_set(e, EINVAL, "wrong type for value; %s expects a string", function);
}

static int map_text(json_t *const *args, json_t **ret, int (*map)(int), struct err *e)
{
	_cleanup_free_ char *s = NULL;
	int r = need_string(args[0], "the function", e);

	if (r < 0)
		return r;
	s = strdup(json_string_value(args[0]));
	for (char *c = s; c && *c; c++)
		if ((unsigned char)*c < 0x80)
			*c = (char)map(*c);
	*ret = s ? json_string(s) : NULL;
	return *ret ? 0 : -ENOMEM;
}

static int fn_lower(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	(void)n;
	return map_text(args, ret, tolower, e);
}

static int fn_upper(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	(void)n;
	return map_text(args, ret, toupper, e);
}

static int fn_title(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	(void)n;
	_cleanup_free_ char *s = NULL;
	int r = need_string(args[0], "title", e);

	if (r < 0)
		return r;
	s = strdup(json_string_value(args[0]));
	for (char *c = s; c && *c; c++)
		if (c == s || isspace((unsigned char)c[-1]))
			*c = (unsigned char)*c < 0x80 ? (char)toupper(*c) : *c;
	*ret = s ? json_string(s) : NULL;
	return *ret ? 0 : -ENOMEM;
}

static int fn_join(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = need_string(args[1], "join", e);

	(void)n;
	if (r < 0)
		return r;
	if (!json_is_array(args[0]) && !json_is_null(args[0]))
		return err_set(e, EINVAL, "wrong type for value; join expects a list");
	for (size_t i = 0; r == 0 && i < json_array_size(args[0]); i++) {
		r = i ? buf_adds(&b, json_string_value(args[1])) : 0;
		if (r == 0)
			r = template_print(&b, json_array_get(args[0], i));
	}
	return r < 0 ? r : return_buf(&b, ret);
}

static int fn_split(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	int r = need_string(args[0], "split", e);

	(void)n;
	if (r == 0)
		r = need_string(args[1], "split", e);
	if (r < 0)
		return r;
	const char *s = json_string_value(args[0]), *separator = json_string_value(args[1]);
	*ret = json_array();
	for (const char *stop; *ret; s = stop + strlen(separator)) {
		stop = *separator ? strstr(s, separator) : NULL;
		_cleanup_free_ char *part = stop ? strndup(s, (size_t)(stop - s)) : strdup(s);
		if (!part || json_array_append_new(*ret, json_from_str(part)) < 0)
			return -ENOMEM;
		if (!stop)
			return 0;
	}
	return -ENOMEM;
}

enum { PAD_MAX = 4096 };

static int fn_pad(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	json_int_t before = json_integer_value(args[1]), after = json_integer_value(args[2]);
	int r = need_string(args[0], "pad", e);

	(void)n;
	if (r < 0)
		return r;
	if (before < 0 || after < 0 || before > PAD_MAX || after > PAD_MAX)
		return err_set(e, EINVAL, "error calling pad: a width from 0 to %d is needed", PAD_MAX);
	if (json_string_length(args[0]))
		r = buf_addf(&b, "%*s%s%*s", (int)before, "", json_string_value(args[0]), (int)after, "");
	return r < 0 ? r : return_buf(&b, ret);
}

static int fn_truncate(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	_cleanup_free_ char *s = NULL;
	json_int_t max = json_integer_value(args[1]);
	int r = need_string(args[0], "truncate", e);

	(void)n;
	if (r < 0)
		return r;
	s = strndup(json_string_value(args[0]), max < 0 ? 0 : (size_t)max);
	*ret = s ? json_from_str(s) : NULL;
	return *ret ? 0 : -ENOMEM;
}

/* Go's Sprint puts a space between operands when neither is a string; Sprintln always. */
static int fn_print(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = 0;

	(void)e;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (i && !json_is_string(args[i]) && !json_is_string(args[i - 1]))
			r = buf_adds(&b, " ");
		if (r == 0)
			r = template_print(&b, args[i]);
	}
	return r < 0 ? r : return_buf(&b, ret);
}

static int fn_println(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = 0;

	(void)e;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = i ? buf_adds(&b, " ") : 0;
		if (r == 0)
			r = template_print(&b, args[i]);
	}
	if (r == 0)
		r = buf_adds(&b, "\n");
	return r < 0 ? r : return_buf(&b, ret);
}

/* One verb of printf with its flags, "%-12s", into *b. */
static int print_verb(struct buf *b, const char *flags, char verb, const json_t *v)
{
	_cleanup_buf_ struct buf text = {0};
	bool left = strchr(flags, '-'), zero = *flags == '0';
	int width = atoi(flags + strspn(flags, "-+ #0"));
	const char *point = strchr(flags, '.');
	int r = 0;

	if (verb == 'q' && json_is_string(v)) {
		_cleanup_free_ char *quoted = json_dumps(v, JSON_ENCODE_ANY);
		r = quoted ? buf_adds(&text, quoted) : -ENOMEM;
	} else if ((verb == 'x' || verb == 'X' || verb == 'o') && json_is_integer(v)) {
		unsigned long long number = (unsigned long long)json_integer_value(v);
		r = verb == 'x'       ? buf_addf(&text, "%llx", number)
			: verb == 'X' ? buf_addf(&text, "%llX", number)
				      : buf_addf(&text, "%llo", number);
	} else if (strchr("feg", verb) && json_is_number(v)) {
		r = buf_addf(&text, "%.*f", point ? atoi(point + 1) : 6, json_number_value(v));
	} else {
		r = template_print(&text, v);
	}
	if (r < 0)
		return r;
	if (verb == 's' && point && text.len > (size_t)atoi(point + 1))
		text.data[atoi(point + 1)] = 0;
	const char *s = text.data ? text.data : "";
	int pad = width - (int)strlen(s);
	if (zero && !left && pad > 0 && json_is_number(v))
		return buf_addf(b, "%0*d%s", pad, 0, s);
	return buf_addf(b, "%*s", left ? -width : width, s);
}

static int fn_printf(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	size_t used = 1;
	int r = need_string(args[0], "printf", e);

	if (r < 0)
		return r;
	for (const char *c = json_string_value(args[0]); *c && r == 0; c++) {
		char flags[12] = "";
		size_t len = *c == '%' ? strspn(c + 1, "-+ #.0123456789") : 0;
		if (*c != '%' || c[1] == '%') {
			r = buf_add(&b, c, 1);
			c += *c == '%';
			continue;
		}
		if (len >= 5 || !c[len + 1] || !strchr("sdvqtxXofeg", c[len + 1]))
			return err_set(
				e, EINVAL, "error calling printf: bad verb in \"%s\"", json_string_value(args[0]));
		memcpy(flags, c + 1, len);
		c += len + 1;
		r = used < n ? print_verb(&b, flags, *c, args[used]) : buf_addf(&b, "%%!%c(MISSING)", *c);
		used++;
	}
	return r < 0 ? r : return_buf(&b, ret);
}

static int fn_html(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
	_cleanup_buf_ struct buf text = {0}, b = {0};
	int r = template_print(&text, args[0]);

	(void)n;
	(void)e;
	for (const char *c = text.data; c && *c && r == 0; c++) {
		size_t i = 0;
		while (i < 5 && entities[i].c != *c)
			i++;
		r = i < 5 ? buf_adds(&b, entities[i].entity) : buf_add(&b, c, 1);
	}
	return r < 0 ? r : return_buf(&b, ret);
}

/* -1, 0, 1, or -EINVAL: they do not compare. */
static int compare(const json_t *a, const json_t *b, int *ret)
{
	if (json_is_string(a) && json_is_string(b))
		*ret = strcmp(json_string_value(a), json_string_value(b));
	else if (json_is_integer(a) && json_is_integer(b))
		*ret = (json_integer_value(a) > json_integer_value(b)) -
			(json_integer_value(a) < json_integer_value(b));
	else if (json_is_number(a) && json_is_number(b))
		*ret = (json_number_value(a) > json_number_value(b)) - (json_number_value(a) < json_number_value(b));
	else
		return -EINVAL;
	return 0;
}

/* eq's own: booleans compare too, and nothing equals null but null. */
static int equal(const json_t *a, const json_t *b, bool *ret)
{
	int order;

	if (json_is_boolean(a) == json_is_boolean(b) && (json_is_boolean(a) || json_is_null(a) || json_is_null(b)))
		*ret = json_typeof(a) == json_typeof(b);
	else if (compare(a, b, &order) == 0)
		*ret = !order;
	else
		return -EINVAL;
	return 0;
}

static int incompatible(const char *name, struct err *e)
{
	return err_set(e, EINVAL, "error calling %s: incompatible types for comparison", name);
}

/* With several arguments: whether the first equals any of the others. */
static int fn_eq(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	bool same = false;

	for (size_t i = 1; i < n && !same; i++)
		if (equal(args[0], args[i], &same) < 0)
			return incompatible("eq", e);
	*ret = json_boolean(same);
	return 0;
}

static int fn_ne(json_t *const *args, size_t n, json_t **ret, struct err *e)
{
	bool same;

	(void)n;
	if (equal(args[0], args[1], &same) < 0)
		return incompatible("ne", e);
	*ret = json_boolean(!same);
	return 0;
}

#define ORDER_FUNCTION(name, relation)                                                   \
	static int fn_##name(json_t *const *args, size_t n, json_t **ret, struct err *e) \
	{                                                                                \
		int order;                                                               \
		(void)n;                                                                 \
		if (compare(args[0], args[1], &order) < 0)                               \
			return incompatible(#name, e);                                   \
		*ret = json_boolean(order relation 0);                                   \
		return 0;                                                                \
	}
ORDER_FUNCTION(lt, <)
ORDER_FUNCTION(le, <=)
ORDER_FUNCTION(gt, >)
ORDER_FUNCTION(ge, >=)

static const struct template_function functions[] = {
	{"and", 1, -1, NULL},
	{"or", 1, -1, NULL},
	{"not", 1, 1, NULL},
	{"eq", 2, -1, fn_eq},
	{"ne", 2, 2, fn_ne},
	{"lt", 2, 2, fn_lt},
	{"le", 2, 2, fn_le},
	{"gt", 2, 2, fn_gt},
	{"ge", 2, 2, fn_ge},
	{"len", 1, 1, fn_len},
	{"index", 1, -1, fn_index},
	{"slice", 1, 3, fn_slice},
	{"json", 1, 1, fn_json},
	{"join", 2, 2, fn_join},
	{"split", 2, 2, fn_split},
	{"lower", 1, 1, fn_lower},
	{"upper", 1, 1, fn_upper},
	{"title", 1, 1, fn_title},
	{"pad", 3, 3, fn_pad},
	{"truncate", 2, 2, fn_truncate},
	{"print", 0, -1, fn_print},
	{"println", 0, -1, fn_println},
	{"printf", 1, -1, fn_printf},
	{"html", 1, 1, fn_html},
};

const struct template_function *template_function(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	return NULL;
}
