/*
 * A container's log in docker's json-file format: one object a line, {"log":"text\n","stream":"stdout","time":"RFC 3339"}.
 * A line of output longer than LOG_LINE_MAX is split over several objects, of which only the last one's text ends in a newline.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LOG_LINE_MAX = 16 * 1024 };
enum log_stream { LOG_STDOUT = 0, LOG_STDERR = 1 };

struct log_writer;

/* Appends to `name` in dirfd (mode 0600). */
int log_writer_new(int dirfd, const char *name, struct log_writer **ret, struct err *e);
/* Adds output as it comes; unfinished lines are kept until their end or log_writer_free. Errors are remembered, not returned: a full disk
 * must not stop the container. */
void log_writer_add(struct log_writer *w, enum log_stream s, const void *p, size_t n);
void log_writer_free(struct log_writer *w);
