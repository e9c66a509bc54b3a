/*
 * --format: the part of Go's text/template that docker's users write, over JSON.
 *
 * Actions: {{pipeline}}, {{if}} {{else if}} {{else}}, {{range}} {{else}}, {{with}}, {{end}}, {{$v :=
 * pipeline}}, {{$v = pipeline}}, {{/ * comment * /}}, and the trim marks {{- -}}. Operands: . .A.B $ $v.A
 * "text" `text` 12 1.5 true false nil (pipeline). Functions: and or not eq ne lt le gt ge len index slice
 * print println printf html json join split lower upper title pad truncate.
 *
 * A field that an object does not have is an error, as in `docker inspect`, where it would be printed or
 * passed on; in conditions it is false. A missing key that starts in lower case (a label, say) is "<no
 * value>".
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct template;

/* -EINVAL with *e: "template: :1: unclosed action". */
int template_parse(const char *text, struct template **ret, struct err *e);
/* Appends the result to *out. `methods` (may be NULL): {"Label": {...}} or {"Label": true}, for {{.Label
 * "key"}}. -EINVAL with Go's text, -ENOMEM. */
int template_run(const struct template *t, const json_t *data, const json_t *methods, struct buf *out, struct err *e);
void template_free(struct template *t);
static inline void cleanup_template(struct template **t)
{
	template_free(*t);
}
#define _cleanup_template_ _cleanup_(cleanup_template)
