/* A template's file: written sparsely from a VM's memory, read back into a sealed memfd, and checked on the way. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "isolation/hyperv-template.h"

#define MAGIC "CAISSONT"

enum { PAGE = 4096, WINDOW = 256 << 10, STATE_MAX = 64 << 20, LANES = 4 };

/* ---- the hash: of every page that is not zero, with its place; each step is a bijection, so one changed bit always shows ---- */

struct hash {
	uint64_t lane[LANES];
};

static void hash_init(struct hash *h)
{
	for (int i = 0; i < LANES; i++)
		h->lane[i] = HASH_INIT + (uint64_t)i;
}

static void hash_words(struct hash *h, const uint64_t *p, size_t words)
{
	uint64_t a = h->lane[0], b = h->lane[1], c = h->lane[2], d = h->lane[3];
	const uint64_t k = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < words; i += LANES) {
		a = (a ^ p[i]) * k;
		b = (b ^ p[i + 1]) * k;
		c = (c ^ p[i + 2]) * k;
		d = (d ^ p[i + 3]) * k;
		a ^= a >> 32;
		b ^= b >> 32;
		c ^= c >> 32;
		d ^= d >> 32;
	}
	*h = (struct hash){{a, b, c, d}};
}

static void hash_page(struct hash *h, uint64_t at, const void *page)
{
	const uint64_t place[LANES] = {at, at, at, at};

	hash_words(h, place, LANES);
	hash_words(h, page, PAGE / 8);
}

static void hash_state(struct hash *h, const void *state, size_t n)
{
	uint64_t v[LANES] = {n, hash_add(HASH_INIT, state, n)};

	hash_words(h, v, LANES);
}

static void hash_footer(struct hash *h, const struct template_footer *f)
{
	struct template_footer plain = *f;

	plain.hash = 0;
	hash_words(h, (uint64_t[LANES]){hash_add(HASH_INIT, &plain, sizeof(plain))}, LANES);
}

static uint64_t hash_end(const struct hash *h)
{
	return hash_add(HASH_INIT, h->lane, sizeof(h->lane));
}

static bool is_zero(const uint64_t *p)
{
	for (size_t i = 0; i < PAGE / 8; i++)
		if (p[i])
			return false;
	return true;
}

/* ---- copying ---- */

static int write_at(int fd, const char *p, size_t n, off_t at)
{
	while (n) {
		ssize_t done = pwrite(fd, p, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		p += done;
		n -= (size_t)done;
		at += done;
	}
	return 0;
}

/* -EBADMSG: the file has become shorter than it was, or its disk does not give it back. */
static int read_at(int fd, char *p, size_t n, off_t at)
{
	while (n) {
		ssize_t done = pread(fd, p, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 && errno != EIO ? -errno : -EBADMSG;
		p += done;
		n -= (size_t)done;
		at += done;
	}
	return 0;
}

/* The pages of one window of the source, runs of those that are not zero with one write; to -1: they are only looked at. */
static int copy_pages(const char *p, size_t n, int to, off_t at, struct hash *h)
{
	size_t run = 0;

	for (size_t i = 0; i <= n; i += PAGE) {
		bool zero = i == n || is_zero((const uint64_t *)(p + i));
		if (!zero) {
			hash_page(h, (uint64_t)at + i, p + i);
			run += PAGE;
			continue;
		}
		int r = run && to >= 0 ? write_at(to, p + i - run, run, at + (off_t)(i - run)) : 0;
		if (r < 0)
			return r;
		run = 0;
	}
	return 0;
}

/* Read, not mapped: a file that is cut meanwhile, or cannot be read, is an error here and not the end of this process. */
static int copy_range(char *window, int from, int to, off_t at, off_t end, struct hash *h)
{
	while (at < end) {
		size_t n = (size_t)(end - at < WINDOW ? end - at : WINDOW);
		int r = read_at(from, window, n, at);
		if (r == 0)
			r = copy_pages(window, n, to, at, h);
		if (r < 0)
			return r;
		at += (off_t)n;
	}
	return 0;
}

/* The first `size` bytes, a multiple of pages, without its holes. */
static int copy_data(int from, int to, off_t size, struct hash *h)
{
	_cleanup_free_ char *window = aligned_alloc(PAGE, WINDOW);
	off_t at = 0;

	if (!window)
		return -ENOMEM;
	while (at < size && (at = lseek(from, at, SEEK_DATA)) >= 0 && at < size) {
		off_t end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return errno == ENXIO ? -EBADMSG : -errno;
		at &= ~(off_t)(PAGE - 1);
		end = (end + PAGE - 1) & ~(off_t)(PAGE - 1);
		if (end > size)
			end = size;
		int r = copy_range(window, from, to, at, end, h);
		if (r < 0)
			return r;
		at = end;
	}
	return at < 0 && errno != ENXIO ? -errno : 0;
}

/* ---- the file ---- */

static off_t total(const struct template_footer *f)
{
	return (off_t)(f->memory_len + f->state_len + sizeof(*f));
}

int template_footer(int fd, const char *name, struct template_footer *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(*ret) ||
		pread(fd, ret, sizeof(*ret), st.st_size - (off_t)sizeof(*ret)) != sizeof(*ret))
		return -EBADMSG;
	bool ok = !memcmp(ret->magic, MAGIC, sizeof(ret->magic)) && ret->format == TEMPLATE_FORMAT &&
		!ret->name[sizeof(ret->name) - 1] && !ret->release[sizeof(ret->release) - 1] &&
		ret->state_len <= STATE_MAX && ret->memory_len % PAGE == 0 && ret->memory_len <= (uint64_t)1 << 46 &&
		total(ret) == st.st_size && (!name || !strcmp(ret->name, name));
	return ok ? 0 : -EBADMSG;
}

static int write_all(int fd, int memory, const void *state, struct template_footer *f)
{
	struct hash h;

	hash_init(&h);
	if (ftruncate(fd, total(f)) < 0)
		return -errno;
	int r = copy_data(memory, fd, (off_t)f->memory_len, &h);
	hash_state(&h, state, f->state_len);
	hash_footer(&h, f);
	f->hash = hash_end(&h);
	if (r == 0)
		r = write_at(fd, state, f->state_len, (off_t)f->memory_len);
	return r < 0 ? r : write_at(fd, (const char *)f, sizeof(*f), (off_t)(f->memory_len + f->state_len));
}

static char *beside(const char *path, const char *suffix)
{
	return str_fmt("%s%s", path, suffix);
}

/* A file beside `path`, as long as the disk, which fill_disk puts in its place. */
static int begin_disk(const char *path, uint64_t len)
{
	_cleanup_free_ char *tmp = beside(path, ".new");
	_cleanup_close_ int fd = tmp ? open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (!tmp)
		return -ENOMEM;
	return fd < 0 || ftruncate(fd, (off_t)len) < 0 ? -errno : steal_fd(&fd);
}

/* *hash: what it is to be, or 0; what it is. */
static int fill_disk(int from, int fd, const char *path, uint64_t len, uint64_t *hash)
{
	_cleanup_free_ char *tmp = beside(path, ".new");
	struct hash h;

	hash_init(&h);
	if (!tmp)
		return -ENOMEM;
	int r = copy_data(from, fd, (off_t)len, &h);
	if (r == 0 && *hash && *hash != hash_end(&h))
		r = -EBADMSG;
	*hash = hash_end(&h);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

int template_check_disk(int fd, const struct template_footer *f, bool whole)
{
	struct hash h;
	struct stat st;

	hash_init(&h);
	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != f->disk_len)
		return -EBADMSG;
	int r = whole ? copy_data(fd, -1, st.st_size, &h) : 0;
	return r < 0 ? r : whole && hash_end(&h) != f->disk_hash ? -EBADMSG : 0;
}

int template_begin_disk(const char *path, const struct template_footer *f, struct err *e)
{
	int fd = begin_disk(path, f->disk_len);

	return fd < 0 ? err_errno(e, fd, "make the disk %s", path) : fd;
}

int template_fill_disk(const char *from, int to, const char *path, const struct template_footer *f, struct err *e)
{
	_cleanup_close_ int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t hash = f->disk_hash;
	int r = template_check_disk(fd, f, false);

	if (r == 0)
		r = fill_disk(fd, to, path, f->disk_len, &hash);
	if (r == -EBADMSG)
		return err_set(e, EBADMSG, "the template's disk %s is damaged", from);
	return r < 0 ? err_errno(e, r, "make the disk %s", path) : 0;
}

int template_write(const char *path, int memory, const void *state, int disk, struct template_footer *f, struct err *e)
{
	_cleanup_free_ char *tmp = beside(path, ".new"), *disk_path = str_fmt(TEMPLATE_DISK, path);
	struct stat st;

	memcpy(f->magic, MAGIC, sizeof(f->magic));
	f->format = TEMPLATE_FORMAT;
	if (!tmp || !disk_path)
		return err_nomem(e);
	/* the disk first: there is a template once its memory is there */
	int r = fstat(disk, &st) < 0 ? -errno : 0;
	f->disk_len = (uint64_t)st.st_size;
	_cleanup_close_ int copy = r == 0 ? begin_disk(disk_path, f->disk_len) : r;
	r = copy < 0 ? copy : fill_disk(disk, copy, disk_path, f->disk_len, &f->disk_hash);
	if (r < 0)
		return err_errno(e, r, "write the template's disk %s", disk_path);
	_cleanup_close_ int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : write_all(fd, memory, state, f);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		unlink(disk_path);
		return err_errno(e, r, "write the template %s", path);
	}
	return 0;
}

/* The whole file, checked, into the memfd (-1: nowhere). */
static int copy_all(int file, int memfd, const struct template_footer *f)
{
	_cleanup_free_ char *state = malloc(f->state_len + 1);
	struct hash h;

	hash_init(&h);
	if (!state)
		return -ENOMEM;
	int r = copy_data(file, memfd, (off_t)f->memory_len, &h);
	if (r < 0)
		return r;
	r = read_at(file, state, f->state_len, (off_t)f->memory_len);
	if (r < 0)
		return r;
	hash_state(&h, state, f->state_len);
	hash_footer(&h, f);
	if (hash_end(&h) != f->hash)
		return -EBADMSG;
	if (memfd >= 0)
		r = write_at(memfd, state, f->state_len, (off_t)f->memory_len);
	if (r == 0 && memfd >= 0)
		r = write_at(memfd, (const char *)f, sizeof(*f), (off_t)(f->memory_len + f->state_len));
	return r;
}

int template_check(int file, const char *name, struct template_footer *ret)
{
	int r = template_footer(file, name, ret);

	return r < 0 ? r : copy_all(file, -1, ret);
}

/* Nobody can change it afterwards. */
static int load(int file, int memfd, const struct template_footer *f)
{
	int r = ftruncate(memfd, total(f)) < 0 ? -errno : copy_all(file, memfd, f);

	if (r == 0 && fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	return r;
}

int template_read(const char *path, const char *name, struct template_footer *ret, struct err *e)
{
	_cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int memfd = -1;

	if (file < 0)
		return err_errno(e, errno, "open the template %s", path);
	int r = template_footer(file, name, ret);
	if (r == 0)
		r = memfd = memfd_create("caisson-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r >= 0)
		r = load(file, memfd, ret);
	if (r == -EBADMSG)
		return err_set(e, EBADMSG, "the template %s is damaged", path);
	return r < 0 ? err_errno(e, r, "read the template %s", path) : steal_fd(&memfd);
}
