/*
 * The records of proto/files.h as a tar archive, and an archive as records: the part of cp, export and commit that needs the library. Both take what a
 * container or a user has written apart, in constant memory, after tar_confine.
 */
#pragma once

#include "base/err.h"

/* No rights, no network, an empty root: what is open is all there is. Needs root. */
int tar_confine(struct err *e);
/* only: the name that all entries are to have at their top, "." for any. Whiteouts become those of layers. */
int tar_write(int records, int tar, const char *only, struct err *e);
int tar_read(int tar, int records, struct err *e); /* any format and compression */
