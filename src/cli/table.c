/* Tab-separated lines into columns. */
#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The width on a terminal of n bytes of UTF-8, one column per character. */
static int text_width(const char *s, size_t n)
{
	int width = 0;

	for (size_t i = 0; i < n; i++)
		width += ((unsigned char)s[i] & 0xc0) != 0x80;
	return width;
}

static int cells_of(const char *text)
{
	int most = 0, n = 0;

	for (; *text; text++) {
		n = *text == '\t' ? n + 1 : *text == '\n' ? 0 : n;
		most = n > most ? n : most;
	}
	return most;
}

static void measure(const char *text, int *widths)
{
	int column = 0;

	while (*text) {
		size_t n = strcspn(text, "\t\n");
		if (text[n] == '\t') {
			int width = text_width(text, n) + TABLE_PADDING;
			if (width > widths[column])
				widths[column] = width;
		}
		column = text[n] == '\t' ? column + 1 : 0;
		text += n + (text[n] != 0);
	}
}

int table_format(const char *text, int min_width, struct buf *out)
{
	int columns = cells_of(text), column = 0, r = 0;
	_cleanup_free_ int *widths = calloc((size_t)columns + 1, sizeof(*widths));

	if (!widths)
		return -ENOMEM;
	for (int i = 0; i < columns; i++)
		widths[i] = min_width;
	measure(text, widths);
	while (*text && r == 0) {
		size_t n = strcspn(text, "\t\n");
		r = out->len > TABLE_MAX ? -EFBIG : buf_add(out, text, n);
		if (r == 0 && text[n] == '\t') {
			r = buf_addf(out, "%*s", widths[column] - text_width(text, n), "");
			column++;
		} else if (r == 0 && text[n]) {
			r = buf_adds(out, "\n");
			column = 0;
		}
		text += n + (text[n] != 0);
	}
	return r;
}
