/* container/health-state.c: docker's rules of what a probe's result makes of a container. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "container/health.h"

static const struct health_check check = {
	.interval_ms = 30000, .start_period_ms = 10000, .start_interval_ms = 500, .retries = 2};

static void add(struct health_state *s, int status, uint64_t ran_ms)
{
	struct health_result r = {.status = status, .output = strdup("out")};

	health_add(s, &check, &r, ran_ms);
}

static void test_streak(void **state)
{
	struct health_state s = {0};

	(void)state;
	/* in the start period failures do not count, and probes are closer */
	assert_int_equal(health_wait_ms(&s, &check, 0), 500);
	add(&s, 1, 9999);
	assert_int_equal(s.streak, 0);
	assert_int_equal(s.status, HEALTH_STARTING);
	assert_int_equal(health_wait_ms(&s, &check, 10000), 30000);
	add(&s, 1, 10000);
	assert_int_equal(s.streak, 1);
	assert_int_equal(s.status, HEALTH_STARTING);
	add(&s, -1, 11000);
	assert_int_equal(s.status, HEALTH_UNHEALTHY);
	add(&s, 0, 12000);
	assert_int_equal(s.status, HEALTH_HEALTHY);
	assert_int_equal(s.streak, 0);
	add(&s, 3, 13000);
	assert_int_equal(s.status, HEALTH_HEALTHY);
	add(&s, 3, 13000);
	assert_int_equal(s.status, HEALTH_UNHEALTHY);
	/* the last five */
	assert_int_equal(s.log_len, HEALTH_LOG_MAX);
	assert_int_equal(s.log[0].status, 1);
	assert_int_equal(s.log[1].status, -1);
	assert_int_equal(s.log[4].status, 3);
	health_state_done(&s);
}

static void test_early_success(void **state)
{
	struct health_state s = {0};

	(void)state;
	/* a success ends the start period */
	add(&s, 0, 100);
	assert_int_equal(s.status, HEALTH_HEALTHY);
	assert_int_equal(health_wait_ms(&s, &check, 200), 30000);
	add(&s, 1, 200);
	assert_int_equal(s.streak, 1);
	add(&s, 1, 300);
	assert_int_equal(s.status, HEALTH_UNHEALTHY);
	assert_string_equal(health_status_name(s.status), "unhealthy");
	health_state_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streak),
		cmocka_unit_test(test_early_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
