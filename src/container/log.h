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

struct log_options {
	uint64_t max_size;  /* at this size it becomes NAME.1 (base/rotate.h); 0: never */
	uint32_t max_files; /* how many there are at most, with the one that is written; 0: 1 */
	const char *attrs;  /* the text of an object that each line has as "attrs"; NULL: none */
};

/*
 * Who follows a rotated log holds LOG_READERS shared: files beyond max_files are then kept, up to LOG_EXTRA_FILES, so that a reader that lags
 * loses nothing.
 */
#define LOG_READERS "log.readers"
enum { LOG_EXTRA_FILES = 64 };

/* The text of `attrs`, in a container's run directory. */
#define LOG_ATTRS_FILE "log.attrs"

/* Appends to `name` in dirfd (mode 0600), both of which stay the caller's. options may be NULL. */
int log_writer_new(
	int dirfd, const char *name, const struct log_options *options, struct log_writer **ret, struct err *e);
/*
 * Adds output as it comes; unfinished lines are kept until their end or log_writer_free. A full disk must not stop the container: what cannot be written is
 * counted, and a line in the log says so as soon as it can be written again.
 */
void log_writer_add(struct log_writer *w, enum log_stream s, const void *p, size_t n);
void log_writer_free(struct log_writer *w);
