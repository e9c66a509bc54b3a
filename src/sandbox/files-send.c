/* A tree to records. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/files.h"

/* Files with several names that were sent: the first name of each. A table with open addressing, at most half full. */
struct link {
	dev_t dev;
	ino_t ino;
	char *name; /* NULL: free */
};
struct files_links {
	struct link *v;
	size_t len, size;
};

enum { LINKS_MIN = 256, NAMES_MIN = 64 };

int files_open_below(int top, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	for (;;) {
		long fd = syscall(SYS_openat2, top, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int files_names(int dir, char ***ret)
{
	_cleanup_closedir_ DIR *d = dir_open(dir, ".");
	char **v = calloc(NAMES_MIN, sizeof(*v));
	size_t n = 0, size = NAMES_MIN;
	struct dirent *x;
	int r = d ? 0 : -errno;

	if (!v)
		return -ENOMEM;
	while (r == 0 && (errno = 0, x = readdir(d))) {
		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
			continue;
		if (n + 1 == size) {
			char **grown = reallocarray(v, size *= 2, sizeof(*v));
			if (!grown) {
				r = -ENOMEM;
				break;
			}
			v = grown;
		}
		v[n] = strdup(x->d_name);
		r = v[n] ? 0 : -ENOMEM;
		n += r == 0;
	}
	if (r == 0 && errno)
		r = -errno;
	v[n] = NULL;
	if (r < 0) {
		strv_free(v);
		return r;
	}
	qsort(v, n, sizeof(*v), by_name);
	*ret = v;
	return 0;
}

static struct link *links_slot(struct files_links *l, dev_t dev, ino_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15ULL + dev) & (l->size - 1);

	while (l->v[i].name && (l->v[i].dev != dev || l->v[i].ino != ino))
		i = (i + 1) & (l->size - 1);
	return &l->v[i];
}

static int links_grow(struct files_links *l)
{
	struct files_links next = {.size = l->size ? l->size * 2 : LINKS_MIN, .len = l->len};

	next.v = calloc(next.size, sizeof(*next.v));
	if (!next.v)
		return -ENOMEM;
	for (size_t i = 0; i < l->size; i++)
		if (l->v[i].name)
			*links_slot(&next, l->v[i].dev, l->v[i].ino) = l->v[i];
	free(l->v);
	*l = next;
	return 0;
}

/* The name that a file was sent under before, NULL if this is its first. */
static int links_find(struct files_links *l, const struct stat *st, const char *name, const char **ret)
{
	int r = l->len * 2 >= l->size ? links_grow(l) : 0;

	*ret = NULL;
	if (r < 0)
		return r;
	struct link *at = links_slot(l, st->st_dev, st->st_ino);
	if (at->name) {
		*ret = at->name;
		return 0;
	}
	*at = (struct link){.dev = st->st_dev, .ino = st->st_ino, .name = strdup(name)};
	l->len++;
	return at->name ? 0 : -ENOMEM;
}

int files_sender_init(struct files_sender *s, struct files_writer *w, int top, int proc, struct err *e)
{
	*s = (struct files_sender){.w = w, .top = top, .proc = proc, .links = calloc(1, sizeof(*s->links))};
	return s->links ? 0 : err_nomem(e);
}

void files_sender_done(struct files_sender *s)
{
	for (size_t i = 0; s->links && i < s->links->size; i++)
		free(s->links->v[i].name);
	if (s->links)
		free(s->links->v);
	free(s->links);
}

/* What others can make use of: no label of a security module, nothing of overlayfs. */
static bool xattr_wanted(const char *name)
{
	return str_starts(name, "user.") || !strcmp(name, "security.capability");
}

static int read_xattrs(int fd, struct files_entry *x, struct buf *values)
{
	char list[FILES_XATTR_SIZE_MAX];
	static char value[FILES_XATTR_SIZE_MAX];
	ssize_t n = flistxattr(fd, list, sizeof(list));
	size_t at[FILES_XATTRS_MAX];

	for (const char *s = list; n > 0 && s < list + n && x->xattrs_len < FILES_XATTRS_MAX; s += strlen(s) + 1) {
		if (!xattr_wanted(s))
			continue;
		ssize_t k = fgetxattr(fd, s, value, sizeof(value));
		/* all of one entry go into one frame */
		if (k < 0 || values->len + (size_t)k > FRAME_MAX / 2)
			continue;
		struct files_xattr *v = reallocarray(x->xattrs, x->xattrs_len + 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		x->xattrs = v;
		at[x->xattrs_len] = values->len;
		v[x->xattrs_len] = (struct files_xattr){.name = strdup(s), .len = (size_t)k};
		if (!v[x->xattrs_len++].name || buf_add(values, value, (size_t)k) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < x->xattrs_len; i++)
		x->xattrs[i].value = values->data + at[i];
	return 0;
}

static int read_link(int fd, struct files_entry *x)
{
	char target[FILES_PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = 0;
	x->link = strdup(target);
	return x->link ? 0 : -ENOMEM;
}

/* What lies between holes, of the first `size` bytes. */
static int send_data(struct files_sender *s, int fd, off_t size, const char *name, struct err *e)
{
	static char data[FILES_DATA_MAX];
	off_t at = 0;

	while (at < size) {
		off_t from = lseek(fd, at, SEEK_DATA), to;
		if (from < 0 && errno == ENXIO)
			return 0;
		if (from < 0)
			from = at;
		to = lseek(fd, from, SEEK_HOLE);
		if (to <= from || to > size)
			to = size;
		for (at = from; at < to;) {
			size_t want = to - at < FILES_DATA_MAX ? (size_t)(to - at) : FILES_DATA_MAX;
			ssize_t n = pread(fd, data, want, at);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return err_errno(e, errno, "read %s", name);
			if (n == 0) /* it became shorter */
				return 0;
			int r = files_write_data(s->w, (uint64_t)at, data, (size_t)n);
			if (r < 0)
				return err_errno(e, r, "send %s", name);
			at += n;
		}
	}
	return 0;
}

/* By what was found, not by its name: it may be another's meanwhile, a device or a fifo. */
static int reopen(const struct files_sender *s, int fd, int flags)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	int r = openat(s->proc, number, flags | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

static int send_found(struct files_sender *s, int fd, const struct stat *st, const char *name, struct err *e)
{
	_cleanup_(files_entry_done) struct files_entry x = {0};
	_cleanup_buf_ struct buf values = {0};
	_cleanup_close_ int data = -1;
	const char *first = NULL;
	int r = 0;

	files_entry_stat(&x, st);
	x.path = strdup(name);
	if (!x.path)
		return err_nomem(e);
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		r = links_find(s->links, st, name, &first);
	if (r == 0 && first) {
		x.hard = true;
		x.size = 0;
		x.link = strdup(first);
		r = x.link ? 0 : -ENOMEM;
	} else if (r == 0 && S_ISLNK(st->st_mode)) {
		r = read_link(fd, &x);
	} else if (r == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) {
		r = data = reopen(s, fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
		if (r >= 0)
			r = read_xattrs(data, &x, &values);
	}
	if (r < 0)
		return err_errno(e, r, "read %s", name);
	r = files_write_entry(s->w, FILES_ENTRY, &x);
	if (r < 0)
		return err_errno(e, r, "send %s", name);
	return S_ISREG(st->st_mode) && !first ? send_data(s, data, st->st_size, name, e) : 0;
}

/* 1: a directory; 0: something else; -ENOENT: nothing any more */
static int send_entry(struct files_sender *s, const char *path, const char *name, bool silent, struct err *e)
{
	_cleanup_close_ int fd = files_open_below(s->top, path, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd == -ENOENT || fd == -ELOOP || fd == -ENOTDIR)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, fd < 0 ? fd : errno, "open %s", name);
	bool dir = S_ISDIR(st.st_mode);
	if (S_ISSOCK(st.st_mode) || (dir && silent))
		return dir;
	int r = send_found(s, fd, &st, name, e);
	return r < 0 ? r : dir;
}

static char *below(const char *path, const char *name)
{
	return strcmp(path, ".") ? str_fmt("%s/%s", path, name) : strdup(name);
}

static int send_tree(struct files_sender *s, const char *path, const char *name, bool bare, struct err *e)
{
	_cleanup_strv_ char **names = NULL;
	int r = send_entry(s, path, name, bare, e);

	if (r <= 0)
		return r;
	_cleanup_close_ int dir = files_open_below(s->top, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (dir == -ENOENT || dir == -ELOOP || dir == -ENOTDIR)
		return 0;
	r = dir < 0 ? dir : files_names(dir, &names);
	if (r < 0)
		return err_errno(e, r, "read the directory %s", name);
	close_fd(&dir); /* it may go deep */
	strv_foreach(x, names) {
		_cleanup_free_ char *from = below(path, x), *to = below(name, x);
		if (!from || !to)
			return err_nomem(e);
		r = send_tree(s, from, to, false, e);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int files_send(struct files_sender *s, const char *path, const char *name, bool bare, struct err *e)
{
	int r = send_tree(s, path, name, bare, e);

	return r == -ENOENT ? err_set(e, ENOENT, "%s: no such file or directory", name) : r;
}

int files_send_one(struct files_sender *s, const char *path, const char *name, struct err *e)
{
	int r = send_entry(s, path, name, false, e);

	return r == -ENOENT || r > 0 ? 0 : r;
}
