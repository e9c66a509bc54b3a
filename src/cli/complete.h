/*
 * Completion for shells: `caisson __complete WORD...` prints what the last word may become, a candidate a line ("value\tdescription"), and in its last line
 * what else the shell should know (":", ":nospace", ":files", ":directories"). The scripts for bash, zsh and fish (data/completion) only ask and show, so
 * what is completed comes from the tables of commands and options.
 */
#pragma once

#include "cli/cmd.h"

enum complete_end { COMPLETE_SPACE, COMPLETE_NO_SPACE, COMPLETE_FILES, COMPLETE_DIRECTORIES };

struct completing {
	struct cli *cli;
	const char *word;   /* what is there of the value so far */
	const char *before; /* what stays in front of it: "--network=", "status=" */
	char *const *done;  /* the arguments in front of the word; NULL-terminated */
	enum complete_end end;
};

/* complete.c: prints it if it begins as the word does; text may be NULL. */
void complete_add(struct completing *c, const char *value, const char *text);
void complete_words(struct completing *c, const char *words); /* separated by spaces */

/* complete-values.c */
/* The nth argument (from 0) of a command, by what its synopsis calls it. */
void complete_argument(struct completing *c, const struct command *command, size_t n);
void complete_value(struct completing *c, const struct opt *o);
