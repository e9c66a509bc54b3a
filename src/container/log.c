/* A container's log in docker's json-file format. */
#include "container/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/rotate.h"
#include "base/str.h"

struct log_writer {
	int dirfd, fd;
	const char *name;
	struct log_options options;
	uint64_t size;
	uint64_t lost; /* objects that could not be written since the last that could */
	int why;
	bool broken; /* the file does not end in a newline */
	struct buf partial[2];
	struct buf out;
	unsigned objects; /* in out */
};

/* A full disk may have cut off what an earlier run wrote last. */
static bool lacks_newline(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last;

	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

static int open_file(struct log_writer *w)
{
	struct stat st;

	w->fd = openat(w->dirfd, w->name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0)
		return -errno;
	w->size = fstat(w->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	w->broken = lacks_newline(w->fd);
	return 0;
}

int log_writer_new(
	int dirfd, const char *name, const struct log_options *options, struct log_writer **ret, struct err *e)
{
	struct log_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(e);
	w->dirfd = dirfd;
	w->name = name;
	if (options)
		w->options = *options;
	int r = open_file(w);
	if (r < 0) {
		free(w);
		return err_errno(e, r, "open the log %s", name);
	}
	*ret = w;
	return 0;
}

static bool is_followed(const struct log_writer *w)
{
	if (faccessat(w->dirfd, LOG_READERS, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	_cleanup_close_ int lock = fd_lock_file(w->dirfd, LOG_READERS, true, false);
	return lock == -EWOULDBLOCK;
}

/* If it cannot be renamed, as on a full disk, the log grows on. */
static void rotate(struct log_writer *w)
{
	unsigned keep = w->options.max_files > 1 ? w->options.max_files - 1 : 0;

	if (is_followed(w))
		keep += LOG_EXTRA_FILES;
	if (rotate_files(w->dirfd, w->name, keep < ROTATE_MAX ? keep : ROTATE_MAX) < 0)
		return;
	int old = w->fd;
	if (open_file(w) < 0)
		w->fd = old;
	else
		close(old);
}

/* Length of the well-formed UTF-8 sequence at p, 0 if it is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	size_t len = *p < 0x80 ? 1 : (*p & 0xe0) == 0xc0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : (*p & 0xf8) == 0xf0 ? 4 : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((len == 2 && p[0] < 0xc2) || (len == 3 && p[0] == 0xe0 && p[1] < 0xa0) ||
		(len == 3 && p[0] == 0xed && p[1] > 0x9f) ||
		(len == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || p[0] > 0xf4 || (p[0] == 0xf4 && p[1] > 0x8f))))
		return 0;
	return len;
}

static void add_escaped(struct buf *b, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t plain = i;
		while (plain < n && p[plain] >= ' ' && p[plain] < 0x80 && p[plain] != '"' && p[plain] != '\\')
			plain++;
		if (plain > i) {
			buf_add(b, p + i, plain - i);
			i = plain;
			continue;
		}
		size_t len = utf8_length(p + i, n - i);
		if (!len) {
			buf_adds(b, "\\ufffd");
			len = 1;
		} else if (len > 1) {
			buf_add(b, p + i, len);
		} else if (p[i] == '\n') {
			buf_adds(b, "\\n");
		} else if (p[i] == '\r') {
			buf_adds(b, "\\r");
		} else if (p[i] == '\t') {
			buf_adds(b, "\\t");
		} else if (p[i] == '"' || p[i] == '\\') {
			buf_addf(b, "\\%c", p[i]);
		} else {
			buf_addf(b, "\\u%04x", p[i]);
		}
		i += len;
	}
}

static void put_object(struct buf *out, enum log_stream s, const void *p, size_t n, const char *attrs, const char *time)
{
	buf_adds(out, "{\"log\":\"");
	add_escaped(out, p, n);
	buf_addf(out, "\",\"stream\":\"%s\",", s == LOG_STDOUT ? "stdout" : "stderr");
	if (attrs)
		buf_addf(out, "\"attrs\":%s,", attrs);
	buf_addf(out, "\"time\":\"%s\"}\n", time);
}

static int write_all(struct log_writer *w, const struct buf *b)
{
	int r = fd_write_all(w->fd, b->data, b->len);

	if (r == 0) {
		w->size += b->len;
		return 0;
	}
	/* no part of an object stays */
	w->broken = ftruncate(w->fd, (off_t)w->size) < 0;
	return r;
}

/* Where output is missing, before what follows it. */
static int write_mark(struct log_writer *w)
{
	_cleanup_free_ char *text = str_fmt("[caisson: %llu lines of output could not be written to the log: %s]\n",
		(unsigned long long)w->lost, strerror(-w->why));
	_cleanup_buf_ struct buf b = {0};
	char time[40];

	if (!text)
		return -ENOMEM;
	put_object(&b, LOG_STDERR, text, strlen(text), NULL, clock_rfc3339(clock_real_ns(), time));
	return write_all(w, &b);
}

static void flush(struct log_writer *w)
{
	if (!w->out.len)
		return;
	if (w->broken && write(w->fd, "\n", 1) == 1) {
		w->size++;
		w->broken = false;
	}
	int r = w->lost ? write_mark(w) : 0;
	if (r == 0) {
		w->lost = 0;
		r = write_all(w, &w->out);
	}
	if (r < 0) {
		w->lost += w->objects;
		w->why = r;
	}
	w->out.len = 0;
	w->objects = 0;
	if (w->out.size > 256 * 1024)
		buf_done(&w->out);
}

static void add_object(struct log_writer *w, enum log_stream s, const void *p, size_t n, const char *time)
{
	if (w->options.max_size && w->size + w->out.len >= w->options.max_size) {
		flush(w);
		rotate(w);
	}
	put_object(&w->out, s, p, n, w->options.attrs, time);
	w->objects++;
}

void log_writer_add(struct log_writer *w, enum log_stream s, const void *p, size_t n)
{
	const char *at = p, *end = at + n;
	struct buf *partial = &w->partial[s];
	char time[40];

	clock_rfc3339(clock_real_ns(), time);
	while (at < end) {
		size_t room = LOG_LINE_MAX - partial->len;
		size_t left = (size_t)(end - at) < room ? (size_t)(end - at) : room;
		const char *newline = memchr(at, '\n', left);
		size_t take = newline ? (size_t)(newline - at) + 1 : left;
		bool whole = newline || take == room;
		if (!partial->len && whole) {
			add_object(w, s, at, take, time);
		} else {
			buf_add(partial, at, take);
			if (whole) {
				add_object(w, s, partial->data, partial->len, time);
				partial->len = 0;
			}
		}
		at += take;
	}
	flush(w);
}

void log_writer_free(struct log_writer *w)
{
	char time[40];

	if (!w)
		return;
	clock_rfc3339(clock_real_ns(), time);
	for (int s = 0; s < 2; s++)
		if (w->partial[s].len)
			add_object(w, (enum log_stream)s, w->partial[s].data, w->partial[s].len, time);
	flush(w);
	for (int s = 0; s < 2; s++)
		buf_done(&w->partial[s]);
	buf_done(&w->out);
	close(w->fd);
	free(w);
}
