/*
 * The directories a VM shares with the host: one virtiofsd per VM, in a mount namespace of its own in which the plan's binds, and nothing else, are put
 * below one small read-only tmpfs, under their numbers. Read-only binds are read-only there, so that the guest's kernel need not be trusted with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
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

enum { BINDS_MAX = 512, LISTENER_FD = 3 };
#define SOCKET_NAME "share.sock"

bool share_needed(const struct plan *p)
{
	for (size_t i = 0; i < p->mounts_len; i++)
		if (p->mounts[i].type == PLAN_MOUNT_BIND)
			return true;
	return false;
}

/*
 * cache=auto with a time-out of 0: an edit on the host is seen at once, mmap works. QEMU's C daemon has -o, the later Rust one long options; the Rust
 * daemon's cache=auto revalidates by itself. Locks stay inside the VM: the C daemon cannot wait for one.
 */
int share_argv(const char *title, const char *help, const char *source, int fd, char ***ret)
{
	bool rust = strstr(help, "--shared-dir") != NULL;
	_cleanup_strv_ char **v = NULL;
	int r = strv_push(&v, title);

	if (r >= 0)
		r = strv_pushf(&v, "--fd=%d", fd);
	if (r >= 0)
		r = strv_push(&v, "--rlimit-nofile=0");
	if (rust) {
		for (const char *const *o = (const char *const[]){"--cache=auto", "--announce-submounts", "--xattr",
			     "--sandbox=namespace", "--inode-file-handles=never", NULL};
			r >= 0 && *o; o++)
			r = strv_push(&v, *o);
		if (r >= 0)
			r = strv_pushf(&v, "--shared-dir=%s", source);
	} else {
		if (r >= 0)
			r = strv_push(&v, "-o");
		if (r >= 0)
			r = strv_pushf(&v, "source=%s,cache=auto,timeout=0,announce_submounts,xattr,sandbox=namespace",
				source);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(v);
	return 0;
}

/* ---- in the child ---- */

/* A copy of the host's mounts at and below `source`, before anything is mounted over it. */
static int take_tree(const struct plan_mount *m, struct err *e)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0);
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, m->source, flags);

	return fd < 0 ? err_errno(e, errno, "share %s", m->source) : fd;
}

static int put_tree(const struct plan_mount *m, int tree, int root, unsigned n, struct err *e)
{
	/* the guest may make nodes and setuid files here: nobody but it is to use them */
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC |
			(m->readonly ? MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE};
	struct stat st;
	char name[16];

	snprintf(name, sizeof(name), "%u", n);
	if (fstat(tree, &st) < 0)
		return err_errno(e, errno, "share %s", m->source);
	if (S_ISDIR(st.st_mode)) {
		if (mkdirat(root, name, 0755) < 0)
			return err_errno(e, errno, "share %s", m->source);
	} else {
		_cleanup_close_ int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_errno(e, errno, "share %s", m->source);
	}
	if (syscall(SYS_move_mount, tree, "", root, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "share %s", m->source);
	if (syscall(SYS_mount_setattr, root, name, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "share %s %s", m->source, m->readonly ? "read-only" : "privately");
	return 0;
}

static int compose(const struct plan *p, const char *where, struct err *e)
{
	struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
	int trees[BINDS_MAX];
	unsigned n = 0;

	for (size_t i = 0; i < p->mounts_len; i++) {
		if (p->mounts[i].type != PLAN_MOUNT_BIND)
			continue;
		if (n == BINDS_MAX)
			return err_set(e, E2BIG, "more than %d mounts of host directories", BINDS_MAX);
		trees[n] = take_tree(&p->mounts[i], e);
		if (trees[n++] < 0)
			return -e->code;
	}
	if (mount("share", where, "tmpfs", 2 | 4 | 8 /* nosuid nodev noexec */, "size=1m,mode=755") < 0)
		return err_errno(e, errno, "mount %s", where);
	_cleanup_close_ int root = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(e, errno, "open %s", where);
	n = 0;
	for (size_t i = 0; i < p->mounts_len; i++) {
		if (p->mounts[i].type != PLAN_MOUNT_BIND)
			continue;
		int r = put_tree(&p->mounts[i], trees[n], root, n, e);
		close(trees[n++]);
		if (r < 0)
			return r;
	}
	if (syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_errno(e, errno, "make %s read-only", where);
	return 0;
}

/* It keeps a descriptor for every file the guest knows: the soft limit goes up to the hard one. */
static void raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

struct share_child {
	const struct plan *plan;
	const char *where;
	const char *program;
	int listener;
	int output;
	pid_t parent;
};

/* Whoever looks at `ps` sees whose it is, as with QEMU. */
static int make_argv(const struct share_child *c, char ***ret, struct err *e)
{
	_cleanup_buf_ struct buf help = {0};
	_cleanup_free_ char *title = str_fmt("virtiofsd:caisson-%s", c->plan->name);
	int r = proc_run((char *[]){(char *)c->program, (char *)"--help", NULL}, &help, e);

	if (r < 0)
		return r;
	return !title || share_argv(title, help.data ? help.data : "", c->where, LISTENER_FD, ret) < 0 ? err_nomem(e)
												       : 0;
}

static __attribute__((noreturn)) void child(const struct share_child *c, int status)
{
	struct err e = ERR_INIT;
	sigset_t set;
	int listener = c->listener, output = c->output;
	char **argv = NULL;

	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != c->parent)
		_exit(127);
	setsid(); /* keys of a terminal are for the workload */
	int r = fd_keep(LISTENER_FD, (int *const[]){&listener, &output, &status}, 3);
	if (r < 0)
		err_errno(&e, r, "put virtiofsd's descriptors in order");
	else if (unshare(CLONE_NEWNS) < 0 || mountns_make_private(NULL) < 0)
		r = err_errno(&e, errno, "make a mount namespace for virtiofsd");
	if (r == 0)
		r = make_argv(c, &argv, &e);
	if (r == 0)
		r = compose(c->plan, c->where, &e);
	if (r == 0) {
		raise_files();
		umask(0);
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		fd_cloexec(listener, false);
		dup2(null, 0);
		dup2(output, 1);
		dup2(output, 2);
		execve(c->program, argv, (char *[]){(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL});
		err_errno(&e, errno, "exec %s", c->program);
	}
	(void)!write(status, &e, sizeof(e));
	_exit(127);
}

static int spawn(struct share_child *c, struct share *ret, struct err *e)
{
	int p[2];

	c->parent = getpid();
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		child(c, p[1]);
	}
	close(p[1]);
	int fd = pid < 0 ? -errno : proc_pidfd(pid);
	if (fd < 0) {
		close(p[0]);
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		return err_errno(e, fd, "start virtiofsd");
	}
	*ret = (struct share){.pid = pid, .pidfd = fd, .status = p[0], .sock = -1};
	return 0;
}

int share_started(int status, struct err *e)
{
	struct err from_child;
	ssize_t n = fd_read_full(status, &from_child, sizeof(from_child));

	if (n == 0)
		return 0;
	if (n != sizeof(from_child))
		return err_set(e, EIO, "start virtiofsd: it ended before its start");
	from_child.msg[sizeof(from_child.msg) - 1] = 0;
	*e = from_child;
	return err_wrap(e, "start virtiofsd");
}

int share_start(const struct isolation_host *h, const struct plan *p, int container_dir, int output, struct share *ret,
	struct err *e)
{
	char program[1024];
	_cleanup_close_ int listener = -1, sock = -1;
	_cleanup_free_ char *where = path_join(h->run_dir, "share");
	int r = virtiofsd_find(h, program, sizeof(program), e);

	if (r < 0)
		return r;
	r = where ? mkdir_p(AT_FDCWD, where, 0700) : -ENOMEM;
	if (r < 0)
		return err_errno(e, r, "make %s/share", h->run_dir);
	unlinkat(container_dir, SOCKET_NAME, 0);
	r = listener = unix_listen(container_dir, SOCKET_NAME, 0600);
	if (r >= 0)
		r = sock = unix_connect(container_dir, SOCKET_NAME);
	unlinkat(container_dir, SOCKET_NAME, 0);
	if (r < 0)
		return err_errno(e, r, "make the socket to virtiofsd");
	struct share_child c = {.plan = p, .where = where, .program = program, .listener = listener, .output = output};
	r = spawn(&c, ret, e);
	if (r == 0)
		ret->sock = steal_fd(&sock);
	return r;
}
