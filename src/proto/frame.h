/*
 * Frames: how the host and the agent (and the CLI and the monitor) speak over one byte stream.
 *
 *   0        4      5      6        8                 8+len
 *   +--------+------+------+--------+-----------------+
 *   | len    | type | 0    | stream | payload         |     little-endian; len <= FRAME_MAX
 *   +--------+------+------+--------+-----------------+
 *
 * Data frames spend credit that their reader granted; all others need none and are sent before queued data. Whatever comes from the other side is
 * hostile: a length over FRAME_MAX or a reserved byte that is not 0 is the end of the connection (-EBADMSG). See docs/protocol.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { FRAME_HEADER = 8, FRAME_MAX = 1088 * 1024 }; /* a whole plan, and what stands around it */

struct frame {
	uint8_t type;
	uint16_t stream;
	uint32_t len;
	const uint8_t *payload; /* borrowed from the reader's buffer until the next call */
};

/* Appends one frame to *b. -EMSGSIZE if n > FRAME_MAX, -ENOMEM. */
int frame_add(struct buf *b, uint8_t type, uint16_t stream, const void *p, size_t n);

/* Incoming bytes; zero-initialised it is empty. */
struct frame_reader {
	struct buf in;
	size_t used;
};
void frame_reader_done(struct frame_reader *r);
/* Reads what fd has (one read(2)) into the buffer: bytes read, 0 at the end, -EAGAIN, -Exxx. */
int frame_fill(struct frame_reader *r, int fd);
/* The next whole frame: 1 and *ret, 0 if none is complete, -EBADMSG. */
int frame_next(struct frame_reader *r, struct frame *ret);

/* Payloads: fixed-width little-endian fields and length-prefixed strings. A reader that runs past the end stays failed (`bad`) and yields zeros. */
struct wire {
	const uint8_t *p;
	size_t left;
	bool bad;
};
uint32_t wire_u32(struct wire *w);
uint64_t wire_u64(struct wire *w);
const char *wire_bytes(struct wire *w, size_t *ret_len); /* borrowed, not NUL-terminated */
char *wire_str(struct wire *w);                          /* malloc'd; NULL and bad if it holds a NUL or memory is out */
int wire_add_u32(struct buf *b, uint32_t v);
int wire_add_u64(struct buf *b, uint64_t v);
int wire_add_bytes(struct buf *b, const void *p, size_t n);
int wire_add_str(struct buf *b, const char *s); /* NULL as "" */
