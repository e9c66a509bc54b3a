/* container/log.c: docker's json-file format, whatever bytes come in whatever pieces. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "container/log.h"

struct log_test {
	char *path;
	int dir;
	struct log_writer *w;
};

static int setup(void **state)
{
	struct log_test *t = calloc(1, sizeof(*t));
	struct err e;

	t->path = strdup("/tmp/caisson-test-XXXXXX");
	assert_non_null(mkdtemp(t->path));
	t->dir = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(log_writer_new(t->dir, "log", NULL, &t->w, &e), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct log_test *t = *state;

	close(t->dir);
	rm_rf(AT_FDCWD, t->path);
	free(t->path);
	free(t);
	return 0;
}

/* Closes the writer and checks that the objects' texts are these. */
static void expect(struct log_test *t, const char *const *texts, size_t n)
{
	_cleanup_buf_ struct buf b = {0};

	log_writer_free(t->w);
	assert_int_equal(file_read(t->dir, "log", 10 << 20, &b), 0);
	char *at = b.data;
	for (size_t i = 0; i < n; i++) {
		char *end = strchr(at, '\n');
		assert_non_null(end);
		json_t *o = json_loadb(at, (size_t)(end - at), JSON_ALLOW_NUL, NULL);
		assert_non_null(o);
		assert_string_equal(json_string_value(json_object_get(o, "log")), texts[i]);
		assert_non_null(json_object_get(o, "time"));
		json_decref(o);
		at = end + 1;
	}
	assert_string_equal(at, "");
}

static void test_lines(void **state)
{
	struct log_test *t = *state;

	log_writer_add(t->w, LOG_STDOUT, "one\ntw", 6);
	log_writer_add(t->w, LOG_STDERR, "err\n", 4);
	log_writer_add(t->w, LOG_STDOUT, "o\n\nlast", 7);
	expect(t, (const char *const[]){"one\n", "err\n", "two\n", "\n", "last"}, 5);
}

/* At its size the log becomes another's predecessor; what there was of it is in order, across the files. */
static void test_rotation(void **state)
{
	struct log_test *t = *state;
	const struct log_options options = {.max_size = 500, .max_files = 3, .attrs = "{\"a\":\"b\"}"};
	struct err e;
	char line[16];

	log_writer_free(t->w);
	assert_int_equal(log_writer_new(t->dir, "rotated", &options, &t->w, &e), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "%d\n", i);
		log_writer_add(t->w, LOG_STDOUT, line, strlen(line));
	}
	log_writer_free(t->w);
	assert_int_equal(faccessat(t->dir, "rotated.2", F_OK, 0), 0);
	assert_int_equal(faccessat(t->dir, "rotated.3", F_OK, 0), -1);
	int expected = -1, seen = 0;
	for (int file = 2; file >= 0; file--) {
		_cleanup_buf_ struct buf b = {0};
		snprintf(line, sizeof(line), file ? "rotated.%d" : "rotated", file);
		assert_int_equal(file_read(t->dir, line, 10000, &b), 0);
		assert_true(b.len < 700);
		for (char *at = b.data, *end; (end = strchr(at, '\n')); at = end + 1, seen++) {
			json_t *o = json_loadb(at, (size_t)(end - at), 0, NULL);
			int n = atoi(json_string_value(json_object_get(o, "log")));
			assert_true(expected < 0 || n == expected);
			assert_string_equal(json_string_value(json_object_get(json_object_get(o, "attrs"), "a")), "b");
			expected = n + 1;
			json_decref(o);
		}
	}
	assert_int_equal(expected, 100);
	assert_true(seen > 10);
}

static void test_bytes(void **state)
{
	struct log_test *t = *state;

	log_writer_add(t->w, LOG_STDOUT, "q\"\\\t\x01\x7f\n", 7);
	log_writer_add(t->w, LOG_STDOUT, "\xc3\xa4 \xff \xed\xa0\x80 \xf0\x9f\x90\xb3\n", 14);
	expect(t,
		(const char *const[]){"q\"\\\t\x01\x7f\n",
			"\xc3\xa4 \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x90\xb3\n"},
		2);
}

static void test_long_line(void **state)
{
	struct log_test *t = *state;
	static char text[LOG_LINE_MAX + 11], first[LOG_LINE_MAX + 1];

	memset(text, 'x', LOG_LINE_MAX + 9);
	text[LOG_LINE_MAX + 9] = '\n';
	memset(first, 'x', LOG_LINE_MAX);
	for (size_t i = 0; i < LOG_LINE_MAX + 10; i += 7)
		log_writer_add(t->w, LOG_STDOUT, text + i, LOG_LINE_MAX + 10 - i < 7 ? LOG_LINE_MAX + 10 - i : 7);
	expect(t, (const char *const[]){first, "xxxxxxxxx\n"}, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
