/* Texts of figures: what was read and written (both versions of control groups), /proc/net/dev, lists of CPUs. The first byte says which. */
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "base/str.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

enum { CPUS_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
	_cleanup_(bits_done) struct bits bits = {0};
	uint64_t a, b;

	if (!text)
		return 0;
	if (*data == '0' || *data == '1')
		cgroup_io_sum(text, *data == '1', &a, &b);
	else if (*data == '2')
		sandbox_traffic_sum(text, &a, &b);
	else if (bits_parse(text, CPUS_MAX, &bits) == 0 && (!bits.count || !bits_within(&bits, &bits)))
		__builtin_trap();
	return 0;
}
