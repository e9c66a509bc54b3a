/*
 * The journal of events: ROOT/events/journal, one event a line, "NANOSECONDS TEXT", in the order of their times. Every process appends to it, under
 * ROOT/events/lock; what a process that was killed has left of a line is ended by the next one. It is bounded: at JOURNAL_SIZE bytes it becomes
 * journal.1, and what that was before goes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/rotate.h"
#include "base/str.h"

enum { JOURNAL_SIZE = 1024 * 1024, JOURNAL_LINE_MAX = 64 * 1024 };

/* text has no newline. -E2BIG: too long; -EBUSY: another process holds the lock for ever; whatever a full or read-only disk says. */
int journal_append(int root_fd, const char *text);

struct journal_reader {
	int dir;
	struct rotate_reader files;
	struct buf pending;
	size_t at; /* what of pending was returned */
};

/* -ENOENT is no error: no event was ever written, and the directory is made. */
int journal_open(int root_fd, struct journal_reader *ret);
/* The next event that was written; *ret_text is valid until the next call. 1, 0: none now (once more is written there are again), -errno.
 * Lines that make no sense are left out. */
int journal_next(struct journal_reader *j, int64_t *ret_ns, const char **ret_text);
/* One line, without its newline and with a NUL behind it; -EBADMSG. *ret_text points into it. */
int journal_parse(char *line, size_t n, int64_t *ret_ns, const char **ret_text);
void journal_done(struct journal_reader *j);
#define _cleanup_journal_ _cleanup_(journal_done)
