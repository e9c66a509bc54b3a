/*
 * The initramfs of the utility VM: the agent, the program for --init, and the kernel's modules, as a cpio archive in the "newc" format
 * (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst). Kept beside the kernel under a name made from what is in it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "isolation/hyperv-private.h"
#include "proto/agent.h"

enum { FILE_MAX = 64 << 20, OLD_S = 24 * 60 * 60, FORMAT = 1 }; /* FORMAT changes when the layout of the archive does */

static int pad4(struct buf *b)
{
	static const char zeros[4];

	return buf_add(b, zeros, (4 - b->len % 4) % 4);
}

int cpio_add(struct buf *b, const char *name, mode_t mode, dev_t dev, const void *data, size_t n)
{
	if (n > UINT32_MAX)
		return -EFBIG;
	/* magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check */
	int r = buf_addf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0u, (unsigned)mode, 0u, 0u,
		1u, 0u, (unsigned)n, 0u, 0u, major(dev), minor(dev), (unsigned)strlen(name) + 1, 0u);
	if (r >= 0)
		r = buf_add(b, name, strlen(name) + 1);
	if (r >= 0)
		r = pad4(b);
	if (r >= 0)
		r = buf_add(b, data, n);
	return r < 0 ? r : pad4(b);
}

int cpio_end(struct buf *b)
{
	return cpio_add(b, "TRAILER!!!", 0, 0, NULL, 0);
}

static int add_file(struct buf *b, const char *path, const char *name, mode_t mode, struct err *e)
{
	_cleanup_buf_ struct buf content = {0};
	int r = file_read(AT_FDCWD, path, FILE_MAX, &content);

	if (r >= 0)
		r = cpio_add(b, name, S_IFREG | mode, 0, content.data, content.len);
	return r < 0 ? err_errno(e, r, "initramfs: %s", path) : 0;
}

static int add_modules(struct buf *b, const struct kernel *k, struct err *e)
{
	_cleanup_free_ char *dir = path_join(k->dir, "modules");
	_cleanup_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		_cleanup_free_ char *path = path_join(dir, de->d_name);
		_cleanup_free_ char *name = str_fmt("%s/%s", AGENT_MODULES + 1, de->d_name);
		int r = path && name ? add_file(b, path, name, 0644, e) : err_nomem(e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int build(const struct isolation_host *h, const struct kernel *k, struct buf *b, struct err *e)
{
	static const char *const dirs[] = {"dev", "proc", "sys", "run", "tmp", "etc", AGENT_MODULES + 1,
		AGENT_IMAGE + 1, AGENT_DISK + 1, AGENT_SHARE + 1};
	_cleanup_free_ char *agent = path_join(h->libexec_dir, "caisson-agent");
	_cleanup_free_ char *init = path_join(h->libexec_dir, "caisson-init");
	int r = 0;

	if (!agent || !init)
		return err_nomem(e);
	for (size_t i = 0; r >= 0 && i < sizeof(dirs) / sizeof(*dirs); i++)
		r = cpio_add(b, dirs[i], S_IFDIR | 0755, 0, NULL, 0);
	if (r >= 0)
		r = cpio_add(b, "dev/console", S_IFCHR | 0600, makedev(5, 1), NULL, 0);
	if (r < 0)
		return err_errno(e, r, "initramfs");
	r = add_file(b, agent, "init", 0755, e);
	if (r == 0)
		r = add_file(b, init, AGENT_INIT + 1, 0755, e);
	if (r == 0)
		r = add_modules(b, k, e);
	return r == 0 && cpio_end(b) < 0 ? err_nomem(e) : r;
}

int file_hash(uint64_t *hash, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	uint64_t v[] = {
		st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
	*hash = hash_add(*hash, v, sizeof(v));
	return 0;
}

/*
 * Beside a kernel of ours, below the state directory for one of the user's. The name says what it is made of and not where that lies: a kernel that is
 * reached by two paths has one initramfs, and one generation of templates.
 */
char *initrd_path(const struct isolation_host *h, const struct kernel *k, struct err *e)
{
	_cleanup_free_ char *agent = path_join(h->libexec_dir, "caisson-agent");
	_cleanup_free_ char *init = path_join(h->libexec_dir, "caisson-init");
	_cleanup_free_ char *dir = k->own ? path_join(h->state_dir, "cache") : strdup(k->dir);
	uint64_t hash = HASH_INIT + FORMAT;
	char *name = NULL;

	if (!agent || !init || !dir) {
		err_nomem(e);
		return NULL;
	}
	int r = file_hash(&hash, k->path);
	if (r < 0) {
		err_errno(e, r, "guest kernel %s", k->path);
		return NULL;
	}
	r = file_hash(&hash, agent);
	if (r == 0)
		r = file_hash(&hash, init);
	if (r < 0) {
		err_errno(e, r, "the agent of the utility VM (%s, %s)", agent, init);
		return NULL;
	}
	mkdir_p(AT_FDCWD, dir, 0755);
	name = str_fmt("%s/initrd-%016llx.img", dir, (unsigned long long)hash);
	if (!name)
		err_nomem(e);
	return name;
}

/* Those of earlier agents. Another version that uses the same folder makes its own again. */
static void prune(const char *path)
{
	_cleanup_free_ char *dir = strndup(path, (size_t)(path_base(path) - path));
	_cleanup_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	struct stat st;

	for (struct dirent *e; d && (e = readdir(d));)
		if (str_starts(e->d_name, "initrd-") && strcmp(e->d_name, path_base(path)) != 0 &&
			fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime + OLD_S < time(NULL))
			unlinkat(dirfd(d), e->d_name, 0);
}

int initrd_open(const struct isolation_host *h, const struct kernel *k, struct err *e)
{
	_cleanup_free_ char *path = initrd_path(h, k, e);
	_cleanup_buf_ struct buf b = {0};

	if (!path)
		return -e->code;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	int r = build(h, k, &b, e);
	if (r < 0)
		return r;
	r = file_replace(
		AT_FDCWD, path, b.data, b.len, 0644); /* by rename: two that build at once both leave a whole file */
	if (r < 0)
		return err_errno(e, r, "write %s", path);
	prune(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open %s", path) : fd;
}
