/*
 * File descriptors: whole reads and writes, files replaced as one, look-ups that stay inside a root, descriptors passed over sockets.
 * All descriptors are close-on-exec. Functions return 0 (or a descriptor or a count) or -errno.
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

int fd_write_all(int fd, const void *p, size_t n); /* writes all n bytes; polls if fd is non-blocking */
/* The first `size` bytes, which is how long `to` becomes: the data is copied, holes are left. */
int fd_copy_sparse(int from, int to, off_t size);
ssize_t fd_read_full(int fd, void *p, size_t n);       /* fewer than n only at the end of the file */
int fd_read_to_end(int fd, size_t max, struct buf *b); /* appends; -EFBIG beyond max bytes */
/*
 * Gives the descriptors the numbers first, first+1, ... (close-on-exec, unless they are stdio), notes these in place of the old
 * ones, and closes all that are above.
 */
int fd_keep(int first, int *const fds[], size_t n);
int fd_nonblock(int fd, bool on);
int fd_cloexec(int fd, bool on);

/* A directory to be read, "." for dirfd itself; NULL and errno. The caller's: _cleanup_closedir_. */
DIR *dir_open(int dirfd, const char *path);

/* Appends the file's content to *b; -EFBIG beyond max bytes. */
int file_read(int dirfd, const char *path, size_t max, struct buf *b);
/* Reads a small file of the kernel's (/proc, /sys) into ret, cut at the first newline; -ENOSPC if it does not fit. */
int file_read_line(int dirfd, const char *path, char *ret, size_t size);
/* Writes s to an existing file with one write(2), as kernel files want it. */
int file_write(int dirfd, const char *path, const char *s);
/* Replaces path by a file with this content, by rename(2); no reader sees a part of it. No fsync. */
int file_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode);

/* openat2(2) with RESOLVE_IN_ROOT: `path` is looked up as if rootfd were "/"; no link or ".." leaves it. */
int fd_open_in_root(int rootfd, const char *path, int flags, mode_t mode);

/* Sends n bytes (at least 1) and up to 16 descriptors; receives the same. recv returns the number of bytes, 0 at the end. Received
 * descriptors are close-on-exec and the caller's; *ret_nfds is in: room, out: count; surplus ones are closed. */
int fd_send(int sock, const void *p, size_t n, const int *fds, size_t nfds);
ssize_t fd_recv(int sock, void *p, size_t n, int *ret_fds, size_t *ret_nfds);

/* Opens (creates, mode 0600) and locks a file, waiting if `wait`; -EWOULDBLOCK if another holds it. An open file description lock: it goes
 * when the last copy of the descriptor is closed, however its holder ends. */
int fd_lock_file(int dirfd, const char *path, bool exclusive, bool wait);

/* connect(2) / bind(2)+listen(2) to a unix stream socket named `name` in a directory, whatever the length of the directory's path. */
int unix_connect(int dirfd, const char *name);
int unix_listen(int dirfd, const char *name, mode_t mode);
