/* The filters of prune and of lists by label, and the options of volumes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "engine/engine-private.h"

static json_t *json(const char *text)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(v);
	return v;
}

static void test_matches(void **state)
{
	static const struct {
		const char *filters, *labels;
		int64_t age_s;
		bool matches;
	} rows[] = {
		{"{}", "null", 0, true},
		{"{\"until\": [\"1h\"]}", "null", 3599, false},
		{"{\"until\": [\"1h\"]}", "null", 3601, true},
		{"{\"until\": [\"2020-01-01T00:00:00\"]}", "null", 10, false},
		{"{\"label\": [\"a\"]}", "{\"a\": \"x\"}", 0, true},
		{"{\"label\": [\"a=x\"]}", "{\"a\": \"x\"}", 0, true},
		{"{\"label\": [\"a=\"]}", "{\"a\": \"x\"}", 0, false},
		{"{\"label\": [\"a\", \"b\"]}", "{\"a\": \"x\"}", 0, false},
		{"{\"label\": [\"a\"]}", "null", 0, false},
		{"{\"label!\": [\"a\"]}", "{\"a\": \"x\"}", 0, false},
		{"{\"label!\": [\"a=y\"]}", "{\"a\": \"x\"}", 0, true},
		{"{\"label!\": [\"a\", \"b\"]}", "{\"a\": \"x\"}", 0, true},
		{"{\"label!\": [\"a\"]}", "null", 0, true},
		{"{\"label\": [\"a\"], \"until\": [\"1h\"]}", "{\"a\": \"\"}", 0, false},
		{"{\"label\": [7]}", "{\"a\": \"\"}", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_json_ json_t *filters = json(rows[i].filters), *labels = json(rows[i].labels);
		int64_t created = clock_real_ns() - rows[i].age_s * 1000000000;
		if (prune_matches(filters, labels, created) != rows[i].matches)
			fail_msg("row %zu: %s on %s", i, rows[i].filters, rows[i].labels);
	}
}

static void test_check(void **state)
{
	static const char *const known[] = {"until", "label", NULL};
	static const struct {
		const char *filters, *text;
	} rows[] = {
		{"{\"label\": [\"a\"], \"until\": [\"24h\"]}", NULL},
		{"{\"until\": [\"1h\", \"2h\"]}", "more than one until filter specified"},
		{"{\"until\": [\"soon\"]}", "invalid filter 'until=soon'"},
		{"{\"until\": [7]}", "invalid filter 'until='"},
		{"{\"label!\": [\"a\"]}", "invalid filter 'label!'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_json_ json_t *filters = json(rows[i].filters);
		struct err e = ERR_INIT;
		assert_int_equal(prune_filters_check(filters, known, &e), rows[i].text ? -EINVAL : 0);
		if (rows[i].text && !strstr(e.msg, rows[i].text))
			fail_msg("%s", e.msg);
	}
}

static void test_volume_options(void **state)
{
	static const struct {
		const char *options;
		int error;
	} rows[] = {
		{"null", 0},
		{"{}", 0},
		{"{\"type\": \"none\", \"o\": \"bind\", \"device\": \"/srv\"}", 0},
		{"{\"o\": \"rbind,ro\", \"device\": \"/srv\"}", 0},
		{"{\"type\": \"bind\", \"device\": \"/srv\"}", 0},
		{"{\"o\": \"bind\"}", -EINVAL},
		{"{\"o\": \"bind\", \"device\": \"srv\"}", -EINVAL},
		{"{\"o\": \"bind\", \"device\": \"/srv\", \"size\": \"1\"}", -EINVAL},
		{"{\"device\": \"/srv\"}", -ENOTSUP},
		{"{\"o\": \"ro\", \"device\": \"/srv\"}", -ENOTSUP},
		{"{\"o\": \"bind,uid=7\", \"device\": \"/srv\"}", -ENOTSUP},
		{"{\"type\": \"tmpfs\", \"device\": \"tmpfs\"}", -ENOTSUP},
		{"{\"type\": \"ext4\", \"device\": \"/dev/sda\"}", -ENOTSUP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_json_ json_t *options = json(rows[i].options);
		struct err e = ERR_INIT;
		int r = volume_options_check(options, &e);
		if (r != rows[i].error)
			fail_msg("%s: %d %s", rows[i].options, r, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_volume_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
