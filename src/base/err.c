/* Errors with a text. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* A text that is too long loses its middle: the thing is named at its begin, and its end says what to do. */
static void put(struct err *e, const char *text)
{
	static const char gap[] = " [...] ";
	const size_t room = sizeof(e->msg) - sizeof(gap);
	size_t n = strlen(text), head = room / 2, tail = room - head;

	if (n < sizeof(e->msg)) {
		memcpy(e->msg, text, n + 1);
	} else {
		while (head && inside_character(text[head]))
			head--;
		while (tail && inside_character(text[n - tail]))
			tail--;
		memcpy(e->msg, text, head);
		memcpy(e->msg + head, gap, sizeof(gap) - 1);
		memcpy(e->msg + head + sizeof(gap) - 1, text + n - tail, tail + 1);
	}
	for (char *p = e->msg; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

/* "text", or "text: more" */
__attribute__((format(printf, 4, 0))) static void set(
	struct err *e, int code, const char *more, const char *fmt, va_list ap)
{
	char *text = NULL, *whole = NULL;

	e->code = code;
	e->status = 0;
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	if (text && more && asprintf(&whole, "%s: %s", text, more) < 0)
		whole = NULL;
	put(e, whole ? whole : text ? text : "out of memory");
	free(whole);
	free(text);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		set(e, code, NULL, fmt, ap);
		va_end(ap);
	}
	return -code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	code = abs(code);
	if (e) {
		va_start(ap, fmt);
		set(e, code, strerror(code), fmt, ap);
		va_end(ap);
	}
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -EIO;
	struct err old = *e;
	va_start(ap, fmt);
	set(e, old.code, old.msg, fmt, ap);
	va_end(ap);
	e->status = old.status;
	return -e->code;
}

int err_nomem(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}
