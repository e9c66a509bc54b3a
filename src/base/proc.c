/* Processes: identity, pidfds, running a program; random ids. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/hash.h"

enum { DIGEST_MAX = 128 * 1024, OUTPUT_MAX = 16 << 20 };

extern char **environ;

/* /proc/PID/stat from this field on, of which the command in parentheses is the second. */
static int read_stat(pid_t pid, int field, char *line, size_t size, char **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int r = file_read_line(AT_FDCWD, path, line, size);
	if (r < 0)
		return r;
	char *p = strrchr(line, ')');
	for (int k = 2; p && k < field; k++) {
		p = strchr(p, ' ');
		p += p != NULL;
	}
	if (!p)
		return -EBADMSG;
	*ret = p;
	return 0;
}

int proc_start_time(pid_t pid, uint64_t *ret)
{
	char line[1024], *p;
	int r = read_stat(pid, 22, line, sizeof(line), &p);

	if (r < 0)
		return r;
	*ret = strtoull(p, NULL, 10);
	return 0;
}

int proc_digest(int dir, uint64_t *ret)
{
	static const char *const files[] = {"cmdline", "environ"};
	uint64_t hash = HASH_INIT;
	bool any = false;

	for (size_t i = 0; i < 2; i++) {
		_cleanup_buf_ struct buf b = {0};
		int r = file_read(dir, files[i], DIGEST_MAX, &b);
		if (r < 0 && r != -EFBIG && r != -ESRCH) /* ESRCH: no memory of its own, or none any more */
			return r;
		hash = hash_add(hash, b.data, b.len < DIGEST_MAX ? b.len : DIGEST_MAX);
		hash = hash_add(hash, "", 1);
		any = any || b.len;
	}
	*ret = any ? hash : 0;
	return 0;
}

uint64_t proc_kilobytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

int proc_cpu_ms(pid_t pid, uint64_t *ret)
{
	char line[1024], *p;
	unsigned long long user, system;
	int r = read_stat(pid, 3, line, sizeof(line), &p);

	if (r < 0)
		return r;
	if (sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return -EBADMSG;
	*ret = (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
	return 0;
}

int proc_pidfd(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

void proc_reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int pidfd_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

void proc_set_title(const char *name, const char *argument)
{
	char line[1024], *p;
	unsigned long start, end;

	prctl(PR_SET_NAME, name);
	/* where this process keeps its arguments: these are put in their place */
	if (read_stat(getpid(), 48, line, sizeof(line), &p) < 0 || sscanf(p, "%lu %lu", &start, &end) != 2 ||
		end <= start)
		return;
	size_t size = end - start, n = strlen(name) + 1;
	char *at = (char *)start;
	memset(at, 0, size);
	snprintf(at, size, "%s", name);
	if (n < size)
		snprintf(at + n, size - n, "%s", argument);
}

int proc_boot_id(char ret[37])
{
	char line[64];
	int r = file_read_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", line, sizeof(line));

	if (r < 0)
		return r;
	if (strlen(line) != 36)
		return -EBADMSG;
	memcpy(ret, line, 37);
	return 0;
}

bool proc_find_program(const char *name, char *ret, size_t size)
{
	const char *env = getenv("PATH");
	_cleanup_free_ char *path = str_fmt("%s:/usr/sbin:/sbin:/usr/bin:/usr/libexec:/usr/lib/qemu", env ? env : "");
	_cleanup_strv_ char **dirs = path ? strv_split(path, ":") : NULL;

	if (strchr(name, '/'))
		return snprintf(ret, size, "%s", name) < (int)size && access(name, X_OK) == 0;
	strv_foreach(dir, dirs) {
		if (snprintf(ret, size, "%s/%s", dir, name) < (int)size && access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

/* own_stderr: the program's is the caller's, and does not go with its output. */
static int run(char *const argv[], int in, size_t max, bool own_stderr, struct buf *out, struct err *e)
{
	char program[4096];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int p[2] = {-1, -1}, status;
	pid_t pid;

	if (!proc_find_program(argv[0], program, sizeof(program)))
		return err_set(e, ENOENT, "%s: not found in PATH", argv[0]);
	if (out && pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (out)
		posix_spawn_file_actions_adddup2(&actions, p[1], 1);
	else
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	if (!own_stderr)
		posix_spawn_file_actions_adddup2(&actions, 1, 2);
	int r = posix_spawn(&pid, program, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close_fd(&p[1]);
	if (r) {
		close_fd(&p[0]);
		return err_errno(e, r, "%s", program);
	}
	if (out) {
		if (fd_read_to_end(p[0], max, out) == -EFBIG)
			kill(pid, SIGKILL);
		close_fd(&p[0]);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "wait for %s", argv[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int proc_run(char *const argv[], struct buf *out, struct err *e)
{
	return run(argv, -1, OUTPUT_MAX, false, out, e);
}

static int run_input(
	char *const argv[], const void *input, size_t n, size_t max, bool own_stderr, struct buf *out, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("input", MFD_CLOEXEC);

	int r = fd < 0 ? -errno : fd_write_all(fd, input, n);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "pass the input of %s", argv[0]) : run(argv, fd, max, own_stderr, out, e);
}

int proc_run_input(char *const argv[], const void *input, size_t n, struct buf *out, struct err *e)
{
	return run_input(argv, input, n, OUTPUT_MAX, false, out, e);
}

int proc_run_answer(char *const argv[], const void *input, size_t n, size_t max, struct buf *out, struct err *e)
{
	return run_input(argv, input, n, max, true, out, e);
}

int random_bytes(void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = getrandom((char *)p + done, n - done, 0);
		if (k < 0 && errno != EINTR)
			return -errno;
		if (k > 0)
			done += (size_t)k;
	}
	return 0;
}

int random_id(char ret[65])
{
	uint8_t raw[32];
	int r = random_bytes(raw, sizeof(raw));

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(ret + 2 * i, 3, "%02x", raw[i]);
	return 0;
}
