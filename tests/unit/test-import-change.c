/* `import --change`: Dockerfile instructions into an image's configuration. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "image/fetch.h"

static void changes_the_configuration(void **state)
{
	static const struct {
		const char *change, *json;
	} cases[] = {
		{"CMD [\"a\", \"b c\"]", "{\"Cmd\":[\"a\",\"b c\"]}"},
		{"cmd echo $HOME", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $HOME\"]}"},
		{"ENTRYPOINT [\"x\"]", "{\"Entrypoint\":[\"x\"]}"},
		{"ENV A=1 B=\"two words\" C=a\\ b", "{\"Env\":[\"A=1\",\"B=two words\",\"C=a b\"]}"},
		{"ENV A the rest of it", "{\"Env\":[\"A=the rest of it\"]}"},
		{"EXPOSE 80 53/udp", "{\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}}}"},
		{"LABEL k='v w' x=", "{\"Labels\":{\"k\":\"v w\",\"x\":\"\"}}"},
		{"ONBUILD RUN make && make install", "{\"OnBuild\":[\"RUN make && make install\"]}"},
		{"STOPSIGNAL SIGUSR1", "{\"StopSignal\":\"SIGUSR1\"}"},
		{"USER 1:2", "{\"User\":\"1:2\"}"},
		{"VOLUME [\"/a\", \"/b\"]", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}"},
		{"VOLUME /a /b", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}"},
		{"WORKDIR /w", "{\"WorkingDir\":\"/w\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_json_ json_t *config = json_object();
		struct err e = ERR_INIT;
		if (import_change(config, cases[i].change, &e) < 0)
			fail_msg("%s: %s", cases[i].change, e.msg);
		_cleanup_free_ char *text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
		assert_string_equal(text, cases[i].json);
	}
}

static void refuses(void **state)
{
	static const char *const cases[] = {"", "CMD", "RUN true", "ENV A", "ENV =x", "EXPOSE 0", "EXPOSE 80/x",
		"EXPOSE 65536", "LABEL a='b", "ONBUILD FROM x", "ONBUILD ONBUILD RUN x", "STOPSIGNAL NO"};
	_cleanup_json_ json_t *config = json_object();
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (import_change(config, cases[i], &e) != -EINVAL)
			fail_msg("'%s' was taken", cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(changes_the_configuration), cmocka_unit_test(refuses)};

	return cmocka_run_group_tests_name("import-change", tests, NULL, NULL);
}
