/* The steps of a timing on the wire. */
#include "proto/timing.h"

#include <errno.h>

int timing_encode(const struct timing *t, struct buf *b)
{
	for (size_t i = 0; i < t->len; i++)
		if (wire_add_u32(b, t->steps[i].phase) < 0 || wire_add_u64(b, t->steps[i].end_ns) < 0)
			return -ENOMEM;
	return 0;
}

int timing_decode(struct timing *t, struct wire *w)
{
	while (w->left) {
		uint32_t phase = wire_u32(w);
		uint64_t end_ns = wire_u64(w);
		if (w->bad || phase >= TIMING_PHASES)
			return -EBADMSG;
		timing_add(t, phase, end_ns);
	}
	return 0;
}
