/* What utility VMs boot: the initramfs, made when it is missing, removed when it is old; and a kernel of the user's. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "isolation/hyperv-private.h"

static void put_file(const char *dir, const char *name, time_t age)
{
	_cleanup_free_ char *path = path_join(dir, name);
	struct timespec t[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};

	assert_int_equal(file_replace(AT_FDCWD, path, name, strlen(name), 0644), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static bool is_there(const char *dir, const char *name)
{
	_cleanup_free_ char *path = path_join(dir, name);

	return access(path, F_OK) == 0;
}

/* Images of earlier agents go when one is made, but not those of today, which another version may be using. */
static void test_initrds(void **state)
{
	enum { DAY = 24 * 60 * 60 };
	char dir[] = "/tmp/caisson-initrd.XXXXXX";
	struct kernel k = {.version = "x", .own = true};
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	_cleanup_free_ char *cache = path_join(dir, "cache");
	struct isolation_host h = {.state_dir = dir, .libexec_dir = dir, .kernel = k.path};
	snprintf(k.path, sizeof(k.path), "%s/vmlinuz", dir);
	snprintf(k.dir, sizeof(k.dir), "%s", dir);
	assert_int_equal(mkdir_p(AT_FDCWD, cache, 0700), 0);
	put_file(dir, "vmlinuz", 0);
	put_file(dir, "caisson-agent", 0);
	put_file(dir, "caisson-init", 0);
	put_file(cache, "initrd-1111111111111111.img", DAY + 60);
	put_file(cache, "initrd-2222222222222222.img.tmp-1", DAY + 60);
	put_file(cache, "initrd-3333333333333333.img", DAY - 60);
	put_file(cache, "disk-10.ext4", DAY + 60);
	_cleanup_free_ char *path = initrd_path(&h, &k, &e);
	_cleanup_close_ int fd = initrd_open(&h, &k, &e), again = initrd_open(&h, &k, &e);
	assert_true(fd >= 0 && again >= 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_false(is_there(cache, "initrd-1111111111111111.img"));
	assert_false(is_there(cache, "initrd-2222222222222222.img.tmp-1"));
	assert_true(is_there(cache, "initrd-3333333333333333.img") && is_there(cache, "disk-10.ext4"));
	rm_rf(AT_FDCWD, dir);
}

/* The beginning of a kernel of 2576 bytes: five sectors and a body of 16 bytes. */
static void write_kernel(const char *path, size_t size, const char *magic)
{
	char b[2576] = {0};

	b[0x1f1] = 4;
	b[0x1f4] = 1;
	memcpy(b + 0x202, magic, strlen(magic));
	assert_int_equal(file_replace(AT_FDCWD, path, b, size, 0644), 0);
}

/* What cannot be a kernel is told from its first bytes, not by what QEMU makes of it. */
static void test_own_kernel(void **state)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *error;
	} cases[] = {
		{"HdrS\x0f\x02", 2576, NULL},
		{"HdrS\x0f\x02", 2575, "truncated: it has 2575 bytes of 2576"},
		{"HdrS\x0f\x02", 0x203, "not a Linux kernel for x86"},
		{"HdrS\x05\x02", 2576, "not a Linux kernel for x86"},
		{"nothing", 2576, "not a Linux kernel for x86"},
		{"", 0, "not a Linux kernel for x86"},
	};
	char path[] = "/tmp/caisson-kernel.XXXXXX";
	struct isolation_host h = {.state_dir = "/nonexistent", .kernel = path};
	struct kernel k;
	struct err e = ERR_INIT;

	(void)state;
	close(mkstemp(path));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_kernel(path, cases[i].size, cases[i].magic);
		assert_int_equal(kernel_find(&h, &k, &e), cases[i].error ? -EINVAL : 0);
		if (cases[i].error)
			assert_non_null(strstr(e.msg, cases[i].error));
	}
	assert_string_equal(k.origin, "set in the configuration");
	assert_int_equal(file_replace(AT_FDCWD, path, "\177ELF\2\1", 6, 0644), 0);
	assert_int_equal(kernel_find(&h, &k, &e), 0);
	assert_string_equal(k.path, path);
	unlink(path);
	assert_int_equal(kernel_find(&h, &k, &e), -ENOENT);
	h.kernel = "/tmp";
	assert_int_equal(kernel_find(&h, &k, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initrds),
		cmocka_unit_test(test_own_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
