/*
 * Files that grow and are rotated: NAME is being written, NAME.1 is what it was before, NAME.2 what that was. A writer appends to NAME, and
 * never to a file that has another name by now; it makes room by renaming. A reader holds the files by their descriptors, so that it reads each
 * to its end whatever it is called meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ROTATE_MAX = 100 }; /* the highest number of a file */

/* NAME becomes NAME.1, that NAME.2 and so on; what would have a higher number than `keep` goes. keep 0: NAME goes. */
int rotate_files(int dirfd, const char *name, unsigned keep);

struct rotate_reader {
	int dirfd; /* borrowed */
	const char *name;
	int *fds; /* from the oldest, which is being read, to the newest */
	size_t len;
	bool switched; /* the last read was the first of another file: what the one before ended in is not continued */
	bool fresh;    /* nothing of the first file was read yet */
	bool lost;     /* files were removed before they were read */
};

/* Opens what is there; nothing at all is fine. 0 or -errno. */
int rotate_open(int dirfd, const char *name, struct rotate_reader *ret);
/* Goes on to what the file has become since. 0: that is all there is now; else bytes or -errno. */
ssize_t rotate_read(struct rotate_reader *r, void *p, size_t n);
void rotate_done(struct rotate_reader *r);
#define _cleanup_rotate_ _cleanup_(rotate_done)
