/* The caller's terminal: raw mode, size, and the keys that detach from it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "base/err.h"

/* Zero-initialised it is not raw. */
struct term {
	int fd;
	bool raw;
	struct termios saved;
};

/* Switches fd to raw mode, if it is a terminal. term_restore undoes it, whenever it is called. */
int term_raw(struct term *t, int fd, struct err *e);
void term_restore(struct term *t);
/* Writes `prompt` to stderr and reads a line from the terminal on stdin, unseen if `secret`; the caller frees *ret. -ENOTTY: it is none. */
int term_ask(const char *prompt, bool secret, char **ret, struct err *e);
/* 0 and 0 if none of stdin, stdout and stderr is a terminal. */
void term_size(unsigned *ret_rows, unsigned *ret_cols);

enum { DETACH_KEYS_MAX = 16 };
struct detach_keys {
	char keys[DETACH_KEYS_MAX];
	size_t len, seen; /* seen: how many of them were typed */
};

/* "ctrl-p,ctrl-q", "a,b", NULL or "": the default. -EINVAL. */
int detach_keys_parse(const char *s, struct detach_keys *ret, struct err *e);
/*
 * Takes n typed bytes; ret has room for n + DETACH_KEYS_MAX and gets those to send on. Keys that may be the
 * beginning of the sequence are held back until it is broken. Returns whether the sequence is complete.
 */
bool detach_keys_filter(struct detach_keys *d, const char *p, size_t n, char *ret, size_t *ret_n);
