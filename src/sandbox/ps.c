/* The container's processes as `ps -ef` shows them. */
#include "sandbox/ps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"

struct row {
	unsigned uid;
	char state;
	int ppid, session, tty, foreground, group, nice, threads;
	unsigned long long ticks, start, bytes;
	long long pages;
	char comm[64];
};

static int parse_stat(char *line, struct row *r)
{
	unsigned long long user, system;
	char *open = strchr(line, '('), *close = strrchr(line, ')');

	if (!open || !close || close < open)
		return -EBADMSG;
	snprintf(r->comm, sizeof(r->comm), "%.*s", (int)(close - open - 1), open + 1);
	/* proc(5), from the third field on */
	if (sscanf(close + 2, "%c %d %d %d %d %d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %d %d %*d %llu %llu %lld",
		    &r->state, &r->ppid, &r->group, &r->session, &r->tty, &r->foreground, &user, &system, &r->nice,
		    &r->threads, &r->start, &r->bytes, &r->pages) != 13)
		return -EBADMSG;
	r->ticks = user + system;
	return 0;
}

/* As the column STAT of ps. */
static void format_state(const struct row *r, pid_t pid, char ret[8])
{
	snprintf(ret, 8, "%c%s%s%s%s", r->state,
		r->nice < 0           ? "<"
			: r->nice > 0 ? "N"
				      : "",
		r->session == pid ? "s" : "", r->threads > 1 ? "l" : "", r->foreground == r->group ? "+" : "");
}

static void format_tty(int dev, char ret[16])
{
	unsigned maj = major((dev_t)dev), min = minor((dev_t)dev);

	if (maj >= 136 && maj <= 143)
		snprintf(ret, 16, "pts/%u", (maj - 136) * 256 + min);
	else if (maj == 4)
		snprintf(ret, 16, "tty%u", min);
	else
		strcpy(ret, "?");
}

/* The text of one of a process's files; it holds what the process likes, also newlines. */
static ssize_t read_text(int dir, const char *name, char *text, size_t size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : fd_read_full(fd, text, size - 1);

	text[n > 0 ? n : 0] = 0;
	return n;
}

/* Fills cmd with the arguments of the process, or [comm] for one that has none; what is not printable becomes
 * '?'. */
static void read_command(int dir, const char *comm, char *cmd, size_t size)
{
	ssize_t n = read_text(dir, "cmdline", cmd, size);

	if (n <= 0)
		n = snprintf(cmd, size, "[%s]", comm);
	while (n > 1 && !cmd[n - 1])
		n--;
	cmd[n] = 0;
	for (ssize_t i = 0; i < n; i++) {
		if (!cmd[i])
			cmd[i] = ' ';
		else if ((unsigned char)cmd[i] < ' ' || cmd[i] == 127)
			cmd[i] = '?';
	}
}

static int add_row(pid_t pid, time_t now, double uptime, char ***lines)
{
	char path[32], line[1024], tty[16], user[16] = "root", stime[16], cmd[4096], state[8];
	struct row r = {0};
	struct sysinfo info;
	struct stat st;
	long hz = sysconf(_SC_CLK_TCK);
	struct tm tm;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0 || read_text(dir, "stat", line, sizeof(line)) < 0 ||
		parse_stat(line, &r) < 0)
		return 0; /* it has ended since */
	if (st.st_uid)
		snprintf(user, sizeof(user), "%u", st.st_uid);
	double age = uptime - (double)r.start / (double)hz;
	time_t started = now - (time_t)age;
	localtime_r(&started, &tm);
	strftime(stime, sizeof(stime), age < 86400 ? "%H:%M" : "%b%d", &tm);
	format_tty(r.tty, tty);
	read_command(dir, r.comm, cmd, sizeof(cmd));
	unsigned long long s = r.ticks / (unsigned long)hz;
	unsigned long long kib =
		r.pages > 0 ? (unsigned long long)r.pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024 : 0;
	double load = age > 0 ? (double)r.ticks * 100 / (double)hz / age : 0;
	double total = sysinfo(&info) == 0 ? (double)info.totalram * info.mem_unit / 1024 : 0;
	format_state(&r, pid, state);
	for (char *c = r.comm; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	/* the command is last, as it is what may be cut */
	return strv_pushf(lines,
		"%s\t%d\t%d\t%d\t%s\t%s\t%02llu:%02llu:%02llu\t%s\t%llu\t%llu\t%d\t%.1f\t%.1f\t%.0f\t%s\t%s", user, pid,
		r.ppid, load > 99 ? 99 : (int)load, stime, tty, s / 3600, s / 60 % 60, s % 60, state, r.bytes / 1024,
		kib, r.nice, load, total > 0 ? (double)kib * 100 / total : 0, age > 0 ? age : 0, *r.comm ? r.comm : "?",
		cmd);
}

int sandbox_ps(const struct sandbox *s, char ***ret_lines)
{
	_cleanup_strv_ char **lines = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;
	struct timespec up;

	int r = sandbox_pids(s, &pids, &n);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_BOOTTIME, &up);
	for (size_t i = 0; i < n; i++) {
		r = add_row(pids[i], time(NULL), (double)up.tv_sec + (double)up.tv_nsec / 1e9, &lines);
		if (r < 0)
			return r;
	}
	*ret_lines = steal_ptr(lines);
	return 0;
}
