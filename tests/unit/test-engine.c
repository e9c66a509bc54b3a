/* engine/: what is refused before anything is made, and mounts from docker's words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/engine-private.h"

static int check_hc(const char *text, struct err *e)
{
	_cleanup_json_ json_t *hc = json_loads(text, 0, NULL);

	assert_non_null(hc);
	*e = ERR_INIT;
	return hostconfig_check(hc, e);
}

static void test_hostconfig(void **state)
{
	static const struct {
		const char *text, *error; /* error: a part of it; NULL: fine */
	} cases[] = {
		{"{}", NULL},
		{"{\"Memory\": 6291456, \"NetworkMode\": \"none\", \"Isolation\": \"HyperV\"}", NULL},
		{"{\"Memory\": 1000}", "Minimum memory limit allowed is 6MB"},
		{"{\"Memory\": 8388608, \"MemorySwap\": 4194304}", "larger than memory limit"},
		{"{\"MemorySwap\": 8388608}", "You should always set the Memory limit"},
		{"{\"MemorySwap\": -1, \"Memory\": 8388608}", NULL},
		{"{\"NanoCpus\": 1}", "range of CPUs is from 0.01"},
		{"{\"Isolation\": \"xen\"}", "invalid isolation (xen): use 'default', 'process' or 'hyperv'"},
		{"{\"NetworkPolicy\": \"closed\"}", NULL},
		{"{\"NetworkPolicy\": \"shut\"}", "invalid network policy 'shut'"},
		{"{\"RestartPolicy\": {\"Name\": \"always\"}}", NULL},
		{"{\"RestartPolicy\": {\"Name\": \"often\"}}", "unknown policy 'often'"},
		{"{\"RestartPolicy\": {\"Name\": \"always\", \"MaximumRetryCount\": 2}}",
			"only be used with 'on-failure'"},
		{"{\"RestartPolicy\": {\"Name\": \"always\"}, \"AutoRemove\": true}", "'AutoRemove' container"},
		{"{\"RestartPolicy\": {\"Name\": \"no\"}}", NULL},
		{"{\"LogConfig\": {\"Type\": \"syslog\"}}", "no log driver named 'syslog'"},
		{"{\"PortBindings\": {}}", NULL},
		{"{\"PortBindings\": {\"80/tcp\": []}}", NULL},
		{"{\"NoSuchKey\": 1}", "NoSuchKey is not supported"},
		{"{\"NoSuchKey\": 0}", NULL},
		{"{\"Memory\": \"much\"}", "HostConfig.Memory: wrong type"},
		{"{\"OomScoreAdj\": 2000}", "range for oom score adj"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = check_hc(cases[i].text, &e);
		assert_int_equal(r < 0, cases[i].error != NULL);
		if (cases[i].error && !strstr(e.msg, cases[i].error))
			fail_msg("%s: %s", cases[i].text, e.msg);
	}
}

static json_t *resolve(const char *config_text, const char *hc_text, struct err *e)
{
	_cleanup_json_ json_t *config = json_loads(config_text, 0, NULL);
	_cleanup_json_ json_t *hc = json_loads(hc_text, 0, NULL);
	json_t *mounts = NULL;

	assert_non_null(config);
	assert_non_null(hc);
	*e = ERR_INIT;
	return mounts_resolve(NULL, config, hc, &mounts, e) < 0 ? NULL : mounts;
}

static void test_binds(void **state)
{
	struct err e;
	_cleanup_json_ json_t *m = resolve("{\"Volumes\": {\"/data\": {}, \"/v\": {}}}",
		"{\"Binds\": [\"/tmp//x/:/a:ro\", \"named:/v\", \"/anon\", \"/tmp:/s:rslave,ro\"]}", &e);

	(void)state;
	assert_non_null(m);
	assert_int_equal(json_array_size(m), 5); /* /v of the image is taken by `named` */
	assert_string_equal(json_str(json_array_get(m, 0), "Source"), "/tmp/x");
	assert_string_equal(json_str(json_array_get(m, 0), "Type"), "bind");
	assert_false(json_flag(json_array_get(m, 0), "RW"));
	assert_string_equal(json_str(json_array_get(m, 1), "Name"), "named");
	assert_true(json_flag(json_array_get(m, 1), "CopyUp"));
	assert_string_equal(json_str(json_array_get(m, 2), "Destination"), "/anon");
	assert_string_equal(json_str(json_array_get(m, 3), "Propagation"), "rslave");
	assert_string_equal(json_str(json_array_get(m, 4), "Destination"), "/data");
}

static void test_bad_mounts(void **state)
{
	static const struct {
		const char *hc, *error;
	} cases[] = {
		{"{\"Binds\": [\"\"]}", "invalid volume specification"},
		{"{\"Binds\": [\":/a\"]}", "invalid volume specification"},
		{"{\"Binds\": [\"/a:/b:ro:x\"]}", "invalid volume specification"},
		{"{\"Binds\": [\"/a:b\"]}", "must be absolute"},
		{"{\"Binds\": [\"./a:/b\"]}", "invalid characters for a local volume name"},
		{"{\"Binds\": [\"/a:/b:bad\"]}", "invalid mode: bad"},
		{"{\"Binds\": [\"/a:/b:rw,ro\"]}", "invalid mode: rw,ro"},
		{"{\"Binds\": [\"/a:/\"]}", "destination can't be '/'"},
		{"{\"Binds\": [\"/a:/b/../b\", \"/c:/b\"]}", "Duplicate mount point: /b"},
		{"{\"Tmpfs\": {\"/t\": \"nosuch=1\"}}", "invalid tmpfs option"},
		{"{\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/no/such/path\", \"Target\": \"/a\"}]}",
			"bind source path does not exist: /no/such/path"},
		{"{\"Mounts\": [{\"Type\": \"npipe\", \"Target\": \"/a\"}]}", "mount type unknown"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_null(resolve("{}", cases[i].hc, &e));
		if (!strstr(e.msg, cases[i].error))
			fail_msg("%s: %s", cases[i].hc, e.msg);
	}
}

static void test_security(void **state)
{
	static const struct {
		const char *hc, *error;
	} cases[] = {
		{"{\"SecurityOpt\": [\"no-new-privileges\", \"seccomp=unconfined\"]}", NULL},
		{"{\"SecurityOpt\": [\"no-new-privileges:false\"]}", NULL},
		{"{\"SecurityOpt\": [\"no-new-privileges=perhaps\"]}", "invalid --security-opt 2"},
		{"{\"SecurityOpt\": [\"seccomp=/no/such/file\"]}", "opening seccomp profile (/no/such/file) failed"},
		{"{\"SecurityOpt\": [\"apparmor=mine\"]}", "AppArmor and SELinux are not used"},
		{"{\"SecurityOpt\": [\"nonsense\"]}", "invalid --security-opt 2"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_json_ json_t *hc = json_loads(cases[i].hc, 0, NULL);
		_cleanup_json_ json_t *out = NULL;
		e = ERR_INIT;
		assert_int_equal(security_resolve(hc, &out, &e) < 0, cases[i].error != NULL);
		if (cases[i].error && !strstr(e.msg, cases[i].error))
			fail_msg("%s: %s", cases[i].hc, e.msg);
	}
}

static void test_names(void **state)
{
	char name[64];

	(void)state;
	assert_true(name_valid("ab"));
	assert_true(name_valid("a.b-c_1"));
	assert_false(name_valid("a"));
	assert_false(name_valid("-ab"));
	assert_false(name_valid("a/b"));
	assert_false(name_valid(""));
	for (int i = 0; i < 100; i++) {
		assert_int_equal(name_generate(name), 0);
		assert_true(name_valid(name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostconfig),
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_bad_mounts),
		cmocka_unit_test(test_security),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
