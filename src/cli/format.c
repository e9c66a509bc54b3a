/* Lists and objects printed by templates. */
#include "cli/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/table.h"
#include "cli/template.h"

#define METHODS "" /* the key of a row's methods */
#define WRONG   "template parsing error"

enum { EXIT_TEMPLATE = 64 }; /* docker's for a template of one object that does not parse */

char *format_unescape(const char *s)
{
	char *copy = strdup(s), *to = copy;
	bool action = false; /* in {{ }}, whose strings have escapes of their own */

	for (const char *c = copy; c && *c; c++) {
		if (str_starts(c, action ? "}}" : "{{"))
			action = !action;
		bool escape = !action && *c == '\\' && (c[1] == 't' || c[1] == 'n');
		*to++ = escape ? (c[1] == 't' ? '\t' : '\n') : *c;
		c += escape;
	}
	if (to)
		*to = 0;
	return copy;
}

static int parse(const char *text, struct template **ret, struct err *e)
{
	int r = template_parse(text, ret, e);

	return r == -EINVAL ? err_wrap(e, WRONG) : r;
}

static int run(const struct template *t, const json_t *data, const json_t *methods, struct buf *out, struct err *e)
{
	int r = template_run(t, data, methods, out, e);

	return r == -EINVAL ? err_wrap(e, WRONG) : r;
}

static json_t *headers(const struct format_list *f)
{
	json_t *h = json_object();

	for (const struct format_column *c = f->columns; h && c->field; c++)
		json_set(h, c->field, json_string(c->header));
	return h;
}

/* {{.Label "x"}} has "x" as its header. */
static int add_header(const struct format_list *f, const struct template *t, struct buf *out, struct err *e)
{
	_cleanup_json_ json_t *h = headers(f);
	_cleanup_json_ json_t *methods = json_pack("{s:b}", "Label", 1);

	if (!h || !methods)
		return err_nomem(e);
	int r = run(t, h, methods, out, e);
	return r < 0 ? r : buf_adds(out, "\n") < 0 ? err_nomem(e) : 0;
}

static int print_rows(const struct format_list *f, const char *text, bool table, const json_t *rows, struct err *e)
{
	_cleanup_buf_ struct buf lines = {0}, laid_out = {0};
	_cleanup_template_ struct template *t = NULL;
	size_t i;
	json_t *row;
	int r = parse(text, &t, e);

	if (r == 0 && table)
		r = add_header(f, t, &lines, e);
	json_array_foreach(rows, i, row) {
		_cleanup_json_ json_t *methods = json_incref(json_object_get(row, METHODS));
		_cleanup_json_ json_t *shown = json_copy(row);
		if (r < 0)
			break;
		json_object_del(shown, METHODS);
		r = run(t, shown, methods, &lines, e);
		if (r == 0 && buf_adds(&lines, "\n") < 0)
			r = err_nomem(e);
	}
	if (r < 0 || !lines.len)
		return r;
	if (table && (r = table_format(lines.data, TABLE_WIDTH, &laid_out)) < 0)
		return err_errno(e, r, "lay out the table");
	struct buf *out = table ? &laid_out : &lines;
	fwrite(out->data, 1, out->len, stdout);
	return 0;
}

int format_print_list(const struct format_list *f, const char *format, bool quiet, const json_t *rows, struct err *e)
{
	bool plain = !format || !*format || !strcmp(format, "table");

	if (plain)
		return print_rows(f, quiet ? f->quiet : f->table, !quiet, rows, e);
	if (!strcmp(format, "json"))
		return print_rows(f, "{{json .}}", false, rows, e);
	_cleanup_free_ char *text = format_unescape(format);
	if (!text)
		return err_nomem(e);
	bool table = str_starts(text, "table");
	return print_rows(f, table ? text + strlen("table") + (text[5] == ' ') : text, table, rows, e);
}

static int parse_one(const char *format, struct template **ret, struct err *e)
{
	int r = parse(strcmp(format, "json") ? format : "{{json .}}", ret, e);

	if (r == -EINVAL)
		e->status = EXIT_TEMPLATE;
	return r;
}

int format_check(const char *format, struct err *e)
{
	_cleanup_template_ struct template *t = NULL;

	return parse_one(format, &t, e);
}

int format_print_object(const char *format, const json_t *object, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	_cleanup_template_ struct template *t = NULL;
	int r = parse_one(format, &t, e);

	if (r == 0)
		r = run(t, object, NULL, &out, e);
	if (r < 0)
		return r;
	fwrite(out.data ? out.data : "", 1, out.len, stdout);
	putchar('\n');
	return 0;
}
