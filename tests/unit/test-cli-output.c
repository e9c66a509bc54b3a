/* Tables, texts of rows, and detach keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "cli/stats-row.h"
#include "cli/format.h"
#include "cli/rows.h"
#include "cli/table.h"
#include "cli/term.h"

static void expect_table(const char *text, int width, const char *want)
{
	_cleanup_buf_ struct buf out = {0};

	assert_int_equal(table_format(text, width, &out), 0);
	assert_string_equal(out.data ? out.data : "", want);
}

static void test_table(void **state)
{
	(void)state;
	expect_table("A\tB\nlonger text\tx\n", 0, "A             B\nlonger text   x\n");
	expect_table("A\tB\tC\n1\t\t3\n", 10, "A         B         C\n1                   3\n");
	/* the last cell is not padded and not counted, a character is one column */
	expect_table("ä…\tB\nabc\tvery long\n", 0, "ä…    B\nabc   very long\n");
	expect_table("one\n", 10, "one\n");
	expect_table("a\tb", 0, "a   b");
	expect_table("a\nb\tc\n", 0, "a\nb   c\n");
}

#define EXPECT_TEXT(call, want)                   \
	do {                                      \
		_cleanup_free_ char *_s = (call); \
		assert_non_null(_s);              \
		assert_string_equal(_s, want);    \
	} while (0)

static void test_rows(void **state)
{
	_cleanup_json_ json_t *labels = json_pack("{s:s, s:s}", "z", "1", "a", "");

	(void)state;
	EXPECT_TEXT(row_id("sha256:0123456789abcdef", false), "0123456789ab");
	EXPECT_TEXT(row_id("0123456789abcdef", false), "0123456789ab");
	EXPECT_TEXT(row_id("sha256:0123456789abcdef", true), "sha256:0123456789abcdef");
	EXPECT_TEXT(row_ellipsis("sleep 1000", 20), "sleep 1000");
	EXPECT_TEXT(row_ellipsis("12345678901234567890", 20), "12345678901234567890");
	EXPECT_TEXT(row_ellipsis("123456789012345678901", 20), "1234567890123456789…");
	EXPECT_TEXT(row_ellipsis("äöüäöü", 5), "äöüä…");
	EXPECT_TEXT(row_labels(labels), "a=,z=1");
	EXPECT_TEXT(row_labels(NULL), "");
	EXPECT_TEXT(row_created("2024-05-01T12:00:00.123456789Z"), "2024-05-01 12:00:00.123456789 +0000 UTC");
	EXPECT_TEXT(row_created("2024-05-01T12:00:00.120000000Z"), "2024-05-01 12:00:00.12 +0000 UTC");
	EXPECT_TEXT(row_created("2024-05-01T12:00:00.000000000Z"), "2024-05-01 12:00:00 +0000 UTC");
	EXPECT_TEXT(row_created("2024-05-01T12:00:00Z"), "2024-05-01 12:00:00 +0000 UTC");
	EXPECT_TEXT(row_created("Tuesday"), "Tuesday");
	EXPECT_TEXT(row_created(NULL), "");
	EXPECT_TEXT(row_size(4261550), "4.26MB");
	EXPECT_TEXT(row_size(0), "0B");
	EXPECT_TEXT(row_size(116700000), "117MB");
	EXPECT_TEXT(format_unescape("a\\tb\\nc\\\\x"), "a\tb\nc\\\\x");
	EXPECT_TEXT(format_unescape("{{.A}}\\t{{\"\\n\"}}\\n"), "{{.A}}\t{{\"\\n\"}}\n");
}

static void expect_keys(const char *spec, const char *typed, const char *sent, bool detached)
{
	struct detach_keys d;
	struct err e = ERR_INIT;
	char out[64];
	size_t n;

	assert_int_equal(detach_keys_parse(spec, &d, &e), 0);
	assert_int_equal(detach_keys_filter(&d, typed, strlen(typed), out, &n), detached);
	out[n] = 0;
	assert_string_equal(out, sent);
}

static void test_detach_keys(void **state)
{
	struct detach_keys d;
	struct err e = ERR_INIT;

	(void)state;
	expect_keys(NULL, "ls\n", "ls\n", false);
	expect_keys("", "ab\020\021cd", "ab", true);
	expect_keys("ctrl-p,ctrl-q", "\020x", "\020x", false);
	expect_keys(NULL, "\020\020\021", "\020", true);
	expect_keys("a,b,c", "abaabc", "aba", true);
	expect_keys("ctrl-@", "x\001", "x\001", false);
	expect_keys("q", "xq", "x", true);
	assert_int_equal(detach_keys_parse("ctrl-1", &d, &e), -22);
	assert_int_equal(detach_keys_parse("ctrl-p,foo", &d, &e), -22);
	assert_int_equal(detach_keys_parse(",", &d, &e), -22);
	assert_int_equal(detach_keys_parse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", &d, &e), -22);
}

/* A sequence that comes in two reads is one; what was held back is sent when it breaks. */
static void test_split_keys(void **state)
{
	struct detach_keys d;
	struct err e = ERR_INIT;
	char out[64];
	size_t n;

	(void)state;
	assert_int_equal(detach_keys_parse(NULL, &d, &e), 0);
	assert_false(detach_keys_filter(&d, "a\020", 2, out, &n));
	assert_int_equal(n, 1);
	assert_true(detach_keys_filter(&d, "\021", 1, out, &n));
	assert_int_equal(n, 0);
	assert_false(detach_keys_filter(&d, "\020", 1, out, &n));
	assert_false(detach_keys_filter(&d, "b", 1, out, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(out, "\020b", 2);
}

static void expect_stats(const char *before_text, const char *now_text, const char *want_text)
{
	_cleanup_json_ json_t *before = before_text ? json_loads(before_text, 0, NULL) : NULL,
			      *now = json_loads(now_text, 0, NULL);
	_cleanup_json_ json_t *row = json_object(), *want = json_loads(want_text, 0, NULL);
	const char *key;
	json_t *v;

	assert_non_null(want);
	assert_int_equal(stats_row(before, now, false, row), 0);
	json_object_foreach(want, key, v)
		assert_string_equal(json_str(row, key), json_string_value(v));
}

static void test_stats(void **state)
{
	(void)state;
	expect_stats("{\"AtMs\": 1000, \"CpuNs\": 500, \"HostCpuNs\": 0}",
		"{\"Id\": \"0123456789abcdef\", \"Name\": \"box\", \"AtMs\": 3000, \"CpuNs\": 500000500, "
		"\"HostCpuNs\": 4000000000, "
		"\"Memory\": 1572864, \"MemoryLimit\": 3145728, \"Pids\": 3, \"NetReceived\": 1234, \"NetSent\": 0, "
		"\"BlockRead\": 999700, \"BlockWritten\": 21000000, \"HostMemory\": 59244544}",
		"{\"ID\": \"0123456789ab\", \"Container\": \"0123456789ab\", \"Name\": \"box\", \"CPUPerc\": "
		"\"25.00%\", "
		"\"HostCPUPerc\": \"200.00%\", \"MemUsage\": \"1.5MiB / 3MiB\", \"MemPerc\": \"50.00%\", "
		"\"NetIO\": \"1.23kB / 0B\", \"BlockIO\": \"1MB / 21MB\", \"PIDs\": \"3\", \"HostMem\": \"56.5MiB\"}");
	/* it does not run; no earlier sample; figures that cannot be */
	expect_stats(NULL, "{\"Id\": \"0123456789abcdef\", \"Name\": \"box\", \"Ref\": \"b\"}",
		"{\"Container\": \"b\", \"CPUPerc\": \"--\", \"MemUsage\": \"-- / --\", \"MemPerc\": \"--\", "
		"\"NetIO\": \"-- / --\", "
		"\"BlockIO\": \"-- / --\", \"PIDs\": \"--\", \"HostMem\": \"--\"}");
	expect_stats("{\"AtMs\": 1000, \"CpuNs\": 500}",
		"{\"Id\": \"0\", \"AtMs\": 2000, \"CpuNs\": 499, \"Memory\": -1, \"MemoryLimit\": 0, \"Pids\": null, "
		"\"NetSent\": 5}",
		"{\"CPUPerc\": \"--\", \"MemUsage\": \"-- / 0B\", \"MemPerc\": \"--\", \"NetIO\": \"-- / 5B\", "
		"\"PIDs\": \"--\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_detach_keys),
		cmocka_unit_test(test_split_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
