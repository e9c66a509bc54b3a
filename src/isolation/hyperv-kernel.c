/*
 * Guest kernels: the distribution's cloud kernel, fetched as a package and unpacked beside the project's data with the modules a utility VM needs; and
 * the smaller one that `make kernel` (tools/build-kernel) puts there, which has no modules.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

#define USE_FILE       "kernel.use"
#define KERNEL_PACKAGE "linux-image-cloud-amd64"
#define KERNEL_PREFIX  "linux-image-"
#define SOURCE_PACKAGE "linux-source"
#define SOURCE_PREFIX  "linux-source-"
#define BUILT_SUFFIX   "-caisson" /* the version of a kernel that was built here: its source package's, and this */

static const char no_kernel[] = "no guest kernel: run 'caisson kernel update'";

static int open_dir(const char *path, DIR **ret)
{
	*ret = opendir(path);
	return *ret ? 0 : -errno;
}

bool kernel_is_built(const char *version)
{
	return str_ends(version, BUILT_SUFFIX);
}

/* A kernel that was built here goes first: whoever built it wants it used. */
static int preferred_first(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	if (kernel_is_built(x) != kernel_is_built(y))
		return kernel_is_built(x) ? -1 : 1;
	return strverscmp(y, x);
}

int kernel_list(const struct isolation_host *h, char ***ret)
{
	_cleanup_free_ char *path = path_join(h->state_dir, "kernel");
	_cleanup_closedir_ DIR *d = NULL;
	_cleanup_strv_ char **v = NULL;
	struct dirent *de;
	int r = path ? open_dir(path, &d) : -ENOMEM;

	*ret = NULL;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while ((de = readdir(d))) {
		_cleanup_free_ char *image = str_fmt("%s/%s/vmlinuz", path, de->d_name);
		if (de->d_name[0] == '.' || !image || access(image, R_OK) < 0)
			continue;
		if (strv_push(&v, de->d_name) < 0)
			return -ENOMEM;
	}
	if (v)
		qsort(v, strv_len(v), sizeof(*v), preferred_first);
	*ret = steal_ptr(v);
	return 0;
}

static int fill(
	struct kernel *k, const char *dir, const char *image, const char *version, const char *origin, struct err *e)
{
	k->origin = origin;
	k->own = false;
	if (snprintf(k->dir, sizeof(k->dir), "%s", dir) >= (int)sizeof(k->dir) ||
		snprintf(k->path, sizeof(k->path), "%s", image) >= (int)sizeof(k->path) ||
		snprintf(k->version, sizeof(k->version), "%s", version) >= (int)sizeof(k->version))
		return err_set(e, ENAMETOOLONG, "guest kernel %s: the path is too long", image);
	return 0;
}

/* Whether QEMU can load it: a bzImage that is whole (the kernel's Documentation/arch/x86/boot.rst), or an ELF file of this machine. */
static int check_image(const char *path, struct err *e)
{
	enum {
		SETUP_SECTS = 0x1f1,
		SYSSIZE = 0x1f4,
		MAGIC = 0x202,
		VERSION = 0x206,
		HEADER = 0x208,
		PROTOCOL_MIN = 0x206
	};
	static const unsigned char elf[] = {0x7f, 'E', 'L', 'F', 2, 1};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char b[HEADER] = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, errno, "guest kernel %s", path);
	if (!S_ISREG(st.st_mode) || pread(fd, b, sizeof(b), 0) < 0)
		return err_set(e, EINVAL, "guest kernel %s: not a file", path);
	if (!memcmp(b, elf, sizeof(elf)))
		return 0;
	if (memcmp(b + MAGIC, "HdrS", 4) != 0 || (b[VERSION] | b[VERSION + 1] << 8) < PROTOCOL_MIN)
		return err_set(e, EINVAL, "guest kernel %s: not a Linux kernel for x86 (bzImage or vmlinux)", path);
	uint64_t body = b[SYSSIZE] | b[SYSSIZE + 1] << 8 | b[SYSSIZE + 2] << 16 | (uint64_t)b[SYSSIZE + 3] << 24;
	uint64_t whole = ((b[SETUP_SECTS] ? b[SETUP_SECTS] : 4u) + 1) * 512u + body * 16;
	if ((uint64_t)st.st_size < whole)
		return err_set(e, EINVAL, "guest kernel %s: truncated: it has %llu bytes of %llu", path,
			(unsigned long long)st.st_size, (unsigned long long)whole);
	return 0;
}

/* A kernel of the user's: its modules, if it has any, are in the folder "modules" beside it; its initramfs is kept with the others. */
static int find_own(const char *path, const char *origin, struct kernel *ret, struct err *e)
{
	_cleanup_free_ char *dir = strndup(path, (size_t)(path_base(path) - path));

	if (!dir)
		return err_nomem(e);
	int r = check_image(path, e);
	if (r == 0)
		r = fill(ret, *dir ? dir : ".", path, path_base(path), origin, e);
	if (r == 0)
		ret->own = true;
	return r;
}

static int find_version(const struct isolation_host *h, const char *version, struct kernel *ret, struct err *e)
{
	_cleanup_free_ char *dir = str_fmt("%s/kernel/%s", h->state_dir, version);
	_cleanup_free_ char *image = dir ? path_join(dir, "vmlinuz") : NULL;
	const char *origin = kernel_is_built(version) ? "built here by 'make kernel'" : "the distribution's";

	return image ? fill(ret, dir, image, version, origin, e) : err_nomem(e);
}

/* ---- the choice ---- */

/* *ret is the caller's; NULL: there is none. */
static int read_choice(const struct isolation_host *h, char **ret, struct err *e)
{
	_cleanup_free_ char *path = path_join(h->state_dir, USE_FILE);
	char line[2048] = "";

	*ret = NULL;
	if (!path)
		return err_nomem(e);
	int r = file_read_line(AT_FDCWD, path, line, sizeof(line));
	if (r < 0 && r != -ENOENT)
		return err_errno(e, r, "read %s", path);
	if (r < 0 || !*line)
		return 0;
	*ret = strdup(line);
	return *ret ? 0 : err_nomem(e);
}

static int find_chosen(
	const struct isolation_host *h, const char *choice, char *const *versions, struct kernel *ret, struct err *e)
{
	if (strchr(choice, '/'))
		return find_own(choice, "chosen by 'caisson kernel use'", ret, e);
	if (strv_has(versions, choice))
		return find_version(h, choice, ret, e);
	return err_set(e, ENOENT,
		"the guest kernel %s, which 'caisson kernel use' chose, has gone: choose another, or 'auto'", choice);
}

int kernel_use(const struct isolation_host *h, const char *which, struct err *e)
{
	_cleanup_free_ char *path = path_join(h->state_dir, USE_FILE), *full = NULL;
	_cleanup_strv_ char **versions = NULL;
	int r;

	if (!path)
		return err_nomem(e);
	if (!which)
		return unlink(path) < 0 && errno != ENOENT ? err_errno(e, errno, "remove %s", path) : 0;
	if (strchr(which, '/')) {
		full = realpath(which, NULL);
		if (!full)
			return err_errno(e, errno, "guest kernel %s", which);
		r = check_image(full, e);
	} else {
		r = kernel_list(h, &versions);
		if (r < 0 && r != -ENOENT)
			return err_errno(e, r, "read %s/kernel", h->state_dir);
		r = strv_has(versions, which)
			? 0
			: err_set(e, ENOENT,
				  "no guest kernel %s: 'caisson kernel ls' lists them, and a file "
				  "is named with its path",
				  which);
	}
	if (r < 0)
		return r;
	const char *text = full ? full : which;
	r = file_replace(AT_FDCWD, path, text, strlen(text), 0644);
	return r < 0 ? err_errno(e, r, "write %s", path) : 0;
}

int kernel_find(const struct isolation_host *h, struct kernel *ret, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	_cleanup_free_ char *choice = NULL;

	if (h->kernel)
		return find_own(h->kernel, "set in the configuration", ret, e);
	int r = kernel_list(h, &v);
	if (r < 0)
		return err_errno(e, r, "read %s/kernel", h->state_dir);
	r = read_choice(h, &choice, e);
	if (r < 0)
		return r;
	if (choice)
		return find_chosen(h, choice, v, ret, e);
	return v ? find_version(h, v[0], ret, e) : err_set(e, ENOENT, "%s", no_kernel);
}

/* ---- fetching ---- */

/* Runs a program; its output becomes the error's text when it fails. */
static int run(char *const argv[], struct buf *out, struct err *e)
{
	_cleanup_buf_ struct buf own = {0};
	struct buf *b = out ? out : &own;
	int r = proc_run(argv, b, e);

	if (r < 0)
		return r;
	if (r) {
		char *last = b->data ? b->data : (char *)"";
		for (char *nl; (nl = strchr(last, '\n')) && nl[1];)
			last = nl + 1;
		return err_set(e, EIO, "%s: exit status %d: %.*s", argv[0], r, (int)strcspn(last, "\n"), last);
	}
	return 0;
}

/* The first word of what apt's candidate of a package has after `key`, which begins with a line feed. */
static int package_word(const char *package, const char *key, char *ret, size_t size, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	int r = run((char *[]){(char *)"apt-cache", (char *)"show", (char *)"--no-all-versions", (char *)package, NULL},
		&out, e);
	const char *p = r == 0 && out.data ? strstr(out.data, key) : NULL;

	if (r < 0 && r != -EIO)
		return err_wrap(e, "guest kernel: this host has no apt; set 'kernel =' in the configuration");
	if (!p)
		return err_set(e, ENOENT, "package %s is unknown: run 'apt-get update'", package);
	p += strlen(key);
	size_t n = strcspn(p, " ,\n");
	if (n >= size)
		return err_set(e, ENAMETOOLONG, "package %s: %.*s... is too long", package, 32, p);
	snprintf(ret, size, "%.*s", (int)n, p);
	return 0;
}

/* The real package behind a meta package: its one dependency. */
static int real_package(const char *meta, const char *prefix, char *ret, size_t size, struct err *e)
{
	int r = package_word(meta, "\nDepends: ", ret, size, e);

	if (r == 0 && strncmp(ret, prefix, strlen(prefix)) != 0)
		r = err_set(e, ENOENT, "package %s: depends on %s, not on a %s...", meta, ret, prefix);
	return r;
}

int kernel_candidate(bool built, char *ret, size_t size, struct err *e)
{
	char package[256], version[128];
	int r = built ? real_package(SOURCE_PACKAGE, SOURCE_PREFIX, package, sizeof(package), e)
		      : real_package(KERNEL_PACKAGE, KERNEL_PREFIX, package, sizeof(package), e);

	if (r == 0 && built)
		r = package_word(package, "\nVersion: ", version, sizeof(version), e);
	if (r < 0)
		return r;
	if (built)
		snprintf(ret, size, "%s" BUILT_SUFFIX, version);
	else
		snprintf(ret, size, "%s", package + strlen(KERNEL_PREFIX));
	return 0;
}

/* The name of the one entry of a folder that ends in `suffix`. */
static int only_entry(const char *path, const char *suffix, char *ret, size_t size)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *de;
	int r = open_dir(path, &d);

	if (r < 0)
		return r;
	while ((de = readdir(d))) {
		if (de->d_name[0] != '.' && str_ends(de->d_name, suffix))
			return snprintf(ret, size, "%s", de->d_name) < (int)size ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}

/* apt-get download writes into its working directory, so a shell changes to it first. */
static int download(const char *dir, const char *package, struct err *e)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"cd \"$1\" && exec apt-get download -q \"$2\"",
		(char *)"sh", (char *)dir, (char *)package, NULL};
	int r = run(argv, NULL, e);

	return r < 0 ? err_wrap(e, "download %s (is apt's list fresh? run 'apt-get update')", package) : 0;
}

static int unpack(const char *dir, struct err *e)
{
	char name[256];
	int r = only_entry(dir, ".deb", name, sizeof(name));

	if (r < 0)
		return err_errno(e, r, "find the downloaded package in %s", dir);
	_cleanup_free_ char *deb = path_join(dir, name);
	_cleanup_free_ char *to = path_join(dir, "x");
	if (!deb || !to)
		return err_nomem(e);
	return run((char *[]){(char *)"dpkg-deb", (char *)"-x", deb, to, NULL}, NULL, e);
}

/* Puts vmlinuz and modules/ of an unpacked package into `keep`. */
static int keep_needed(const char *x, const char *version, const char *keep, struct err *e)
{
	_cleanup_free_ char *image = str_fmt("%s/boot/vmlinuz-%s", x, version);
	_cleanup_free_ char *to = path_join(keep, "vmlinuz");
	_cleanup_free_ char *tree = str_fmt("%s/lib/modules/%s", x, version);
	_cleanup_free_ char *usr = str_fmt("%s/usr/lib/modules/%s", x, version);
	_cleanup_free_ char *modules = path_join(keep, "modules");

	if (!image || !to || !tree || !usr || !modules)
		return err_nomem(e);
	if (mkdir(keep, 0755) < 0 || mkdir(modules, 0755) < 0 || rename(image, to) < 0)
		return err_errno(e, errno, "keep the kernel of %s", x);
	return kernel_modules_collect(access(tree, F_OK) < 0 ? usr : tree, modules, e);
}

static int fetch_into(const struct isolation_host *h, const char *tmp, const char *package, hyperv_notice_fn *notice,
	void *data, struct err *e)
{
	const char *version = package + strlen(KERNEL_PREFIX);
	_cleanup_free_ char *x = path_join(tmp, "x");
	_cleanup_free_ char *keep = path_join(tmp, "keep");
	_cleanup_free_ char *final = str_fmt("%s/kernel/%s", h->state_dir, version);
	_cleanup_free_ char *line = str_fmt("fetching the guest kernel %s", package);

	if (!x || !keep || !final || !line)
		return err_nomem(e);
	_cleanup_free_ char *newest_list = path_join(final, "modules/memory");
	if (!newest_list)
		return err_nomem(e);
	if (access(newest_list, F_OK) == 0)
		return 0;
	if (notice)
		notice(data, line);
	int r = download(tmp, package, e);
	if (r == 0)
		r = unpack(tmp, e);
	if (r == 0)
		r = keep_needed(x, version, keep, e);
	/* one that an earlier version unpacked, with fewer modules, makes room */
	if (r == 0)
		rm_rf(AT_FDCWD, final);
	if (r == 0 && rename(keep, final) < 0)
		r = err_errno(e, errno, "rename to %s", final);
	return r;
}

int kernel_update(const struct isolation_host *h, hyperv_notice_fn *notice, void *data, struct err *e)
{
	_cleanup_free_ char *dir = path_join(h->state_dir, "kernel");
	_cleanup_free_ char *tmp = path_join(h->state_dir, "kernel/.fetch");
	_cleanup_close_ int lock = -1;
	char package[256];

	if (!dir || !tmp)
		return err_nomem(e);
	int r = real_package(KERNEL_PACKAGE, KERNEL_PREFIX, package, sizeof(package), e);
	if (r < 0)
		return r;
	r = mkdir_p(AT_FDCWD, dir, 0755);
	_cleanup_free_ char *lock_path = path_join(dir, ".lock");
	if (r == 0 && lock_path)
		r = lock = fd_lock_file(AT_FDCWD, lock_path, true, true);
	if (r >= 0)
		r = rm_rf(AT_FDCWD, tmp);
	if (r >= 0 && mkdir(tmp, 0755) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "make %s", tmp);
	r = fetch_into(h, tmp, package, notice, data, e);
	rm_rf(AT_FDCWD, tmp);
	return r;
}
