/* A seccomp profile as a user may name any file. What compiles is a filter the kernel's rules allow in size. */
#include <linux/filter.h>
#include <stdint.h>
#include <stdlib.h>

#include "oci/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	char *bpf = NULL;
	size_t n = 0;

	if (seccomp_compile((const char *)data, size, 1ULL << 21, &bpf, &n, &e) < 0)
		return 0;
	if (!n || n % sizeof(struct sock_filter) || n / sizeof(struct sock_filter) > BPF_MAXINSNS)
		abort();
	free(bpf);
	return 0;
}
