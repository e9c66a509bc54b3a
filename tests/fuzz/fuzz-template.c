/* A file that says it is a template. */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "isolation/hyperv-template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("template", MFD_CLOEXEC);
	struct template_footer f;

	if (fd >= 0 && fd_write_all(fd, data, size) == 0)
		template_check(fd, NULL, &f);
	return 0;
}
