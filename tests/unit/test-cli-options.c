/* The command line's options: pflag's rules, the values of docker's flags, and where they land in the API's
 * body. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/container-options.h"

static const struct opt table[] = {
	{"all", 'a', &opt_bool, NULL, "a flag"},
	{"attach", 0, &opt_attach, NULL, "streams"},
	{"cpus", 0, &opt_cpus, "HostConfig.NanoCpus", "cpus"},
	{"device", 0, &opt_device, "HostConfig.Devices", "device"},
	{"env", 'e', &opt_env, "Env", "env"},
	{"filter", 'f', &opt_filter, NULL, "filter"},
	{"interactive", 'i', &opt_bool, "OpenStdin", "stdin"},
	{"label", 'l', &opt_label, "Labels", "label"},
	{"memory", 'm', &opt_bytes, "HostConfig.Memory", "memory"},
	{"memory-swap", 0, &opt_bytes_or_unlimited, "HostConfig.MemorySwap", "swap"},
	{"mount", 0, &opt_mount, "HostConfig.Mounts", "mount"},
	{"name", 0, &opt_string, NULL, "name"},
	{"net", 0, &opt_string, "HostConfig.NetworkMode", NULL},
	{"network", 0, &opt_string, "HostConfig.NetworkMode", "network"},
	{"path", 0, &opt_path, "Path", "path"},
	{"pids-limit", 0, &opt_int, "HostConfig.PidsLimit", "pids"},
	{"restart", 0, &opt_restart, "HostConfig.RestartPolicy", "restart"},
	{"rm", 0, &opt_bool, "HostConfig.AutoRemove", "rm"},
	{"blkio-weight", 0, &opt_uint16, "HostConfig.BlkioWeight", "weight"},
	{"blkio-weight-device", 0, &opt_weight_device, "HostConfig.BlkioWeightDevice", "weight"},
	{"device-read-bps", 0, &opt_bps, "HostConfig.BlkioDeviceReadBps", "rate"},
	{"device-write-iops", 0, &opt_iops, "HostConfig.BlkioDeviceWriteIOps", "rate"},
	{"memory-swappiness", 0, &opt_swappiness, "HostConfig.MemorySwappiness", "swappiness"},
	{"sysctl", 0, &opt_sysctl, "HostConfig.Sysctls", "sysctl"},
	{"tmpfs", 0, &opt_tmpfs, "HostConfig.Tmpfs", "tmpfs"},
	{"tty", 't', &opt_bool, "Tty", "tty"},
	{"ulimit", 0, &opt_ulimit, "HostConfig.Ulimits", "ulimit"},
	{"volume", 'v', &opt_volume, "HostConfig.Binds", "volume"},
	{0},
};
static const struct opt *const tables[OPT_TABLES] = {table};

/* Parses a line of words separated by single spaces; returns its words, which the options point to. */
static char **parse(struct opts *p, const char *line, bool stop, int expect, struct err *e)
{
	char **argv = strv_split(line, " ");
	char *none[] = {NULL};

	*e = ERR_INIT;
	assert_int_equal(opts_parse(p, tables, argv ? argv : none, stop, e), expect);
	return argv;
}

static void expect_body(const char *line, const char *json)
{
	_cleanup_(opts_done) struct opts p;
	_cleanup_strv_ char **argv = NULL;
	_cleanup_json_ json_t *want = json_loads(json, 0, NULL);
	struct err e;

	assert_non_null(want);
	argv = parse(&p, line, true, 0, &e);
	if (!json_equal(p.body, want)) {
		_cleanup_free_ char *got = json_dumps(p.body, JSON_SORT_KEYS);
		fail_msg("%s: %s, not %s", line, got, json);
	}
}

static void expect_error(const char *line, const char *text)
{
	_cleanup_(opts_done) struct opts p;
	_cleanup_strv_ char **argv = NULL;
	struct err e;

	argv = parse(&p, line, true, -22, &e);
	assert_string_equal(e.msg, text);
}

static void test_forms(void **state)
{
	(void)state;
	expect_body("-it", "{\"OpenStdin\": true, \"Tty\": true}");
	expect_body("-ti image -t", "{\"OpenStdin\": true, \"Tty\": true}");
	expect_body("-i=false -t=1", "{\"OpenStdin\": false, \"Tty\": true}");
	expect_body("--rm=false", "{\"HostConfig\": {\"AutoRemove\": false}}");
	expect_body("--rm --rm=0", "{\"HostConfig\": {\"AutoRemove\": false}}");
	expect_body(
		"-eA=1 -e B=2 -e=C=3 --env D=4 --env=E=5", "{\"Env\": [\"A=1\", \"B=2\", \"C=3\", \"D=4\", \"E=5\"]}");
	expect_body("-iteA=1", "{\"OpenStdin\": true, \"Tty\": true, \"Env\": [\"A=1\"]}");
	expect_body("--net host --network none", "{\"HostConfig\": {\"NetworkMode\": \"none\"}}");
	/* an option takes what follows, whatever it looks like */
	expect_body("--env -e=1 --env --rm=2", "{\"Env\": [\"-e=1\", \"--rm=2\"]}");
}

static void test_arguments(void **state)
{
	_cleanup_(opts_done) struct opts p, q, r;
	_cleanup_strv_ char **a = NULL, **b = NULL, **c = NULL;
	struct err e;

	(void)state;
	a = parse(&p, "--name x image -t --rm", true, 0, &e);
	assert_int_equal(p.args_len, 3);
	assert_string_equal(p.args[0], "image");
	assert_string_equal(p.args[2], "--rm");
	assert_null(p.args[3]);
	assert_string_equal(opts_str(&p, "name"), "x");
	assert_false(opts_given(&p, "tty"));
	b = parse(&q, "one -a two --name= -- -a", false, 0, &e);
	assert_int_equal(q.args_len, 3);
	assert_string_equal(q.args[2], "-a");
	assert_true(opts_flag(&q, "all"));
	assert_true(opts_given(&q, "name"));
	assert_string_equal(opts_str(&q, "name"), "");
	c = parse(&r, "- -a", false, 0, &e);
	assert_int_equal(r.args_len, 1);
	assert_string_equal(r.args[0], "-");
}

static void test_help(void **state)
{
	_cleanup_(opts_done) struct opts p, q;
	_cleanup_strv_ char **a = NULL, **b = NULL;
	struct err e;

	(void)state;
	a = parse(&p, "-a --help --foo", true, 0, &e);
	assert_true(p.help);
	b = parse(&q, "image --help", true, 0, &e);
	assert_false(q.help);
}

static void test_errors(void **state)
{
	(void)state;
	expect_error("--foo", "unknown flag: --foo");
	expect_error("--foo=1", "unknown flag: --foo");
	expect_error("--nam x", "unknown flag: --nam");
	expect_error("---", "bad flag syntax: ---");
	expect_error("--=x", "bad flag syntax: --=x");
	expect_error("-Z", "unknown shorthand flag: 'Z' in -Z");
	expect_error("-itZa", "unknown shorthand flag: 'Z' in -Za");
	expect_error("--name", "flag needs an argument: --name");
	expect_error("-m", "flag needs an argument: 'm' in -m");
	expect_error("-im", "flag needs an argument: 'm' in -m");
	expect_error("-m 12x", "invalid argument \"12x\" for \"-m, --memory\" flag: invalid size: '12x'");
	expect_error("--memory-swap -2", "invalid argument \"-2\" for \"--memory-swap\" flag: invalid size: '-2'");
	expect_error("--rm=maybe",
		"invalid argument \"maybe\" for \"--rm\" flag: strconv.ParseBool: parsing "
		"\"maybe\": invalid syntax");
	expect_error("--pids-limit x",
		"invalid argument \"x\" for \"--pids-limit\" flag: strconv.ParseInt: "
		"parsing \"x\": invalid syntax");
	expect_error("--pids-limit 99999999999999999999",
		"invalid argument \"99999999999999999999\" for \"--pids-limit\" flag: strconv.ParseInt: "
		"parsing \"99999999999999999999\": value out of range");
	expect_error("--cpus=x", "invalid argument \"x\" for \"--cpus\" flag: failed to parse x as a rational number");
	expect_error("-e =x", "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x");
	expect_error("-l =", "invalid argument \"=\" for \"-l, --label\" flag: invalid label '=': empty name");
	expect_error("-f foo",
		"invalid argument \"foo\" for \"-f, --filter\" flag: bad format of filter "
		"(expected name=value)");
	expect_error(
		"--sysctl foo=1", "invalid argument \"foo=1\" for \"--sysctl\" flag: sysctl 'foo=1' is not allowed");
	expect_error(
		"--sysctl net.x", "invalid argument \"net.x\" for \"--sysctl\" flag: sysctl 'net.x' is not allowed");
	expect_error("--blkio-weight 65536",
		"invalid argument \"65536\" for \"--blkio-weight\" flag: strconv.ParseUint: parsing \"65536\": value "
		"out of range");
	expect_error("--blkio-weight-device /dev/a:5",
		"invalid argument \"/dev/a:5\" for \"--blkio-weight-device\" flag: invalid weight for device: "
		"/dev/a:5");
	expect_error("--device-read-bps x", "invalid argument \"x\" for \"--device-read-bps\" flag: bad format: x");
	expect_error("--device-write-iops x:1",
		"invalid argument \"x:1\" for \"--device-write-iops\" flag: bad format for device path: x:1");
	expect_error("--device-write-iops /dev/a:1k",
		"invalid argument \"/dev/a:1k\" for \"--device-write-iops\" flag: invalid rate for device: /dev/a:1k. "
		"The "
		"correct format is <device-path>:<number>. Number must be a positive integer");
	expect_error("--attach foo",
		"invalid argument \"foo\" for \"--attach\" flag: valid streams are STDIN, STDOUT and STDERR");
}

static void test_values(void **state)
{
	(void)state;
	expect_body("-m 512m", "{\"HostConfig\": {\"Memory\": 536870912}}");
	expect_body("-m1g --memory-swap -1", "{\"HostConfig\": {\"Memory\": 1073741824, \"MemorySwap\": -1}}");
	expect_body("--cpus 1.5", "{\"HostConfig\": {\"NanoCpus\": 1500000000}}");
	expect_body("--pids-limit -1", "{\"HostConfig\": {\"PidsLimit\": -1}}");
	expect_body("-l a=b=c -l d -l e=", "{\"Labels\": {\"a\": \"b=c\", \"d\": \"\", \"e\": \"\"}}");
	expect_body(
		"--blkio-weight 65535 --memory-swappiness 0 --device-read-bps /dev/a:1kb --device-write-iops /dev/b:5",
		"{\"HostConfig\": {\"BlkioWeight\": 65535, \"MemorySwappiness\": 0, \"BlkioDeviceReadBps\": "
		"[{\"Path\": "
		"\"/dev/a\", \"Rate\": 1024}], \"BlkioDeviceWriteIOps\": [{\"Path\": \"/dev/b\", \"Rate\": 5}]}}");
	expect_body("--memory-swappiness -1", "{}");
	expect_body("--blkio-weight-device /dev/a:0",
		"{\"HostConfig\": {\"BlkioWeightDevice\": [{\"Path\": \"/dev/a\", \"Weight\": 0}]}}");
	expect_body("--sysctl net.x=1 --sysctl net.y=a=b",
		"{\"HostConfig\": {\"Sysctls\": {\"net.x\": \"1\", \"net.y\": \"a=b\"}}}");
	expect_body("--tmpfs /a --tmpfs /b:size=1m,mode=700",
		"{\"HostConfig\": {\"Tmpfs\": {\"/a\": \"\", \"/b\": \"size=1m,mode=700\"}}}");
	expect_body("-v /a:/b:ro -v vol:/c -v /d",
		"{\"HostConfig\": {\"Binds\": [\"/a:/b:ro\", \"vol:/c\"]}, \"Volumes\": {\"/d\": {}}}");
	expect_body("--restart on-failure:3",
		"{\"HostConfig\": {\"RestartPolicy\": {\"Name\": "
		"\"on-failure\", \"MaximumRetryCount\": 3}}}");
}

static void test_environment(void **state)
{
	(void)state;
	setenv("CAISSON_TEST_SET", "from here", 1);
	unsetenv("CAISSON_TEST_UNSET");
	expect_body("-e CAISSON_TEST_SET -e CAISSON_TEST_UNSET -e X=",
		"{\"Env\": [\"CAISSON_TEST_SET=from here\", \"X=\"]}");
}

static void test_relative_volume(void **state)
{
	_cleanup_(opts_done) struct opts p;
	_cleanup_strv_ char **argv = NULL;
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *want = cwd ? str_fmt("%s:/in", cwd) : NULL;
	struct err e;

	(void)state;
	argv = parse(&p, "-v .:/in", true, 0, &e);
	assert_string_equal(json_string_value(json_array_get(json_path(p.body, "HostConfig.Binds"), 0)), want);
}

static void test_ulimit_and_device(void **state)
{
	(void)state;
	expect_body("--ulimit nofile=10:20 --ulimit core=-1",
		"{\"HostConfig\": {\"Ulimits\": [{\"Name\": \"nofile\", \"Soft\": 10, \"Hard\": 20}, "
		"{\"Name\": \"core\", \"Soft\": -1, \"Hard\": -1}]}}");
	expect_body("--device /dev/a --device /dev/a:/dev/b --device /dev/a:r --device /dev/a:/dev/b:rw",
		"{\"HostConfig\": {\"Devices\": ["
		"{\"PathOnHost\": \"/dev/a\", \"PathInContainer\": \"/dev/a\", \"CgroupPermissions\": "
		"\"rwm\"},"
		"{\"PathOnHost\": \"/dev/a\", \"PathInContainer\": \"/dev/b\", \"CgroupPermissions\": "
		"\"rwm\"},"
		"{\"PathOnHost\": \"/dev/a\", \"PathInContainer\": \"/dev/a\", \"CgroupPermissions\": \"r\"},"
		"{\"PathOnHost\": \"/dev/a\", \"PathInContainer\": \"/dev/b\", \"CgroupPermissions\": "
		"\"rw\"}]}}");
	expect_error("--ulimit x", "invalid argument \"x\" for \"--ulimit\" flag: invalid ulimit argument: x");
	expect_error("--ulimit foo=3", "invalid argument \"foo=3\" for \"--ulimit\" flag: invalid ulimit type: foo");
	expect_error("--ulimit nofile=5:3",
		"invalid argument \"nofile=5:3\" for \"--ulimit\" flag: ulimit "
		"soft limit must be less than or equal to hard limit: 5 > 3");
	expect_error("--device /dev/a:/dev/b:zz",
		"invalid argument \"/dev/a:/dev/b:zz\" for \"--device\" flag: bad mode specified: zz");
	expect_error("--device a:b:c:d",
		"invalid argument \"a:b:c:d\" for \"--device\" flag: invalid device specification: a:b:c:d");
}

static void test_mount(void **state)
{
	(void)state;
	expect_body("--mount type=bind,source=/a,target=/b,readonly",
		"{\"HostConfig\": {\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/a\", \"Target\": \"/b\", "
		"\"ReadOnly\": true}]}}");
	expect_body("--mount src=v,dst=/b,volume-nocopy=true,volume-opt=a=b",
		"{\"HostConfig\": {\"Mounts\": [{\"Type\": \"volume\", \"Source\": \"v\", \"Target\": "
		"\"/b\", "
		"\"VolumeOptions\": {\"NoCopy\": true, \"DriverConfig\": {\"Options\": {\"a\": \"b\"}}}}]}}");
	expect_body("--mount type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770",
		"{\"HostConfig\": {\"Mounts\": [{\"Type\": \"tmpfs\", \"Target\": \"/t\", \"TmpfsOptions\": "
		"{\"SizeBytes\": 1048576, \"Mode\": 1016}}]}}");
	expect_body("--mount type=bind,\"source=/a,b\",target=/c",
		"{\"HostConfig\": {\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/a,b\", \"Target\": "
		"\"/c\"}]}}");
#define MOUNT_ERROR(value, text) \
	expect_error("--mount " value, "invalid argument \"" value "\" for \"--mount\" flag: " text)
	MOUNT_ERROR("x", "invalid field 'x' must be a key=value pair");
	MOUNT_ERROR("type=bind,target=/x,foo=bar", "unexpected key 'foo' in 'foo=bar'");
	MOUNT_ERROR("type=bind,source=/x", "target is required");
	MOUNT_ERROR("type=bind,target=/x,tmpfs-size=3", "cannot mix 'tmpfs-*' options with mount type 'bind'");
	MOUNT_ERROR("type=bind,target=/x,ro=z", "invalid value for ro: z");
	MOUNT_ERROR("type=tmpfs,target=/x,tmpfs-size=z", "invalid value for tmpfs-size: z");
}

/* Every option of docker's run is there or refused with a reason; none is there twice. */
static void test_container_options(void **state)
{
	static const struct opt *const both[OPT_TABLES] = {container_options, refused_options};
	static const char *const refused[] = {"--link=a:b", "--gpus=all", "--runtime=x", "--use-api-socket",
		"--cpu-count=1", "--cpu-percent=1", "--io-maxiops=1", "--io-maxbandwidth=1", "--link-local-ip=x",
		"--device-cgroup-rule=x", NULL};
	struct err e;

	(void)state;
	for (const char *const *r = refused; *r; r++) {
		_cleanup_(opts_done) struct opts p;
		char *argv[] = {(char *)*r, NULL};
		e = ERR_INIT;
		assert_int_equal(opts_parse(&p, both, argv, true, &e), -EINVAL);
		if (!strstr(e.msg, " is not supported by caisson: ") || str_starts(e.msg, "unknown"))
			fail_msg("%s: %s", *r, e.msg);
	}
	for (size_t t = 0; both[t]; t++)
		for (const struct opt *o = both[t]; o->name; o++) {
			int n = 0;
			for (size_t u = 0; both[u]; u++)
				for (const struct opt *q = both[u]; q->name; q++)
					n += !strcmp(q->name, o->name) || (o->letter && q->letter == o->letter);
			if (n != 1 || !o->refused != (both[t] == container_options))
				fail_msg("%s: %d rows", o->name, n);
		}
}

static void test_path(void **state)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	_cleanup_free_ char *json = str_fmt("{\"Path\": \"%s/a/b\"}", cwd);

	(void)state;
	expect_body("--path /x", "{\"Path\": \"/x\"}");
	expect_body("--path a/b", json);
}

static void test_recursive(void **state)
{
	(void)state;
	expect_body("--mount type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rprivate",
		"{\"HostConfig\": {\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/a\", \"Target\": \"/b\", "
		"\"ReadOnly\": true, "
		"\"BindOptions\": {\"ReadOnlyForceRecursive\": true, \"Propagation\": \"rprivate\"}}]}}");
	expect_body("--mount type=bind,src=/a,dst=/b,bind-recursive=disabled",
		"{\"HostConfig\": {\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/a\", \"Target\": \"/b\", "
		"\"BindOptions\": "
		"{\"NonRecursive\": true}}]}}");
}

static void test_filter(void **state)
{
	_cleanup_(opts_done) struct opts p;
	_cleanup_strv_ char **argv = NULL;
	_cleanup_json_ json_t *want = json_loads("{\"isolation\": [\"hyperv\", \"vm\"], \"name\": [\"a\"]}", 0, NULL);
	struct err e;

	(void)state;
	argv = parse(&p, "-f isolation=hyperv --filter Isolation=vm -f name=a", false, 0, &e);
	assert_true(json_equal(opts_get(&p, "filter"), want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_relative_volume),
		cmocka_unit_test(test_ulimit_and_device),
		cmocka_unit_test(test_mount),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_container_options),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_recursive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
