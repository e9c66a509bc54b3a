/* Reading a container's log (json-file) or its guest's console, whole, from its tail, or as it grows. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/rotate.h"
#include "container/log.h"
#include "engine/engine-private.h"
#include "proto/monitor.h"

enum { LINE_MAX_JSON = 8 * LOG_LINE_MAX + 256 * 1024, POLL_MS = 1000, BLOCK = 64 * 1024 };

struct reader {
	const struct engine_logs *opt;
	struct rotate_reader files;
	struct buf pending; /* the start of a line whose end is not written yet */
	FILE *out, *err;
	bool done;        /* past `until`, or nobody reads */
	unsigned damaged; /* lines that make no sense, as a crash of the host leaves them */
};

/* As in the query of a URL. */
static void print_escaped(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
			putc(*s, f);
		else if (*s == ' ')
			putc('+', f);
		else
			fprintf(f, "%%%02X", (unsigned char)*s);
	}
}

/* "color=red,tier=web " */
static void print_details(FILE *f, const json_t *attrs)
{
	_cleanup_strv_ char **keys = NULL;
	const char *key, *before = "";
	json_t *v;

	json_object_foreach((json_t *)attrs, key, v)
		strv_push(&keys, key);
	strv_sort(keys);
	strv_foreach(k, keys) {
		fputs(before, f);
		print_escaped(f, k);
		putc('=', f);
		print_escaped(f, json_str(attrs, k) ? json_str(attrs, k) : "");
		before = ",";
	}
	putc(' ', f);
}

/* With all nine digits: Go trims them where it writes, and not where it shows. */
static void print_time(FILE *f, int64_t ns)
{
	char text[40];

	clock_rfc3339(ns - ns % 1000000000, text);
	fprintf(f, "%.19s.%09lldZ ", text, (long long)(ns % 1000000000));
}

static void print_object(struct reader *r, const char *line, size_t n)
{
	_cleanup_json_ json_t *o = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
	const json_t *text = json_object_get(o, "log");
	const char *time = json_str(o, "time"), *stream = json_str(o, "stream");
	int64_t ns = 0;

	if (!json_is_string(text) || !time || clock_parse(time, &ns) < 0) {
		r->damaged += n > 0;
		return;
	}
	if (r->opt->since_ns && ns < r->opt->since_ns)
		return;
	if (r->opt->until_ns && ns > r->opt->until_ns) {
		r->done = true;
		return;
	}
	FILE *f = stream && !strcmp(stream, "stderr") ? r->err : r->out;
	if (r->opt->timestamps)
		print_time(f, ns);
	if (r->opt->details)
		print_details(f, json_object_get(o, "attrs"));
	if (fwrite(json_string_value(text), 1, json_string_length(text), f) != json_string_length(text) ||
		fflush(f) == EOF)
		r->done = true;
}

/* The whole lines of what was read; the rest is kept. */
static void take_lines(struct reader *r)
{
	char *at = r->pending.data, *end = at + r->pending.len, *newline;

	while (!r->done && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		print_object(r, at, (size_t)(newline - at));
		at = newline + 1;
	}
	r->pending.len = (size_t)(end - at);
	memmove(r->pending.data, at, r->pending.len);
	if (r->pending.len > LINE_MAX_JSON)
		r->pending.len = 0; /* no writer makes such a line */
}

/* Prints all whole lines that are there. */
static int print_lines(struct reader *r)
{
	while (!r->done) {
		if (buf_reserve(&r->pending, BLOCK) < 0)
			return -ENOMEM;
		char *to = r->pending.data + r->pending.len;
		ssize_t n = rotate_read(&r->files, to, BLOCK);
		if (n <= 0)
			return (int)n;
		if (r->files.switched) { /* what the file before ended in was cut off */
			r->damaged += r->pending.len > 0;
			memmove(r->pending.data, to, (size_t)n);
			r->pending.len = 0;
		}
		r->pending.len += (size_t)n;
		take_lines(r);
	}
	return 0;
}

/* Sets the file's position to the start of the last `*lines` lines; fewer are there: to its start, and *lines is what is missing. */
static int seek_tail(int fd, int64_t *lines)
{
	char block[16 * 1024];
	off_t at = lseek(fd, 0, SEEK_END);
	bool first = true;

	if (!*lines)
		return 0;
	while (at > 0) {
		size_t n = at > (off_t)sizeof(block) ? sizeof(block) : (size_t)at;
		at -= (off_t)n;
		if (pread(fd, block, n, at) != (ssize_t)n)
			return -EIO;
		for (size_t i = n; i > 0; i--) {
			if (block[i - 1] == '\n' && !first && --*lines == 0)
				return lseek(fd, at + (off_t)i, SEEK_SET) < 0 ? -errno : 0;
			first = false;
		}
	}
	*lines -= !first;
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Across the files: from the newest back. */
static int seek_tails(struct rotate_reader *files, int64_t lines)
{
	int r = 0;

	for (size_t i = files->len; r == 0 && i-- > 0;)
		r = seek_tail(files->fds[i], &lines);
	return r;
}

static bool past_until(const struct engine_logs *opt)
{
	return opt->until_ns && clock_real_ns() > opt->until_ns;
}

/* Prints what is added until the container has ended. */
static int follow(struct reader *r, const struct found *f, int dir, const char *name, struct err *e)
{
	_cleanup_close_ int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), sock = -1;
	char path[64], drain[4096];
	struct err none;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	if (notify < 0 || inotify_add_watch(notify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return err_errno(e, errno, "watch %s", name);
	/* it may have ended since it was found: then what it wrote meanwhile is still to be printed */
	bool ended = !f->running || monitor_call(f, MONITOR_WAIT, NULL, 0, &sock, &none) < 0;
	for (;;) {
		int code = print_lines(r);
		if (code < 0)
			return err_errno(e, code, "read %s", name);
		if (ended || r->done || past_until(r->opt))
			return 0;
		struct pollfd p[] = {{.fd = notify, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
		if (poll(p, 2, POLL_MS) < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		while (read(notify, drain, sizeof(drain)) > 0)
			;
		ended = p[1].revents; /* everything is written by then: print once more */
	}
}

/* The last lines of the guest's console, as they are. */
static int print_console(const struct found *f, int dir, const struct engine_logs *opt, FILE *out, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, "console.log", O_RDONLY | O_CLOEXEC);
	char block[8192];
	ssize_t n;

	if (record_isolation(f->record) != ISOLATION_HYPERV)
		return err_set(e, EINVAL, "container %s has no virtual machine: its isolation is process", f->row.name);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "console.log");
	int64_t tail = opt->tail;
	if (tail >= 0 && seek_tail(fd, &tail) < 0)
		return err_set(e, EIO, "read console.log");
	while ((n = read(fd, block, sizeof(block))) > 0)
		if (fwrite(block, 1, (size_t)n, out) != (size_t)n)
			break;
	fflush(out);
	return 0;
}

int engine_logs(struct engine *g, const char *ref, const struct engine_logs *opt, FILE *out, FILE *err, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_close_ int dir = -1, reading = -1;
	struct reader reader = {.opt = opt, .out = out, .err = err};
	char name[80];

	int r = container_find(g, ref, &f, e);
	if (r < 0)
		return r;
	const char *driver = json_str(json_path(f.record, "HostConfig.LogConfig"), "Type");
	r = container_dir(g, f.row.id, &dir);
	if (r < 0)
		return err_errno(e, r, "directory of container %s", f.row.name);
	if (opt->vm)
		return print_console(&f, dir, opt, out, e);
	if (driver && !strcmp(driver, "none"))
		return err_set(e, ENOTSUP, "configured logging driver does not support reading");
	snprintf(name, sizeof(name), "%s-json.log", f.row.id);
	if (opt->follow && json_str(json_path(f.record, "HostConfig.LogConfig.Config"), "max-size"))
		reading =
			fd_lock_file(dir, LOG_READERS, false, true); /* without it only a slow reader loses something */
	r = rotate_open(dir, name, &reader.files);
	if (r == 0 && opt->tail >= 0)
		r = seek_tails(&reader.files, opt->tail);
	if (r == 0)
		r = print_lines(&reader);
	if (r < 0)
		err_errno(e, r, "read %s", name);
	else if (opt->follow && !reader.done)
		r = follow(&reader, &f, dir, name, e);
	if (r == 0 && reader.damaged)
		r = err_set(e, EBADMSG, "container %s: %u damaged lines of its log are left out", f.row.name,
			reader.damaged);
	if (r == 0 && reader.files.lost)
		r = err_set(
			e, EBADMSG, "container %s: a part of its log was rotated away before it was read", f.row.name);
	rotate_done(&reader.files);
	buf_done(&reader.pending);
	return r;
}
