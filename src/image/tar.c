/* Records to an archive and back: see tar.h. */
#include "image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mountns.h"
#include "base/path.h"
#include "proto/files.h"

enum { NOBODY = 65534, BLOCK = 64 * 1024, TAR_BLOCK = 10240 };
#define WHITEOUT ".wh."

int tar_confine(struct err *e)
{
	struct rlimit none = {0};

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return err_errno(e, errno, "confine the archive");
	int r = mountns_make_private(NULL);
	if (r < 0)
		return err_errno(e, r, "confine the archive");
	if (mount("none", "/tmp", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
		chdir("/tmp") < 0 || chroot(".") < 0 || setrlimit(RLIMIT_CORE, &none) < 0 || setgroups(0, NULL) < 0 ||
		setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, errno, "confine the archive");
	/* after the change of user, which would undo it: nobody but who asked for it ends the zeros of a large hole */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(e, errno, "confine the archive");
	return 0;
}

static int archive_fail(struct archive *a, const char *what, struct err *e)
{
	int code = archive_errno(a);

	if (code == EPIPE || code == ENOSPC || code == EIO)
		return err_errno(e, code, "%s", what);
	return err_set(e, code > 0 && code < 4096 ? code : EIO, "%s: %s", what,
		archive_error_string(a) ? archive_error_string(a) : "failed");
}

/* ---- to an archive ---- */

struct writer {
	struct archive *a;
	const char *only;
	char *path; /* of the file whose data is missing yet */
	uint64_t size, at;
};

static void set_entry(struct archive_entry *t, const struct files_entry *x)
{
	_cleanup_free_ char *slash = NULL;

	if (S_ISDIR(x->mode) && !x->hard)
		slash = str_fmt("%s/", x->path);
	archive_entry_set_pathname(t, slash ? slash : x->path);
	archive_entry_set_mode(t, x->mode);
	archive_entry_set_uid(t, x->uid);
	archive_entry_set_gid(t, x->gid);
	archive_entry_set_mtime(t, x->mtime, x->mtime_ns);
	archive_entry_set_size(t, S_ISREG(x->mode) && !x->hard ? (int64_t)x->size : 0);
	if (x->hard)
		archive_entry_set_hardlink(t, x->link);
	else if (S_ISLNK(x->mode))
		archive_entry_set_symlink(t, x->link);
	if (S_ISCHR(x->mode) || S_ISBLK(x->mode))
		archive_entry_set_rdev(t, makedev(x->major, x->minor));
	for (size_t i = 0; i < x->xattrs_len; i++)
		archive_entry_xattr_add_entry(t, x->xattrs[i].name, x->xattrs[i].value, x->xattrs[i].len);
}

static int write_bytes(struct writer *w, const void *p, size_t n, struct err *e)
{
	if (archive_write_data(w->a, p, n) != (la_ssize_t)n)
		return archive_fail(w->a, "write the archive", e);
	w->at += n;
	return 0;
}

/* A hole, or what a file lost while it was read. */
static int write_zeros(struct writer *w, uint64_t to, struct err *e)
{
	static const char zeros[BLOCK];
	int r = 0;

	while (r == 0 && w->at < to)
		r = write_bytes(w, zeros, to - w->at < BLOCK ? (size_t)(to - w->at) : BLOCK, e);
	return r;
}

static int end_file(struct writer *w, struct err *e)
{
	int r = w->path ? write_zeros(w, w->size, e) : 0;

	free(steal_ptr(w->path));
	return r;
}

static bool is_only(const char *path, const char *only)
{
	size_t n = strlen(only);

	return !strcmp(only, ".") || (!strncmp(path, only, n) && (!path[n] || path[n] == '/'));
}

static int write_entry(struct writer *w, struct files_entry *x, struct err *e)
{
	struct archive_entry *t = archive_entry_new();

	if (!t)
		return err_nomem(e);
	if (!is_only(x->path, w->only) || (x->hard && !is_only(x->link, w->only)))
		return archive_entry_free(t), err_set(e, EBADMSG, "%s is not what was asked for", x->path);
	set_entry(t, x);
	int r = archive_write_header(w->a, t) < ARCHIVE_WARN ? archive_fail(w->a, "write the archive", e) : 0;
	archive_entry_free(t);
	if (r == 0 && S_ISREG(x->mode) && !x->hard) {
		w->path = steal_ptr(x->path);
		w->size = x->size;
		w->at = 0;
	}
	return r;
}

static int write_whiteout(struct writer *w, const char *path, struct err *e)
{
	const char *name = path_base(path);
	struct files_entry x = {.mode = S_IFREG | 0600};

	x.path = str_fmt("%.*s" WHITEOUT "%s", (int)(name - path), path, name);
	int r = x.path ? write_entry(w, &x, e) : err_nomem(e);
	files_entry_done(&x);
	return r;
}

static int write_data(struct writer *w, const struct files_record *x, struct err *e)
{
	if (!w->path || x->offset < w->at || x->offset > w->size || x->len > w->size - x->offset)
		return err_set(e, EBADMSG, "damaged record of files");
	int r = write_zeros(w, x->offset, e);
	return r < 0 ? r : write_bytes(w, x->data, x->len, e);
}

static int write_record(struct writer *w, struct files_record *x, struct err *e)
{
	if (x->type == FILES_DATA)
		return write_data(w, x, e);
	int r = end_file(w, e);
	if (r < 0 || x->type == FILES_END)
		return r;
	if (x->type == FILES_ENTRY)
		return write_entry(w, &x->entry, e);
	return x->type == FILES_WHITEOUT ? write_whiteout(w, x->path, e)
					 : err_set(e, EBADMSG, "damaged record of files");
}

int tar_write(int records, int tar, const char *only, struct err *e)
{
	struct files_reader in = {.fd = records};
	struct writer w = {.a = archive_write_new(), .only = only};
	int r = 1;

	if (!w.a)
		return err_nomem(e);
	archive_write_set_format_pax_restricted(w.a);
	archive_write_set_bytes_per_block(w.a, TAR_BLOCK);
	archive_write_set_bytes_in_last_block(w.a, 512);
	if (archive_write_open_fd(w.a, tar) != ARCHIVE_OK)
		r = archive_fail(w.a, "write the archive", e);
	while (r > 0) {
		struct files_record x;
		r = files_read(&in, &x, e);
		if (r >= 0) {
			int written = write_record(&w, &x, e);
			r = written < 0 ? written : r;
		}
		files_record_done(&x);
	}
	free(w.path);
	if (r == 0 && archive_write_close(w.a) != ARCHIVE_OK)
		r = archive_fail(w.a, "write the archive", e);
	if (r < 0)
		archive_write_fail(w.a); /* no end that looks like one */
	archive_write_free(w.a);
	files_reader_done(&in);
	return r;
}

/* ---- from an archive ---- */

/* "./a//b/" as "a/b"; "/" and "./" as "."; NULL with -EBADMSG where it leads up. */
static int plain(const char *name, char **ret)
{
	_cleanup_strv_ char **part = strv_split(name, "/");
	_cleanup_buf_ struct buf b = {0};

	strv_foreach(s, part) {
		if (!strcmp(s, "."))
			continue;
		if (buf_addf(&b, "%s%s", b.len ? "/" : "", s) < 0)
			return -ENOMEM;
	}
	*ret = strdup(b.len ? b.data : ".");
	if (!*ret)
		return -ENOMEM;
	return files_path_plain(*ret) ? 0 : -EBADMSG;
}

static int add_xattrs(struct archive_entry *t, struct files_entry *x)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(t);
	while (archive_entry_xattr_next(t, &name, &value, &len) == ARCHIVE_OK) {
		if (x->xattrs_len == FILES_XATTRS_MAX || len > FILES_XATTR_SIZE_MAX)
			break;
		struct files_xattr *v = reallocarray(x->xattrs, x->xattrs_len + 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		x->xattrs = v;
		v[x->xattrs_len] = (struct files_xattr){.name = strdup(name), .value = value, .len = len};
		if (!v[x->xattrs_len++].name)
			return -ENOMEM;
	}
	return 0;
}

static int read_entry(struct archive_entry *t, struct files_entry *x, struct err *e)
{
	const char *name = archive_entry_pathname(t), *hard = archive_entry_hardlink(t),
		   *link = archive_entry_symlink(t);
	int r = name ? plain(name, &x->path) : -EBADMSG;

	x->hard = hard;
	if (r == 0 && hard)
		r = plain(hard, &x->link);
	else if (r == 0 && link)
		r = (x->link = strdup(link)) ? 0 : -ENOMEM;
	if (r < 0)
		return err_errno(e, r, "read the archive: %s", name ? name : "an entry without a name");
	x->mode = archive_entry_filetype(t) | archive_entry_perm(t);
	if (hard && !archive_entry_filetype(t))
		x->mode |= S_IFREG;
	x->uid = (uint32_t)archive_entry_uid(t);
	x->gid = (uint32_t)archive_entry_gid(t);
	x->mtime = archive_entry_mtime(t);
	x->mtime_ns = (uint32_t)archive_entry_mtime_nsec(t);
	x->size = S_ISREG(x->mode) && !hard && archive_entry_size(t) > 0 ? (uint64_t)archive_entry_size(t) : 0;
	x->major = (uint32_t)archive_entry_rdevmajor(t);
	x->minor = (uint32_t)archive_entry_rdevminor(t);
	return add_xattrs(t, x) < 0 ? err_nomem(e) : 0;
}

static int send(struct files_writer *w, int r, struct err *e)
{
	(void)w;
	return r < 0 ? err_errno(e, r, "send the archive's files") : 0;
}

static int copy_data(struct archive *a, struct files_writer *w, struct err *e)
{
	const void *p;
	size_t n;
	la_int64_t at;

	for (;;) {
		int r = archive_read_data_block(a, &p, &n, &at);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r < ARCHIVE_WARN)
			return archive_fail(a, "read the archive", e);
		for (size_t done = 0, k; done < n; done += k) {
			k = n - done < FILES_DATA_MAX ? n - done : FILES_DATA_MAX;
			r = send(w, files_write_data(w, (uint64_t)at + done, (const char *)p + done, k), e);
			if (r < 0)
				return r;
		}
	}
}

static int copy_entry(struct archive *a, struct archive_entry *t, struct files_writer *w, struct err *e)
{
	struct files_entry x = {0};
	int r = read_entry(t, &x, e);

	if (r == 0 && !S_ISSOCK(x.mode)) {
		r = send(w, files_write_entry(w, FILES_ENTRY, &x), e);
		if (r == 0 && S_ISREG(x.mode) && !x.hard)
			r = copy_data(a, w, e);
	}
	files_entry_done(&x);
	return r;
}

int tar_read(int tar, int records, struct err *e)
{
	struct files_writer w = {.fd = records};
	struct archive *a = archive_read_new();
	struct archive_entry *t;
	int r = 0, n = ARCHIVE_OK;

	if (!a)
		return err_nomem(e);
	archive_read_support_filter_all(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	if (archive_read_open_fd(a, tar, TAR_BLOCK) != ARCHIVE_OK)
		r = archive_fail(a, "read the archive", e);
	while (r == 0 && (n = archive_read_next_header(a, &t)) >= ARCHIVE_WARN && n != ARCHIVE_EOF)
		r = copy_entry(a, t, &w, e);
	if (r == 0 && n != ARCHIVE_EOF)
		r = archive_fail(a, "read the archive", e);
	if (r == 0)
		r = send(&w, files_write_end(&w), e);
	archive_read_free(a);
	files_writer_done(&w);
	return r;
}
