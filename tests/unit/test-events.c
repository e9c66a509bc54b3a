/* store/events.c and engine/events.c: from what was done to a line and back; which events pass a filter. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/path.h"
#include "engine/engine.h"
#include "store/events.h"
#include "store/journal.h"

static const char die[] =
	"{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"abcdef\",\"Attributes\":{\"exitCode\":\"1\","
	"\"image\":\"example.com:5000/busybox:1\",\"name\":\"box\",\"tier\":\"web\"}},\"isolation\":\"hyperv\"}";

static bool passes(const char *event, const char *filters_text)
{
	_cleanup_json_ json_t *m = event_message(1700000000000000001, event);
	_cleanup_json_ json_t *filters = json_loads(filters_text, 0, NULL);

	assert_non_null(m);
	assert_non_null(filters);
	return engine_event_matches(m, filters);
}

static void test_filters(void **state)
{
	static const struct {
		const char *filters;
		bool passes;
	} rows[] = {
		{"{}", true},
		{"{\"type\":[\"container\"]}", true},
		{"{\"type\":[\"image\",\"container\"]}", true},
		{"{\"type\":[\"image\"]}", false},
		{"{\"event\":[\"die\"],\"type\":[\"container\"]}", true},
		{"{\"event\":[\"die\"],\"type\":[\"network\"]}", false},
		{"{\"event\":[\"di\"]}", false},
		{"{\"container\":[\"abc\"]}", true},
		{"{\"container\":[\"bo\"]}", true},
		{"{\"container\":[\"ox\"]}", false},
		{"{\"label\":[\"tier\"]}", true},
		{"{\"label\":[\"tier=web\",\"tier=db\"]}", false},
		{"{\"label\":[\"tie\"]}", false},
		{"{\"image\":[\"example.com:5000/busybox\"]}", true},
		{"{\"image\":[\"example.com:5000/busybox:1\"]}", true},
		{"{\"image\":[\"example.com\"]}", false},
		{"{\"image\":[\"busybox\"]}", false},
		{"{\"isolation\":[\"vm\"]}", true},
		{"{\"isolation\":[\"process\"]}", false},
		{"{\"scope\":[\"local\"]}", true},
		{"{\"scope\":[\"swarm\"]}", false},
	};
	static const char probe[] =
		"{\"Type\":\"container\",\"Action\":\"exec_create: ls -l\",\"Actor\":{\"ID\":\"a\",\"Attributes\":{}}}";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (passes(die, rows[i].filters) != rows[i].passes)
			fail_msg("%s", rows[i].filters);
	assert_true(passes(probe, "{\"event\":[\"exec_create\"]}"));
	assert_true(passes(probe, "{\"event\":[\"exec_create: ls -l\"]}"));
	assert_false(passes(probe, "{\"event\":[\"exec_create: ls\"]}"));
	assert_false(passes(probe, "{\"isolation\":[\"process\"]}"));
	assert_false(passes(probe, "{\"container\":[\"\"],\"label\":[\"x\"]}"));
}

static void test_check(void **state)
{
	_cleanup_json_ json_t *known = json_loads("{\"isolation\":[\"hyperv\"],\"event\":[\"x\"]}", 0, NULL);
	_cleanup_json_ json_t *key = json_loads("{\"color\":[\"red\"]}", 0, NULL);
	_cleanup_json_ json_t *value = json_loads("{\"isolation\":[\"xen\"]}", 0, NULL);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(engine_events_check(known, &e), 0);
	assert_int_equal(engine_events_check(NULL, &e), 0);
	assert_int_equal(engine_events_check(key, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid filter 'color'");
	assert_int_equal(engine_events_check(value, &e), -EINVAL);
}

/* Labels that are longer than a line of the journal may be: the event stays, with what matters of it. */
static void test_long(void **state)
{
	char path[] = "/tmp/caisson-test-XXXXXX";
	_cleanup_journal_ struct journal_reader j = {.dir = -1};
	_cleanup_free_ char *label = calloc(1, 100001);
	const char *text;
	int64_t ns;

	(void)state;
	memset(label, 'l', 100000);
	assert_non_null(mkdtemp(path));
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_json_ json_t *record = json_pack("{s:{s:s, s:{s:s}}, s:{s:s}}", "Config", "Image", "img", "Labels",
		"long", label, "HostConfig", "Isolation", "hyperv");
	_cleanup_json_ json_t *actor = event_actor("na\nme", record);
	event_container(dir, "id", actor, "kill", json_pack("{s:s}", "signal", "9"));
	event_volume(dir, "create", "v");
	assert_int_equal(journal_open(dir, &j), 0);
	assert_int_equal(journal_next(&j, &ns, &text), 1);
	_cleanup_json_ json_t *m = event_message(ns, text);
	assert_string_equal(json_string_value(json_path(m, "Actor.Attributes.name")), "na\nme");
	assert_string_equal(json_string_value(json_path(m, "Actor.Attributes.signal")), "9");
	assert_null(json_path(m, "Actor.Attributes.long"));
	assert_string_equal(json_str(m, "from"), "img");
	assert_string_equal(json_str(m, "isolation"), "hyperv");
	assert_int_equal(json_int(m, "time", 0), ns / 1000000000);
	assert_int_equal(journal_next(&j, &ns, &text), 1);
	_cleanup_json_ json_t *v = event_message(ns, text);
	assert_null(json_object_get(v, "status"));
	assert_string_equal(json_string_value(json_path(v, "Actor.ID")), "v");
	assert_int_equal(journal_next(&j, &ns, &text), 0);
	rm_rf(AT_FDCWD, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
