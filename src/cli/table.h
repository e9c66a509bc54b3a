/* Columns as Go's tabwriter lays them out for docker: cells end in tabs, columns are padded by spaces, the
 * last cell of a line is free. */
#pragma once

#include <stdio.h>

#include "base/str.h"

enum { TABLE_PADDING = 3, TABLE_WIDTH = 10, TABLE_MAX = 64 << 20 };

/* Appends the lines of `text` to *out as a table whose columns are at least min_width wide, padding included.
 * -ENOMEM; -EFBIG beyond TABLE_MAX bytes, which a wide cell in a column of many rows soon makes. */
int table_format(const char *text, int min_width, struct buf *out);
