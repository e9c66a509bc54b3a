/*
 * The supervisor of one network's dnsmasq. It sleeps until something happens:
 *
 *   dnsmasq ended         why is in dns.error; started again at once, or later and later while it keeps ending soon
 *   its stderr closed     it has bound its sockets and let go of the pipe: dns.error goes
 *   hosts/ changed        with the last file the time of o->linger_s begins, with the first it is called off. Where resolv.conf leads
 *                         is looked at again, as dnsmasq follows the file that it was given, not the link to it
 *   a link changed        the bridge has gone: the end, unless there is another of its name (main.c looks again)
 *   SIGTERM, SIGINT       the end
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/path.h"
#include "base/proc.h"
#include "dns/dns.h"

enum { DELAY_MIN_MS = 50, DELAY_MAX_MS = 5000, SETTLED_MS = 5000 };

struct server {
	const struct dns_options *o;
	int dir;
	char *program;
	unsigned bridge; /* its index */
	struct loop *loop;
	int signals, inotify, netlink;
	struct source *linger;
	bool told; /* to end, whoever may be there */

	/* dnsmasq; pid 0: it does not run */
	pid_t pid;
	int pidfd, output;
	struct source *on_end, *on_output, *retry;
	char said[1024]; /* the first of what it wrote to stderr */
	size_t said_len;
	char *resolv; /* what it was given */
	uint64_t started_ms;
	unsigned delay_ms; /* before the next start */
};

static void start_dnsmasq(struct server *s);

static void write_pids(struct server *s)
{
	_cleanup_buf_ struct buf b = {0};
	pid_t pids[] = {getpid(), s->pid};
	uint64_t start;

	for (size_t i = 0; i < 2; i++)
		if (pids[i] && proc_start_time(pids[i], &start) == 0)
			buf_addf(&b, "%d %llu\n", pids[i], (unsigned long long)start);
	if (b.len)
		file_replace(s->dir, "dns.pid", b.data, b.len, 0600);
}

/* One line of printable ASCII: a dnsmasq that was taken over chooses what it says. */
static void write_error(struct server *s, const char *text)
{
	char line[256];
	size_t n = 0;

	for (; *text && n < sizeof(line) - 1; text++)
		line[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
	line[n++] = '\n';
	file_replace(s->dir, "dns.error", line, n, 0600);
}

/* ---- dnsmasq ---- */

/* The file behind the name, NULL if it leads nowhere. A file that may still come is named by its directory. */
static char *find_resolv(const char *path)
{
	struct stat st;
	char *real = realpath(path, NULL);

	if (real || lstat(path, &st) == 0)
		return real;
	_cleanup_free_ char *dir = strndup(path, (size_t)(path_base(path) - path));
	_cleanup_free_ char *real_dir = dir ? realpath(dir, NULL) : NULL;
	return real_dir ? path_join(real_dir, path_base(path)) : NULL;
}

static void read_output(struct server *s)
{
	char piece[1024];
	ssize_t n;

	while ((n = read(s->output, piece, sizeof(piece))) > 0) {
		size_t room = sizeof(s->said) - 1 - s->said_len, k = (size_t)n < room ? (size_t)n : room;
		memcpy(s->said + s->said_len, piece, k);
		s->said_len += k;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	source_remove(&s->on_output);
	close_fd(&s->output);
	if (!s->said_len) /* the last words of one that fails come before */
		unlinkat(s->dir, "dns.error", 0);
}

static void on_output(void *data, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	read_output(data);
}

static void forget_dnsmasq(struct server *s)
{
	source_remove(&s->on_end);
	source_remove(&s->on_output);
	close_fd(&s->pidfd);
	close_fd(&s->output);
	s->pid = 0;
}

static void on_retry(void *data)
{
	struct server *s = data;

	s->retry = NULL;
	start_dnsmasq(s);
}

static void start_later(struct server *s, const char *why)
{
	write_error(s, why);
	if (clock_mono_ms() - s->started_ms >= SETTLED_MS)
		s->delay_ms = 0;
	s->retry = loop_add_timer(s->loop, s->delay_ms, on_retry, s);
	if (!s->retry)
		loop_stop(s->loop);
	s->delay_ms = s->delay_ms ? s->delay_ms * 2 : DELAY_MIN_MS;
	if (s->delay_ms > DELAY_MAX_MS)
		s->delay_ms = DELAY_MAX_MS;
}

/* The last line that it wrote, or how it ended. */
static void describe_end(struct server *s, const siginfo_t *how, char *ret, size_t size)
{
	while (s->said_len && s->said[s->said_len - 1] == '\n')
		s->said_len--;
	s->said[s->said_len] = 0;
	const char *newline = strrchr(s->said, '\n');
	if (s->said_len)
		snprintf(ret, size, "%s", newline ? newline + 1 : s->said);
	else
		snprintf(ret, size,
			how->si_code == CLD_EXITED ? "dnsmasq ended with status %d" : "dnsmasq was ended by signal %d",
			how->si_status);
}

static void on_end(void *data, int fd, uint32_t events)
{
	struct server *s = data;
	siginfo_t how = {0};
	char why[1024];

	(void)events;
	if (waitid(P_PIDFD, (id_t)fd, &how, WEXITED | WNOHANG) < 0 || !how.si_pid)
		return;
	if (s->output >= 0)
		read_output(s);
	describe_end(s, &how, why, sizeof(why));
	forget_dnsmasq(s);
	write_pids(s);
	start_later(s, why);
}

/* It keeps nothing that a gentler end would save. */
static void stop_dnsmasq(struct server *s)
{
	siginfo_t how;

	source_remove(&s->retry);
	if (!s->pid)
		return;
	pidfd_signal(s->pidfd, SIGKILL);
	while (waitid(P_PIDFD, (id_t)s->pidfd, &how, WEXITED) < 0 && errno == EINTR)
		;
	forget_dnsmasq(s);
}

static int spawn_dnsmasq(struct server *s, struct err *e)
{
	_cleanup_strv_ char **argv = NULL;
	_cleanup_close_ int output = -1;
	int p[2];

	free(s->resolv);
	s->resolv = s->o->internal ? NULL : find_resolv(s->o->resolv);
	s->started_ms = clock_mono_ms();
	s->said_len = 0;
	int r = dnsmasq_args(s->o, s->resolv, &argv, e);
	if (r < 0)
		return r;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	s->output = p[0];
	output = p[1];
	fd_nonblock(s->output, true);
	struct place place = {
		.program = s->program, .argv = argv, .dir = s->o->dir, .resolv = s->resolv, .output = output};
	pid_t pid = place_spawn(&place, &s->pidfd, e);
	if (pid < 0)
		return pid;
	s->pid = pid;
	s->on_end = loop_add_fd(s->loop, s->pidfd, EPOLLIN, on_end, s);
	s->on_output = loop_add_fd(s->loop, s->output, EPOLLIN, on_output, s);
	return s->on_end && s->on_output ? 0 : err_nomem(e);
}

static void start_dnsmasq(struct server *s)
{
	struct err e = ERR_INIT;
	int r = spawn_dnsmasq(s, &e);

	if (r < 0) {
		stop_dnsmasq(s);
		forget_dnsmasq(s);
		start_later(s, e.msg);
	}
	write_pids(s);
}

/* ---- what happens around it ---- */

static void on_linger(void *data)
{
	struct server *s = data;

	s->linger = NULL;
	loop_stop(s->loop);
}

static void count_hosts(struct server *s)
{
	if (dir_has_files(s->dir, "hosts"))
		source_remove(&s->linger);
	else if (!s->linger)
		s->linger = loop_add_timer(s->loop, s->o->linger_s * 1000ULL, on_linger, s);
}

static void on_hosts(void *data, int fd, uint32_t events)
{
	struct server *s = data;
	char event[4096];

	(void)events;
	while (read(fd, event, sizeof(event)) > 0)
		;
	count_hosts(s);
	if (!s->pid || s->o->internal)
		return;
	_cleanup_free_ char *resolv = find_resolv(s->o->resolv);
	if (strcmp(resolv ? resolv : "", s->resolv ? s->resolv : "") != 0) {
		stop_dnsmasq(s);
		start_dnsmasq(s);
	}
}

static void on_link(void *data, int fd, uint32_t events)
{
	struct server *s = data;
	char message[8192];

	(void)events;
	/* messages may have been lost (ENOBUFS): what they say is asked anew */
	while (recv(fd, message, sizeof(message), 0) > 0 || errno == ENOBUFS)
		;
	if (if_nametoindex(s->o->bridges[0]) != s->bridge)
		loop_stop(s->loop);
}

static void on_signal(void *data, int fd, uint32_t events)
{
	struct server *s = data;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) > 0) {
		s->told = true;
		loop_stop(s->loop);
	}
}

static int watch_links(struct err *e)
{
	struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&links, sizeof(links)) < 0)
		return err_errno(e, errno, "watch the interfaces");
	return steal_fd(&fd);
}

static int watch_hosts(int dir, struct err *e)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/hosts", dir);
	if (fd < 0 || inotify_add_watch(fd, path, IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR) < 0)
		return err_errno(e, errno, "watch the hosts files");
	return steal_fd(&fd);
}

static int set_up(struct server *s, const sigset_t *ends, struct err *e)
{
	char found[PATH_MAX];
	int r;

	if (!proc_find_program("dnsmasq", found, sizeof(found)))
		return err_set(e, ENOENT, "dnsmasq: not found in PATH");
	s->program = realpath(found, NULL);
	if (!s->program)
		return err_errno(e, errno, "%s", found);
	if ((r = loop_new(&s->loop)) < 0)
		return err_errno(e, r, "epoll");
	if ((r = s->netlink = watch_links(e)) < 0 || (r = s->inotify = watch_hosts(s->dir, e)) < 0)
		return r;
	s->bridge = if_nametoindex(s->o->bridges[0]);
	if (!s->bridge)
		return err_errno(e, errno, "interface %s", s->o->bridges[0]);
	s->signals = signalfd(-1, ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return err_errno(e, errno, "signalfd");
	if (!loop_add_fd(s->loop, s->netlink, EPOLLIN, on_link, s) ||
		!loop_add_fd(s->loop, s->inotify, EPOLLIN, on_hosts, s) ||
		!loop_add_fd(s->loop, s->signals, EPOLLIN, on_signal, s))
		return err_nomem(e);
	return 0;
}

static void server_done(struct server *s)
{
	stop_dnsmasq(s);
	loop_free(s->loop);
	close_fd(&s->netlink);
	close_fd(&s->inotify);
	close_fd(&s->signals);
	free(s->program);
	free(s->resolv);
}

bool dns_is_wanted(const struct dns_options *o, int dir)
{
	return dir_has_files(dir, "hosts") && if_nametoindex(o->bridges[0]);
}

int dns_serve(const struct dns_options *o, int dir, struct err *e)
{
	struct server s = {.o = o, .dir = dir, .signals = -1, .inotify = -1, .netlink = -1, .pidfd = -1, .output = -1};
	sigset_t ends;

	/* they stay blocked: one that comes between two rounds ends the second */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	write_pids(&s);
	int r = set_up(&s, &ends, e);
	if (r == 0) {
		start_dnsmasq(&s);
		count_hosts(&s);
		r = loop_run(s.loop);
		if (r < 0)
			err_errno(e, r, "wait for events");
	}
	if (r < 0)
		write_error(&s, e->msg);
	else
		unlinkat(dir, "dns.error", 0);
	unlinkat(dir, "dns.pid", 0);
	server_done(&s);
	return r < 0 ? r : !s.told;
}
