/* A child that reads what is hostile: chrooted into the one directory that it may write to, without network, with hardly a capability. */
#pragma once

#include <stddef.h>

#include "base/err.h"

enum confine_kind {
	CONFINE_FILES, /* may make files of any owner, mode, kind and attribute: layers */
	CONFINE_NONE,  /* no capability at all */
};

/* After fork. The descriptors, of which the first is the directory, become 3, 4, ...; all others but stdio are closed. It dies with its parent. */
int confine_child(const char *name, enum confine_kind kind, int *const fds[], size_t n, struct err *e);
