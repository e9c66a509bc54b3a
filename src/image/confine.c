/* What a child that reads hostile content may do. */
#include "image/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* SYS_ADMIN is what trusted.overlay.opaque needs; in a mount namespace of its own, and behind a chroot. */
static int drop_capabilities(enum confine_kind kind)
{
	static const int kept[] = {
		CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SYS_ADMIN};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	for (size_t i = 0; kind == CONFINE_FILES && i < sizeof(kept) / sizeof(kept[0]); i++)
		data[kept[i] / 32].effective |= 1U << (kept[i] % 32);
	for (size_t i = 0; i < 2; i++)
		data[i].permitted = data[i].effective;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
		return -errno;
	return 0;
}

int confine_child(const char *name, enum confine_kind kind, int *const fds[], size_t n, struct err *e)
{
	struct rlimit none = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	int r = fd_keep(3, fds, n);
	if (r < 0)
		return err_errno(e, r, "confine the unpacking");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return err_errno(e, errno, "confine the unpacking");
	if (fchdir(*fds[0]) < 0 || chroot(".") < 0)
		return err_errno(e, errno, "enter the directory");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, errno, "confine the unpacking");
	r = drop_capabilities(kind);
	return r < 0 ? err_errno(e, r, "drop capabilities") : 0;
}
