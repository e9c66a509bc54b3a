/* Terminal modes and detach keys. */
#include "cli/term.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/str.h"

int term_raw(struct term *t, int fd, struct err *e)
{
	struct termios raw;

	if (!isatty(fd))
		return 0;
	if (tcgetattr(fd, &t->saved) < 0)
		return err_errno(e, errno, "terminal: read its mode");
	raw = t->saved;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return err_errno(e, errno, "terminal: set raw mode");
	t->fd = fd;
	t->raw = true;
	return 0;
}

void term_restore(struct term *t)
{
	if (t->raw)
		tcsetattr(t->fd, TCSADRAIN, &t->saved);
	t->raw = false;
}

static ssize_t read_line(char *p, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t k = read(0, p + n, 1);
		if (k < 0)
			return -errno;
		if (k == 0 || p[n] == '\n')
			break;
		n++;
	}
	return (ssize_t)n;
}

/* Until there is a line, or one of the signals has come. */
static int wait_for_line(const sigset_t *signals)
{
	struct pollfd fds[] = {
		{.fd = 0, .events = POLLIN}, {.fd = signalfd(-1, signals, SFD_CLOEXEC), .events = POLLIN}};
	int r = fds[1].fd < 0 || poll(fds, 2, -1) < 0 ? -errno : fds[1].revents ? -EINTR : 0;

	close(fds[1].fd);
	return r;
}

/* As read_line, with the echo off. What would end the program does so when it is on again: the signals are held back as long. */
static ssize_t read_unseen(const char *prompt, char *p, size_t size)
{
	struct termios shown, hidden;
	sigset_t signals, old;

	if (tcgetattr(0, &shown) < 0)
		return -errno;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &old);
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(0, TCSADRAIN, &hidden); /* before the prompt, which an answer may follow at once */
	fputs(prompt, stderr);
	ssize_t n = wait_for_line(&signals);
	if (n == 0)
		n = read_line(p, size);
	tcsetattr(0, TCSADRAIN, &shown);
	fputc('\n', stderr);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return n;
}

int term_ask(const char *prompt, bool secret, char **ret, struct err *e)
{
	char line[4096];

	if (!isatty(0))
		return err_set(e, ENOTTY, "stdin is not a terminal");
	if (!secret)
		fputs(prompt, stderr);
	ssize_t n = secret ? read_unseen(prompt, line, sizeof(line)) : read_line(line, sizeof(line));
	if (n < 0)
		return err_errno(e, (int)n, "read the terminal");
	*ret = strndup(line, (size_t)n);
	explicit_bzero(line, sizeof(line));
	return *ret ? 0 : err_nomem(e);
}

void term_size(unsigned *ret_rows, unsigned *ret_cols)
{
	struct winsize w;

	*ret_rows = *ret_cols = 0;
	for (int fd = 0; fd <= 2; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &w) == 0) {
			*ret_rows = w.ws_row;
			*ret_cols = w.ws_col;
			return;
		}
	}
}

/* One key: a character, or ctrl- and one of a-z @ [ \ ] ^ _. */
static int parse_key(const char *s, char *ret)
{
	static const char prefix[] = "ctrl-";

	if (s[0] && !s[1]) {
		*ret = s[0];
		return 0;
	}
	if (!str_starts(s, prefix))
		return -EINVAL;
	s += sizeof(prefix) - 1;
	if (!s[0] || s[1] || !(islower((unsigned char)s[0]) || strchr("@[\\]^_", s[0])))
		return -EINVAL;
	*ret = (char)(toupper((unsigned char)s[0]) - '@');
	return 0;
}

int detach_keys_parse(const char *s, struct detach_keys *ret, struct err *e)
{
	_cleanup_strv_ char **parts = strv_split(str_empty(s) ? "ctrl-p,ctrl-q" : s, ",");

	*ret = (struct detach_keys){0};
	strv_foreach(key, parts) {
		if (ret->len == DETACH_KEYS_MAX || parse_key(key, &ret->keys[ret->len++]) < 0)
			return err_set(e, EINVAL, "invalid detach keys (%s): Unknown character: '%s'", s, key);
	}
	return ret->len ? 0 : err_set(e, EINVAL, "invalid detach keys (%s)", s ? s : "");
}

bool detach_keys_filter(struct detach_keys *d, const char *p, size_t n, char *ret, size_t *ret_n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == d->keys[d->seen]) {
			if (++d->seen == d->len) {
				d->seen = 0;
				*ret_n = out;
				return true;
			}
			continue;
		}
		memcpy(ret + out, d->keys, d->seen);
		out += d->seen;
		/* the key that broke the sequence may begin it anew */
		d->seen = p[i] == d->keys[0];
		if (!d->seen)
			ret[out++] = p[i];
	}
	*ret_n = out;
	return false;
}
