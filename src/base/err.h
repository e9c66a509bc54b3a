/*
 * Errors with a text.
 *
 * `int f(..., struct err *e)` returns 0 or a negative errno and fills *e only when it fails. The struct is the caller's, of fixed
 * size and without pointers, so that it crosses a pipe from a forked child or a frame from the agent as it is. It is set once,
 * where the cause is known, and wrapped only to add a noun: "pull debian:12: layer sha256:...: digest does not match".
 */
#pragma once

#include <stdint.h>

/* What the front end should end with when this error stops it; docker's numbers. */
enum { EXIT_ENGINE = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct err {
	int32_t code;   /* a positive errno; 0: no error */
	int32_t status; /* exit status for the front end; 0: EXIT_ENGINE */
	char msg[1016]; /* always ends in NUL; no newline; of a longer text the middle is left out */
};

#define ERR_INIT ((struct err){0})

/* Sets *e (which may be NULL) and returns -code. `code` is a positive errno. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and strerror(code) behind the text. A negative `code` is taken as -errno. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "text: " before the message of *e; returns -e->code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_set(e, ENOMEM, "out of memory"). */
int err_nomem(struct err *e);
