/* One line as QEMU's monitor sends it; a guest that has taken over its QEMU writes what it likes. */
#include <stddef.h>
#include <stdint.h>

#include "isolation/hyperv-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	char event[32];

	qmp_parse((const char *)data, size, event, &e);
	return 0;
}
