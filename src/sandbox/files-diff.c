/*
 * What a container has changed: the upper directory of its overlay held against the layers below.
 *
 * As docker tells it: a file is changed if its type, owner, mode, size, time, device or capabilities are others (a file that was opened for writing
 * and left as it was is not), a directory if owner or mode are, or if anything in it is. What is gone is told once, without what was in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/files.h"

/* What a runtime makes for its mounts, which docker has in a layer of its own below the container's. */
static const char *const scaffold[] = {"dev", "dev/console", "dev/mqueue", "dev/pts", "dev/shm", "etc", "etc/hostname",
	"etc/hosts", "etc/resolv.conf", "proc", "sbin", "sbin/docker-init", "sys", NULL};

struct differ {
	int upper, lower;
	bool layer;
	struct files_writer *w;
	struct files_sender send;
};

/* A directory on the way down, told of as changed when something below it is. */
struct parent {
	const struct parent *up;
	const char *path;
	bool *told;
};

static int tell(struct differ *d, char kind, const char *path, struct err *e)
{
	if (d->layer && kind != 'D')
		return files_send_one(&d->send, path, path, e);
	int r = d->layer ? files_write_whiteout(d->w, path) : files_write_change(d->w, kind, path);
	return r < 0 ? err_errno(e, r, "send %s", path) : 0;
}

static int tell_parents(struct differ *d, const struct parent *p, struct err *e)
{
	if (!p || *p->told)
		return 0;
	int r = tell_parents(d, p->up, e);
	*p->told = true;
	return r < 0 ? r : tell(d, 'C', p->path, e);
}

static int change(struct differ *d, const struct parent *up, char kind, const char *path, struct err *e)
{
	int r = tell_parents(d, up, e);

	return r < 0 ? r : tell(d, kind, path, e);
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && !st->st_rdev;
}

static size_t capabilities(int top, const char *path, char *ret, size_t size)
{
	_cleanup_close_ int fd = files_open_below(top, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, "security.capability", ret, size);

	return n < 0 ? 0 : (size_t)n;
}

static bool same_capabilities(const struct differ *d, const char *path)
{
	char a[64], b[64];
	size_t n = capabilities(d->upper, path, a, sizeof(a));

	return n == capabilities(d->lower, path, b, sizeof(b)) && !memcmp(a, b, n);
}

static bool same(const struct differ *d, const char *path, const struct stat *a, const struct stat *b)
{
	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		return false;
	if (S_ISDIR(a->st_mode))
		return true;
	return a->st_rdev == b->st_rdev && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && (!S_ISREG(a->st_mode) || same_capabilities(d, path));
}

/* 1, 0: there is nothing, -errno */
static int look(int top, const char *path, struct stat *ret)
{
	_cleanup_close_ int fd = files_open_below(top, path, O_PATH | O_NOFOLLOW);

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	return fd < 0 ? fd : fstat(fd, ret) < 0 ? -errno : 1;
}

static bool is_scaffold(const char *path, const struct stat *st)
{
	return str_in(path, scaffold) && (S_ISDIR(st->st_mode) || (S_ISREG(st->st_mode) && !st->st_size));
}

static int walk(struct differ *d, const struct parent *p, bool in_lower, struct err *e);

static int visit(struct differ *d, const struct parent *up, const char *path, bool in_lower, struct err *e)
{
	struct stat u, l;
	int r = look(d->upper, path, &u);
	int old = r > 0 && in_lower ? look(d->lower, path, &l) : 0;
	bool told = false;
	const struct parent self = {up, path, &told};

	if (r < 0 || old < 0)
		return err_errno(e, r < 0 ? r : old, "look at %s", path);
	if (r == 0)
		return 0;
	if (is_whiteout(&u))
		return old ? change(d, up, 'D', path, e) : 0;
	bool hidden = !old && is_scaffold(path, &u);
	if (!hidden && (!old || !same(d, path, &u, &l))) {
		r = change(d, up, old ? 'C' : 'A', path, e);
		told = true;
	} else {
		r = 0;
	}
	return r == 0 && S_ISDIR(u.st_mode) ? walk(d, &self, old && S_ISDIR(l.st_mode), e) : r;
}

static bool has_xattr(int dir, const char *name)
{
	char value[16];

	return fgetxattr(dir, name, value, sizeof(value)) >= 0 || errno == ERANGE;
}

/* The names of an opaque directory of the upper one are all there is: those of the lower one are gone. */
static int add_gone(const struct differ *d, const char *path, char ***names)
{
	_cleanup_strv_ char **below = NULL;
	_cleanup_close_ int dir = files_open_below(d->lower, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	int r = dir < 0 ? dir : files_names(dir, &below);

	if (r < 0)
		return r;
	strv_foreach(name, below)
		if (r == 0 && !strv_has(*names, name))
			r = strv_push(names, name);
	return r;
}

static int gone(struct differ *d, const struct parent *p, const char *path, struct err *e)
{
	struct stat l;
	int r = look(d->lower, path, &l);

	return r < 0 ? err_errno(e, r, "look at %s", path) : r ? change(d, p, 'D', path, e) : 0;
}

static int walk_names(
	struct differ *d, const struct parent *p, char *const *names, size_t present, bool in_lower, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && names && names[i]; i++) {
		_cleanup_free_ char *path =
			strcmp(p->path, ".") ? str_fmt("%s/%s", p->path, names[i]) : strdup(names[i]);
		if (!path)
			return err_nomem(e);
		r = i < present ? visit(d, p, path, in_lower, e) : gone(d, p, path, e);
	}
	return r;
}

static int walk(struct differ *d, const struct parent *p, bool in_lower, struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_close_ int dir = files_open_below(d->upper, p->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (dir == -ENOENT || dir == -ELOOP || dir == -ENOTDIR) /* gone meanwhile */
		return 0;
	int r = dir < 0 ? dir : files_names(dir, &names);
	if (r < 0)
		return err_errno(e, r, "read the directory %s", p->path);
	if (has_xattr(dir, "trusted.overlay.redirect"))
		return err_set(
			e, EOPNOTSUPP, "%s was renamed by a redirect of overlayfs, which is not followed", p->path);
	bool opaque = has_xattr(dir, "trusted.overlay.opaque");
	close_fd(&dir);
	size_t present = strv_len(names);
	if (opaque && in_lower)
		r = add_gone(d, p->path, &names);
	return r < 0 ? err_errno(e, r, "read the directory %s", p->path)
		     : walk_names(d, p, names, present, in_lower, e);
}

int files_diff(int upper, int lower, int proc, bool layer, struct files_writer *w, struct err *e)
{
	struct differ d = {.upper = upper, .lower = lower, .layer = layer, .w = w};
	bool told = true; /* the root itself is not told of */
	int r = files_sender_init(&d.send, w, upper, proc, e);

	if (r == 0)
		r = walk(&d, &(struct parent){NULL, ".", &told}, true, e);
	files_sender_done(&d.send);
	return r;
}
