/* The guest's serial console: its last lines, for `logs --vm` and for the reason of an end. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "isolation/hyperv-private.h"

void console_open(struct console *c, int dir)
{
	*c = (struct console){.dir = dir};
	c->file = openat(dir, CONSOLE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

static void keep_tail(struct buf *b)
{
	if (b->len > CONSOLE_MAX) {
		memmove(b->data, b->data + b->len - CONSOLE_MAX, CONSOLE_MAX);
		b->len = CONSOLE_MAX;
		b->data[b->len] = 0;
	}
}

/* The file may grow to twice the ring before it is cut; a guest that floods its console costs no more than that. */
void console_add(struct console *c, const char *p, size_t n)
{
	if (buf_add(&c->ring, p, n) < 0)
		return;
	keep_tail(&c->ring);
	if (c->file < 0)
		return;
	if (c->written + n > 2 * CONSOLE_MAX) {
		(void)!ftruncate(c->file, 0);
		c->written = c->ring.len;
		fd_write_all(c->file, c->ring.data, c->ring.len);
		return;
	}
	c->written += n;
	fd_write_all(c->file, p, n);
}

bool console_panic(const struct console *c, char *ret, size_t size)
{
	static const char mark[] = "Kernel panic - not syncing: ";
	const char *p = c->ring.len ? memmem(c->ring.data, c->ring.len, mark, strlen(mark)) : NULL;
	size_t n = 0;

	if (!p)
		return false;
	p += strlen(mark);
	for (; n + 1 < size && p < c->ring.data + c->ring.len && *p != '\n' && *p != '\r'; p++)
		ret[n++] = (unsigned char)*p < ' ' || *p == 127 ? '?' : *p;
	ret[n] = 0;
	return true;
}

void console_done(struct console *c)
{
	close_fd(&c->file);
	buf_done(&c->ring);
}
