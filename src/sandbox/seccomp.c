/* Seccomp: a filter's bytes to the kernel. */
#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

int seccomp_check(const void *filter, size_t len, struct err *e)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	(void)filter;
	if (!len)
		return 0;
	if (len % sizeof(struct sock_filter) || len / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return err_set(e, EINVAL, "the seccomp filter has a wrong length: %zu bytes", len);
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return err_set(
			e, ENOTSUP, "seccomp is not enabled in your kernel, cannot run a custom seccomp profile");
	return 0;
}

int seccomp_install(const void *filter, size_t len, struct err *e)
{
	struct sock_fprog prog = {
		.len = (unsigned short)(len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)filter,
	};
	int r = seccomp_check(filter, len, e);

	if (r < 0)
		return r;
	/* SPEC_ALLOW: as docker, the workload's speculation is not slowed down by the filter */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0)
		return err_errno(e, errno, "install the seccomp filter");
	return 0;
}
