/* What this kernel and this user cannot do of a plan, found out before anything is made. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/caps.h"
#include "sandbox/cgroup.h"
#include "sandbox/devices.h"
#include "sandbox/namespace.h"
#include "sandbox/rlimit.h"
#include "sandbox/sandbox.h"
#include "sandbox/seccomp.h"

static int check_kernel(struct err *e)
{
	/* an unknown system call says ENOSYS, this one's arguments are merely wrong */
	if (mount_setattr(-1, "", 0, NULL, 0) < 0 && errno == ENOSYS)
		return err_set(e, ENOSYS, "this kernel is too old: Linux 5.12 or later is needed (mount_setattr)");
	return 0;
}

static int check_root(const struct plan *p, struct err *e)
{
	if (!strv_len(p->lower))
		return 0;
	int fd = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "this kernel has no overlayfs");
	close(fd);
	return 0;
}

static int check_oom_score(const struct plan *p, struct err *e)
{
	char line[16];
	int now = 0;

	if (p->oom_score_adj < -1000 || p->oom_score_adj > 1000)
		return err_set(
			e, EINVAL, "Invalid value %d, range for oom score adj is [-1000, 1000]", p->oom_score_adj);
	if (!p->oom_score_adj || caps_bounding() >> CAP_SYS_RESOURCE & 1)
		return 0;
	if (file_read_line(AT_FDCWD, "/proc/self/oom_score_adj", line, sizeof(line)) == 0)
		now = atoi(line);
	if (p->oom_score_adj < now)
		return err_set(e, EPERM,
			"cannot lower oom_score_adj to %d: it is %d and this process lacks CAP_SYS_RESOURCE",
			p->oom_score_adj, now);
	return 0;
}

static int check_mounts(const struct plan *p, struct err *e)
{
	static const char *const modes[] = {"rprivate", "private", "rshared", "shared", "rslave", "slave", NULL};

	for (size_t i = 0; i < p->mounts_len; i++) {
		const struct plan_mount *m = &p->mounts[i];
		if (!m->target || *m->target != '/' || !strcmp(m->target, "/"))
			return err_set(e, EINVAL, "invalid mount target \"%s\": must be an absolute path below /",
				m->target ? m->target : "");
		if (m->type == PLAN_MOUNT_BIND && str_empty(m->source))
			return err_set(e, EINVAL, "mount %s has no source", m->target);
		if (!str_empty(m->propagation) && !str_in(m->propagation, modes))
			return err_set(e, EINVAL, "mount %s: invalid propagation \"%s\"", m->target, m->propagation);
	}
	return 0;
}

int sandbox_check(const struct plan *p, struct err *e)
{
	struct device_rules devices;
	int r = geteuid() ? err_set(e, EPERM, "a sandbox needs root") : check_kernel(e);

	if (r == 0)
		r = check_root(p, e);
	if (r == 0)
		r = check_mounts(p, e);
	if (r == 0)
		r = namespace_check_sysctls(p, e);
	if (r == 0)
		r = rlimit_check(p->process.rlimits, e);
	if (r == 0)
		r = caps_check(p->process.caps, e);
	if (r == 0)
		r = seccomp_check(p->process.seccomp, p->process.seccomp_len, e);
	if (r == 0)
		r = check_oom_score(p, e);
	if (r == 0)
		r = device_rules_make(p, &devices, e);
	return r < 0 ? r : cgroup_check(p, e);
}
