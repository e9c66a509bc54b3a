/* Findings: texts made printable, evidence bounded, one JSON object. */
#include "audit/finding.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum { EVIDENCE_MAX = 500, TEXT_MAX = 1024 };

/* Bytes of the UTF-8 sequence at s and its code point; 0: none. */
static size_t sequence(const unsigned char *s, uint32_t *ret)
{
	size_t n = *s < 0x80              ? 1
		: *s >= 0xc2 && *s < 0xe0 ? 2
		: *s >= 0xe0 && *s < 0xf0 ? 3
		: *s >= 0xf0 && *s < 0xf5 ? 4
					  : 0;
	uint32_t c = n == 1 ? *s : *s & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

/* Controls, line and paragraph separators, and what turns the direction of writing. */
static bool printable(uint32_t c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !(c >= 0x200b && c <= 0x200f) &&
		!(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x2069) && c != 0x61c && c != 0xfeff;
}

void text_clean(char *s)
{
	unsigned char *to = (unsigned char *)s;

	for (const unsigned char *p = to; *p;) {
		uint32_t c = 0;
		size_t n = sequence(p, &c);
		if (n && printable(c)) {
			memmove(to, p, n);
			to += n;
		} else {
			*to++ = '?';
		}
		p += n ? n : 1;
	}
	*to = 0;
}

/* Formats, cut to TEXT_MAX bytes. */
static void format(char text[TEXT_MAX], const char *fmt, va_list ap)
{
	if (vsnprintf(text, TEXT_MAX, fmt, ap) >= TEXT_MAX)
		memcpy(text + TEXT_MAX - 4, "...", 4);
	text_clean(text);
}

void finding_value(struct finding *f, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	format(text, fmt, ap);
	va_end(ap);
	f->value.len = 0;
	f->failed = f->failed || buf_adds(&f->value, text) < 0;
}

void finding_note(struct finding *f, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	if (json_array_size(f->evidence) >= EVIDENCE_MAX) {
		f->unsaid++;
		return;
	}
	va_start(ap, fmt);
	format(text, fmt, ap);
	va_end(ap);
	if (!f->evidence)
		f->evidence = json_array();
	f->failed = f->failed || json_array_append_new(f->evidence, json_from_str(text)) < 0;
}

static void because(struct finding *f, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];

	format(text, fmt, ap);
	f->failed = f->failed || buf_addf(&f->why, "%s%s", f->why.len ? "; " : "", text) < 0;
}

void finding_because(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	because(f, fmt, ap);
	va_end(ap);
}

void finding_unknown(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	f->result = FINDING_UNKNOWN;
	va_start(ap, fmt);
	because(f, fmt, ap);
	va_end(ap);
}

bool finding_reasoned(const struct finding *f)
{
	return f->why.len;
}

json_t *finding_json(struct finding *f, const char *key, const char *title)
{
	static const char *const results[] = {[FINDING_UNKNOWN] = "unknown",
		[FINDING_HOLDS] = "holds",
		[FINDING_FAILS] = "fails",
		[FINDING_INFO] = "info"};
	json_t *o = NULL;

	if (f->unsaid && !f->failed)
		f->failed = json_array_append_new(f->evidence, json_sprintf("... and %zu more", f->unsaid)) < 0;
	if (!f->failed)
		o = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "Key", key, "Title", title, "Result",
			results[f->result], "Value", json_from_str(f->value.data), "Evidence",
			f->evidence ? json_incref(f->evidence) : json_array(), "Why", json_from_str(f->why.data));
	json_decref(f->evidence);
	buf_done(&f->value);
	buf_done(&f->why);
	*f = (struct finding){0};
	return o;
}
