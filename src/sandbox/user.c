/* Users: look-ups in a root's passwd and group files, and the change of identity. */
#include "sandbox/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

enum { FILE_MAX = 4 << 20, GROUPS_MAX = 65536, FIELDS = 7 };

/* One line of a file with fields between colons. */
struct entry {
	char *field[FIELDS];
	size_t len;
};

/* Takes the next line off *text (which it cuts up); false at the end. */
static bool next_entry(char **text, struct entry *en)
{
	char *line = strsep(text, "\n");

	if (!line)
		return false;
	*en = (struct entry){0};
	while (line && en->len < FIELDS)
		en->field[en->len++] = strsep(&line, ":");
	return true;
}

/* 0..2147483647, as docker. -ERANGE for numbers beyond, -EINVAL for what is no number. */
static int parse_id(const char *s, uint32_t *ret)
{
	uint64_t v;

	int r = parse_u64(s, &v);
	if (r == 0 && v > INT32_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

static int range_error(struct err *e)
{
	return err_set(e, EINVAL, "uids and gids must be in range 0-2147483647");
}

static int add_group(struct user *u, gid_t gid, struct err *e)
{
	for (size_t i = 0; i < u->groups_len; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->groups_len == GROUPS_MAX)
		return err_set(e, EINVAL, "too many groups");
	gid_t *p = realloc(u->groups, (u->groups_len + 1) * sizeof(*p));
	if (!p)
		return err_nomem(e);
	u->groups = p;
	p[u->groups_len++] = gid;
	return 0;
}

/* Fills uid, gid and home; *ret_name is the entry's name or NULL, the caller's. */
static int find_user(const char *passwd, const char *want, struct user *u, char **ret_name, struct err *e)
{
	_cleanup_free_ char *copy = strdup(passwd ? passwd : "");
	char *p = copy;
	struct entry en;
	uint32_t id = 0, uid = 0, gid = 0;
	int numeric = *want ? parse_id(want, &id) : 0;

	if (!copy)
		return err_nomem(e);
	while (next_entry(&p, &en)) {
		if (en.len < 4 || parse_id(en.field[2], &uid) < 0 || parse_id(en.field[3], &gid) < 0)
			continue;
		if (numeric == 0 ? uid != id : strcmp(en.field[0], want) != 0)
			continue;
		u->uid = uid;
		u->gid = gid;
		*ret_name = strdup(en.field[0]);
		u->home = strdup(en.len > 5 && *en.field[5] ? en.field[5] : "/");
		return *ret_name && u->home ? 0 : err_nomem(e);
	}
	if (numeric == -ERANGE)
		return range_error(e);
	if (numeric < 0)
		return err_set(e, EINVAL, "unable to find user %s: no matching entries in passwd file", want);
	u->uid = id;
	u->home = strdup("/");
	return u->home ? 0 : err_nomem(e);
}

/* The gid of a group by name or number; a number needs no entry. */
static int find_group(const char *group, const char *want, gid_t *ret, struct err *e)
{
	_cleanup_free_ char *copy = strdup(group ? group : "");
	char *p = copy;
	struct entry en;
	uint32_t gid = 0;

	if (!copy)
		return err_nomem(e);
	int r = parse_id(want, ret);
	if (r == -ERANGE)
		return range_error(e);
	if (r == 0)
		return 0;
	while (next_entry(&p, &en)) {
		if (en.len >= 3 && !strcmp(en.field[0], want) && parse_id(en.field[2], &gid) == 0) {
			*ret = gid;
			return 0;
		}
	}
	return err_set(e, EINVAL, "unable to find group %s: no matching entries in group file", want);
}

/* Adds the groups whose member lists have the name. */
static int add_memberships(const char *group, const char *name, struct user *u, struct err *e)
{
	_cleanup_free_ char *copy = strdup(group ? group : "");
	char *p = copy;
	struct entry en;
	uint32_t gid = 0;

	if (!copy)
		return err_nomem(e);
	while (next_entry(&p, &en)) {
		if (en.len < 4 || parse_id(en.field[2], &gid) < 0)
			continue;
		char *list = en.field[3], *member;
		while ((member = strsep(&list, ","))) {
			if (strcmp(member, name) != 0)
				continue;
			int r = add_group(u, gid, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int user_from_files(const char *passwd, const char *group, const char *spec, char *const *extra_groups,
	struct user *ret, struct err *e)
{
	_cleanup_(user_done) struct user u = {0};
	_cleanup_free_ char *copy = strdup(spec ? spec : "");
	_cleanup_free_ char *name = NULL;
	char *group_spec = copy ? strchr(copy, ':') : NULL;
	gid_t gid;

	if (!copy)
		return err_nomem(e);
	if (group_spec)
		*group_spec++ = 0;
	int r = find_user(passwd, copy, &u, &name, e);
	if (r == 0 && !str_empty(group_spec))
		r = find_group(group, group_spec, &u.gid, e);
	if (r == 0)
		r = add_group(&u, u.gid, e);
	if (r == 0 && str_empty(group_spec) && name)
		r = add_memberships(group, name, &u, e);
	strv_foreach(s, extra_groups) {
		if (r == 0)
			r = find_group(group, s, &gid, e);
		if (r == 0)
			r = add_group(&u, gid, e);
	}
	if (r < 0)
		return r;
	*ret = u;
	u = (struct user){0};
	return 0;
}

/* Reads one of the image's files; *b stays empty if there is none. Nothing but a regular file is read: a pipe
 * would never end. */
static int read_root_file(int rootfd, const char *path, struct buf *b, struct err *e)
{
	_cleanup_close_ int fd = fd_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return err_errno(e, fd, "open the container's %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "the container's %s is no regular file", path);
	int r = fd_read_to_end(fd, FILE_MAX, b);
	return r < 0 ? err_errno(e, r, "read the container's %s", path) : 0;
}

int user_resolve(int rootfd, const char *spec, char *const *extra_groups, struct user *ret, struct err *e)
{
	_cleanup_buf_ struct buf passwd = {0}, group = {0};

	int r = read_root_file(rootfd, "/etc/passwd", &passwd, e);
	if (r == 0)
		r = read_root_file(rootfd, "/etc/group", &group, e);
	return r < 0 ? r : user_from_files(passwd.data, group.data, spec, extra_groups, ret, e);
}

int user_apply(const struct user *u, struct err *e)
{
	if (setgroups(u->groups_len, u->groups) < 0)
		return err_errno(e, errno, "set the supplementary groups");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return err_errno(e, errno, "change to group %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return err_errno(e, errno, "change to user %u", u->uid);
	return 0;
}

void user_done(struct user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct user){0};
}
