/* The journal of events. */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

enum { LOCK_TRIES = 400, LOCK_US = 5000, BLOCK = 16 * 1024 };

#define DIRECTORY "events"
#define FILE_NAME "journal"

static int open_directory(int root_fd)
{
	int fd = openat(root_fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && (mkdirat(root_fd, DIRECTORY, 0700) == 0 || errno == EEXIST))
		fd = openat(root_fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A process that is stopped while it holds the lock must not hold up all others. */
static int take_lock(int dir)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		int lock = fd_lock_file(dir, "lock", true, false);
		if (lock != -EWOULDBLOCK)
			return lock;
		usleep(LOCK_US);
	}
	return -EBUSY;
}

static int open_for_append(int dir)
{
	int fd = openat(dir, FILE_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int journal_append(int root_fd, const char *text)
{
	char last = '\n';
	struct stat st;

	if (strlen(text) > JOURNAL_LINE_MAX)
		return -E2BIG;
	_cleanup_close_ int dir = open_directory(root_fd);
	if (dir < 0)
		return dir;
	_cleanup_close_ int lock = take_lock(dir);
	if (lock < 0)
		return lock;
	_cleanup_close_ int fd = open_for_append(dir);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size >= JOURNAL_SIZE) {
		int r = rotate_files(dir, FILE_NAME, 1);
		close_fd(&fd);
		fd = r < 0 ? r : open_for_append(dir);
		if (fd < 0)
			return fd;
	} else if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1) {
		return -EIO;
	}
	/* the time is taken under the lock, so that the journal is in its order */
	_cleanup_free_ char *line = str_fmt("%s%lld %s\n", last == '\n' ? "" : "\n", (long long)clock_real_ns(), text);
	return line ? fd_write_all(fd, line, strlen(line)) : -ENOMEM;
}

int journal_open(int root_fd, struct journal_reader *ret)
{
	*ret = (struct journal_reader){.dir = open_directory(root_fd)};
	if (ret->dir < 0)
		return ret->dir;
	int r = rotate_open(ret->dir, FILE_NAME, &ret->files);
	if (r < 0)
		journal_done(ret);
	return r;
}

int journal_parse(char *line, size_t n, int64_t *ret_ns, const char **ret_text)
{
	char *end;

	if (!n || line[n] || strlen(line) != n || *line < '0' || *line > '9')
		return -EBADMSG;
	errno = 0;
	long long ns = strtoll(line, &end, 10);
	if (errno || *end != ' ' || end[1] != '{')
		return -EBADMSG;
	*ret_ns = ns;
	*ret_text = end + 1;
	return 0;
}

/* Reads on; what was returned already goes. */
static int fill(struct journal_reader *j)
{
	struct buf *b = &j->pending;

	if (j->at) {
		memmove(b->data, b->data + j->at, b->len - j->at);
		b->len -= j->at;
		j->at = 0;
	}
	if (b->len > 2 * JOURNAL_LINE_MAX)
		b->len = 0; /* nobody writes such a line */
	if (buf_reserve(b, BLOCK) < 0)
		return -ENOMEM;
	ssize_t n = rotate_read(&j->files, b->data + b->len, BLOCK);
	if (n > 0 && j->files.switched) {
		memmove(b->data, b->data + b->len, (size_t)n);
		b->len = 0;
	}
	if (n > 0)
		b->len += (size_t)n;
	return (int)n;
}

int journal_next(struct journal_reader *j, int64_t *ret_ns, const char **ret_text)
{
	for (;;) {
		char *at = j->pending.data ? j->pending.data + j->at : NULL;
		char *newline = at ? memchr(at, '\n', j->pending.len - j->at) : NULL;
		if (!newline) {
			int r = fill(j);
			if (r <= 0)
				return r;
			continue;
		}
		*newline = 0;
		j->at = (size_t)(newline - j->pending.data) + 1;
		if (journal_parse(at, (size_t)(newline - at), ret_ns, ret_text) == 0)
			return 1;
	}
}

void journal_done(struct journal_reader *j)
{
	rotate_done(&j->files);
	buf_done(&j->pending);
	close_fd(&j->dir);
}
