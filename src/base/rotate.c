/* Files that grow and are rotated. */
#include "base/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { NAME_SIZE = 128, SCAN_TRIES = 10 };

static void numbered(char ret[NAME_SIZE], const char *name, unsigned number)
{
	if (number)
		snprintf(ret, NAME_SIZE, "%s.%u", name, number);
	else
		snprintf(ret, NAME_SIZE, "%s", name);
}

int rotate_files(int dirfd, const char *name, unsigned keep)
{
	char from[NAME_SIZE], to[NAME_SIZE];
	unsigned last = 0;

	/* they are numbered without gaps, but for one that a killed writer has left */
	for (unsigned i = 1, missing = 0; i <= ROTATE_MAX && missing < 2; i++) {
		numbered(from, name, i);
		if (faccessat(dirfd, from, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			last = i;
		else
			missing++;
	}
	for (unsigned i = last + 1; i-- > 0;) {
		numbered(from, name, i);
		numbered(to, name, i + 1);
		int r = i >= keep ? unlinkat(dirfd, from, 0) : renameat(dirfd, from, dirfd, to);
		if (r < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static bool same_file(int fd, const struct stat *st)
{
	struct stat own;

	return fstat(fd, &own) == 0 && own.st_dev == st->st_dev && own.st_ino == st->st_ino;
}

static int insert_first(int **fds, size_t *len, int fd)
{
	int *grown = reallocarray(*fds, *len + 1, sizeof(int));

	if (!grown)
		return -ENOMEM;
	memmove(grown + 1, grown, *len * sizeof(int));
	grown[0] = fd;
	*fds = grown;
	++*len;
	return 0;
}

static void close_all(int *fds, size_t len)
{
	for (size_t i = 0; i < len; i++)
		close(fds[i]);
	free(fds);
}

/* From the newest to the oldest, as far as `known`. One number may be missing for a moment. */
static int scan(const struct rotate_reader *r, int known, int **fds, size_t *len, bool *found)
{
	char name[NAME_SIZE];
	struct stat st;

	for (unsigned i = 0, missing = 0; i <= ROTATE_MAX && missing < 2; i++) {
		numbered(name, r->name, i);
		_cleanup_close_ int fd = openat(r->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno != ENOENT)
			return -errno;
		if (fd < 0) {
			missing++;
			continue;
		}
		if (fstat(fd, &st) < 0)
			return -errno;
		*found = known >= 0 && same_file(known, &st);
		if (*found)
			return 0;
		if (*len && same_file((*fds)[0], &st))
			continue; /* renamed meanwhile */
		int k = insert_first(fds, len, fd);
		if (k < 0)
			return k;
		steal_fd(&fd);
	}
	return 0;
}

static bool is_newest(const struct rotate_reader *r, int fd)
{
	struct stat st;

	return fstatat(r->dirfd, r->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && same_file(fd, &st);
}

/* The files that are newer than `known` (-1: all), while none was renamed. */
static int newer(const struct rotate_reader *r, int known, int **fds, size_t *len, bool *found)
{
	for (int tries = 0; tries < SCAN_TRIES; tries++) {
		close_all(steal_ptr(*fds), *len);
		*len = 0;
		*found = false;
		int k = scan(r, known, fds, len, found);
		if (k < 0)
			return k;
		if (*len ? is_newest(r, (*fds)[*len - 1]) : *found || known < 0)
			return 0;
	}
	return 0;
}

int rotate_open(int dirfd, const char *name, struct rotate_reader *ret)
{
	bool found = false;

	*ret = (struct rotate_reader){.dirfd = dirfd, .name = name};
	int r = newer(ret, -1, &ret->fds, &ret->len, &found);
	if (r < 0)
		rotate_done(ret);
	return r;
}

/* Adds what came after the last file. 1: there was something. */
static int look_again(struct rotate_reader *r)
{
	int *fds = NULL, known = r->len ? r->fds[r->len - 1] : -1;
	size_t len = 0;
	bool found = false;

	if (known >= 0 && is_newest(r, known))
		return 0;
	int k = newer(r, known, &fds, &len, &found);
	int *grown = k == 0 && len ? reallocarray(r->fds, r->len + len, sizeof(int)) : NULL;
	if (!grown) {
		close_all(fds, len);
		return k < 0 ? k : len ? -ENOMEM : 0;
	}
	memcpy(grown + r->len, fds, len * sizeof(int));
	free(fds);
	r->fds = grown;
	r->len += len;
	r->lost |= known >= 0 && !found;
	return 1;
}

ssize_t rotate_read(struct rotate_reader *r, void *p, size_t n)
{
	bool looked = false;

	for (;;) {
		ssize_t k = r->len ? read(r->fds[0], p, n) : 0;
		if (k < 0)
			return -errno;
		if (k > 0) {
			r->switched = r->fresh;
			r->fresh = false;
			return k;
		}
		if (r->len > 1) {
			close(r->fds[0]);
			memmove(r->fds, r->fds + 1, --r->len * sizeof(int));
			r->fresh = true;
			continue;
		}
		if (looked)
			return 0;
		/* if it was renamed, what was written until then is read before what came after */
		int found = look_again(r);
		if (found <= 0)
			return found;
		looked = true;
	}
}

void rotate_done(struct rotate_reader *r)
{
	close_all(r->fds, r->len);
	*r = (struct rotate_reader){0};
}
