/* The lines of a pull: one per layer, redrawn in place on a terminal, else one line for each new state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A line that is no layer's, at once. out: NULL for silence. */
void progress_say(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct progress;

/* out: NULL for silence. It is a terminal or not. */
int progress_new(FILE *out, size_t n_lines, struct progress **ret);
void progress_id(struct progress *p, size_t line, const char *digest);
/* total 0: no bar. `state` must be a constant. */
void progress_set(struct progress *p, size_t line, const char *state, uint64_t done, uint64_t total);
void progress_free(struct progress *p);
