/* Frames and the fields of their payloads: see frame.h. */
#include "proto/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 };

int frame_add(struct buf *b, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	uint8_t h[FRAME_HEADER] = {0};
	uint32_t len = htole32((uint32_t)n);
	uint16_t id = htole16(stream);
	int r;

	if (n > FRAME_MAX)
		return -EMSGSIZE;
	r = buf_reserve(b, FRAME_HEADER + n);
	if (r < 0)
		return r;
	memcpy(h, &len, sizeof(len));
	h[4] = type;
	memcpy(h + 6, &id, sizeof(id));
	buf_add(b, h, sizeof(h));
	return buf_add(b, p, n);
}

void frame_reader_done(struct frame_reader *r)
{
	buf_done(&r->in);
	r->used = 0;
}

/*
 * Consumed bytes go when they are at least as many as those that are left, so that a byte moves at most once
 * for every byte that was consumed, or when the buffer would grow beyond one frame and one read.
 */
static void drop_used(struct frame_reader *r)
{
	size_t left = r->in.len - r->used;

	if (!r->used || (left > r->used && r->in.len <= FRAME_HEADER + FRAME_MAX))
		return;
	memmove(r->in.data, r->in.data + r->used, left);
	r->in.len = left;
	r->used = 0;
}

int frame_fill(struct frame_reader *r, int fd)
{
	ssize_t n;

	drop_used(r);
	if (r->in.len > FRAME_HEADER + FRAME_MAX)
		return -ENOBUFS; /* the caller has not taken the frames that are there */
	if (buf_reserve(&r->in, READ_SIZE) < 0)
		return -ENOMEM;
	do
		n = read(fd, r->in.data + r->in.len, READ_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->in.len += (size_t)n;
	return (int)n;
}

int frame_next(struct frame_reader *r, struct frame *ret)
{
	const uint8_t *p = (const uint8_t *)r->in.data + r->used;
	size_t left = r->in.len - r->used;
	uint32_t len;
	uint16_t stream;

	if (left < FRAME_HEADER)
		return 0;
	memcpy(&len, p, sizeof(len));
	memcpy(&stream, p + 6, sizeof(stream));
	len = le32toh(len);
	if (len > FRAME_MAX || p[5])
		return -EBADMSG;
	if (left - FRAME_HEADER < len)
		return 0;
	*ret = (struct frame){.type = p[4], .stream = le16toh(stream), .len = len, .payload = p + FRAME_HEADER};
	r->used += FRAME_HEADER + len;
	return 1;
}

static const uint8_t *take(struct wire *w, size_t n)
{
	const uint8_t *p = w->p;

	if (w->bad || n > w->left) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	w->left -= n;
	return p;
}

uint32_t wire_u32(struct wire *w)
{
	const uint8_t *p = take(w, sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t wire_u64(struct wire *w)
{
	const uint8_t *p = take(w, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

const char *wire_bytes(struct wire *w, size_t *ret_len)
{
	uint32_t n = wire_u32(w);
	const char *p = (const char *)take(w, n);

	*ret_len = p ? n : 0;
	return p;
}

char *wire_str(struct wire *w)
{
	size_t n;
	const char *p = wire_bytes(w, &n);
	char *s = p && !memchr(p, 0, n) ? malloc(n + 1) : NULL;

	if (!s) {
		w->bad = true;
		return NULL;
	}
	memcpy(s, p, n);
	s[n] = 0;
	return s;
}

int wire_add_u32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	return buf_add(b, &v, sizeof(v));
}

int wire_add_u64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	return buf_add(b, &v, sizeof(v));
}

int wire_add_bytes(struct buf *b, const void *p, size_t n)
{
	if (n > FRAME_MAX)
		return -EMSGSIZE;
	int r = wire_add_u32(b, (uint32_t)n);
	return r < 0 ? r : buf_add(b, p, n);
}

int wire_add_str(struct buf *b, const char *s)
{
	return wire_add_bytes(b, s, s ? strlen(s) : 0);
}
