/*
 * QEMU's world: a directory with copies of the program, the libraries it loads, its modules for emulation, and the firmware of a microvm; nothing else.
 * Made once for each version of QEMU and of the host's libraries (ld.so.cache changes with every package that brings one).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

#define LOADER "/lib64/ld-linux-x86-64.so.2"

enum { FORMAT = 2 };

static int copy_bytes(int from, int to)
{
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, 1 << 24, 0)) > 0)
		;
	if (n == 0)
		return 0;
	if (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL)
		return -errno;
	char block[65536];
	while ((n = read(from, block, sizeof(block))) > 0) {
		int r = fd_write_all(to, block, (size_t)n);
		if (r < 0)
			return r;
	}
	return n < 0 ? -errno : 0;
}

/* Copies `from` to root/to with its folders. A file that is there is the same one, named twice. */
static int copy_in(const char *root, const char *from, const char *to, mode_t mode, struct err *e)
{
	_cleanup_free_ char *path = path_join(root, to + (*to == '/'));
	_cleanup_free_ char *dir = path ? strndup(path, (size_t)(path_base(path) - path)) : NULL;
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);

	if (!dir)
		return err_nomem(e);
	if (in < 0)
		return err_errno(e, errno, "open %s", from);
	int r = mkdir_p(AT_FDCWD, dir, 0755);
	if (r < 0)
		return err_errno(e, r, "make %s", dir);
	_cleanup_close_ int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out < 0)
		return errno == EEXIST ? 0 : err_errno(e, errno, "make %s", path);
	r = copy_bytes(in, out);
	return r < 0 ? err_errno(e, r, "copy %s to %s", from, path) : 0;
}

/* The lines of `ld.so --list`: "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)" */
static int copy_libraries(const char *root, const char *program, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	int r = proc_run((char *[]){(char *)LOADER, (char *)"--list", (char *)program, NULL}, &out, e);

	if (r) /* a static program has none */
		return r < 0 ? r : 0;
	_cleanup_strv_ char **lines = out.data ? strv_split(out.data, "\n") : NULL;
	strv_foreach(line, lines) {
		char *path = strstr(line, "=> /");
		if (!path)
			continue;
		path += 3;
		path[strcspn(path, " ")] = 0;
		r = copy_in(root, path, path, 0755, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Distributions put emulation into modules, which QEMU looks for in this folder. */
static int copy_modules(const char *root, struct err *e)
{
	static const char *const names[] = {"accel-tcg-x86_64.so"};
	static const char *const dirs[] = {"/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib64/qemu", "/usr/lib/qemu"};

	for (size_t d = 0; d < sizeof(dirs) / sizeof(*dirs); d++) {
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
			_cleanup_free_ char *path = path_join(dirs[d], names[i]);
			if (!path)
				return err_nomem(e);
			if (access(path, R_OK) < 0)
				continue;
			int r = copy_in(root, path, path, 0755, e);
			if (r == 0)
				r = copy_libraries(root, path, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* qboot comes with QEMU; the others are what it may ask for beside it. */
static int copy_firmware(const char *root, struct err *e)
{
	static const char *const names[] = {
		VMM_FIRMWARE, "linuxboot_dma.bin", "linuxboot.bin", "pvh.bin", "kvmvapic.bin"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *path = path_join("/usr/share/qemu", names[i]);
		if (!path)
			return err_nomem(e);
		if (i && access(path, R_OK) < 0)
			continue;
		int r = copy_in(root, path, path, 0644, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill(const char *root, const char *qemu, struct err *e)
{
	_cleanup_free_ char *proc = path_join(root, "proc");
	_cleanup_free_ char *dev = path_join(root, "dev");

	if (!proc || !dev)
		return err_nomem(e);
	int r = copy_in(root, qemu, VMM_PROGRAM, 0755, e);
	if (r == 0)
		r = copy_in(root, LOADER, LOADER, 0755, e);
	if (r == 0)
		r = copy_libraries(root, qemu, e);
	if (r == 0)
		r = copy_modules(root, e);
	if (r == 0)
		r = copy_firmware(root, e);
	if (r < 0)
		return r;
	return mkdir(proc, 0755) < 0 || mkdir(dev, 0755) < 0 ? err_errno(e, errno, "make folders in %s", root) : 0;
}

static int key(const char *qemu, uint64_t *ret)
{
	static const char *const files[] = {"/etc/ld.so.cache", LOADER};
	uint64_t hash = hash_add(HASH_INIT, qemu, strlen(qemu)) + FORMAT;
	struct stat st;

	for (size_t i = 0; i < 3; i++) {
		if (stat(i < 2 ? files[i] : qemu, &st) < 0)
			return -errno;
		uint64_t v[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
			(uint64_t)st.st_mtim.tv_nsec};
		hash = hash_add(hash, v, sizeof(v));
	}
	*ret = hash;
	return 0;
}

/* Under a lock: fill a folder of another name, then rename it. Roots of earlier versions stay, as machines may run in them. */
static int make(const char *dir, const char *root, const char *qemu, struct err *e)
{
	_cleanup_free_ char *lock_path = path_join(dir, ".lock");
	_cleanup_free_ char *tmp = path_join(dir, ".new");
	_cleanup_close_ int lock = -1;

	if (!lock_path || !tmp)
		return err_nomem(e);
	int r = mkdir_p(AT_FDCWD, dir, 0755);
	if (r == 0)
		r = lock = fd_lock_file(AT_FDCWD, lock_path, true, true);
	if (r < 0)
		return err_errno(e, r, "lock %s", lock_path);
	if (access(root, F_OK) == 0)
		return 0;
	rm_rf(AT_FDCWD, tmp);
	if (mkdir(tmp, 0755) < 0)
		return err_errno(e, errno, "make %s", tmp);
	r = fill(tmp, qemu, e);
	if (r == 0 && rename(tmp, root) < 0)
		r = err_errno(e, errno, "rename %s", tmp);
	if (r < 0)
		rm_rf(AT_FDCWD, tmp);
	return r;
}

int vmm_root(const struct isolation_host *h, const char *qemu, char **ret, struct err *e)
{
	_cleanup_free_ char *dir = path_join(h->state_dir, "vmm-root");
	uint64_t hash = 0;
	int r = key(qemu, &hash);

	if (r < 0)
		return err_errno(e, r, "%s", qemu);
	_cleanup_free_ char *root = dir ? str_fmt("%s/%016llx", dir, (unsigned long long)hash) : NULL;
	if (!root)
		return err_nomem(e);
	r = access(root, F_OK) == 0 ? 0 : make(dir, root, qemu, e);
	if (r < 0)
		return err_wrap(e, "the folder QEMU runs in");
	*ret = steal_ptr(root);
	return 0;
}
