/* Bytes of a hostile peer: framing, then every field reader over each payload. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "proto/agent.h"
#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_fields(const struct frame *f)
{
	struct wire fields = {f->payload, f->len, false}, error = fields;
	struct err e;
	volatile uint8_t sum = 0;

	while (!fields.bad && fields.left) {
		size_t n;
		wire_u32(&fields);
		const char *p = wire_bytes(&fields, &n);
		for (size_t i = 0; p && i < n; i++)
			sum ^= (uint8_t)p[i];
		_cleanup_free_ char *s = wire_str(&fields);
		wire_u64(&fields);
	}
	if (agent_err_decode(&error, &e) == 0 && strlen(e.msg) >= sizeof(e.msg))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader r = {0};
	struct frame f;
	int fds[2], more = 0;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return 0;
	while (size && more >= 0) {
		size_t n = size < 4096 ? size : 4096;
		if (write(fds[1], data, n) != (ssize_t)n || frame_fill(&r, fds[0]) != (int)n)
			abort();
		data += n;
		size -= n;
		while ((more = frame_next(&r, &f)) > 0)
			read_fields(&f);
	}
	frame_reader_done(&r);
	close(fds[0]);
	close(fds[1]);
	return 0;
}
