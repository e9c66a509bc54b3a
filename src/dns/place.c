/*
 * dnsmasq's place. It reads whatever the containers send, so there is little that it can see or do:
 *
 *   uid    dnsmasq, where the system has such a user, else nobody; no groups; no capability but CAP_NET_BIND_SERVICE; no_new_privs
 *   mnt    a read-only root with the programs and libraries of the host, the directory of resolv.conf (a file in it is replaced by
 *          rename, so the file alone would not do), the network's hosts files, /dev/null and /dev/urandom. The directory of the
 *          network stays closed to all other users.
 *   pid    it is PID 1: the processes that it forks for queries by TCP end with it
 *   net    the host's, where the bridge and the resolvers are
 *   fds    stdin is /dev/null, stdout and stderr go to the supervisor until it has started
 *
 * It dies with the supervisor (PR_SET_PDEATHSIG).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mountns.h"
#include "base/path.h"
#include "base/proc.h"
#include "dns/dns.h"

enum { TREES_MAX = 8 };

/* What is copied from the host's tree into the new root. */
struct tree {
	const char *to; /* absolute */
	int fd;
	bool file;
};

struct trees {
	struct tree v[TREES_MAX];
	size_t n;
};

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]);
}

/* Takes `from` as it is now, before anything is mounted over it. */
static int take(struct trees *t, const char *from, const char *to, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < t->n; i++)
		if (is_below(to, t->v[i].to))
			return 0;
	int fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "%s", from);
	bool file = !S_ISDIR(st.st_mode);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (file ? 0 : MOUNT_ATTR_NODEV)};
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "make %s read-only", from);
	t->v[t->n++] = (struct tree){.to = to, .fd = fd, .file = file};
	return 0;
}

/* A folder of the top, if there is one. A link (of /lib, into /usr) is made again. */
static int take_top(struct trees *t, const char *path, int root, struct err *e)
{
	char target[256];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return access(path, F_OK) == 0 ? take(t, path, path, e) : 0;
	target[n] = 0;
	return symlinkat(target, root, path + 1) < 0 ? err_errno(e, errno, "link %s", path) : 0;
}

static int put(const struct tree *t, int root, struct err *e)
{
	const char *to = t->to + 1;
	_cleanup_free_ char *parent = strndup(to, (size_t)(path_base(to) - to));
	_cleanup_close_ int file = -1;

	if (!parent)
		return err_nomem(e);
	int r = mkdir_p(root, t->file ? parent : to, 0755);
	if (r < 0)
		return err_errno(e, r, "make %s", t->to);
	if (t->file)
		file = openat(root, to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if ((t->file && file < 0) || move_mount(t->fd, "", root, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "mount %s", t->to);
	return 0;
}

/* Fills the new root, which is mounted over the network's directory in this mount namespace. */
static int compose(const struct place *p, const char *hosts, const char *resolv_dir, int *ret, struct err *e)
{
	struct trees t = {0};
	struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
	_cleanup_free_ char *top = strndup(p->program, 1 + strcspn(p->program + 1, "/"));

	if (!top)
		return err_nomem(e);
	if (take(&t, hosts, DNS_HOSTS, e) < 0)
		return -e->code;
	if (mount("caisson-dns", p->dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755") < 0)
		return err_errno(e, errno, "mount %s", p->dir);
	_cleanup_close_ int root = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(e, errno, "open %s", p->dir);
	if (take(&t, top, top, e) < 0 || take_top(&t, "/usr", root, e) < 0 || take_top(&t, "/lib", root, e) < 0 ||
		take_top(&t, "/lib64", root, e) < 0 || take(&t, "/dev/null", "/dev/null", e) < 0 ||
		take(&t, "/dev/urandom", "/dev/urandom", e) < 0 ||
		(resolv_dir && take(&t, resolv_dir, resolv_dir, e) < 0))
		return -e->code;
	for (size_t i = 0; i < t.n; i++)
		if (put(&t.v[i], root, e) < 0)
			return -e->code;
	if (mount_setattr(root, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_errno(e, errno, "make dnsmasq's root read-only");
	*ret = steal_fd(&root);
	return 0;
}

static int enter_root(const struct place *p, struct err *e)
{
	_cleanup_free_ char *hosts = path_join(p->dir, "hosts"), *resolv_dir = NULL;
	_cleanup_close_ int root = -1;
	bool chrooted;

	if (p->resolv)
		resolv_dir = strndup(p->resolv, (size_t)(path_base(p->resolv) - p->resolv) - 1);
	if (!hosts || (p->resolv && !resolv_dir))
		return err_nomem(e);
	if (resolv_dir && !*resolv_dir)
		return err_set(e, EINVAL, "%s: it must be in a directory", p->resolv);
	int r = mountns_make_private(&chrooted);
	if (r < 0)
		return err_errno(e, r, "make the mounts private");
	r = compose(p, hosts, resolv_dir, &root, e);
	if (r < 0)
		return r;
	r = mountns_pivot(root, chrooted);
	return r < 0 ? err_errno(e, r, "enter dnsmasq's root") : 0;
}

static void find_user(uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *pw = getpwnam("dnsmasq");

	if (!pw || !pw->pw_uid)
		pw = getpwnam("nobody");
	*ret_uid = pw && pw->pw_uid ? pw->pw_uid : 65534;
	*ret_gid = pw && pw->pw_gid ? pw->pw_gid : 65534;
}

static int drop_rights(uid_t uid, gid_t gid, struct err *e)
{
	enum { KEEP = CAP_NET_BIND_SERVICE };
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct one[2] = {{1 << KEEP, 1 << KEEP, 1 << KEEP}};

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap != KEEP && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(e, errno, "drop capability %d", cap);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
		setresuid(uid, uid, uid) < 0)
		return err_errno(e, errno, "become user %u", uid);
	if (syscall(SYS_capset, &h, one) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, KEEP, 0, 0) < 0)
		return err_errno(e, errno, "drop capabilities");
	/* the keys of whoever started the container */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
		return err_errno(e, errno, "make a session keyring");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "prctl");
	return 0;
}

static __attribute__((noreturn)) void child(const struct place *p, int parent)
{
	static const struct rlimit none = {0, 0}, files = {1024, 1024};
	struct err e = ERR_INIT;
	struct pollfd ended = {.fd = parent, .events = POLLIN};
	sigset_t set;
	uid_t uid;
	gid_t gid;

	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_NOFILE, &files);
	find_user(&uid, &gid);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), r = 0;
	if (null < 0 || dup2(null, 0) < 0 || dup2(p->output, 1) < 0 || dup2(p->output, 2) < 0)
		r = err_errno(&e, errno, "/dev/null");
	if (r == 0)
		r = enter_root(p, &e);
	if (r == 0)
		r = drop_rights(uid, gid, &e);
	/* after the change of the user, which clears it; the supervisor may have ended before */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (poll(&ended, 1, 0) != 0)
		_exit(127);
	if (r == 0) {
		umask(077);
		execve(p->program, p->argv, (char *[]){NULL});
		err_errno(&e, errno, "exec %s", p->program);
	}
	dprintf(2, "%s\n", e.msg);
	_exit(127);
}

pid_t place_spawn(const struct place *p, int *ret_pidfd, struct err *e)
{
	_cleanup_close_ int self = proc_pidfd(getpid());
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};

	if (self < 0)
		return err_errno(e, self, "pidfd");
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		child(p, self);
	if (pid < 0)
		return err_errno(e, errno, "make the namespaces for dnsmasq");
	*ret_pidfd = pidfd;
	return (pid_t)pid;
}
