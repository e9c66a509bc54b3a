/* Namespaces: made, and set up from inside. */
#include "sandbox/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/str.h"

uint64_t namespace_flags(const struct plan *p)
{
	uint64_t flags = CLONE_NEWNS;

	if (!p->host_pid)
		flags |= CLONE_NEWPID;
	if (!p->host_ipc)
		flags |= CLONE_NEWIPC;
	if (!p->host_uts)
		flags |= CLONE_NEWUTS;
	if (!p->host_network && !p->own_kernel)
		flags |= CLONE_NEWNET;
	return flags;
}

pid_t namespace_fork(uint64_t flags, int cgroup, bool as_sibling, int *ret_pidfd)
{
	struct clone_args a = {.flags = flags, .exit_signal = as_sibling ? 0 : SIGCHLD};
	int pidfd = -1;

	if (as_sibling)
		a.flags |= CLONE_PARENT;
	if (ret_pidfd) {
		a.flags |= CLONE_PIDFD;
		a.pidfd = (uint64_t)(uintptr_t)&pidfd;
	}
	if (cgroup >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)cgroup;
	}
	long pid = syscall(SYS_clone3, &a, sizeof(a));
	if (pid < 0)
		return -errno;
	if (pid > 0 && ret_pidfd)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}

int namespace_join(const char *path, uint64_t id, int type, const char *what, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "open the %s namespace %s", what, path);
	if (st.st_ino != id)
		return err_set(e, ESRCH, "the container whose %s namespace is to be joined has ended", what);
	return setns(fd, type) < 0 ? err_errno(e, errno, "join the %s namespace %s", what, path) : 0;
}

/* A PID namespace is joined by the children only: the caller's next one is born there, and then it has its own again. */
static pid_t fork_joined(const struct plan *p, uint64_t flags, int cgroup, int *ret_pidfd, struct err *e)
{
	_cleanup_close_ int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	int r = own < 0 ? err_errno(e, errno, "open /proc/self/ns/pid")
			: namespace_join(p->pidns, p->pidns_id, CLONE_NEWPID, "PID", e);

	if (r < 0)
		return r;
	pid_t pid = namespace_fork(flags, cgroup, false, ret_pidfd);
	/* whoever is in that namespace sees it: its memory and what it has open are not for them */
	if (pid == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
	if (pid != 0 && setns(own, CLONE_NEWPID) < 0)
		return err_errno(e, errno, "return to the own PID namespace");
	return pid < 0 ? err_errno(e, pid, "make the container's namespaces") : pid;
}

pid_t namespace_fork_first(const struct plan *p, int cgroup, int *ret_pidfd, struct err *e)
{
	uint64_t flags = namespace_flags(p) & ~(p->netns ? (uint64_t)CLONE_NEWNET : 0) &
		~(p->pidns ? (uint64_t)CLONE_NEWPID : 0) & ~(p->ipcns ? (uint64_t)CLONE_NEWIPC : 0);

	if (p->pidns)
		return fork_joined(p, flags, cgroup, ret_pidfd, e);
	pid_t pid = namespace_fork(flags, cgroup, false, ret_pidfd);
	return pid < 0 ? err_errno(e, pid, "make the container's namespaces") : pid;
}

int namespace_loopback_up(struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0) /* a kernel without IPv4 */
		return errno == EAFNOSUPPORT ? 0 : err_errno(e, errno, "bring up the loopback interface");
	return ioctl(fd, SIOCSIFFLAGS, &r) < 0 ? err_errno(e, errno, "bring up the loopback interface") : 0;
}

int namespace_set_names(const struct plan *p, struct err *e)
{
	if (p->host_uts)
		return 0;
	if (!str_empty(p->hostname) && sethostname(p->hostname, strlen(p->hostname)) < 0)
		return err_errno(e, errno, "set the host name to \"%s\"", p->hostname);
	if (!str_empty(p->domainname) && setdomainname(p->domainname, strlen(p->domainname)) < 0)
		return err_errno(e, errno, "set the domain name to \"%s\"", p->domainname);
	return 0;
}

static int check_sysctl(const struct plan *p, const char *s, struct err *e)
{
	static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", NULL};
	_cleanup_free_ char *name = strdup(s);
	char *eq = name ? strchr(name, '=') : NULL;

	if (!name)
		return err_nomem(e);
	if (!eq || eq == name)
		return err_set(e, EINVAL, "sysctl '%s' is not of the form NAME=VALUE", s);
	*eq = 0;
	if (strstr(name, "..") || strchr(name, '/') || strlen(name) > 200)
		return err_set(e, EINVAL, "sysctl '%s' is not whitelisted", name);
	if (str_in(name, ipc) || str_starts(name, "fs.mqueue.")) {
		if (p->host_ipc)
			return err_set(e, EINVAL, "sysctl '%s' is not allowed because host IPC is enabled", name);
	} else if (str_starts(name, "net.")) {
		if (p->host_network)
			return err_set(e, EINVAL, "sysctl '%s' is not allowed because host network is enabled", name);
	} else if (strcmp(name, "kernel.domainname") != 0 || p->host_uts) {
		return err_set(e, EINVAL, "sysctl '%s' is not whitelisted", name);
	}
	return 0;
}

int namespace_check_sysctls(const struct plan *p, struct err *e)
{
	strv_foreach(s, p->sysctls) {
		int r = check_sysctl(p, s, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int namespace_set_sysctls(const struct plan *p, int proc, struct err *e)
{
	strv_foreach(s, p->sysctls) {
		char path[256];
		const char *eq = strchr(s, '=');
		int r = check_sysctl(p, s, e);
		if (r < 0)
			return r;
		snprintf(path, sizeof(path), "sys/%.*s", (int)(eq - s), s);
		for (char *c = path; *c; c++)
			if (*c == '.')
				*c = '/';
		r = file_write(proc, path, eq + 1);
		if (r < 0)
			return err_errno(e, r, "set sysctl %s", s);
	}
	return 0;
}
