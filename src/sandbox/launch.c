/* From a process in the container's namespaces to the workload. */
#include "sandbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox/caps.h"
#include "sandbox/files.h"
#include "sandbox/rlimit.h"
#include "sandbox/seccomp.h"
#include "sandbox/setup.h"
#include "sandbox/user.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
enum { SOCK_FD = 3 };

int report_socket(int sock[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_errno(e, errno, "make a socket pair");
	return 0;
}

int report_send(int sock, enum report_kind kind, pid_t pid, const struct err *e, int fd)
{
	struct report r = {.kind = kind, .pid = pid};

	if (e)
		r.err = *e;
	return fd_send(sock, &r, sizeof(r), &fd, fd >= 0);
}

int report_wait(int sock, int *ret_tty, pid_t *ret_pid, struct err *e)
{
	int failed = 0;

	for (;;) {
		struct report r;
		int fd = -1;
		size_t fds = 1;
		ssize_t n = fd_recv(sock, &r, sizeof(r), &fd, &fds);
		/* it ended without having read that its network is ready: told once, before what it has said */
		if (n == -ECONNRESET)
			continue;
		if (n <= 0)
			return n < 0 ? err_errno(e, (int)n, "hear from the container's process") : failed;
		if (n == sizeof(r) && r.kind == REPORT_FD && fds == 1 && *ret_tty < 0)
			*ret_tty = steal_fd(&fd);
		else if (n == sizeof(r) && r.kind == REPORT_PID && ret_pid)
			*ret_pid = r.pid;
		else if (n == sizeof(r) && r.kind == REPORT_ERROR && !failed) {
			r.err.msg[sizeof(r.err.msg) - 1] = 0;
			failed = r.err.code > 0 ? -r.err.code : -EIO;
			if (e)
				*e = r.err;
		}
		if (fds == 1)
			close_fd(&fd);
	}
}

void launch_reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int launch_open_tty(int pts, const struct plan_process *p, int *ret_master, int *ret_slave, struct err *e)
{
	_cleanup_close_ int master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	struct winsize w = {.ws_row = (unsigned short)p->rows, .ws_col = (unsigned short)p->cols};
	int unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_errno(e, errno, "open a terminal in /dev/pts");
	_cleanup_close_ int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_errno(e, errno, "open the terminal");
	if (p->rows && p->cols && ioctl(slave, TIOCSWINSZ, &w) < 0)
		return err_errno(e, errno, "set the terminal's size");
	*ret_master = steal_fd(&master);
	*ret_slave = steal_fd(&slave);
	return 0;
}

/* Puts stdio in place and closes everything else but the socket, for good: no descriptor of the host may be
 * reached by /proc/self/fd. */
static int take_stdio(const struct launch *l, struct err *e)
{
	struct sandbox_io io = *l->io;
	int sock = l->sock;

	if (l->tty >= 0)
		io = (struct sandbox_io){l->tty, l->tty, l->tty};
	int r = fd_keep(0, (int *const[]){&io.in, &io.out, &io.err, &sock}, 4);
	if (r < 0)
		return err_errno(e, r, "take over stdio");
	if (setsid() < 0 && errno != EPERM)
		return err_errno(e, errno, "setsid");
	if (l->tty >= 0 && ioctl(0, TIOCSCTTY, 0) < 0)
		return err_errno(e, errno, "make the terminal the controlling one");
	return 0;
}

/* The caller's keys are not for the container. Where the call is not there or not allowed, it is not for the
 * workload either. */
int launch_leave_keyring(struct err *e)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
		return err_errno(e, errno, "make a session keyring");
	return 0;
}

/* So that /dev/stdout and the terminal can be opened again by a user who is not root. */
static void give_stdio(const struct launch *l, uid_t uid)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || l->tty >= 0) && st.st_uid != uid)
			(void)!fchown(fd, uid, (gid_t)-1);
}

static int enter_cwd(const char *cwd, struct err *e)
{
	if (!str_empty(cwd) && *cwd != '/')
		return err_set(
			e, EINVAL, "the working directory '%s' is invalid, it needs to be an absolute path", cwd);
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd =
		root < 0 ? -errno : fd_open_in_root(root, str_empty(cwd) ? "/" : cwd, O_PATH | O_DIRECTORY, 0);

	if (fd < 0 || fchdir(fd) < 0)
		return err_errno(e, fd < 0 ? fd : errno, "chdir to cwd (\"%s\") set in config.json failed", cwd);
	return 0;
}

static int become(const struct launch *l, const struct user *u, struct err *e)
{
	const struct plan_process *p = l->process;
	bool filter = p->seccomp && p->seccomp_len && !l->filtered;
	int r = caps_limit_bounding(p->caps, e);

	/* without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go */
	if (r == 0 && filter && !p->no_new_privs)
		r = seccomp_install(p->seccomp, p->seccomp_len, e);
	if (r == 0)
		r = user_apply(u, e);
	if (r == 0)
		r = caps_apply(p->caps, u->uid, e);
	if (r == 0 && p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_errno(e, errno, "set no_new_privs");
	if (r == 0 && filter && p->no_new_privs)
		r = seccomp_install(p->seccomp, p->seccomp_len, e);
	/* a change of user has cleared it */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = err_errno(e, errno, "set the parent-death signal");
	return r;
}

static int fail(struct err *e, int status, int code, const char *name, const char *why)
{
	int r = err_set(e, code, "exec: \"%s\": %s", name, why);

	if (e)
		e->status = status;
	return r;
}

/* Whether the path could be executed. No magic link of /proc is followed: it may lead out of the container.
 */
static int try_path(const char *path)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	_cleanup_free_ char *full = cwd ? path_join(cwd, path) : NULL;
	_cleanup_close_ int fd = root < 0 ? -errno : fd_open_in_root(root, full ? full : path, O_PATH, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int launch_find(const char *name, char *const *env, char *ret, size_t size, struct err *e)
{
	const char *path = env_get(env, "PATH");
	char why[1200];
	int denied = 0;

	if (strchr(name, '/')) {
		int r = snprintf(ret, size, "%s", name) < (int)size ? try_path(name) : -ENAMETOOLONG;
		if (r == -ENOENT || r == -ENOTDIR) {
			snprintf(why, sizeof(why), "stat %.1000s: no such file or directory", name);
			return fail(e, EXIT_NOT_FOUND, ENOENT, name, why);
		}
		if (r < 0)
			return fail(e, EXIT_NOT_EXECUTABLE, -r, name,
				r == -EISDIR           ? "is a directory"
					: r == -EACCES ? "permission denied"
						       : strerror(-r));
		return 0;
	}
	_cleanup_strv_ char **dirs = strv_split(path ? path : DEFAULT_PATH, ":");
	strv_foreach(dir, dirs) {
		if (!*name || snprintf(ret, size, "%s/%s", dir, name) >= (int)size)
			continue;
		int r = try_path(ret);
		if (r == 0)
			return 0;
		denied |= r == -EACCES;
	}
	if (denied)
		return fail(e, EXIT_NOT_EXECUTABLE, EACCES, name, "permission denied");
	return fail(e, EXIT_NOT_FOUND, ENOENT, name, "executable file not found in $PATH");
}

static int exec_failed(int code, const char *name, struct err *e)
{
	int status = code == ENOENT || code == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	char text[64];

	if (code == ENOEXEC)
		return fail(e, status, code, name, "exec format error");
	snprintf(text, sizeof(text), "%s", strerror(code));
	if (*text >= 'A' && *text <= 'Z' && code != ELOOP)
		*text = (char)(*text - 'A' + 'a');
	return fail(e, status, code, name, text);
}

static int run(const struct launch *l, char *const *env, struct err *e)
{
	char *const *argv = l->process->argv;
	_cleanup_strv_ char **with_init = NULL;
	char path[4096];

	if (l->process->files_len) { /* the container's files are all that is wanted of it */
		close(SOCK_FD);
		files_hold();
	}
	if (!strv_len(argv))
		return err_set(e, EINVAL, "no command specified");
	int r = launch_find(argv[0], env, path, sizeof(path), e);
	if (r < 0)
		return r;
	if (l->init) {
		strcpy(path, SETUP_INIT_PATH);
		if (strv_push(&with_init, SETUP_INIT_PATH) < 0 || strv_push(&with_init, "--") < 0 ||
			strv_push_all(&with_init, argv) < 0)
			return err_nomem(e);
		argv = with_init;
	}
	/* the caller may have died before the parent-death signal was set */
	struct pollfd p = {.fd = SOCK_FD};
	if (poll(&p, 1, 0) > 0 && p.revents & POLLHUP)
		_exit(1);
	umask(022);
	execve(path, argv, env);
	return exec_failed(errno, l->process->argv[0], e);
}

int launch(const struct launch *l, struct err *e)
{
	_cleanup_strv_ char **env = strv_dup(l->process->env);
	struct user u;
	int r = take_stdio(l, e);

	if (r == 0 && !l->filtered)
		r = launch_leave_keyring(e);
	if (r == 0)
		r = rlimit_apply(l->process->rlimits, e);
	if (r < 0)
		return r;
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(e, errno, "open /");
	r = user_resolve(root, l->process->user, l->process->groups, &u, e);
	if (r < 0)
		return r;
	if (!env_get(env, "HOME") && strv_pushf(&env, "HOME=%s", u.home) < 0)
		r = err_nomem(e);
	if (r == 0)
		r = enter_cwd(l->process->cwd, e);
	if (r == 0) {
		give_stdio(l, u.uid);
		r = become(l, &u, e);
	}
	if (r == 0)
		r = run(l, env, e);
	user_done(&u);
	return r;
}
