/*
 * Elements of the sets and maps of data/ruleset.nft, put in and taken out by netlink: what a start and an end need, in a tenth of a millisecond.
 * The nft program, which loads the rules themselves, reads all that there is first, and takes several.
 *
 * The lines are those of firewall.h. All of a call's elements are changed, or none. Functions return 0 or -errno; -ENOENT: the tables are missing, or an
 * element that was to be removed is.
 */
#pragma once

#include "base/err.h"

int elements_add(const char *lines, struct err *e);
/*
 * *sock: -1 before the first call. The caller closes it, when it has nothing else to do: until the kernel has freed what was removed, which takes
 * some milliseconds, close(2) waits.
 */
int elements_remove(int *sock, const char *lines, struct err *e);
