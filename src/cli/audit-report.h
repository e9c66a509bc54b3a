/* An audit's report on paper: an array of what engine_audit makes of each container. Its texts are printable already. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/cmd.h"

enum { REPORT_WIDTH = 100 };

/* One container after the other; without no_trunc the evidence is cut to what fits. */
int report_table(FILE *f, const json_t *report, bool no_trunc);
/* All containers side by side, a row for each statement. */
int report_side_by_side(FILE *f, const json_t *report);
/* One page that needs nothing else: no scripts, nothing from elsewhere. */
int report_html(FILE *f, const json_t *report);

/* audit-compare.c: audits IMAGE [COMMAND...] in both modes, in containers that are gone when it returns; `print` gets both. Its exit status, or -Exxx. */
typedef int compare_fn(struct cli *c, struct opts *o, json_t *report, struct err *e);
int audit_compare(struct cli *c, struct opts *o, compare_fn *print, struct err *e);
