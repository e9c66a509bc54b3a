/*
 * QMP: QEMU's monitor, on a socket pair that nobody else holds. Commands go out one after the other; answers come in the same order, with events between
 * them. What QEMU says is not trusted: a line has a limit and an answer nobody asked for ends the conversation.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "isolation/hyperv-private.h"

enum { LINE_BYTES_MAX = 64 * 1024, COMMANDS_MAX = 64 };

struct command {
	qmp_fn *fn;
	void *data;
};

struct qmp {
	int fd;
	struct source *source;
	struct buf in;
	struct command queue[COMMANDS_MAX]; /* sent and not yet answered */
	unsigned first, count;
	qmp_event_fn *event;
	void *event_data;
};

/* ---- just enough of JSON (RFC 8259): the members of one object, values skipped by their shape ---- */

struct scan {
	const char *p, *end;
};

static void skip_space(struct scan *s)
{
	while (s->p < s->end && strchr(" \t\r\n", *s->p) && *s->p)
		s->p++;
}

/* A string's bytes as they stand between the quotes. */
static bool take_string(struct scan *s, const char **ret, size_t *ret_len)
{
	skip_space(s);
	if (s->p == s->end || *s->p != '"')
		return false;
	*ret = ++s->p;
	for (; s->p < s->end && *s->p != '"'; s->p++)
		if (*s->p == '\\' && ++s->p == s->end)
			return false;
	if (s->p == s->end)
		return false;
	*ret_len = (size_t)(s->p++ - *ret);
	return true;
}

/* Anything up to the comma or bracket that ends it. */
static bool skip_value(struct scan *s)
{
	const char *text;
	size_t n;
	unsigned depth = 0;

	for (skip_space(s); s->p < s->end; s->p++) {
		if (*s->p == '"') {
			if (!take_string(s, &text, &n))
				return false;
			s->p--;
		} else if (*s->p == '{' || *s->p == '[') {
			depth++;
		} else if (*s->p == '}' || *s->p == ']') {
			if (!depth)
				return true;
			depth--;
		} else if (*s->p == ',' && !depth) {
			return true;
		}
	}
	return false;
}

typedef void member_fn(void *data, const char *key, size_t n, struct scan value);

static bool for_members(struct scan *s, member_fn *fn, void *data)
{
	const char *key;
	size_t n;

	skip_space(s);
	if (s->p == s->end || *s->p++ != '{')
		return false;
	skip_space(s);
	if (s->p < s->end && *s->p == '}') {
		s->p++;
		return true;
	}
	for (;;) {
		if (!take_string(s, &key, &n))
			return false;
		skip_space(s);
		if (s->p == s->end || *s->p++ != ':')
			return false;
		struct scan value = *s;
		if (!skip_value(s))
			return false;
		value.end = s->p;
		fn(data, key, n, value);
		if (*s->p == '}') {
			s->p++;
			return true;
		}
		if (*s->p++ != ',')
			return false;
	}
}

static bool is(const char *key, size_t n, const char *name)
{
	return n == strlen(name) && !memcmp(key, name, n);
}

static void on_error_member(void *data, const char *key, size_t n, struct scan value)
{
	struct err *e = data;
	const char *text;
	size_t len;

	if (!is(key, n, "desc") || !take_string(&value, &text, &len))
		return;
	err_set(e, EIO, "QEMU: %.*s", (int)(len < 400 ? len : 400), text);
	for (char *c = e->msg; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

struct answer {
	struct err *e;
	bool is_answer;
	char event[32];
};

static void on_member(void *data, const char *key, size_t n, struct scan value)
{
	struct answer *a = data;
	const char *text;
	size_t len;

	if (is(key, n, "error")) {
		err_set(a->e, EIO, "QEMU: unknown error");
		for_members(&value, on_error_member, a->e);
		a->is_answer = true;
	} else if (is(key, n, "return")) {
		a->is_answer = true;
	} else if (is(key, n, "event") && take_string(&value, &text, &len)) {
		snprintf(a->event, sizeof(a->event), "%.*s", (int)(len < 31 ? len : 31), text);
	}
}

int qmp_parse(const char *line, size_t n, char ret_event[32], struct err *e)
{
	struct scan s = {line, line + n};
	struct answer a = {.e = e};

	if (!for_members(&s, on_member, &a))
		return -EBADMSG;
	skip_space(&s);
	memcpy(ret_event, a.event, sizeof(a.event));
	return s.p != s.end ? -EBADMSG : a.is_answer;
}

/* ---- the conversation ---- */

static void fail_all(struct qmp *q, const char *why)
{
	struct err e = ERR_INIT;

	source_remove(&q->source);
	err_set(&e, EPIPE, "%s", why);
	while (q->count) {
		struct command c = q->queue[q->first];
		q->first = (q->first + 1) % COMMANDS_MAX;
		q->count--;
		if (c.fn)
			c.fn(c.data, &e);
	}
}

static int on_line(struct qmp *q, const char *line, size_t n)
{
	struct err e = ERR_INIT;
	char event[32] = "";
	int r = qmp_parse(line, n, event, &e);

	if (r == 0 && *event && q->event)
		q->event(q->event_data, event);
	if (r <= 0)
		return r;
	if (!q->count)
		return -EBADMSG;
	struct command c = q->queue[q->first];
	q->first = (q->first + 1) % COMMANDS_MAX;
	q->count--;
	if (c.fn)
		c.fn(c.data, e.code ? &e : NULL);
	return 0;
}

static int take_lines(struct qmp *q)
{
	char *nl;

	while (q->in.len && (nl = memchr(q->in.data, '\n', q->in.len))) {
		size_t n = (size_t)(nl - q->in.data) + 1;
		_cleanup_free_ char *line = strndup(q->in.data, n - 1);
		memmove(q->in.data, q->in.data + n, q->in.len - n);
		q->in.len -= n;
		int r = line ? on_line(q, line, strlen(line)) : -ENOMEM;
		if (r < 0)
			return r;
	}
	return q->in.len > LINE_BYTES_MAX ? -EMSGSIZE : 0;
}

static void on_readable(void *data, int fd, uint32_t events)
{
	struct qmp *q = data;
	char block[4096];
	ssize_t n = read(fd, block, sizeof(block));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		fail_all(q, "QEMU has closed its monitor");
	else if (buf_add(&q->in, block, (size_t)n) < 0 || take_lines(q) < 0)
		fail_all(q, "QEMU's monitor does not speak QMP");
}

int qmp_run(struct qmp *q, const char *command, const char *arguments, int fd, qmp_fn *fn, void *data)
{
	_cleanup_free_ char *line = arguments ? str_fmt("{\"execute\":\"%s\",\"arguments\":{%s}}\n", command, arguments)
					      : str_fmt("{\"execute\":\"%s\"}\n", command);

	if (!line)
		return -ENOMEM;
	if (!q || !q->source)
		return -EPIPE;
	if (q->count == COMMANDS_MAX)
		return -EBUSY;
	/* a line fits the socket's buffer; a QEMU that does not read is stuck anyway */
	int r = fd_send(q->fd, line, strlen(line), &fd, fd >= 0);
	if (r < 0)
		return r;
	q->queue[(q->first + q->count++) % COMMANDS_MAX] = (struct command){fn, data};
	return 0;
}

int qmp_new(struct loop *l, int fd, qmp_fn *up, void *data, struct qmp **ret)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->fd = fd;
	fd_nonblock(fd, true);
	q->source = loop_add_fd(l, fd, EPOLLIN, on_readable, q);
	if (!q->source) {
		free(q);
		return -ENOMEM;
	}
	int r = qmp_run(q, "qmp_capabilities", NULL, -1, up, data);
	*ret = q;
	return r;
}

void qmp_on_event(struct qmp *q, qmp_event_fn *fn, void *data)
{
	q->event = fn;
	q->event_data = data;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	fail_all(q, "the VM has ended");
	close_fd(&q->fd);
	buf_done(&q->in);
	free(q);
}
