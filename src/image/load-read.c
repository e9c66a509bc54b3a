/* The tar of an image archive: its regular files, each written to one that has a number for a name. */
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/load.h"
#include "image/reader.h"

enum { BLOCK = 128 * 1024 };

struct extract {
	struct archive *tar;
	int dir;
	uint64_t bytes, max_bytes;
	uint32_t n_entries, n_files;
	load_member_fn *fn;
	void *data;
	char block[BLOCK];
};

/* What the header says first, so that an entry that is far too large costs nothing; then what comes. */
static int count(struct extract *x, int64_t more, struct err *e)
{
	if (more < 0)
		return err_set(e, EBADMSG, "an invalid size");
	if ((uint64_t)more > x->max_bytes - x->bytes)
		return err_errno(e, ENOSPC, "the archive's files need more than the %llu bytes that are free",
			(unsigned long long)x->max_bytes);
	return 0;
}

static int copy(struct extract *x, int to, struct digest *digest, struct member *m, struct err *e)
{
	ssize_t n;

	while ((n = archive_read_data(x->tar, x->block, sizeof(x->block))) > 0) {
		int r = count(x, n, e);
		if (r < 0)
			return r;
		r = fd_write_all(to, x->block, (size_t)n);
		if (r < 0)
			return err_errno(e, r, "write");
		if (digest_add(digest, x->block, (size_t)n) < 0)
			return err_set(e, EIO, "the digest could not be computed");
		x->bytes += (uint64_t)n;
		m->size += (uint64_t)n;
	}
	return n < 0 ? reader_fail(x->tar, e) : 0;
}

static int take_file(struct extract *x, struct member *m, struct err *e)
{
	struct digest *digest = NULL;
	char name[16];

	m->number = x->n_files++;
	snprintf(name, sizeof(name), "%u", m->number);
	_cleanup_close_ int fd = openat(x->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, errno, "make a file");
	if (digest_new(&digest) < 0)
		return err_nomem(e);
	int r = copy(x, fd, digest, m, e);
	if (r < 0)
		digest_free(digest);
	else if (digest_end(digest, m->digest) < 0)
		r = err_set(e, EIO, "the digest could not be computed");
	return r;
}

static int take_entry(struct extract *x, struct archive_entry *entry, struct err *e)
{
	const char *name = archive_entry_pathname(entry);
	const char *link = archive_entry_hardlink(entry), *symlink = archive_entry_symlink(entry);
	struct member m = {.kind = MEMBER_FILE};

	if (!name)
		return err_set(e, EBADMSG, "the archive has an entry without a name");
	int r = member_name(NULL, name, m.name, e);
	if (r < 0)
		return r;
	if (++x->n_entries > MEMBERS_MAX)
		return err_set(e, E2BIG, "the archive has more than %d entries", MEMBERS_MAX);
	r = count(x, archive_entry_size(entry), e);
	if (r < 0)
		return err_wrap(e, "%.100s", m.name);
	if (link) {
		x->bytes += (uint64_t)archive_entry_size(entry); /* it may have content, which is read over */
		m.kind = MEMBER_HARDLINK;
		r = member_name(NULL, link, m.target, e);
	} else if (archive_entry_filetype(entry) == AE_IFLNK) {
		m.kind = MEMBER_SYMLINK;
		r = member_name(m.name, symlink ? symlink : "", m.target, e);
	} else if (archive_entry_filetype(entry) == AE_IFREG) {
		r = take_file(x, &m, e);
	} else {
		return 0; /* directories say nothing, and nothing else belongs here */
	}
	return r < 0 ? err_wrap(e, "%.100s", m.name) : x->fn(x->data, &m, e);
}

static int take_all(struct extract *x, int fd, struct err *e)
{
	struct archive_entry *entry;
	int r;

	reader_filters(x->tar);
	archive_read_support_format_tar(x->tar);
	if (archive_read_open_fd(x->tar, fd, BLOCK) != ARCHIVE_OK)
		return reader_fail(x->tar, e);
	while ((r = archive_read_next_header(x->tar, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		r = take_entry(x, entry, e);
		if (r < 0)
			return r;
	}
	return r == ARCHIVE_EOF ? 0 : reader_fail(x->tar, e);
}

int load_extract(int fd, int dir_fd, uint64_t max_bytes, load_member_fn *fn, void *data, struct err *e)
{
	_cleanup_reader_ struct archive *tar = archive_read_new();
	_cleanup_free_ struct extract *x = calloc(1, sizeof(*x));

	if (!tar || !x)
		return err_nomem(e);
	*x = (struct extract){.tar = tar, .dir = dir_fd, .max_bytes = max_bytes, .fn = fn, .data = data};
	return take_all(x, fd, e);
}
