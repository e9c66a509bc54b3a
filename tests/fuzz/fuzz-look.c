/* A hostile guest's answer to LOOK: decoded, and what was decoded goes back to bytes that decode. */
#include <stdint.h>
#include <stdlib.h>

#include "proto/look.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire w = {data, size, false};
	_cleanup_buf_ struct buf b = {0};
	struct look l, again;
	struct err e;

	if (look_decode(&l, &w, &e) == 0) {
		if (look_encode(&l, &b) < 0)
			abort();
		w = (struct wire){(const uint8_t *)b.data, b.len, false};
		if (look_decode(&again, &w, &e) < 0)
			abort();
		look_done(&again);
	}
	look_done(&l);
	return 0;
}
