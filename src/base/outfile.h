/*
 * A file that a user names (-o FILE), as docker writes it: it appears as a whole or not at all. Until then it has no name where the file system can do that
 * (O_TMPFILE), so that a writer that is killed leaves nothing; only the replacement of another file takes a moment under a hidden name.
 */
#pragma once

#include "base/err.h"

struct outfile {
	int fd; /* to be written */
	int dir;
	char *name;    /* what it will be called there */
	char temp[32]; /* its name until then; "" if it has none */
};
#define OUTFILE_INIT ((struct outfile){.fd = -1, .dir = -1})

/* Mode 0600. -EINVAL with docker's words for a directory that does not exist, and for what is no regular file. */
int outfile_open(const char *path, struct outfile *ret, struct err *e);
int outfile_keep(struct outfile *o, struct err *e); /* in place of what had the name */
void outfile_done(struct outfile *o);               /* removes it unless it was kept */
