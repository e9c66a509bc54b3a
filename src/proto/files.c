/* A tree of files as records: see files.h. */
#include "proto/files.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"

enum { FLUSH_AT = 128 * 1024, ERRNO_MAX = 4095 };

/* ---- requests ---- */

int files_request_encode(const struct files_request *q, struct buf *b)
{
	int r = wire_add_u32(b, q->op);

	if (r == 0)
		r = wire_add_u32(b, q->flags);
	if (r == 0)
		r = wire_add_str(b, q->path);
	return r < 0 ? r : wire_add_str(b, q->name);
}

int files_request_decode(struct files_request *ret, const void *p, size_t n, struct err *e)
{
	struct wire w = {.p = p, .left = n};

	*ret = (struct files_request){.op = wire_u32(&w), .flags = wire_u32(&w)};
	ret->path = wire_str(&w);
	ret->name = wire_str(&w);
	if (w.bad || w.left || !ret->op || ret->op > FILES_OP_LAST)
		return err_set(e, EBADMSG, "damaged request for files");
	return 0;
}

void files_request_done(struct files_request *q)
{
	free(q->path);
	free(q->name);
}

/* ---- entries ---- */

void files_entry_done(struct files_entry *x)
{
	for (size_t i = 0; i < x->xattrs_len; i++)
		free(x->xattrs[i].name);
	free(x->xattrs);
	free(x->path);
	free(x->link);
	*x = (struct files_entry){0};
}

void files_entry_stat(struct files_entry *x, const struct stat *st)
{
	x->mode = st->st_mode;
	x->uid = st->st_uid;
	x->gid = st->st_gid;
	x->major = major(st->st_rdev);
	x->minor = minor(st->st_rdev);
	x->mtime = st->st_mtim.tv_sec;
	x->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	x->size = S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (uint64_t)st->st_size : 0;
}

bool files_path_plain(const char *path)
{
	if (!strcmp(path, "."))
		return true;
	if (!*path || strlen(path) >= FILES_PATH_MAX)
		return false;
	for (const char *s = path;; s++) {
		size_t n = strcspn(s, "/");
		if (!n || (n == 1 && *s == '.') || (n == 2 && s[0] == '.' && s[1] == '.') || n > NAME_MAX)
			return false;
		s += n;
		if (!*s)
			return true;
	}
}

static int encode_entry(const struct files_entry *x, struct buf *b)
{
	const uint32_t v[] = {x->mode, x->uid, x->gid, x->major, x->minor, x->mtime_ns, x->hard};
	int r = 0;

	for (size_t i = 0; i < sizeof(v) / sizeof(*v) && r == 0; i++)
		r = wire_add_u32(b, v[i]);
	if (r == 0)
		r = wire_add_u64(b, (uint64_t)x->mtime);
	if (r == 0)
		r = wire_add_u64(b, x->size);
	if (r == 0)
		r = wire_add_str(b, x->path);
	if (r == 0)
		r = wire_add_str(b, x->link);
	if (r == 0)
		r = wire_add_u32(b, (uint32_t)x->xattrs_len);
	for (size_t i = 0; i < x->xattrs_len && r == 0; i++) {
		r = wire_add_str(b, x->xattrs[i].name);
		if (r == 0)
			r = wire_add_bytes(b, x->xattrs[i].value, x->xattrs[i].len);
	}
	return r;
}

static void decode_xattrs(struct files_entry *x, struct wire *w)
{
	uint32_t n = wire_u32(w);

	if (n > FILES_XATTRS_MAX) {
		w->bad = true;
		return;
	}
	x->xattrs = n ? calloc(n, sizeof(*x->xattrs)) : NULL;
	w->bad |= n && !x->xattrs;
	for (; x->xattrs && x->xattrs_len < n && !w->bad; x->xattrs_len++) {
		struct files_xattr *a = &x->xattrs[x->xattrs_len];
		a->name = wire_str(w);
		a->value = wire_bytes(w, &a->len);
		w->bad |= a->len > FILES_XATTR_SIZE_MAX;
	}
}

static bool type_known(const struct files_entry *x)
{
	mode_t m = x->mode;

	return !(m & ~(mode_t)(S_IFMT | 07777)) &&
		(S_ISREG(m) || S_ISDIR(m) || S_ISLNK(m) || S_ISFIFO(m) || S_ISCHR(m) || S_ISBLK(m));
}

static void decode_entry(struct files_entry *x, struct wire *w)
{
	x->mode = wire_u32(w);
	x->uid = wire_u32(w);
	x->gid = wire_u32(w);
	x->major = wire_u32(w);
	x->minor = wire_u32(w);
	x->mtime_ns = wire_u32(w);
	uint32_t hard = wire_u32(w);
	x->hard = hard;
	x->mtime = (int64_t)wire_u64(w);
	x->size = wire_u64(w);
	x->path = wire_str(w);
	x->link = wire_str(w);
	decode_xattrs(x, w);
	if (w->bad || hard > 1 || x->mtime_ns > 999999999 || x->size > INT64_MAX || x->uid == UINT32_MAX ||
		x->gid == UINT32_MAX || strlen(x->link) >= FILES_PATH_MAX)
		w->bad = true;
}

/* ---- records ---- */

void files_record_done(struct files_record *r)
{
	files_entry_done(&r->entry);
	free(r->path);
	*r = (struct files_record){0};
}

static int decode_failed(struct wire *w, struct err *e)
{
	uint32_t code = wire_u32(w);
	_cleanup_free_ char *text = wire_str(w);

	if (w->bad || w->left || !code || code > ERRNO_MAX)
		return err_set(e, EBADMSG, "damaged record of files");
	return err_set(e, (int)code, "%s", text);
}

int files_record_decode(struct files_record *ret, const struct frame *f, struct err *e)
{
	struct wire w = {.p = f->payload, .left = f->len};

	*ret = (struct files_record){.type = f->type};
	switch (ret->type) {
	case FILES_ENTRY:
		decode_entry(&ret->entry, &w);
		w.bad = w.bad || !type_known(&ret->entry) || !files_path_plain(ret->entry.path) ||
			(ret->entry.hard && !files_path_plain(ret->entry.link));
		break;
	case FILES_STAT_IS:
		decode_entry(&ret->entry, &w);
		break;
	case FILES_DATA:
		ret->offset = wire_u64(&w);
		ret->data = w.p;
		ret->len = w.left;
		w.bad |= !w.left || w.left > FILES_DATA_MAX || ret->offset > INT64_MAX - w.left;
		w.left = 0;
		break;
	case FILES_WHITEOUT:
		ret->path = wire_str(&w);
		w.bad = w.bad || !files_path_plain(ret->path);
		break;
	case FILES_CHANGE:
		ret->kind = wire_u32(&w);
		ret->path = wire_str(&w);
		w.bad = w.bad || !files_path_plain(ret->path) ||
			(ret->kind != 'A' && ret->kind != 'C' && ret->kind != 'D');
		break;
	case FILES_END:
		break;
	case FILES_FAILED:
		return decode_failed(&w, e);
	default:
		w.bad = true;
	}
	return w.bad || w.left ? err_set(e, EBADMSG, "damaged record of files") : 0;
}

int files_read(struct files_reader *r, struct files_record *ret, struct err *e)
{
	struct frame f;

	*ret = (struct files_record){0};
	for (;;) {
		int n = frame_next(&r->in, &f);
		if (n < 0)
			return err_set(e, EBADMSG, "damaged record of files");
		if (n > 0)
			break;
		n = frame_fill(&r->in, r->fd);
		if (n == -EAGAIN) {
			poll(&(struct pollfd){.fd = r->fd, .events = POLLIN}, 1, -1);
			continue;
		}
		if (n < 0)
			return err_errno(e, n, "read files");
		if (n == 0)
			return err_set(e, EPIPE, "the files ended too soon");
	}
	int n = files_record_decode(ret, &f, e);
	return n < 0 ? n : ret->type != FILES_END;
}

void files_reader_done(struct files_reader *r)
{
	frame_reader_done(&r->in);
}

/* ---- writing ---- */

static int flush(struct files_writer *w)
{
	int r = fd_write_all(w->fd, w->out.data, w->out.len);

	w->out.len = 0;
	return r;
}

static int add(struct files_writer *w, enum files_record_type type, const struct buf *payload)
{
	int r = frame_add(&w->out, (uint8_t)type, 0, payload->data, payload->len);

	return r < 0 || w->out.len < FLUSH_AT ? r : flush(w);
}

int files_write_entry(struct files_writer *w, enum files_record_type type, const struct files_entry *x)
{
	_cleanup_buf_ struct buf b = {0};
	int r = encode_entry(x, &b);

	return r < 0 ? r : add(w, type, &b);
}

int files_write_data(struct files_writer *w, uint64_t offset, const void *p, size_t n)
{
	_cleanup_buf_ struct buf b = {0};
	int r = wire_add_u64(&b, offset);

	if (r == 0)
		r = buf_add(&b, p, n);
	return r < 0 ? r : add(w, FILES_DATA, &b);
}

int files_write_whiteout(struct files_writer *w, const char *path)
{
	_cleanup_buf_ struct buf b = {0};
	int r = wire_add_str(&b, path);

	return r < 0 ? r : add(w, FILES_WHITEOUT, &b);
}

int files_write_change(struct files_writer *w, char kind, const char *path)
{
	_cleanup_buf_ struct buf b = {0};
	int r = wire_add_u32(&b, (uint32_t)kind);

	if (r == 0)
		r = wire_add_str(&b, path);
	return r < 0 ? r : add(w, FILES_CHANGE, &b);
}

int files_write_end(struct files_writer *w)
{
	int r = add(w, FILES_END, &(struct buf){0});

	return r < 0 ? r : flush(w);
}

int files_write_failed(struct files_writer *w, const struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = wire_add_u32(&b, (uint32_t)(e->code ? e->code : EIO));

	if (r == 0)
		r = wire_add_str(&b, e->msg);
	if (r == 0)
		r = add(w, FILES_FAILED, &b);
	return r < 0 ? r : flush(w);
}

void files_writer_done(struct files_writer *w)
{
	buf_done(&w->out);
}
