/* net/elements.c against the nft program and data/ruleset.nft, in a network namespace of its own. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"
#include "net/elements.h"

/* One in each set, so that the listing has no order that could differ. */
static const char lines[] =
	"bridge macs \"csp0123456789a\" . 02:42:0a:c8:00:02\n"
	"bridge addresses4 \"csp0123456789a\" . 02:42:0a:c8:00:02 . 10.200.0.2\n"
	"bridge addresses6 \"csp0123456789a\" . 02:42:0a:c8:00:02 . fd00:1::2\n"
	"bridge links6 \"csp0123456789a\" . 0x02420ac80002\n"
	"bridge targets6 \"csp0123456789a\" . 02:42:0a:c8:00:02 . 0xfd000001000000000000000000000abc\n"
	"bridge closed \"csp0123456789a\"\n"
	"inet closed4 10.200.0.2\n"
	"inet closed6 fd00:1::2\n"
	"inet open4 10.200.0.2 . tcp . 80\n"
	"inet open6 fd00:1::2 . udp . 53\n"
	"inet publish4 tcp . 8080 : 10.200.0.2 . 80\n"
	"inet publish6 udp . 65535 : fd00:1::2 . 53\n"
	"inet publish4at 192.0.2.1 . tcp . 81 : 10.200.0.2 . 80\n"
	"inet publish6at 2001:db8::1 . udp . 54 : fd00:1::2 . 53\n"
	"inet resolvers 10.200.0.2 : 10.200.0.1 . 40000\n";

static void nft(const char *script)
{
	_cleanup_buf_ struct buf out = {0};
	struct err e = ERR_INIT;
	int r = proc_run_input(
		(char *[]){(char *)"nft", (char *)"-f", (char *)"-", NULL}, script, strlen(script), &out, &e);

	if (r)
		fail_msg("nft: %s%s", e.msg, out.data ? out.data : "");
}

static char *listing(void)
{
	struct buf out = {0};
	struct err e = ERR_INIT;

	assert_int_equal(proc_run((char *[]){(char *)"nft", (char *)"list", (char *)"ruleset", NULL}, &out, &e), 0);
	return out.data;
}

static int load_rules(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
		proc_run((char *[]){(char *)"nft", (char *)"-f", (char *)TEST_SOURCE_DIR "/data/ruleset.nft", NULL},
			NULL, &e),
		0);
	return 0;
}

static void same_as_nft(void **state)
{
	_cleanup_free_ char *empty = listing();
	_cleanup_buf_ struct buf script = {0};
	_cleanup_close_ int sock = -1;
	_cleanup_strv_ char **each = strv_split(lines, "\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(elements_add(lines, &e), 0);
	_cleanup_free_ char *ours = listing();
	assert_int_equal(elements_remove(&sock, lines, &e), 0);
	_cleanup_free_ char *removed = listing();
	assert_string_equal(removed, empty);
	strv_foreach(line, each) {
		char family[8], set[24];
		int used = 0;
		assert_int_equal(sscanf(line, "%7s %23s %n", family, set, &used), 2);
		assert_int_equal(buf_addf(&script, "add element %s caisson %s { %s }\n", family, set, line + used), 0);
	}
	nft(script.data);
	_cleanup_free_ char *theirs = listing();
	assert_string_equal(ours, theirs);
	assert_string_not_equal(ours, empty);
	/* as the nft program put them in */
	assert_int_equal(elements_remove(&sock, lines, &e), 0);
}

static void added_again(void **state)
{
	_cleanup_close_ int sock = -1;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(elements_add(lines, &e), 0);
	assert_int_equal(elements_add(lines, &e), 0);
	assert_int_equal(elements_remove(&sock, lines, &e), 0);
	assert_int_equal(elements_remove(&sock, lines, &e), -ENOENT);
}

static void all_or_none(void **state)
{
	_cleanup_close_ int sock = -1;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(elements_add("inet closed4 10.0.0.1\ninet closed4 10.0.0.3\n", &e), 0);
	_cleanup_free_ char *before = listing();
	assert_int_equal(
		elements_remove(&sock, "inet closed4 10.0.0.1\ninet closed4 10.0.0.2\ninet closed4 10.0.0.3\n", &e),
		-ENOENT);
	_cleanup_free_ char *after = listing();
	assert_string_equal(before, after);
	assert_int_equal(elements_remove(&sock, "inet closed4 10.0.0.1\n\ninet closed4 10.0.0.3", &e), 0);
}

static void nothing_to_change(void **state)
{
	_cleanup_close_ int sock = -1;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(elements_add("", &e), 0);
	assert_int_equal(elements_remove(&sock, "\n", &e), 0);
}

static void bad_lines(void **state)
{
	static const char *const bad[] = {"inet", "inet closed4", "inet closed4 10.0.0", "inet closed4 fd00::1",
		"inet closed4 10.0.0.1 .", "inet closed4 10.0.0.1 . tcp", "bridge closed4 10.0.0.1",
		"inet nowhere 10.0.0.1", "inet open4 10.0.0.1 . tcp", "inet open4 10.0.0.1 . icmp . 80",
		"inet open4 10.0.0.1 . tcp . 65536", "inet open4 10.0.0.1 tcp 80 .", "inet publish4 tcp . 80",
		"inet publish4 tcp . 80 :", "inet publish4 tcp . 80 : 10.0.0.1",
		"inet publish4 tcp . 80 . 10.0.0.1 . 80", "bridge closed csp0", "bridge closed \"\"",
		"bridge closed \"", "bridge closed \"csp0123456789abc\"", "bridge macs \"csp0\" . 02:42:0a:c8:00",
		"bridge targets6 \"csp0\" . 02:42:0a:c8:00:02 . 0x00",
		"bridge targets6 \"csp0\" . 02:42:0a:c8:00:02 . 0xfd00000100000000000000000000000g"};
	_cleanup_free_ char *before = listing();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_free_ char *with_good = str_fmt("inet closed4 10.0.0.1\n%s\n", bad[i]);
		struct err e = ERR_INIT;
		if (elements_add(with_good, &e) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
	_cleanup_free_ char *after = listing();
	assert_string_equal(before, after);
}

static void very_many(void **state)
{
	_cleanup_buf_ struct buf all = {0};
	_cleanup_close_ int sock = -1;
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned port = 1; port <= 8000; port++)
		assert_int_equal(buf_addf(&all, "inet publish4 tcp . %u : 10.200.0.2 . %u\n", port, port), 0);
	assert_int_equal(elements_add(all.data, &e), 0);
	_cleanup_free_ char *text = listing();
	assert_non_null(strstr(text, "tcp . 8000 : 10.200.0.2 . 8000"));
	assert_int_equal(elements_remove(&sock, all.data, &e), 0);
	/* more errors than a socket's buffer holds */
	assert_int_equal(elements_remove(&sock, all.data, &e), -ENOENT);
}

static void no_tables(void **state)
{
	_cleanup_close_ int sock = -1;
	struct err e = ERR_INIT;

	(void)state;
	nft("flush ruleset");
	assert_int_equal(elements_add(lines, &e), -ENOENT);
	assert_int_equal(elements_remove(&sock, lines, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_nft),
		cmocka_unit_test(added_again),
		cmocka_unit_test(all_or_none),
		cmocka_unit_test(nothing_to_change),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(very_many),
		cmocka_unit_test(no_tables),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		puts("1..0 # SKIP a network namespace of its own needs root");
		return 0;
	}
	return cmocka_run_group_tests(tests, load_rules, NULL);
}
