/* container/restart.c: which end is followed by another start, and how soon. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "container/restart.h"

static void test_names(void **state)
{
	enum restart_kind k;

	(void)state;
	assert_int_equal(restart_kind_parse(NULL, &k), 0);
	assert_int_equal(k, RESTART_NO);
	assert_int_equal(restart_kind_parse("unless-stopped", &k), 0);
	assert_int_equal(k, RESTART_UNLESS_STOPPED);
	assert_int_equal(restart_kind_parse("on-failure", &k), 0);
	assert_int_equal(k, RESTART_ON_FAILURE);
	assert_int_equal(restart_kind_parse("Always", &k), -EINVAL);
}

static void test_delay(void **state)
{
	const struct restart_policy always = {.kind = RESTART_ALWAYS};
	static const int64_t expected[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000};
	struct restarts r = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
		assert_int_equal(restart_next(&always, &r, 0, false, 9999), expected[i]);
	assert_int_equal(r.count, 12);
	assert_int_equal(restart_next(&always, &r, 1, false, 10000), 100);
	assert_int_equal(restart_next(&always, &r, 1, false, 0), 200);
	assert_int_equal(r.count, 14);
	assert_int_equal(restart_next(&always, &r, 1, true, 0), -1);
	assert_int_equal(r.count, 14);
}

static void test_on_failure(void **state)
{
	const struct restart_policy twice = {.kind = RESTART_ON_FAILURE, .max = 2}, ever = {.kind = RESTART_ON_FAILURE};
	struct restarts r = {0};

	(void)state;
	assert_int_equal(restart_next(&twice, &r, 0, false, 0), -1);
	assert_int_equal(restart_next(&twice, &r, 1, false, 0), 100);
	assert_int_equal(restart_next(&twice, &r, 137, false, 0), 200);
	assert_int_equal(restart_next(&twice, &r, 1, false, 0), -1);
	assert_int_equal(restart_next(&ever, &r, 1, false, 0), 400);
}

static void test_boot(void **state)
{
	struct {
		enum restart_kind kind;
		int status;
		bool by_hand, expected;
	} rows[] = {
		{RESTART_NO, 255, false, false},
		{RESTART_ALWAYS, 0, false, true},
		{RESTART_ALWAYS, 0, true, true},
		{RESTART_UNLESS_STOPPED, 0, false, true},
		{RESTART_UNLESS_STOPPED, 0, true, false},
		{RESTART_ON_FAILURE, 0, false, false},
		{RESTART_ON_FAILURE, 255, false, true},
		{RESTART_ON_FAILURE, 143, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct restart_policy p = {.kind = rows[i].kind, .max = 1};
		assert_int_equal(restart_at_boot(&p, rows[i].status, rows[i].by_hand), rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_on_failure),
		cmocka_unit_test(test_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
