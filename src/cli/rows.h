/* What the listing commands share: texts of their rows as docker's formatter makes them. The caller frees;
 * NULL: no memory. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHORT_ID = 12 };

char *row_id(const char *id, bool no_trunc);             /* without "sha256:", cut */
char *row_ellipsis(const char *s, int width);            /* at most width characters, "…" in place of the rest */
char *row_ago(int64_t created_s);                        /* "3 hours ago" */
char *row_time(int64_t created_s);                       /* "2024-05-01 12:00:00 +0000 UTC", local time */
char *row_created(const char *rfc3339);                  /* the same in UTC, of "2024-05-01T12:00:00.5Z"; "" for NULL */
char *row_labels(const json_t *labels);                  /* "a=b,c=d" by name */
char *row_size(int64_t bytes);                           /* "4.26MB" */
int row_set(json_t *row, const char *field, char *text); /* steals text */
