/* The guest's kernel: which one is chosen, its initramfs, and modules, whose files are hostile. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "isolation/hyperv-private.h"

static void add_kernel(const char *dir, const char *version, bool image)
{
	_cleanup_free_ char *path = str_fmt("%s/kernel/%s/vmlinuz", dir, version);

	assert_non_null(path);
	*strrchr(path, '/') = 0;
	assert_int_equal(mkdir_p(AT_FDCWD, path, 0755), 0);
	path[strlen(path)] = '/';
	if (image)
		assert_int_equal(file_replace(AT_FDCWD, path, "x", 1, 0644), 0);
}

/* One that was built here before all others, a newer one before an older, and no folder without an image. */
static void test_kernel_choice(void **state)
{
	char dir[] = "/tmp/caisson-kernels.XXXXXX";
	struct isolation_host h = {.state_dir = dir};
	_cleanup_strv_ char **v = NULL;
	struct err e = ERR_INIT;
	struct kernel k;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(kernel_find(&h, &k, &e), -ENOENT);
	add_kernel(dir, "6.1.0-9-cloud-amd64", true);
	add_kernel(dir, "6.12.0-56-cloud-amd64", true);
	assert_int_equal(kernel_find(&h, &k, &e), 0);
	assert_string_equal(k.version, "6.12.0-56-cloud-amd64");
	assert_string_equal(k.origin, "the distribution's");
	add_kernel(dir, "6.1.192-2-caisson", true);
	add_kernel(dir, "6.1.192-10-caisson", true);
	add_kernel(dir, "6.1.200-1-caisson", false);
	add_kernel(dir, ".fetch", true);
	assert_int_equal(kernel_list(&h, &v), 0);
	assert_int_equal(strv_len(v), 4);
	assert_string_equal(v[0], "6.1.192-10-caisson");
	assert_string_equal(v[1], "6.1.192-2-caisson");
	assert_string_equal(v[2], "6.12.0-56-cloud-amd64");
	assert_string_equal(v[3], "6.1.0-9-cloud-amd64");
	assert_int_equal(kernel_find(&h, &k, &e), 0);
	assert_string_equal(k.version, v[0]);
	assert_string_equal(k.origin, "built here by 'make kernel'");
	rm_rf(AT_FDCWD, dir);
}

static void test_cpio(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	(void)state;
	assert_int_equal(cpio_add(&b, "init", 0100755, 0, "abcde", 5), 0);
	assert_memory_equal(b.data, "070701", 6);
	assert_memory_equal(b.data + 6 + 8, "000081ed", 8);
	assert_memory_equal(b.data + 6 + 6 * 8, "00000005", 8);
	assert_string_equal(b.data + 110, "init");
	assert_memory_equal(b.data + 116, "abcde\0\0\0", 8); /* the name padded to 116, the data to 124 */
	assert_int_equal(b.len, 124);
	assert_int_equal(cpio_end(&b), 0);
	assert_int_equal(b.len % 4, 0);
	assert_non_null(memmem(b.data, b.len, "TRAILER!!!", 10));
}

static void test_modules(void **state)
{
	char **v = NULL;
	char bad[64] = "\177ELF\2\1\1";

	(void)state;
	assert_int_equal(module_depends("", 0, &v), -ENOEXEC);
	assert_int_equal(module_depends(bad, sizeof(bad), &v), -ENOEXEC);
	memset(bad + 16, 0xff, sizeof(bad) - 16);
	assert_int_equal(module_depends(bad, sizeof(bad), &v), -ENOEXEC);
}

static void test_signature(void **state)
{
	static const char tail[] = "SIG\0\0\0\0\0\0\0\0\0\0\0\3~Module signature appended~\n";
	static const char lies[] = "x\0\0\0\0\0\0\0\0\1\0\0\0~Module signature appended~\n";
	_cleanup_buf_ struct buf b = {0}, bad = {0};

	(void)state;
	buf_adds(&b, "content");
	buf_add(&b, tail, sizeof(tail) - 1);
	module_strip_signature(&b);
	assert_int_equal(b.len, 7);
	module_strip_signature(&b);
	assert_int_equal(b.len, 7);
	buf_add(&bad, lies, sizeof(lies) - 1);
	module_strip_signature(&bad);
	assert_int_equal(bad.len, sizeof(lies) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_choice),
		cmocka_unit_test(test_cpio),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
