/* The hosts files of a network's containers, and the caisson-dns that serves them. */
#include "net/dns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"

enum { LOCK_FD = 3, STOP_MS = 2000 };

struct name {
	char s[192];
};

/* "networks/ID", below RUN. */
static struct name dir_name(const struct dns_place *p)
{
	struct name n;

	snprintf(n.s, sizeof(n.s), "networks/%s", p->id);
	return n;
}

static int open_dir(const struct dns_place *p)
{
	int fd = openat(p->run_fd, dir_name(p).s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* hosts/ is open to dnsmasq's user, who sees nothing above it; whatever the umask is. */
static int make_dir(const struct dns_place *p)
{
	int r = mkdir_p(p->run_fd, dir_name(p).s, 0700);

	if (r < 0)
		return r;
	_cleanup_close_ int dir = open_dir(p);
	if (dir < 0)
		return dir;
	if ((mkdirat(dir, "hosts", 0755) < 0 && errno != EEXIST) || fchmodat(dir, "hosts", 0755, 0) < 0)
		return -errno;
	return steal_fd(&dir);
}

/* ---- starting it ---- */

static char **server_args(const struct dns_place *p)
{
	char **v = NULL;
	int r = strv_push(&v, "caisson-dns");

	r |= strv_pushf(&v, "--name=%s", p->name);
	strv_foreach(bridge, p->bridges)
		r |= strv_pushf(&v, "--interface=%s", bridge);
	if (p->port)
		r |= strv_pushf(&v, "--port=%u", p->port);
	strv_foreach(a, p->listen)
		r |= strv_pushf(&v, "--listen=%s", a);
	r |= strv_pushf(&v, "--dir=%s/%s", p->run, dir_name(p).s);
	if (p->internal)
		r |= strv_push(&v, "--internal");
	r |= strv_push(&v, "--locked");
	if (r < 0) {
		strv_free(v);
		return NULL;
	}
	return v;
}

/*
 * By way of a process that ends at once: caisson-dns is nobody's child then, least of all the monitor's, who would never collect it.
 * An exec that fails is seen.
 */
static int spawn_orphan(const char *program, char *const *argv, char *const *env,
	const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr)
{
	pid_t pid = fork(), grandchild;
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(posix_spawn(&grandchild, program, actions, attr, argv, env));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* Hands the locked descriptor on, so that there is no moment without a holder. */
static int spawn_server(const struct dns_place *p, int lock, struct err *e)
{
	_cleanup_free_ char *program = path_join(p->libexec_dir, "caisson-dns");
	const char *path = getenv("PATH");
	_cleanup_free_ char *env = str_fmt("PATH=%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
	_cleanup_strv_ char **args = server_args(p);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;

	if (!program || !env || !args)
		return err_nomem(e);
	/* out of the way of the numbers that are taken first */
	_cleanup_close_ int moved = fcntl(lock, F_DUPFD_CLOEXEC, 16);
	if (moved < 0)
		return err_errno(e, errno, "dns.lock");
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	posix_spawn_file_actions_adddup2(&actions, 0, 2);
	posix_spawn_file_actions_adddup2(&actions, moved, LOCK_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, LOCK_FD + 1);
	posix_spawn_file_actions_addchdir_np(&actions, "/");
	int r = spawn_orphan(program, args, (char *[]){env, NULL}, &actions, &attr);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r < 0 ? err_errno(e, r, "%s", program) : 0;
}

static int start_in(const struct dns_place *p, int dir, struct err *e)
{
	_cleanup_close_ int lock = fd_lock_file(dir, "dns.lock", true, false);

	if (lock ==
		-EWOULDBLOCK) /* it serves, or another command starts it, or it looks at hosts/ once more before it ends */
		return 0;
	return lock < 0 ? err_errno(e, lock, "lock dns.lock of network %s", p->name) : spawn_server(p, lock, e);
}

int dns_start(const struct dns_place *p, struct err *e)
{
	_cleanup_close_ int dir = open_dir(p);

	if (dir < 0)
		return dir == -ENOENT ? 0 : err_errno(e, dir, "names of network %s", p->name);
	return dir_has_files(dir, "hosts") ? start_in(p, dir, e) : 0;
}

/* ---- the hosts files ---- */

/* Made outside of hosts/, where dnsmasq would read what is not complete. */
static int write_hosts(int dir, const char *container_id, const char *text)
{
	struct name tmp, to;

	if (snprintf(tmp.s, sizeof(tmp.s), "new-%s", container_id) >= (int)sizeof(tmp.s) ||
		snprintf(to.s, sizeof(to.s), "hosts/%s", container_id) >= (int)sizeof(to.s))
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = openat(dir, tmp.s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, text, strlen(text));
	if (r == 0 && (fchmod(fd, 0644) < 0 || renameat(dir, tmp.s, dir, to.s) < 0))
		r = -errno;
	if (r < 0)
		unlinkat(dir, tmp.s, 0);
	return r;
}

int dns_add(const struct dns_place *p, const char *container_id, const char *text, struct err *e)
{
	_cleanup_close_ int dir = make_dir(p);
	int r = dir < 0 ? dir : write_hosts(dir, container_id, text);

	return r < 0 ? err_errno(e, r, "names of network %s", p->name) : start_in(p, dir, e);
}

int dns_write(const struct dns_place *p, const char *container_id, const char *text, struct err *e)
{
	_cleanup_close_ int dir = make_dir(p);
	int r = dir < 0 ? dir : write_hosts(dir, container_id, text);

	return r < 0 ? err_errno(e, r, "names of network %s", p->name) : 0;
}

int dns_remove(const struct dns_place *p, const char *container_id)
{
	struct name file, unfinished;

	if (snprintf(file.s, sizeof(file.s), "%s/hosts/%s", dir_name(p).s, container_id) >= (int)sizeof(file.s) ||
		snprintf(unfinished.s, sizeof(unfinished.s), "%s/new-%s", dir_name(p).s, container_id) >=
			(int)sizeof(unfinished.s))
		return -ENAMETOOLONG;
	unlinkat(p->run_fd, unfinished.s, 0); /* of a command that was killed */
	return unlinkat(p->run_fd, file.s, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- its processes ---- */

struct server {
	pid_t pids[2]; /* caisson-dns, dnsmasq */
	uint64_t starts[2];
};

/* What dns.pid says; it may be out of date. */
static void read_pids(int dir, struct server *ret)
{
	_cleanup_buf_ struct buf b = {0};

	*ret = (struct server){0};
	if (file_read(dir, "dns.pid", 256, &b) == 0 && b.len)
		sscanf(b.data, "%d %" SCNu64 "\n%d %" SCNu64, &ret->pids[0], &ret->starts[0], &ret->pids[1],
			&ret->starts[1]);
}

/* A pidfd, or -ESRCH if it has ended, be it collected or not. The descriptor comes first: it cannot become another's. */
static int open_process(const struct server *s, size_t i)
{
	_cleanup_close_ int fd = s->pids[i] > 0 ? proc_pidfd(s->pids[i]) : -1;
	uint64_t start;

	if (fd < 0 || proc_start_time(s->pids[i], &start) < 0 || start != s->starts[i] ||
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) != 0)
		return -ESRCH;
	return steal_fd(&fd);
}

static pid_t running(const struct server *s, size_t i)
{
	_cleanup_close_ int fd = open_process(s, i);

	return fd >= 0 ? s->pids[i] : 0;
}

void dns_pids(const struct dns_place *p, struct dns_pids *ret)
{
	_cleanup_close_ int dir = open_dir(p);
	struct server s = {0};

	if (dir >= 0)
		read_pids(dir, &s);
	*ret = (struct dns_pids){.supervisor = running(&s, 0), .dnsmasq = running(&s, 1)};
}

bool dns_error(const struct dns_place *p, char *ret, size_t size)
{
	_cleanup_close_ int dir = open_dir(p);

	return dir >= 0 && file_read_line(dir, "dns.error", ret, size) == 0;
}

static int poll_until(struct pollfd *p, uint64_t end)
{
	uint64_t now = clock_mono_ms();

	return poll(p, 1, now < end ? (int)(end - now) : 0);
}

/* Tells it to end and waits; -ESRCH if there is none (yet). */
static int end_server(int dir, uint64_t end)
{
	struct server s;

	read_pids(dir, &s);
	_cleanup_close_ int fd = open_process(&s, 0);
	if (fd < 0)
		return fd;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	pidfd_signal(fd, SIGTERM);
	if (poll_until(&p, end) == 1)
		return 0;
	pidfd_signal(fd, SIGKILL);
	return poll_until(&p, clock_mono_ms() + 100) == 1 ? 0 : -ETIMEDOUT;
}

int dns_stop(const struct dns_place *p)
{
	_cleanup_close_ int dir = open_dir(p), lock = -1;
	uint64_t end = clock_mono_ms() + STOP_MS;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	/* it has the lock before it says who it is */
	while ((lock = fd_lock_file(dir, "dns.lock", true, false)) == -EWOULDBLOCK) {
		if (clock_mono_ms() >= end)
			return -ETIMEDOUT;
		if (end_server(dir, end) < 0)
			poll(NULL, 0, 5);
	}
	return lock < 0 ? lock : rm_rf(p->run_fd, dir_name(p).s);
}
