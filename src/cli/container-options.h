/* What run and create share: the options that describe a container, and making it. */
#pragma once

#include "cli/cmd.h"

extern const struct opt container_options[];
/* Those of docker's that there are not, each with the reason (refused-options.c). */
extern const struct opt refused_options[];

/*
 * Completes o->body from the arguments and the files that options name, and creates the container; an image
 * that is not there is pulled as --pull says. 0; a positive exit status when the failed pull has told why;
 * -Exxx.
 */
int container_create(struct cli *c, struct opts *o, char ret_id[65], struct err *e);

/* NAME=value lines of a file, put before those that *env has; a NAME alone is taken from our environment, or
 * dropped. */
int env_file_read(const char *path, json_t *env, struct err *e);
/* The files of --env-file put before what -e gave ("Env" of the body). */
int env_files_apply(struct opts *o, struct err *e);

/* Writes docker's complaint if we should be a terminal's keyboard but stdin is none. */
bool tty_input_missing(bool tty, bool attach_stdin);
