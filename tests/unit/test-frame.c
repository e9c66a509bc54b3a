/* Frames over a pipe, in every cut; the fields of payloads; the wire's form of an error. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/agent.h"
#include "proto/frame.h"

static void open_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
}

static void test_layout(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	static const uint8_t want[] = {3, 0, 0, 0, 64, 0, 0x34, 0x12, 'a', 'b', 'c'};

	(void)state;
	assert_int_equal(frame_add(&b, AGENT_DATA, 0x1234, "abc", 3), 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	assert_int_equal(frame_add(&b, AGENT_DATA, 0, "", FRAME_MAX + 1), -EMSGSIZE);
	assert_int_equal(b.len, sizeof(want));
}

static void check_frames(struct frame_reader *r, unsigned *seen)
{
	struct frame f;
	int n;

	while ((n = frame_next(r, &f)) > 0) {
		assert_int_equal(f.type, 1 + *seen);
		assert_int_equal(f.stream, 1000 * *seen);
		assert_int_equal(f.len, *seen * *seen);
		for (uint32_t i = 0; i < f.len; i++)
			assert_int_equal(f.payload[i], (uint8_t)(i + *seen));
		(*seen)++;
	}
	assert_int_equal(n, 0);
}

/* Written in pieces of every size from 1 to 40, frames come out whole and in order. */
static void test_pieces(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	uint8_t payload[1600];

	(void)state;
	for (unsigned k = 0; k < 40; k++) {
		for (unsigned i = 0; i < k * k; i++)
			payload[i] = (uint8_t)(i + k);
		assert_int_equal(frame_add(&b, (uint8_t)(1 + k), (uint16_t)(1000 * k), payload, k * k), 0);
	}
	for (size_t piece = 1; piece <= 40; piece++) {
		struct frame_reader r = {0};
		unsigned seen = 0;
		int fds[2];
		open_pipe(fds);
		for (size_t at = 0; at < b.len; at += piece) {
			size_t n = b.len - at < piece ? b.len - at : piece;
			assert_int_equal(write(fds[1], b.data + at, n), n);
			assert_int_equal(frame_fill(&r, fds[0]), n);
			check_frames(&r, &seen);
		}
		assert_int_equal(seen, 40);
		assert_int_equal(frame_fill(&r, fds[0]), -EAGAIN);
		close(fds[1]);
		assert_int_equal(frame_fill(&r, fds[0]), 0);
		close(fds[0]);
		frame_reader_done(&r);
	}
}

/* Far more bytes than the buffer may hold pass through; it stays bounded. */
static void test_bounded(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct frame_reader r = {0};
	struct frame f;
	size_t seen = 0, written = 0;
	int fds[2];

	(void)state;
	_cleanup_free_ char *payload = calloc(1, FRAME_MAX);
	assert_int_equal(frame_add(&b, 7, 0, payload, FRAME_MAX), 0);
	assert_int_equal(frame_add(&b, 8, 0, payload, 1), 0);
	open_pipe(fds);
	while (seen < 200) {
		ssize_t n = write(fds[1], b.data + written % b.len, b.len - written % b.len);
		written += n > 0 ? (size_t)n : 0;
		assert_true(frame_fill(&r, fds[0]) > 0);
		while (frame_next(&r, &f) > 0) {
			assert_int_equal(f.type, 7 + seen % 2);
			seen++;
		}
		assert_true(r.in.size <= 2 * FRAME_MAX);
	}
	close(fds[0]);
	close(fds[1]);
	frame_reader_done(&r);
}

/* A caller that fills without taking frames is told so before memory grows on. */
static void test_not_taken(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct frame_reader r = {0};
	static char zeros[4096];
	int fds[2], n = 0;

	(void)state;
	open_pipe(fds);
	for (int i = 0; i < 1000 && n >= 0; i++) {
		assert_int_equal(write(fds[1], zeros, sizeof(zeros)), sizeof(zeros));
		n = frame_fill(&r, fds[0]);
	}
	assert_int_equal(n, -ENOBUFS);
	assert_true(r.in.size <= 2 * FRAME_MAX);
	close(fds[0]);
	close(fds[1]);
	frame_reader_done(&r);
}

static void expect_bad(const uint8_t header[FRAME_HEADER])
{
	struct frame_reader r = {0};
	struct frame f;
	int fds[2];

	open_pipe(fds);
	assert_int_equal(write(fds[1], header, FRAME_HEADER), FRAME_HEADER);
	assert_int_equal(frame_fill(&r, fds[0]), FRAME_HEADER);
	assert_int_equal(frame_next(&r, &f), -EBADMSG);
	assert_int_equal(frame_next(&r, &f), -EBADMSG);
	close(fds[0]);
	close(fds[1]);
	frame_reader_done(&r);
}

static void test_hostile_header(void **state)
{
	(void)state;
	expect_bad((const uint8_t[]){1, 0, 0x11, 0, 1, 0, 0, 0}); /* FRAME_MAX + 1 */
	expect_bad((const uint8_t[]){0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0});
	expect_bad((const uint8_t[]){0, 0, 0, 0, 1, 1, 0, 0}); /* reserved byte */
}

static void test_wire(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	size_t n;

	(void)state;
	wire_add_u32(&b, 0xdeadbeef);
	wire_add_u64(&b, 0x0123456789abcdefULL);
	wire_add_bytes(&b, "a\0b", 3);
	wire_add_str(&b, "text");
	wire_add_str(&b, NULL);
	struct wire w = {(const uint8_t *)b.data, b.len, false};
	assert_int_equal(wire_u32(&w), 0xdeadbeef);
	assert_true(wire_u64(&w) == 0x0123456789abcdefULL);
	assert_memory_equal(wire_bytes(&w, &n), "a\0b", 3);
	assert_int_equal(n, 3);
	_cleanup_free_ char *s = wire_str(&w), *empty = wire_str(&w);
	assert_string_equal(s, "text");
	assert_string_equal(empty, "");
	assert_false(w.bad);
	assert_int_equal(w.left, 0);
	assert_int_equal(wire_u32(&w), 0);
	assert_true(w.bad);
}

/* Cut anywhere, the reader fails, stays failed and reads nothing behind the end. */
static void test_wire_cut(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	(void)state;
	wire_add_u32(&b, 1);
	wire_add_u64(&b, 2);
	wire_add_str(&b, "text");
	for (size_t cut = 0; cut < b.len; cut++) {
		_cleanup_free_ uint8_t *copy = malloc(cut ? cut : 1);
		memcpy(copy, b.data, cut);
		struct wire w = {copy, cut, false};
		wire_u32(&w);
		wire_u64(&w);
		_cleanup_free_ char *s = wire_str(&w);
		assert_null(s);
		assert_true(w.bad);
		assert_int_equal(wire_u32(&w), 0);
		assert_int_equal(wire_u64(&w), 0);
	}
}

static void test_wire_hostile(void **state)
{
	struct wire length = {(const uint8_t *)"\xff\xff\xff\xff"
					       "abcd",
		8, false};
	struct wire nul = {(const uint8_t *)"\3\0\0\0"
					    "a\0b",
		7, false};
	size_t n = 1;

	(void)state;
	assert_null(wire_bytes(&length, &n));
	assert_int_equal(n, 0);
	assert_true(length.bad);
	assert_null(wire_str(&nul));
	assert_true(nul.bad);
}

static int decode_err(const struct buf *b, struct err *e)
{
	struct wire w = {(const uint8_t *)b->data, b->len, false};

	return agent_err_decode(&w, e);
}

static void test_err(void **state)
{
	_cleanup_buf_ struct buf b = {0}, none = {0}, big = {0};
	struct err e = ERR_INIT, back;

	(void)state;
	err_set(&e, ENOENT, "exec: \"nope\x1b[2J\n\": not found");
	e.status = EXIT_NOT_FOUND;
	assert_int_equal(agent_err_encode(&b, &e), 0);
	assert_int_equal(decode_err(&b, &back), 0);
	assert_int_equal(back.code, ENOENT);
	assert_int_equal(back.status, EXIT_NOT_FOUND);
	assert_string_equal(back.msg, "exec: \"nope [2J \": not found");
	assert_int_equal(agent_err_encode(&none, &ERR_INIT), 0);
	assert_int_equal(decode_err(&none, &back), -EBADMSG);
	wire_add_u32(&big, EIO);
	wire_add_u32(&big, 0);
	_cleanup_free_ char *text = calloc(1, 5000);
	memset(text, 'x', 4999);
	wire_add_str(&big, text);
	assert_int_equal(decode_err(&big, &back), 0);
	assert_int_equal(strlen(back.msg), sizeof(back.msg) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_wire_cut),
		cmocka_unit_test(test_wire_hostile),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_hostile_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
