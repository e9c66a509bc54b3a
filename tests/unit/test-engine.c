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
	_cleanup_json_ json_t *warnings = json_array();
	int r = hostconfig_check(hc, e);
	return r < 0 ? r : resources_check(hc, ISOLATION_HYPERV, warnings, e);
}

/* What the kernel of a virtual machine cannot limit is dropped, and said; swap gets docker's default. */
static void test_resources(void **state)
{
	_cleanup_json_ json_t *hc = json_pack("{s:i, s:i, s:i, s:i, s:i, s:[{s:s, s:i}]}", "Memory", 8388608,
		"MemorySwappiness", 0, "BlkioWeight", 100, "KernelMemory", 8388608, "CpuQuota", -1,
		"BlkioDeviceWriteIOps", "Path", "/dev/x", "Rate", 7);
	_cleanup_json_ json_t *warnings = json_array();
	struct plan p = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(hostconfig_check(hc, &e), 0);
	assert_int_equal(resources_check(hc, ISOLATION_HYPERV, warnings, &e), 0);
	assert_int_equal(json_array_size(warnings), 4);
	assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "Memory swappiness discarded."));
	assert_non_null(strstr(json_string_value(json_array_get(warnings, 1)), "Weight discarded."));
	assert_non_null(strstr(json_string_value(json_array_get(warnings, 2)), "deprecated"));
	assert_null(json_object_get(hc, "BlkioWeight"));
	assert_null(json_object_get(hc, "KernelMemory"));
	assert_int_equal(json_int(hc, "MemorySwap", 0), 16777216);
	assert_int_equal(resources_plan(hc, &p), 0);
	assert_int_equal(p.memory_swap, 16777216);
	assert_int_equal(p.swappiness, 0);
	assert_true(p.cpu_quota == UINT64_MAX);
	assert_int_equal(p.io_len, 1);
	assert_int_equal(p.io->kind, PLAN_IO_WRITE_IOPS);
	assert_string_equal(p.io->path, "/dev/x");
	assert_int_equal(p.io->value, 7);
	plan_done(&p);
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
		{"{\"Memory\": 8388608, \"MemoryReservation\": 9388608}", "less than memory reservation"},
		{"{\"MemoryReservation\": 1000}", "Minimum memory reservation allowed is 6MB"},
		{"{\"MemorySwap\": -2}", "invalid memory swap limit"},
		{"{\"MemorySwappiness\": 101}", "valid memory swappiness range is 0-100"},
		{"{\"KernelMemory\": 1000}", "Minimum kernel memory limit allowed is 6MB"},
		{"{\"CpuQuota\": 999}", "CPU cfs quota can not be less than 1ms"},
		{"{\"CpuQuota\": -1, \"CpuPeriod\": 1000}", NULL},
		{"{\"CpuPeriod\": 999}", "CPU cfs period can not be less than 1ms"},
		{"{\"CpuPeriod\": 1000001}", "larger than 1s"},
		{"{\"NanoCpus\": 500000000, \"CpuQuota\": 5000}", "Nano CPUs and CPU Quota cannot both be set"},
		{"{\"NanoCpus\": 500000000, \"CpuPeriod\": 5000}", "Nano CPUs and CPU Period cannot both be set"},
		{"{\"CpuRealtimeRuntime\": 1}", "does not support cgroup cpu real-time runtime"},
		{"{\"CpuRealtimePeriod\": 1}", "does not support cgroup cpu real-time period"},
		{"{\"CpuShares\": -5}", "invalid CpuShares (-5)"},
		{"{\"CpusetCpus\": \"0\"}", NULL},
		{"{\"CpusetCpus\": \"0-\"}", "Invalid value 0- for cpuset cpus"},
		{"{\"CpusetCpus\": \"5000\"}", "Requested CPUs are not available - requested 5000, available: 0"},
		{"{\"CpusetCpus\": \"0-99999999999999999999\"}", "Invalid value"},
		{"{\"CpusetMems\": \"77\"}", "Requested memory nodes are not available - requested 77"},
		{"{\"BlkioWeightDevice\": [{\"Path\": \"/dev/x\"}]}", "BlkioWeightDevice: wrong type"},
		{"{\"BlkioDeviceReadBps\": [{\"Path\": \"\", \"Rate\": 1}]}", "BlkioDeviceReadBps: wrong type"},
		{"{\"PidsLimit\": -2}", "invalid pids limit"},
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
		{"{\"LogConfig\": {\"Config\": {\"max-size\": \"1.5kB\", \"max-file\": \"2\"}}}", NULL},
		{"{\"LogConfig\": {\"Config\": {\"max-size\": \"0\"}}}", "max-size must be a positive number"},
		{"{\"LogConfig\": {\"Config\": {\"max-size\": \"10x\"}}}", "invalid size: '10x'"},
		{"{\"LogConfig\": {\"Config\": {\"max-file\": \"0\"}}}", "max-file cannot be less than 1"},
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

static void expect_top(const char *options, const char *want)
{
	static char line[] = "root\t42\t1\t3\t10:00\tpts/0\t00:01:02\tSs+\t1024\t512\t-5\t3.4\t0.1\t3725\tsh\tsh -c x";
	_cleanup_strv_ char **args = strv_split(options, " ");
	_cleanup_json_ json_t *top = NULL;
	struct err e = ERR_INIT;
	int r = top_rows(args, (char *[]){line, NULL}, &top, &e);
	_cleanup_free_ char *text = r < 0 ? strdup(e.msg) : json_dumps(top, JSON_COMPACT);

	assert_string_equal(text, want);
}

static void test_top(void **state)
{
	(void)state;
	expect_top("",
		"{\"Titles\":[\"UID\",\"PID\",\"PPID\",\"C\",\"STIME\",\"TTY\",\"TIME\",\"CMD\"],\"Processes\":"
		"[[\"root\",\"42\",\"1\",\"3\",\"10:00\",\"pts/0\",\"00:01:02\",\"sh -c x\"]]}");
	expect_top("aux",
		"{\"Titles\":[\"USER\",\"PID\",\"%CPU\",\"%MEM\",\"VSZ\",\"RSS\",\"TTY\",\"STAT\",\"START\",\"TIME\","
		"\"COMMAND\"],"
		"\"Processes\":[[\"root\",\"42\",\"3.4\",\"0.1\",\"1024\",\"512\",\"pts/"
		"0\",\"Ss+\",\"10:00\",\"00:01:02\",\"sh -c x\"]]}");
	expect_top("-e",
		"{\"Titles\":[\"PID\",\"TTY\",\"TIME\",\"CMD\"],\"Processes\":[[\"42\",\"pts/"
		"0\",\"00:01:02\",\"sh\"]]}");
	expect_top("-eo pid,comm -o etime,s",
		"{\"Titles\":[\"PID\",\"COMMAND\",\"ELAPSED\",\"S\"],\"Processes\":[[\"42\",\"sh\",\"01:02:05\",\"S\"]]"
		"}");
	expect_top("-opid,ni", "{\"Titles\":[\"PID\",\"NI\"],\"Processes\":[[\"42\",\"-5\"]]}");
	expect_top("-o comm", "Couldn't find PID field in ps output");
	expect_top("-o pid,foo", "ps: unknown user-defined format specifier \"foo\"");
	expect_top("-o", "ps: a list of columns must follow -o");
	expect_top("-C sh", "ps option '-C' is not known: use -ef, aux, -e or -o LIST");
	expect_top("--forest", "ps option '--forest' is not known: use -ef, aux, -e or -o LIST");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_hostconfig),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_bad_mounts),
		cmocka_unit_test(test_security),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
