/* Terminal modes and detach keys. */
#include "cli/term.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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
