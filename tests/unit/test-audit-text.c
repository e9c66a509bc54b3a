/* What hostile text becomes on its way into a report: findings, mount lines, nft's elements, and the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/finding.h"
#include "audit/mountinfo.h"
#include "audit/nft.h"
#include "base/json.h"
#include "cli/audit-report.h"

static void cleaned(const char *from, const char *to)
{
	char text[128];

	snprintf(text, sizeof(text), "%s", from);
	text_clean(text);
	assert_string_equal(text, to);
}

static void test_clean(void **state)
{
	(void)state;
	cleaned("plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8b", "plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8b");
	cleaned("a\x1b[2J\r\nb\tc\x7f", "a?[2J??b?c?");
	cleaned("\xc2\x9b"
		"31m",
		"?31m"); /* a control of one byte, in UTF-8 */
	cleaned("a\xe2\x80\xae"
		"b\xe2\x81\xa6"
		"c\xef\xbb\xbf",
		"a?b?c?");
	cleaned("\xff\xc0\xaf\xe2\x82", "?????"); /* no UTF-8, too long a form, cut */
	cleaned("\xed\xa0\x80", "???");           /* a surrogate */
	cleaned("", "");
}

static void test_finding(void **state)
{
	struct finding f = {0};
	char big[3000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	finding_value(&f, "first");
	finding_value(&f, "%s", big);
	for (int i = 0; i < 600; i++)
		finding_note(&f, "line %d\n", i);
	finding_because(&f, "one");
	finding_because(&f, "two");
	f.result = FINDING_FAILS;
	_cleanup_json_ json_t *o = finding_json(&f, "key", "Title");
	assert_non_null(o);
	assert_int_equal(strlen(json_str(o, "Value")), 1023);
	assert_true(str_ends(json_str(o, "Value"), "..."));
	assert_int_equal(json_array_size(json_object_get(o, "Evidence")), 501);
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "Evidence"), 0)), "line 0?");
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "Evidence"), 500)), "... and 100 more");
	assert_string_equal(json_str(o, "Why"), "one; two");
	assert_string_equal(json_str(o, "Result"), "fails");
}

static void test_mountinfo(void **state)
{
	struct mounts m;

	(void)state;
	assert_int_equal(mounts_parse(strdup("36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 shared:2 - ext3 /dev/root "
					     "rw,errors=continue\n"
					     "37 36 0:5 / / ro - tmpfs  ro\n"
					     "garbage\n"
					     "1 2 x:y / / rw - a b c\n"
					     "1 2 3:4 / /\n"
					     "1 2 3:4 / / rw - ext4\n"
					     "38 36 0:9 net:[4026532177] /n rw - nsfs nsfs rw\n"
					     "39 36 0:9 /over / rw - ext4 x rw"),
				 &m),
		0);
	assert_int_equal(m.len, 4);
	assert_string_equal(m.v[0].point, "/a b");
	assert_string_equal(m.v[0].type, "ext3");
	assert_string_equal(m.v[0].super, "rw,errors=continue");
	assert_false(mount_readonly(&m.v[0]));
	assert_string_equal(m.v[1].source, "");
	assert_true(mount_readonly(&m.v[1]));
	assert_string_equal(m.v[2].root, "net:[4026532177]");
	assert_string_equal(mounts_at(&m, "/")->root, "/over");
	assert_null(mounts_at(&m, "/none"));
	mounts_done(&m);
	assert_int_equal(mounts_parse(NULL, &m), 0);
	mounts_done(&m);
}

static void text_of(const char *json, const char *text)
{
	_cleanup_json_ json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(nft_element_text(v, &b), 0);
	assert_string_equal(b.data ? b.data : "", text);
}

static void test_nft(void **state)
{
	_cleanup_json_ json_t *v = json_loads(
		"[{\"concat\": [\"tcp\", 80]}, {\"elem\": {\"val\": {\"concat\": [\"10.0.0.2\", 80]}}}]", 0, NULL);

	(void)state;
	text_of("{\"concat\": [\"csp0\", \"02:42:00:00:00:01\"]}", "csp0 . 02:42:00:00:00:01");
	text_of("[{\"concat\": [\"tcp\", 80]}, {\"concat\": [\"10.0.0.2\", 80]}]", "tcp . 80 : 10.0.0.2 . 80");
	text_of("{\"prefix\": {\"addr\": \"10.0.0.0\", \"len\": 8}}", "10.0.0.0/8");
	text_of("{\"elem\": {\"val\": \"eth0\", \"comment\": \"x\"}}", "eth0");
	text_of("{\"unknown\": 1}", "");
	assert_true(nft_element_names(v, "10.0.0.2"));
	assert_true(nft_element_names(v, "tcp"));
	assert_false(nft_element_names(v, "10.0.0.20"));
	assert_false(nft_element_names(v, "10.0.0"));
}

/* ---- the page ---- */

static json_t *hostile_report(void)
{
	return json_pack("[{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:[s], s:s}]}]", "Container", "0123", "Name", "<b>",
		"Isolation", "process", "Statements", "Key", "\"><script>", "Title", "<script>alert(1)</script>",
		"Result", "\" onload=\"x", "Value", "a & b's", "Evidence", "</ul></details><img src=x>", "Why",
		"<!-- -->");
}

static void test_html(void **state)
{
	_cleanup_json_ json_t *report = hostile_report();
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	assert_int_equal(report_html(f, report), 0);
	fclose(f);
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "<img"));
	assert_null(strstr(text, "onload=\""));
	assert_null(strstr(text, "<!--"));
	assert_null(strstr(text, "://"));
	assert_null(strstr(text, "url("));
	assert_non_null(strstr(text, "&lt;script&gt;alert(1)&lt;/script&gt;"));
	assert_non_null(strstr(text, "a &amp; b&#39;s"));
	assert_non_null(strstr(text, "class=\"result unknown\""));
	assert_non_null(strstr(text, "name=\"viewport\""));
	free(text);
}

static void test_table(void **state)
{
	_cleanup_json_ json_t *report = json_pack("[{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:[s, s], s:s}]}, {s:s, s:s, "
						  "s:s, s:[{s:s, s:s, s:s, s:[], s:s}]}]",
		"Container", "0123456789abcdef", "Name", "one", "Isolation", "process", "Statements", "Key",
		"no-host-mounts", "Result", "fails", "Value",
		"a value that is too long for half of a line of one hundred columns, and so is broken", "Evidence",
		"a piece of evidence that goes on and on and on and on and on and on and on and on and on and on and "
		"on, beyond the width",
		"second", "Why", "because", "Container", "f", "Name", "two", "Isolation", "hyperv", "Statements", "Key",
		"no-host-mounts", "Result", "holds", "Value", "short", "Evidence", "Why", "");
	char *text = NULL, *save = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	assert_non_null(report);
	report_table(f, report, false);
	report_side_by_side(f, report);
	fclose(f);
	assert_non_null(strstr(text, "one (0123456789ab), isolation process\n"));
	assert_non_null(strstr(text, "… (+1)\n"));
	assert_non_null(strstr(text, "holds: short\n"));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t columns = 0;
		for (const char *c = line; *c; c++)
			columns += ((unsigned char)*c & 0xc0) != 0x80;
		if (columns > REPORT_WIDTH)
			fail_msg("%zu columns: %s", columns, line);
	}
	free(text);
	f = open_memstream(&text, &n);
	report_table(f, report, true);
	fclose(f);
	assert_non_null(strstr(text, "- second\n"));
	assert_non_null(strstr(text, "beyond the width\n"));
	assert_non_null(strstr(text, "  because\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_nft),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
