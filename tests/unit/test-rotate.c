/* base/rotate.c: readers lose nothing and see nothing twice, whenever the files are renamed. store/journal.c, which is made of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/rotate.h"
#include "store/journal.h"

struct place {
	char *path;
	int dir;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	p->path = strdup("/tmp/caisson-test-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->dir);
	rm_rf(AT_FDCWD, p->path);
	free(p->path);
	free(p);
	return 0;
}

static void append(struct place *p, const char *text)
{
	_cleanup_close_ int fd = openat(p->dir, "f", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void expect(struct rotate_reader *r, const char *text)
{
	char got[64] = "", piece[3];
	ssize_t n;

	while ((n = rotate_read(r, piece, 2)) > 0)
		strncat(got, piece, (size_t)n);
	assert_int_equal(n, 0);
	assert_string_equal(got, text);
}

static void test_reader(void **state)
{
	struct place *p = *state;
	_cleanup_rotate_ struct rotate_reader r = {0}, late = {0};

	assert_int_equal(rotate_open(p->dir, "f", &r), 0);
	expect(&r, "");
	append(p, "one");
	expect(&r, "one");
	append(p, "two");
	assert_int_equal(rotate_files(p->dir, "f", 2), 0);
	append(p, "");
	expect(&r, "two");
	assert_false(r.switched);
	append(p, "three");
	assert_int_equal(rotate_files(p->dir, "f", 2), 0);
	append(p, "four");
	assert_int_equal(rotate_open(p->dir, "f", &late), 0);
	expect(&late, "onetwothreefour");
	char first;
	assert_int_equal(rotate_read(&r, &first, 1), 1);
	assert_true(r.switched);
	expect(&r, "hreefour");
	assert_false(r.lost);
	/* the third file goes */
	assert_int_equal(rotate_files(p->dir, "f", 2), 0);
	append(p, "five");
	assert_int_equal(faccessat(p->dir, "f.2", F_OK, 0), 0);
	assert_int_equal(faccessat(p->dir, "f.3", F_OK, 0), -1);
	/* more was written than is kept: known, not silent */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rotate_files(p->dir, "f", 2), 0);
		append(p, "x");
	}
	expect(&r, "xxx");
	assert_true(r.lost);
	/* fewer are kept from now on */
	assert_int_equal(rotate_files(p->dir, "f", 0), 0);
	assert_int_equal(faccessat(p->dir, "f.1", F_OK, 0), -1);
}

enum { NUMBERS = 20000 };

/* A process that writes and renames as fast as it can, with room for a reader that lags. */
static void write_numbers(struct place *p)
{
	char line[16];

	for (int i = 0; i < NUMBERS; i++) {
		if (i % 100 == 99)
			rotate_files(p->dir, "f", ROTATE_MAX);
		snprintf(line, sizeof(line), "%d\n", i);
		append(p, line);
		if (i % 1000 == 0)
			usleep(1000);
	}
}

static void test_race(void **state)
{
	struct place *p = *state;
	_cleanup_rotate_ struct rotate_reader r = {0};
	_cleanup_buf_ struct buf b = {0};
	int status, expected = 0;
	bool ended = false;

	assert_int_equal(rotate_open(p->dir, "f", &r), 0);
	pid_t child = fork();
	if (child == 0) {
		write_numbers(p);
		_exit(0);
	}
	for (;;) {
		assert_int_equal(buf_reserve(&b, 4096), 0);
		ssize_t n = rotate_read(&r, b.data + b.len, 4096);
		assert_true(n >= 0);
		b.len += (size_t)n;
		if (!n && ended)
			break;
		if (!n)
			ended = waitpid(child, &status, WNOHANG) == child;
	}
	assert_false(r.lost);
	for (char *at = b.data, *end; (end = memchr(at, '\n', (size_t)(b.data + b.len - at))); at = end + 1)
		assert_int_equal(atoi(at), expected++);
	assert_int_equal(expected, NUMBERS);
}

static void test_journal(void **state)
{
	struct place *p = *state;
	_cleanup_journal_ struct journal_reader j = {.dir = -1};
	_cleanup_free_ char *long_text = malloc(JOURNAL_LINE_MAX + 2);
	const char *text;
	int64_t ns, last = 0;

	memset(long_text, 'x', JOURNAL_LINE_MAX + 1);
	long_text[JOURNAL_LINE_MAX + 1] = 0;
	assert_int_equal(journal_open(p->dir, &j), 0);
	assert_int_equal(journal_next(&j, &ns, &text), 0);
	assert_int_equal(journal_append(p->dir, long_text), -E2BIG);
	*long_text = '{';
	long_text[JOURNAL_LINE_MAX] = 0;
	/* past the journal's size, and on in the next file */
	for (int i = 0; i < 20; i++)
		assert_int_equal(journal_append(p->dir, long_text), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(journal_next(&j, &ns, &text), 1);
		assert_string_equal(text, long_text);
		assert_true(ns >= last);
		last = ns;
	}
	assert_int_equal(journal_next(&j, &ns, &text), 0);
	assert_int_equal(faccessat(p->dir, "events/journal.1", F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
