/* Errors with a text. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	e->status = 0;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	for (char *p = e->msg; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		set(e, code, fmt, ap);
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
		set(e, code, fmt, ap);
		va_end(ap);
		size_t n = strlen(e->msg);
		snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(code));
	}
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	va_list ap;
	char text[sizeof(e->msg)];
	char old[sizeof(e->msg)];

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(old, e->msg, sizeof(old));
	if (snprintf(e->msg, sizeof(e->msg), "%s: %s", text, old) >= (int)sizeof(e->msg))
		memcpy(e->msg + sizeof(e->msg) - 4, "...", 4);
	return -e->code;
}

int err_nomem(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}
