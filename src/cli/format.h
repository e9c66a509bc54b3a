/* The output of commands that list or show things: --format, --quiet, tables with headers. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct format_column {
	const char *field, *header;
};

struct format_list {
	const char *table;                   /* the columns of the plain table: "{{.ID}}\t{{.Names}}" */
	const char *quiet;                   /* what --quiet prints: "{{.ID}}"; NULL: there is no --quiet */
	const struct format_column *columns; /* headers for tables of the user's own; ends in a row without field */
};

/*
 * Prints rows (an array of objects of texts; "" is an own key for methods such as {{.Label "k"}}, not shown)
 * as `format` says: NULL or "table", "table TEMPLATE", "json", "TEMPLATE". -EINVAL for a template that is
 * wrong.
 */
int format_print_list(const struct format_list *f, const char *format, bool quiet, const json_t *rows, struct err *e);

/* Prints one object: "json" or a template, and a newline. */
int format_print_object(const char *format, const json_t *object, struct err *e);

/* Whether an object's format is one, before there is anything to print. -EINVAL with docker's exit status. */
int format_check(const char *format, struct err *e);

/* "\t" and "\n" written as two characters, as users do in shells, outside of {{ }}: docker's lists take them so. The caller frees. */
char *format_unescape(const char *s);
