/*
 * A layer's stream. Two readers of libarchive, one behind the other, so that the digest of the uncompressed tar is taken on the way:
 *
 *	file -> [decompress] -> raw bytes -> digest
 *	                                 \-> [tar] -> entries
 */
#include "image/reader.h"
#include "image/unpack.h"

#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"

enum { BLOCK = 128 * 1024 };

struct stream {
	struct archive *raw;
	struct digest *digest;
	uint64_t bytes, max_bytes;
	int plain; /* where the uncompressed stream is kept, or -1 */
	unpack_progress_fn *progress;
	void *data;
	struct err err; /* of the callback */
	char block[BLOCK];
};

/* The next bytes of the uncompressed stream; 0 at its end. */
static ssize_t next_bytes(struct stream *s)
{
	ssize_t n = archive_read_data(s->raw, s->block, sizeof(s->block));

	if (n < 0)
		return reader_fail(s->raw, &s->err);
	s->bytes += (uint64_t)n;
	if (s->bytes > s->max_bytes)
		return err_errno(&s->err, ENOSPC, "the layer is larger than what is free");
	if (digest_add(s->digest, s->block, (size_t)n) < 0)
		return err_set(&s->err, EIO, "the digest could not be computed");
	int r = s->plain < 0 ? 0 : fd_write_all(s->plain, s->block, (size_t)n);
	if (r < 0)
		return err_errno(&s->err, r, "write the layer");
	if (s->progress)
		s->progress(s->data, (uint64_t)archive_filter_bytes(s->raw, -1));
	return n;
}

static la_ssize_t read_tar(struct archive *a, void *data, const void **ret)
{
	struct stream *s = data;
	ssize_t n = next_bytes(s);

	*ret = s->block;
	if (n >= 0)
		return n;
	archive_set_error(a, s->err.code, "%s", s->err.msg);
	return ARCHIVE_FATAL;
}

static int open_raw(struct stream *s, int fd, struct err *e)
{
	struct archive_entry *entry;

	reader_filters(s->raw);
	archive_read_support_format_raw(s->raw);
	if (archive_read_open_fd(s->raw, fd, BLOCK) != ARCHIVE_OK ||
		archive_read_next_header(s->raw, &entry) != ARCHIVE_OK)
		return reader_fail(s->raw, e);
	return 0;
}

static int read_entries(struct unpack *u, struct stream *s, struct err *e)
{
	struct archive_entry *entry;
	int r;

	while ((r = archive_read_next_header(u->tar, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		int code = unpack_entry(u, entry, e);
		if (code < 0)
			return code;
	}
	if (r != ARCHIVE_EOF)
		return reader_fail(u->tar, e);
	/* the digest covers what stands behind the tar's end as well */
	ssize_t n;
	while ((n = next_bytes(s)) > 0)
		;
	if (n < 0) {
		*e = s->err;
		return (int)n;
	}
	return unpack_dir_times(u, e);
}

static int unpack_stream(struct unpack *u, struct stream *s, int fd, struct unpack_result *ret, struct err *e)
{
	int r = open_raw(s, fd, e);

	if (r < 0)
		return r;
	archive_read_support_format_tar(u->tar);
	if (archive_read_open(u->tar, s, NULL, read_tar, NULL) != ARCHIVE_OK)
		return reader_fail(u->tar, e);
	r = read_entries(u, s, e);
	if (r < 0)
		return r;
	ret->size = u->size;
	ret->newest = u->newest;
	return digest_end(steal_ptr(s->digest), ret->diff_id) < 0 ? err_set(e, EIO, "the digest could not be computed")
								  : 0;
}

int unpack_tar(int tar_fd, int dir_fd, int plain_fd, unpack_progress_fn *progress, void *data,
	struct unpack_result *ret, struct err *e)
{
	_cleanup_free_ struct stream *s = calloc(1, sizeof(*s));
	_cleanup_reader_ struct archive *raw = archive_read_new();
	_cleanup_reader_ struct archive *tar = archive_read_new();
	struct unpack u = {.root = dir_fd, .tar = tar};
	struct statvfs vfs;

	if (!s || !raw || !tar || digest_new(&s->digest) < 0)
		return err_nomem(e);
	if (fstatvfs(dir_fd, &vfs) < 0)
		return err_errno(e, errno, "the file system for layers");
	/* what the file system reserves for its administrator is not for layers, although it would let us */
	u.max_size = s->max_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	s->raw = raw;
	s->plain = plain_fd;
	s->progress = progress;
	s->data = data;
	mode_t old = umask(0);
	int r = unpack_root(&u, e);
	if (r == 0)
		r = unpack_stream(&u, s, tar_fd, ret, e);
	umask(old);
	unpack_free(&u);
	digest_free(s->digest);
	return r;
}
