/*
 * The writable disk of a container in a VM: a sparse ext4 file, copied from one that mkfs.ext4 made once per size. It has no length until the container's
 * first start, which may be a clone that brings a copy of its template's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

/* The most is what a template has in its place (hyperv-template.c). */
enum { DISK_MIN_MIB = 128, DISK_MAX_GIB = 1024, DISK_BLOCK = 4096 };

static int make_file_system(const char *path, uint64_t size, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* the tables are zero in a sparse file already; a journal of 16 MiB is what ext4 takes for small disks */
	char *argv[] = {(char *)"mkfs.ext4", (char *)"-q", (char *)"-F", (char *)"-m", (char *)"0", (char *)"-E",
		(char *)"lazy_itable_init=1,lazy_journal_init=1,nodiscard", (char *)"-J", (char *)"size=16",
		(char *)path, NULL};

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return err_errno(e, errno, "make %s", path);
	int r = proc_run(argv, &out, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "mkfs.ext4 not found: apt-get install e2fsprogs");
	if (r > 0)
		return err_set(e, EIO, "mkfs.ext4 %s: exit status %d: %.200s", path, r, out.data ? out.data : "");
	return r;
}

/* An open descriptor of the empty file system of this size, made under a lock by the first that asks. */
static int open_template(const struct isolation_host *h, uint64_t size, struct err *e)
{
	_cleanup_free_ char *dir = path_join(h->state_dir, "cache");
	_cleanup_free_ char *path = dir ? str_fmt("%s/disk-%llu.ext4", dir, (unsigned long long)size) : NULL;
	_cleanup_free_ char *tmp = path ? str_fmt("%s.new", path) : NULL;
	_cleanup_free_ char *lock_path = path ? str_fmt("%s.lock", path) : NULL;
	_cleanup_close_ int lock = -1;

	if (!lock_path || !tmp)
		return err_nomem(e);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	int r = mkdir_p(AT_FDCWD, dir, 0700);
	if (r == 0)
		r = lock = fd_lock_file(AT_FDCWD, lock_path, true, true);
	if (r < 0)
		return err_errno(e, r, "lock %s", lock_path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	r = make_file_system(tmp, size, e);
	if (r == 0 && rename(tmp, path) < 0)
		r = err_errno(e, errno, "rename %s", tmp);
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open %s", path) : fd;
}

int hyperv_disk_create(const struct isolation_host *h, const char *path, uint64_t size, struct err *e)
{
	if (!size)
		size = (uint64_t)HYPERV_DISK_DEFAULT_GIB << 30;
	if (size < (uint64_t)DISK_MIN_MIB << 20 || size > (uint64_t)DISK_MAX_GIB << 30)
		return err_set(e, EINVAL, "disk of %llu bytes: its size is from %dm to %dg", (unsigned long long)size,
			DISK_MIN_MIB, DISK_MAX_GIB);
	size -= size % DISK_BLOCK;
	_cleanup_close_ int from = open_template(h, size, e);
	if (from < 0)
		return from;
	_cleanup_free_ char *tmp = str_fmt("%s.new", path);
	_cleanup_close_ int to = tmp ? open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (!tmp)
		return err_nomem(e);
	int r = to < 0 ? -errno : fd_copy_sparse(from, to, (off_t)size);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return err_errno(e, r, "make the disk %s", path);
	}
	return 0;
}

int hyperv_disk_new(const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(e, errno, "make the disk %s", path) : 0;
}

bool hyperv_disk_is_new(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !st.st_size;
}

/*
 * The superblock of ext4 (Documentation/filesystems/ext4/super.rst), 1 KiB from the beginning, as the guest wrote it: it may say anything, and what it says
 * is taken for a number and nothing else.
 */
enum {
	SUPER_AT = 1024,
	SUPER_LEN = 1024,
	SUPER_MAGIC = 0xef53,
	SUPER_BLOCKS = 0x04,
	SUPER_FREE = 0x0c,
	SUPER_BLOCK_SHIFT = 0x18,
	SUPER_MAGIC_AT = 0x38,
	SUPER_BLOCKS_HIGH = 0x150,
	SUPER_FREE_HIGH = 0x158,
	SUPER_OVERHEAD = 0x248,
	SUPER_SHIFT_MAX = 6,
};

static uint64_t super_u32(const uint8_t *super, size_t at)
{
	return super[at] | (uint64_t)super[at + 1] << 8 | (uint64_t)super[at + 2] << 16 | (uint64_t)super[at + 3] << 24;
}

int hyperv_disk_used(int fd, uint64_t *ret)
{
	uint8_t super[SUPER_LEN];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!st.st_size) { /* hyperv_disk_new's */
		*ret = 0;
		return 0;
	}
	if (pread(fd, super, sizeof(super), SUPER_AT) != (ssize_t)sizeof(super))
		return -EBADMSG;
	uint64_t blocks = super_u32(super, SUPER_BLOCKS) | super_u32(super, SUPER_BLOCKS_HIGH) << 32;
	uint64_t free = super_u32(super, SUPER_FREE) | super_u32(super, SUPER_FREE_HIGH) << 32;
	uint64_t overhead = super_u32(super, SUPER_OVERHEAD), shift = super_u32(super, SUPER_BLOCK_SHIFT);
	uint64_t most = (uint64_t)st.st_size / SUPER_AT;
	if ((super_u32(super, SUPER_MAGIC_AT) & 0xffff) != SUPER_MAGIC || shift > SUPER_SHIFT_MAX ||
		blocks > most >> shift || free > blocks || overhead > blocks - free)
		return -EBADMSG;
	*ret = (blocks - free - overhead) << (shift + 10);
	return 0;
}
