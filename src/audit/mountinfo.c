/* Lines of mountinfo. */
#include "audit/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

enum { TEXT_MAX = 16 << 20, FIELDS = 6 };

/* "\040" and the like, in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool parse_line(char *line, struct mount *m)
{
	char *field[FIELDS], *save = NULL, *behind = strstr(line, " - ");

	if (!behind)
		return false;
	*behind = 0;
	for (size_t i = 0; i < FIELDS; i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	if (sscanf(field[2], "%u:%u", &m->major, &m->minor) != 2)
		return false;
	m->root = field[3];
	m->point = field[4];
	m->options = field[5];
	/* the source may be empty, which leaves two spaces */
	m->type = behind + 3;
	char *source = strchr(m->type, ' '), *super = source ? strchr(source + 1, ' ') : NULL;
	if (!super)
		return false;
	*source = *super = 0;
	m->source = source + 1;
	m->super = super + 1;
	unescape(m->root);
	unescape(m->point);
	unescape(m->source);
	unescape(m->super);
	return true;
}

int mounts_parse(char *text, struct mounts *ret)
{
	size_t room = 0;
	char *save = NULL;

	*ret = (struct mounts){.text = text};
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		if (ret->len == room) {
			room = room ? 2 * room : 64;
			struct mount *v = realloc(ret->v, room * sizeof(*v));
			if (!v)
				return -ENOMEM;
			ret->v = v;
		}
		ret->len += parse_line(line, &ret->v[ret->len]);
	}
	return 0;
}

int mounts_read(int dir, struct mounts *ret)
{
	struct buf b = {0};
	int r = file_read(dir, "mountinfo", TEXT_MAX, &b);

	if (r < 0) {
		*ret = (struct mounts){0};
		buf_done(&b);
		return r;
	}
	return mounts_parse(b.data, ret);
}

void mounts_done(struct mounts *m)
{
	free(m->text);
	free(m->v);
	*m = (struct mounts){0};
}

static bool has_option(const char *options, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = options; (p = strstr(p, name)); p += n)
		if ((p == options || p[-1] == ',') && (p[n] == ',' || !p[n]))
			return true;
	return false;
}

bool mount_readonly(const struct mount *m)
{
	return has_option(m->options, "ro") || has_option(m->super, "ro");
}

bool mount_is_kernels(const struct mount *m)
{
	static const char *const types[] = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", NULL};

	return str_in(m->type, types);
}

const struct mount *mounts_at(const struct mounts *m, const char *point)
{
	for (size_t i = m->len; i > 0; i--)
		if (!strcmp(m->v[i - 1].point, point))
			return &m->v[i - 1];
	return NULL;
}
