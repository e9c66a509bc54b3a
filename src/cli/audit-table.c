/* Audits as text: one below the other with evidence, or side by side without. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "cli/audit-report.h"
#include "cli/rows.h"

enum { KEY_WIDTH = 24, RESULT_WIDTH = 8, INDENT = 2, COLUMNS_MAX = 8 };

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_str(o, key);

	return s ? s : "";
}

static int width_of(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_title(FILE *f, const json_t *audit)
{
	fprintf(f, "%s (%.12s), isolation %s\n", text_of(audit, "Name"), text_of(audit, "Container"),
		text_of(audit, "Isolation"));
}

/* ---- one below the other ---- */

static void print_cut(FILE *f, const char *text, size_t more)
{
	char rest[32] = "";

	if (more)
		snprintf(rest, sizeof(rest), " (+%zu)", more);
	_cleanup_free_ char *cut = row_ellipsis(text, REPORT_WIDTH - INDENT - (int)strlen(rest));
	fprintf(f, "%*s%s%s\n", INDENT, "", cut ? cut : "", rest);
}

/* What comes first tells most: why it is not known, else the first piece of evidence. */
static void print_short(FILE *f, const json_t *s)
{
	const json_t *evidence = json_object_get(s, "Evidence");
	const char *why = text_of(s, "Why"), *first = json_string_value(json_array_get(evidence, 0));
	size_t n = json_array_size(evidence);

	if (!strcmp(text_of(s, "Result"), "unknown") && *why)
		print_cut(f, why, n);
	else if (first)
		print_cut(f, first, n - 1);
}

static void print_whole(FILE *f, const json_t *s)
{
	size_t i;
	json_t *v;

	if (*text_of(s, "Why"))
		fprintf(f, "%*s%s\n", INDENT, "", text_of(s, "Why"));
	json_array_foreach(json_object_get(s, "Evidence"), i, v)
		fprintf(f, "%*s- %s\n", INDENT, "", json_string_value(v) ? json_string_value(v) : "");
}

int report_table(FILE *f, const json_t *report, bool no_trunc)
{
	size_t i, k;
	json_t *audit, *s;

	json_array_foreach(report, i, audit) {
		if (i)
			fputc('\n', f);
		print_title(f, audit);
		json_array_foreach(json_object_get(audit, "Statements"), k, s) {
			const char *value = text_of(s, "Value");
			_cleanup_free_ char *cut = row_ellipsis(value, REPORT_WIDTH - KEY_WIDTH - RESULT_WIDTH);
			fprintf(f, "%-*s%-*s%s\n", KEY_WIDTH, text_of(s, "Key"), RESULT_WIDTH, text_of(s, "Result"),
				no_trunc || !cut ? value : cut);
			if (no_trunc)
				print_whole(f, s);
			else
				print_short(f, s);
		}
	}
	return 0;
}

/* ---- side by side ---- */

/* The bytes of the next line of a cell, broken at a space where there is one. */
static size_t line_of(const char *s, int width)
{
	size_t best = 0, n = 0;

	for (int seen = 0; s[n]; n++) {
		seen += ((unsigned char)s[n] & 0xc0) != 0x80;
		if (seen > width)
			return best ? best : n;
		if (s[n] == ' ')
			best = n;
	}
	return n;
}

/* One line of each cell until all are written. */
static void print_cells(FILE *f, const char *key, const char *cells[], size_t n, int width)
{
	for (bool more = true; more;) {
		fprintf(f, "%-*s", KEY_WIDTH, key);
		key = "";
		more = false;
		for (size_t i = 0; i < n; i++) {
			size_t k = line_of(cells[i], width - 1);
			fprintf(f, "%.*s", (int)k, cells[i]);
			_cleanup_free_ char *line = strndup(cells[i], k);
			if (i + 1 < n)
				fprintf(f, "%*s", width - width_of(line ? line : ""), "");
			cells[i] += k;
			cells[i] += strspn(cells[i], " ");
			more = more || *cells[i];
		}
		fputc('\n', f);
	}
}

int report_side_by_side(FILE *f, const json_t *report)
{
	size_t n = json_array_size(report) < COLUMNS_MAX ? json_array_size(report) : COLUMNS_MAX, i = 0;
	int width = n ? (REPORT_WIDTH - KEY_WIDTH) / (int)n : 0;
	const char *cells[COLUMNS_MAX];
	char *owned[COLUMNS_MAX] = {0};
	json_t *s;

	for (size_t k = 0; k < n; k++)
		cells[k] = text_of(json_array_get(report, k), "Isolation");
	print_cells(f, "", cells, n, width);
	json_array_foreach(json_object_get(json_array_get(report, 0), "Statements"), i, s) {
		for (size_t k = 0; k < n; k++) {
			const json_t *cell =
				json_array_get(json_object_get(json_array_get(report, k), "Statements"), i);
			owned[k] = str_fmt("%s: %s", text_of(cell, "Result"), text_of(cell, "Value"));
			cells[k] = owned[k] ? owned[k] : "";
		}
		print_cells(f, text_of(s, "Key"), cells, n, width);
		for (size_t k = 0; k < n; k++)
			free(owned[k]);
	}
	return 0;
}
