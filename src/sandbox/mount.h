/*
 * Mounts as descriptors: fsopen(2), fsmount(2), open_tree(2), mount_setattr(2), move_mount(2). A mount is
 * made and configured while it is attached nowhere, and attached to a directory that was opened inside the
 * root: no path is resolved twice and no link of a hostile image leads out. Descriptors are close-on-exec and
 * the caller's; functions return a descriptor, 0, or -errno.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/err.h"

/* A new file system. options: NULL-terminated "key=value" or "flag", or NULL; attrs: MOUNT_ATTR_*. `what`
 * names it in the error. */
int mount_new(const char *fstype, const char *what, const char *const *options, unsigned attrs, struct err *e);
/* As above, the options of a mount(8)-like text "size=64m,mode=1777" (may be NULL). */
int mount_new_text(const char *fstype, const char *what, const char *options, unsigned attrs, struct err *e);

/* Sets *e to what the kernel says on a configuration descriptor whose last step failed with `code`. */
int mount_error(int fs, int code, const char *what, struct err *e);

int mount_clone(int dirfd, const char *path, bool recursive); /* a copy of a mount (a bind); "" is dirfd itself */
/* attrs to set; propagation: MS_PRIVATE, MS_SLAVE, MS_SHARED or 0. Only of a mount that is or was one's own;
 * -errno. */
int mount_change(int mfd, uint64_t attrs, uint64_t propagation, bool recursive);
int mount_attach(int mfd, int target);

/* Finds a mount target inside the root, made if missing: a directory, or an empty file if !dir. O_PATH. */
int mount_target(int rootfd, const char *path, bool dir, struct err *e);
/* The same for a directory of the system ("/proc"), which must not be a link. */
int mount_target_plain(int rootfd, const char *path, struct err *e);

/* mount_target and mount_attach of a directory; closes mfd. */
int mount_at(int rootfd, const char *path, int mfd, struct err *e);
