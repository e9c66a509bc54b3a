/*
 * QMP: QEMU's monitor, on a socket pair that nobody else holds. Commands go out one after the other; answers come in the same order, events between them
 * are not needed. What QEMU says is not trusted: a line has a limit and an answer nobody asked for ends the conversation.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "isolation/hyperv-private.h"

enum { LINE_MAX_BYTES = 64 * 1024, COMMANDS_MAX = 64 };

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
};

int qmp_parse(const char *line, size_t n, struct err *e)
{
	_cleanup_json_ json_t *o = json_parse(line, n, "QMP answer", e);

	if (!o || !json_is_object(o))
		return -EBADMSG;
	json_t *error = json_object_get(o, "error");
	if (error) {
		const char *text = json_str(error, "desc");
		err_set(e, EIO, "QEMU: %.400s", text ? text : "unknown error");
		return 1;
	}
	return json_object_get(o, "return") ? 1 : 0;
}

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
	int r = qmp_parse(line, n, &e);

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
	return q->in.len > LINE_MAX_BYTES ? -EMSGSIZE : 0;
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

int qmp_run(struct qmp *q, const char *command, qmp_fn *fn, void *data)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "{\"execute\":\"%s\"}\n", command);

	if (!q->source)
		return -EPIPE;
	if (q->count == COMMANDS_MAX || n >= (int)sizeof(line))
		return -EBUSY;
	/* a line fits the socket's buffer; a QEMU that does not read is stuck anyway */
	ssize_t sent = write(q->fd, line, (size_t)n);
	if (sent != n)
		return sent < 0 ? -errno : -EIO;
	q->queue[(q->first + q->count++) % COMMANDS_MAX] = (struct command){fn, data};
	return 0;
}

int qmp_new(struct loop *l, int fd, struct qmp **ret)
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
	int r = qmp_run(q, "qmp_capabilities", NULL, NULL);
	*ret = q;
	return r;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	source_remove(&q->source);
	close_fd(&q->fd);
	buf_done(&q->in);
	free(q);
}
