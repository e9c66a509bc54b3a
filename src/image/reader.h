/* What those share who read archives with libarchive: layers and image archives. */
#pragma once

#include <archive.h>

#include "base/err.h"

void reader_free(struct archive **a);
#define _cleanup_reader_ __attribute__((cleanup(reader_free)))
/* The compressions that are read. */
void reader_filters(struct archive *a);
/* -errno, or -EBADMSG for what is no system's error, with libarchive's text. */
int reader_fail(struct archive *a, struct err *e);
