/*
 * Any --format over an object that has every kind of value: what parses runs to its end or is refused with a text, and what it prints becomes a table of
 * columns. As the lists do, escapes outside of actions are taken first.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/format.h"
#include "cli/table.h"
#include "cli/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_HERE = 4096 };

static const char object[] = "{\"ID\": \"0123456789ab\", \"Id\": \"x\", \"Name\": \"/web\", \"Text\": "
			     "\"a,b\\tc\\n\\u20ac\", \"Empty\": \"\", \"N\": -7, \"R\": 0.5,"
			     "\"Yes\": true, \"No\": false, \"Null\": null, \"Labels\": {\"a.b\": \"1\", \"z\": "
			     "\"2\"}, \"List\": [1, \"two\", [3], {\"Four\": 4}],"
			     "\"Deep\": {\"Er\": {\"Est\": [true, null]}}}";

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_refusal(int r, const struct err *e)
{
	check(r == -ENOMEM || (r == -EINVAL && *e->msg && memchr(e->msg, 0, sizeof(e->msg))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *given = size <= SIZE_MAX_HERE ? strndup((const char *)data, size) : NULL;
	_cleanup_free_ char *text = given ? format_unescape(given) : NULL;
	_cleanup_json_ json_t *root = json_loads(object, 0, NULL), *methods = json_pack("{s:{s:s}}", "Label", "z", "2");
	_cleanup_template_ struct template *t = NULL;
	_cleanup_buf_ struct buf out = {0}, table = {0};
	struct err e = ERR_INIT;

	if (!text)
		return 0;
	int r = template_parse(text, &t, &e);
	if (r < 0) {
		check_refusal(r, &e);
		return 0;
	}
	r = template_run(t, root, methods, &out, &e);
	if (r < 0)
		check_refusal(r, &e);
	else if (out.len) {
		r = table_format(out.data, TABLE_WIDTH, &table);
		check(r == 0 || r == -EFBIG);
	}
	return 0;
}
