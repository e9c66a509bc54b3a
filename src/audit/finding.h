/* What one statement comes to. Every text is made printable: control and direction characters, and what is no UTF-8, become '?'. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/str.h"

enum finding_result { FINDING_UNKNOWN = 0, FINDING_HOLDS, FINDING_FAILS, FINDING_INFO };

struct finding {
	enum finding_result result;
	struct buf value, why;
	json_t *evidence; /* an array of texts */
	size_t unsaid;    /* pieces of evidence beyond what is kept */
	bool failed;      /* memory was out: there is no finding */
};

#define FINDING_FORMAT(at) __attribute__((format(printf, at, at + 1)))
void finding_value(struct finding *f, const char *fmt, ...) FINDING_FORMAT(2); /* in place of an earlier one */
void finding_note(struct finding *f, const char *fmt, ...) FINDING_FORMAT(2);  /* one more piece of evidence */
void finding_because(struct finding *f, const char *fmt, ...)
	FINDING_FORMAT(2); /* why it fails or is not known; several are joined */
/* FINDING_UNKNOWN, because. */
void finding_unknown(struct finding *f, const char *fmt, ...) FINDING_FORMAT(2);
bool finding_reasoned(const struct finding *f); /* there is a because */

/* {"Key", "Title", "Result", "Value", "Evidence", "Why"}; NULL: out of memory. Frees what is in f. */
json_t *finding_json(struct finding *f, const char *key, const char *title);

/* Makes hostile text harmless on a terminal, in place. */
void text_clean(char *s);
