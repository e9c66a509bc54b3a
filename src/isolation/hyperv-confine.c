/*
 * QEMU's place: a guest that breaks out of it must find nothing.
 *
 *   uid      its own, from the range in the configuration; no groups, no capabilities, no_new_privs
 *   pid      it is PID 1 of its PID namespace and sees nobody else
 *   net ipc uts cgroup   empty namespaces of its own
 *   mnt      a read-only root with the program, its libraries and firmware, and a /proc that has only processes (subset=pid)
 *   fds      those that were given, from CONFINE_FD on; stdin is closed, stdout and stderr go to the monitor
 *
 * QEMU's own seccomp filter (-sandbox) comes on top. It dies with the monitor (PR_SET_PDEATHSIG).
 *
 * A clone gives memory back that its guest reports as free. QEMU's way is to make a hole in the file of the memory and then to drop the pages, but a clone's
 * file is sealed (hyperv-template.c), and where the first step fails QEMU leaves the second. So a filter answers fallocate(2) with success and does
 * nothing: right for a private mapping, whose own pages the second step drops; the guest sees the template's there again.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mountns.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

/* One byte of the file stands for each uid; the kernel frees its lock with the last copy of the descriptor, however the holder ends. */
int confine_uid(const struct isolation_host *h, const char *id, uid_t *ret, int *ret_lock, struct err *e)
{
	_cleanup_free_ char *path = path_join(h->run_dir, "vm-uids");

	if (!h->uid_count)
		return err_set(e, EINVAL, "no users for virtual machines: set 'vm-uids =' in the configuration");
	if (!path)
		return err_nomem(e);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	/* start somewhere that depends on the container, so that many that start at once seldom try the same one */
	uint32_t first = (uint32_t)(hash_add(HASH_INIT, id, strlen(id)) % h->uid_count);
	for (uint32_t k = 0; k < h->uid_count; k++) {
		uint32_t n = (uint32_t)(((uint64_t)first + k) % h->uid_count);
		struct flock l = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = h->uid_base + (off_t)n, .l_len = 1};

		if (fcntl(fd, F_OFD_SETLK, &l) == 0) {
			*ret = h->uid_base + n;
			*ret_lock = steal_fd(&fd);
			return 0;
		}
		if (errno != EAGAIN && errno != EACCES)
			return err_errno(e, errno, "lock %s", path);
	}
	return err_set(e, EAGAIN, "all %u users for virtual machines are taken: widen 'vm-uids =' in the configuration",
		h->uid_count);
}

/* ---- in the child ---- */

/* A node of its own, as the host's may be for root or a group only. */
static int make_kvm(const struct confine *c, struct err *e)
{
	_cleanup_free_ char *dev = path_join(c->root, "dev");
	_cleanup_free_ char *kvm = path_join(c->root, "dev/kvm");
	struct stat st;

	if (!dev || !kvm)
		return err_nomem(e);
	if (stat("/dev/kvm", &st) < 0)
		return err_errno(e, errno, "/dev/kvm");
	if (mount("dev", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=755") < 0 ||
		mknod(kvm, S_IFCHR | 0600, st.st_rdev) < 0 || chown(kvm, c->uid, c->uid) < 0 ||
		mount(NULL, dev, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) < 0)
		return err_errno(e, errno, "make /dev/kvm for QEMU");
	return 0;
}

static int enter_root(const struct confine *c, struct err *e)
{
	_cleanup_free_ char *proc = path_join(c->root, "proc");
	_cleanup_close_ int root = -1;
	bool chrooted;

	if (!proc)
		return err_nomem(e);
	int r = mountns_make_private(&chrooted);
	if (r < 0)
		return err_errno(e, r, "make the mounts private");
	if (mount(c->root, c->root, NULL, MS_BIND, NULL) < 0)
		return err_errno(e, errno, "bind %s", c->root);
	if (c->kvm && make_kvm(c, e) < 0)
		return -e->code;
	if (mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid") < 0)
		return err_errno(e, errno, "mount /proc");
	if (mount(NULL, c->root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
		return err_errno(e, errno, "make %s read-only", c->root);
	root = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = root < 0 ? -errno : mountns_pivot(root, chrooted);
	return r < 0 ? err_errno(e, r, "pivot_root to %s", c->root) : 0;
}

static int drop_user(const struct confine *c, struct err *e)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(e, errno, "drop capability %d", cap);
	if (setgroups(0, NULL) < 0 || setresgid(c->uid, c->uid, c->uid) < 0 || setresuid(c->uid, c->uid, c->uid) < 0)
		return err_errno(e, errno, "become user %u", c->uid);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &h, none) < 0)
		return err_errno(e, errno, "drop capabilities");
	/* the keys of whoever started the container */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
		return err_errno(e, errno, "make a session keyring");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(e, errno, "prctl");
	return 0;
}

/*
 * A report is of whole blocks of the guest's kernel, at least CONFINE_HOLE_BYTES; a disk's discards are shorter (hyperv-qemu.c) and reach its file. Were one
 * taken for the other, nothing is worse than space that is not given back: disks are not asked to write zeroes that way. Arguments are 64 bits in two
 * words, the lower one first.
 */
static int filter_holes(struct err *e)
{
	enum { LOW = offsetof(struct seccomp_data, args[0]), WORD = sizeof(uint32_t), ARG = 2 * WORD };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW + 1 * ARG),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW + 3 * ARG + WORD),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW + 3 * ARG),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, CONFINE_HOLE_BYTES, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0
		? err_errno(e, errno, "filter QEMU's system calls")
		: 0;
}

/* The given ones as CONFINE_FD and on, the output as stdout and stderr, and nothing else, whoever left it open. */
static int order_fds(const struct confine *c, int *status, struct err *e)
{
	int fds[VM_FDS_MAX + 2], *at[VM_FDS_MAX + 2];
	size_t n = c->nfds;

	memcpy(fds, c->fds, n * sizeof(*fds));
	fds[n] = c->output;
	fds[n + 1] = *status;
	for (size_t i = 0; i < n + 2; i++)
		at[i] = &fds[i];
	int r = fd_keep(CONFINE_FD, at, n + 2);
	if (r < 0)
		return err_errno(e, r, "put QEMU's descriptors in order");
	*status = fds[n + 1];
	close(0);
	if (dup2(fds[n], 1) < 0 || dup2(fds[n], 2) < 0 || close_range(3, CONFINE_FD - 1, 0) < 0)
		return err_errno(e, errno, "put QEMU's descriptors in order");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = fd_cloexec(fds[i], false);
	return r < 0 ? err_errno(e, r, "put QEMU's descriptors in order") : 0;
}

static int limit(const struct confine *c, struct err *e)
{
	static const struct rlimit none = {0, 0}, files = {512, 512};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_errno(e, errno, "set limits");
	if (c->oom_score_adj) {
		char text[16];
		snprintf(text, sizeof(text), "%d", c->oom_score_adj);
		int r = file_write(AT_FDCWD, "/proc/self/oom_score_adj", text);
		if (r < 0)
			return err_errno(e, r, "set oom_score_adj to %s", text);
	}
	return 0;
}

static __attribute__((noreturn)) void child(const struct confine *c, int status)
{
	struct err e = ERR_INIT;
	sigset_t set;

	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	int r = order_fds(c, &status, &e);
	if (r == 0)
		r = limit(c, &e);
	if (r == 0)
		r = enter_root(c, &e);
	if (r == 0)
		r = drop_user(c, &e);
	if (r == 0 && c->keep_ram)
		r = filter_holes(&e);
	/* the parent may have ended before PDEATHSIG was set; then nobody reads this pipe */
	struct pollfd p = {.fd = status};
	if (r == 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLERR))
		_exit(127);
	if (r == 0) {
		umask(077);
		execve(c->program, c->argv, (char *[]){NULL});
		err_errno(&e, errno, "exec %s", c->program);
	}
	(void)!write(status, &e, sizeof(e));
	_exit(127);
}

int confine_spawn(const struct confine *c, pid_t *ret, int *ret_pidfd, struct err *e)
{
	_cleanup_close_ int pidfd = -1;
	int p[2];
	struct err from_child;
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
			CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};

	if (c->nfds > VM_FDS_MAX)
		return err_set(e, EINVAL, "too many descriptors for QEMU");
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(p[0]);
		child(c, p[1]);
	}
	close(p[1]);
	if (pid < 0) {
		int r = err_errno(e, errno, "make the namespaces for QEMU");
		close(p[0]);
		return r;
	}
	ssize_t n = fd_read_full(p[0], &from_child, sizeof(from_child));
	close(p[0]);
	if (n != 0) { /* exec closes the pipe; what comes before that is an error */
		waitpid((pid_t)pid, NULL, 0);
		if (n != sizeof(from_child))
			return err_set(e, EIO, "start QEMU: it ended before its start");
		from_child.msg[sizeof(from_child.msg) - 1] = 0;
		*e = from_child;
		return err_wrap(e, "start QEMU");
	}
	*ret = (pid_t)pid;
	*ret_pidfd = steal_fd(&pidfd);
	return 0;
}
