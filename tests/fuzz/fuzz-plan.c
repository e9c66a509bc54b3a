/* A plan from hostile bytes: whatever is accepted encodes to the same plan again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_plan(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf once = {0}, twice = {0};
	struct plan p, again;
	struct err e = ERR_INIT;

	if (plan_decode(&p, data, size, &e) == 0) {
		if (plan_encode(&p, &once) < 0 || plan_decode(&again, once.data, once.len, &e) < 0)
			abort();
		if (plan_encode(&again, &twice) < 0 || once.len != twice.len ||
			(once.len && memcmp(once.data, twice.data, once.len)))
			abort();
		plan_done(&again);
	}
	plan_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan_process p;
	struct err e;

	decode_plan(data, size);
	plan_process_decode(&p, data, size, &e);
	plan_process_done(&p);
	return 0;
}
