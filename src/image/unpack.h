/*
 * A layer's tar stream, compressed or not, becomes a directory as overlayfs wants it: a whiteout ".wh.NAME" is a character device 0:0, an opaque
 * directory has trusted.overlay.opaque. Hard links, symlinks, devices, fifos, owners, modes, extended attributes with file capabilities, and times are kept.
 * The stream is hostile: every path is resolved as if the directory were "/" (openat2 RESOLVE_IN_ROOT), a name or hard link with ".." that leads out is an
 * error, and unpack_job_start does it all in a child that is chrooted there, without network and with the seven capabilities that files need.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/digest.h"
#include "base/err.h"

struct unpack_result {
	char diff_id[DIGEST_SIZE]; /* of the uncompressed stream */
	uint64_t size;             /* of all files' content */
	int64_t newest;            /* the latest time of an entry, in seconds */
};

/* In this process. The uncompressed stream is written to plain_fd, unless that is -1.
 * progress (may be NULL) is told how many bytes of the input have been used. Errors name the entry. */
typedef void unpack_progress_fn(void *data, uint64_t used);
int unpack_tar(int tar_fd, int dir_fd, int plain_fd, unpack_progress_fn *progress, void *data,
	struct unpack_result *ret, struct err *e);

struct unpack_job {
	pid_t pid;
	int fd; /* readable when the child has something to tell */
};
int unpack_job_start(int tar_fd, int dir_fd, int plain_fd, struct unpack_job *ret, struct err *e);
/* 1: goes on, *ret_used of the input are done; 0: finished, *ret is filled; -errno. Waits for the next message. */
int unpack_job_read(struct unpack_job *j, uint64_t *ret_used, struct unpack_result *ret, struct err *e);
void unpack_job_done(struct unpack_job *j); /* ends the child if it still runs */

/* unpack-entry.c: one entry. */
struct archive;
struct archive_entry;
struct dir_times;
struct unpack {
	int root;
	struct archive *tar;
	uint64_t size, max_size;
	int64_t newest;
	struct dir_times *dirs; /* set when everything is there */
	size_t n_dirs;
};
int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *e);
int unpack_root(struct unpack *u, struct err *e); /* what the root has if no entry says more: mode 0755, time 0 */
int unpack_dir_times(struct unpack *u, struct err *e);
void unpack_free(struct unpack *u);
