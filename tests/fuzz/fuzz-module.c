/* A file that says it is a kernel module. */
#include <stdint.h>

#include "base/str.h"
#include "isolation/hyperv-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_strv_ char **names = NULL;

	module_depends(data, size, &names);
	return 0;
}
