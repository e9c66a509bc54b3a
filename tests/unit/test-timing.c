/* The steps of a timing: noted, bounded, and over the wire. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proto/timing.h"

static void test_steps(void **state)
{
	struct timing t = {.began_ns = 100};

	(void)state;
	timing_end(NULL, TIMING_EXEC);
	timing_add(&t, TIMING_RESOLVE, 200);
	timing_add(&t, TIMING_NETWORK, 300);
	timing_add(&t, TIMING_NETWORK, 400); /* one step */
	timing_add(&t, TIMING_DISK, 350);    /* an earlier moment */
	timing_add(&t, TIMING_NETWORK, 500); /* a second one */
	static const struct timing_step want[] = {
		{TIMING_RESOLVE, 200}, {TIMING_NETWORK, 400}, {TIMING_DISK, 400}, {TIMING_NETWORK, 500}};
	assert_int_equal(t.len, 4);
	for (size_t i = 0; i < t.len; i++) {
		assert_int_equal(t.steps[i].phase, want[i].phase);
		assert_int_equal(t.steps[i].end_ns, want[i].end_ns);
	}
	timing_end(&t, TIMING_EXIT);
	assert_true(t.steps[4].end_ns > 500);
}

static void test_bounded(void **state)
{
	struct timing t = {0};

	(void)state;
	for (uint64_t i = 0; i < 3 * TIMING_STEPS_MAX; i++)
		timing_add(&t, i % 2 ? TIMING_NETWORK : TIMING_DISK, i);
	assert_int_equal(t.len, TIMING_STEPS_MAX);
	assert_int_equal(t.steps[t.len - 1].end_ns, 3 * TIMING_STEPS_MAX - 1);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < TIMING_PHASES; i++)
		assert_non_null(timing_name((enum timing_phase)i));
}

static void test_wire(void **state)
{
	struct timing t = {0}, back = {0};
	_cleanup_buf_ struct buf b = {0};

	(void)state;
	timing_add(&t, TIMING_AGENT, 1);
	timing_add(&t, TIMING_EXEC, UINT64_MAX);
	timing_add(&back, TIMING_AGENT, 0);
	assert_int_equal(timing_encode(&t, &b), 0);
	struct wire w = {(const uint8_t *)b.data, b.len, false};
	assert_int_equal(timing_decode(&back, &w), 0);
	assert_int_equal(back.len, 2);
	assert_memory_equal(back.steps, t.steps, 2 * sizeof(*t.steps));
}

static void test_wire_damaged(void **state)
{
	struct timing t = {0};
	_cleanup_buf_ struct buf cut = {0}, unknown = {0};

	(void)state;
	timing_add(&t, TIMING_AGENT, 1);
	timing_encode(&t, &cut);
	struct wire w = {(const uint8_t *)cut.data, cut.len - 1, false};
	assert_int_equal(timing_decode(&t, &w), -EBADMSG);
	wire_add_u32(&unknown, TIMING_PHASES);
	wire_add_u64(&unknown, 1);
	w = (struct wire){(const uint8_t *)unknown.data, unknown.len, false};
	assert_int_equal(timing_decode(&t, &w), -EBADMSG);
	assert_int_equal(t.len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_wire_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
