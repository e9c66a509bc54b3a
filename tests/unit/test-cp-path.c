/* Docker's rules of where cp copies to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/cp-path.h"

static void test_arguments(void **state)
{
	static const struct {
		const char *arg, *container, *path;
	} rows[] = {
		{"box:/a", "box", "/a"},
		{"box:a:b", "box", "a:b"},
		{"box:", "box", ""},
		{"/a:b", NULL, "/a:b"},
		{"./a:b", NULL, "./a:b"},
		{"../a:b", NULL, "../a:b"},
		{"a", NULL, "a"},
		{"-", NULL, "-"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *container = NULL, *path = NULL;
		assert_int_equal(cp_argument(rows[i].arg, &container, &path), 0);
		if (rows[i].container)
			assert_string_equal(container, rows[i].container);
		else
			assert_null(container);
		assert_string_equal(path, rows[i].path);
	}
}

static void test_absolute(void **state)
{
	static const char *const rows[][3] = {{"/", "a/b", "/a/b"}, {"/", "", "/"}, {"/", "/a/", "/a/"},
		{"/", "a/.", "/a/."}, {"/", ".", "/."}, {"/home", "../x", "/x"}, {"/home", ".", "/home/."},
		{"/home", "x//y/", "/home/x/y/"}, {"/", "/..", "/"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *got = cp_absolute(rows[i][0], rows[i][1]);
		assert_string_equal(got, rows[i][2]);
	}
}

static void test_split(void **state)
{
	static const char *const rows[][3] = {{"/a/b", "/a", "b"}, {"/a", "/", "a"}, {"/a/b/", "/a", "b"},
		{"/a/b/.", "/a/b", "."}, {"/", "/", "."}, {"/.", "/", "."}, {"/a/./", "/a", "."}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *dir = NULL, *base = NULL;
		assert_int_equal(cp_split(rows[i][0], &dir, &base), 0);
		assert_string_equal(dir, rows[i][1]);
		assert_string_equal(base, rows[i][2]);
	}
}

/* The table of docker-cp(1). */
static void test_prepare(void **state)
{
	enum { FILE_, DIR_, NONE };
	static const struct {
		const char *from;
		int from_is;
		const char *to;
		int to_is;
		const char *dir, *name, *error;
	} rows[] = {
		{"/s/f", FILE_, "/d/new", NONE, "/d", "new", NULL},
		{"/s/f", FILE_, "/d/new/", NONE, NULL, NULL, "no such directory"},
		{"/s/f", FILE_, "/d/old", FILE_, "/d", "old", NULL},
		{"/s/f", FILE_, "/d", DIR_, "/d", "f", NULL},
		{"/s/f", FILE_, "/d/", DIR_, "/d/", "f", NULL},
		{"/s/dir", DIR_, "/d/new", NONE, "/d", "new", NULL},
		{"/s/dir", DIR_, "/d/new/", NONE, "/d", "new", NULL},
		{"/s/dir/.", DIR_, "/d/new", NONE, "/d", "new", NULL},
		{"/s/dir", DIR_, "/d/old", FILE_, NULL, NULL, "cannot copy directory"},
		{"/s/dir", DIR_, "/d", DIR_, "/d", "dir", NULL},
		{"/s/dir/", DIR_, "/d", DIR_, "/d", "dir", NULL},
		{"/s/dir/.", DIR_, "/d", DIR_, "/d", ".", NULL},
		{"/", DIR_, "/d", DIR_, "/d", ".", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct cp_end from = {
			.path = (char *)rows[i].from, .exists = true, .dir = rows[i].from_is == DIR_};
		const struct cp_end to = {
			.path = (char *)rows[i].to, .exists = rows[i].to_is != NONE, .dir = rows[i].to_is == DIR_};
		_cleanup_free_ char *dir = NULL, *name = NULL;
		struct err e = ERR_INIT;
		int r = cp_prepare(&from, &to, &dir, &name, &e);
		if (rows[i].error) {
			assert_true(r < 0);
			assert_string_equal(e.msg, rows[i].error);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(dir, rows[i].dir);
		assert_string_equal(name, rows[i].name);
	}
}

static void test_follow(void **state)
{
	_cleanup_(cp_end_done) struct cp_end x = {0}, y = {0};

	(void)state;
	assert_int_equal(cp_follow("/a/link/", "/b/target", &x), 0);
	assert_string_equal(x.path, "/b/target/");
	assert_string_equal(x.rebase, "link");
	assert_int_equal(cp_follow("/a/link/.", "/b/target", &y), 0);
	assert_string_equal(y.path, "/b/target/.");
	assert_null(y.rebase);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_prepare),
		cmocka_unit_test(test_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
