/* The options of run, create and the network commands about networks and ports: the API's bodies that docker's client makes of the same lines,
 * and its error texts; ports as `ps` and `port` show them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/container-options.h"
#include "cli/network-options.h"
#include "cli/port.h"

/* Reads a line of words separated by single spaces as those of `run`. Returns the words, which the options point to. */
static char **parse(struct opts *p, const char *line, int *ret, struct err *e)
{
	static const struct opt *const tables[OPT_TABLES] = {container_options};
	char **argv = strv_split(line, " ");
	char *none[] = {NULL};

	*e = ERR_INIT;
	*ret = opts_parse(p, tables, argv ? argv : none, true, e);
	if (*ret == 0)
		*ret = network_options_apply(p, e);
	return argv;
}

static void expect_body(const char *line, const char *json)
{
	_cleanup_(opts_done) struct opts p;
	_cleanup_strv_ char **argv = NULL;
	_cleanup_json_ json_t *want = json_loads(json, 0, NULL);
	struct err e;
	int r;

	assert_non_null(want);
	argv = parse(&p, line, &r, &e);
	if (r < 0)
		fail_msg("%s: %s", line, e.msg);
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
	int r;

	argv = parse(&p, line, &r, &e);
	if (r == 0)
		fail_msg("%s: no error", line);
	assert_string_equal(e.msg, text);
}

#define MODE(mode)               "\"HostConfig\": {\"NetworkMode\": \"" mode "\"}"
#define ENDPOINTS(endpoints)     "\"NetworkingConfig\": {\"EndpointsConfig\": " endpoints "}"
#define BODY(mode)               "{" MODE(mode) "}"
#define BODY_OF(mode, endpoints) "{" MODE(mode) ", " ENDPOINTS(endpoints) "}"
#define BINDINGS(exposed, ports) \
	"{\"ExposedPorts\": " exposed ", \"HostConfig\": {\"NetworkMode\": \"default\", \"PortBindings\": " ports "}}"
#define HOST_CONFIG(settings) "{\"HostConfig\": {\"NetworkMode\": \"default\", " settings "}}"

static void test_one_network(void **state)
{
	(void)state;
	expect_body("", BODY("default"));
	expect_body("--network net1", BODY("net1"));
	expect_body("--net net1", BODY("net1"));
	expect_body("--network none", BODY("none"));
	expect_body("--network container:abc", BODY("container:abc"));
	expect_body("--network name=net1", BODY("net1"));
	expect_body("--network Name=net1,name=net2", BODY("net2"));
	/* no letter next to the '=': a name */
	expect_body("--network =a", BODY("=a"));
	expect_body("--network name=", BODY("name="));
}

static void test_endpoint(void **state)
{
	(void)state;
	expect_body("--network name=net1,alias=a,alias=b,ip=1.2.3.4,ip6=fd00::2,mac-address=02:00:00:00:00:01",
		BODY_OF("net1",
			"{\"net1\": {\"Aliases\": [\"a\", \"b\"], \"IPAMConfig\": {\"IPv4Address\": \"1.2.3.4\", "
			"\"IPv6Address\": \"fd00::2\"}, \"MacAddress\": \"02:00:00:00:00:01\"}}"));
	/* the plain options are of the first network, wherever they stand */
	expect_body("--ip 1.2.3.4 --network net1 --ip6 fd00::2 --network net2 --network-alias a --net-alias b",
		BODY_OF("net1",
			"{\"net1\": {\"Aliases\": [\"a\", \"b\"], \"IPAMConfig\": {\"IPv4Address\": \"1.2.3.4\", "
			"\"IPv6Address\": \"fd00::2\"}}, \"net2\": {}}"));
	expect_body("--network net1 --net name=net2,alias=x,ip=10.0.0.9",
		BODY_OF("net1",
			"{\"net1\": {}, \"net2\": {\"Aliases\": [\"x\"], \"IPAMConfig\": {\"IPv4Address\": "
			"\"10.0.0.9\"}}}"));
	expect_body(
		"--ip 1.2.3.4", BODY_OF("default", "{\"default\": {\"IPAMConfig\": {\"IPv4Address\": \"1.2.3.4\"}}}"));
	expect_body("--ip=", BODY("default"));
	expect_body("--network name=net1,\"alias=a,b\"", BODY_OF("net1", "{\"net1\": {\"Aliases\": [\"a,b\"]}}"));
	expect_body("--network host --network none", BODY_OF("host", "{\"host\": {}, \"none\": {}}"));
}

static void test_mac(void **state)
{
	static const char *const good[] = {"02:42:AC:11:00:02", "02-42-ac-11-00-02", "0242.ac11.0002", NULL};
	static const char *const bad[] = {"foo", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "02:42-ac:11:00:02",
		"0242ac110002", "2:42:ac:11:0:2", "02:42:ac:11:00:0g", "0242.ac11.000", NULL};

	(void)state;
	for (size_t i = 0; good[i]; i++) {
		_cleanup_free_ char *line = str_fmt("--mac-address %s", good[i]);
		expect_body(line, BODY_OF("default", "{\"default\": {\"MacAddress\": \"02:42:ac:11:00:02\"}}"));
	}
	for (size_t i = 0; bad[i]; i++) {
		_cleanup_free_ char *line = str_fmt("--mac-address %s", bad[i]);
		_cleanup_free_ char *spec = str_fmt("--network a --network name=net1,mac-address=%s", bad[i]);
		_cleanup_free_ char *text = str_fmt("%s is not a valid mac address", bad[i]);
		expect_error(line, text);
		expect_error(spec, text);
	}
}

static void test_network_errors(void **state)
{
#define NETWORK_ERROR(value, text) \
	expect_error("--network " value, "invalid argument \"" value "\" for \"--network\" flag: " text)
	(void)state;
	NETWORK_ERROR("name=net1,foo=bar", "invalid field key foo");
	NETWORK_ERROR("my-net=1", "invalid field key my-net");
	NETWORK_ERROR("alias=a", "network name/id is not specified");
	NETWORK_ERROR("name=,alias=a", "network name/id is not specified");
	NETWORK_ERROR("name=net1,alias", "invalid field alias");
	NETWORK_ERROR("name=net1,=a", "invalid field =a");
	NETWORK_ERROR("name=net1,", "invalid field ");
	NETWORK_ERROR("name=net1,\"alias=a", "a quote is not closed");
	NETWORK_ERROR("name=net1,driver-opt=a=b", "driver-opt is not supported");
	expect_error("--net foo=bar", "invalid argument \"foo=bar\" for \"--net\" flag: invalid field key foo");
	expect_error("--network=", "no name set for network");
	expect_error("--network name=host --network net1",
		"conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	expect_error("--network net1 --network container:x",
		"conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	expect_error("--network net1 --network name=net1", "network \"net1\" is specified multiple times");
	expect_error("--network-policy shut",
		"invalid argument \"shut\" for \"--network-policy\" flag: must be \"open\" or \"closed\"");
}

static void test_conflicts(void **state)
{
	(void)state;
	expect_error("--network name=net1,ip=1.2.3.4 --ip 1.2.3.4",
		"conflicting options: cannot specify both --ip and per-network IPv4 address");
	expect_error("--network name=net1,ip6=fd00::1 --ip6 fd00::2",
		"conflicting options: cannot specify both --ip6 and per-network IPv6 address");
	expect_error("--network name=net1,mac-address=02:00:00:00:00:01 --mac-address 02:00:00:00:00:01",
		"conflicting options: cannot specify both --mac-address and per-network MAC address");
	expect_error("--network name=net1,alias=a --network-alias b",
		"conflicting options: cannot specify both --network-alias and per-network alias");
	/* no conflict with the second one's */
	expect_body("--network net1 --network name=net2,alias=a --network-alias b",
		BODY_OF("net1", "{\"net1\": {\"Aliases\": [\"b\"]}, \"net2\": {\"Aliases\": [\"a\"]}}"));
	static const char *const builtin[] = {
		"", "--network bridge ", "--network default ", "--network host ", "--network container:x ", NULL};
	for (size_t i = 0; builtin[i]; i++) {
		_cleanup_free_ char *line = str_fmt("%s--network-alias a", builtin[i]);
		expect_error(line, "network-scoped aliases are only supported for user-defined networks");
	}
}

static void test_publish(void **state)
{
	static const struct {
		const char *spec, *key, *ip, *host_port;
	} one[] = {
		{"80", "80/tcp", "", ""},
		{":80", "80/tcp", "", ""},
		{"::80", "80/tcp", "", ""},
		{"80/", "80/tcp", "", ""},
		{"80/TCP", "80/tcp", "", ""},
		{"8080:80", "80/tcp", "", "8080"},
		{"0:80", "80/tcp", "", "0"},
		{"080:080", "80/tcp", "", "80"},
		{"65535:65535/udp", "65535/udp", "", "65535"},
		{"127.0.0.1:8080:80/udp", "80/udp", "127.0.0.1", "8080"},
		{"127.0.0.1::80", "80/tcp", "127.0.0.1", ""},
		{"[::1]:80:80", "80/tcp", "::1", "80"},
		{"[::1]::80", "80/tcp", "::1", ""},
		{"::1:80:80", "80/tcp", "::1", "80"},
		{"[::]:8080:80", "80/tcp", "::", "8080"},
		{"8000-8002:80", "80/tcp", "", "8000-8002"},
		{"8000-8000:80", "80/tcp", "", "8000"},
		{"published=8080,target=80", "80/tcp", "", "8080"},
		{"target=80,protocol=udp,mode=host", "80/udp", "", ""},
		{"published=127.0.0.1:8080,target=80", "80/tcp", "127.0.0.1", "8080"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(one) / sizeof(*one); i++) {
		_cleanup_free_ char *line = str_fmt("--publish %s", one[i].spec);
		_cleanup_free_ char *body =
			str_fmt("{\"ExposedPorts\": {\"%s\": {}}, \"HostConfig\": {\"NetworkMode\": \"default\", "
				"\"PortBindings\": {\"%s\": [{\"HostIp\": \"%s\", \"HostPort\": \"%s\"}]}}}",
				one[i].key, one[i].key, one[i].ip, one[i].host_port);
		expect_body(line, body);
	}
}

static void test_publish_many(void **state)
{
	(void)state;
	expect_body("-p 8000-8001:80-81",
		BINDINGS("{\"80/tcp\": {}, \"81/tcp\": {}}",
			"{\"80/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"8000\"}], "
			"\"81/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"8001\"}]}"));
	expect_body("-p 80-81/udp",
		BINDINGS("{\"80/udp\": {}, \"81/udp\": {}}",
			"{\"80/udp\": [{\"HostIp\": \"\", \"HostPort\": \"\"}], \"81/udp\": [{\"HostIp\": \"\", "
			"\"HostPort\": "
			"\"\"}]}"));
	expect_body("-p80 -p 8080:80 -p 8080:80/udp",
		BINDINGS("{\"80/tcp\": {}, \"80/udp\": {}}",
			"{\"80/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"\"}, {\"HostIp\": \"\", \"HostPort\": "
			"\"8080\"}], "
			"\"80/udp\": [{\"HostIp\": \"\", \"HostPort\": \"8080\"}]}"));
	expect_body("--expose 80 --expose 90-91/udp -p 1:80",
		BINDINGS("{\"80/tcp\": {}, \"90/udp\": {}, \"91/udp\": {}}",
			"{\"80/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"1\"}]}"));
	expect_body("--expose 80/UDP -P",
		"{\"ExposedPorts\": {\"80/udp\": {}}, \"HostConfig\": {\"NetworkMode\": \"default\", "
		"\"PublishAllPorts\": true}}");
}

static void test_port_errors(void **state)
{
	(void)state;
	expect_error("-p abc:80", "invalid hostPort: abc");
	expect_error("-p 70000:80", "invalid hostPort: 70000");
	expect_error("-p 82-80:80", "invalid hostPort: 82-80");
	static const char *const inner[] = {"abc", "65536", "-1", "+80", "0x50", "80-", "82-80", "1-2-3", "0", "0-5",
		"127.0.0.1", "99999999999999999999", NULL};
	for (size_t i = 0; inner[i]; i++) {
		_cleanup_free_ char *line = str_fmt("-p 80:%s", inner[i]);
		_cleanup_free_ char *text = str_fmt("invalid containerPort: %s", inner[i]);
		expect_error(line, text);
	}
	expect_error("--publish=", "no port specified: <empty>");
	expect_error("-p /tcp", "no port specified: /tcp<empty>");
	expect_error("-p 80:/tcp", "no port specified: 80:/tcp<empty>");
	expect_error("-p published=8080", "no port specified: 8080:/tcp<empty>");
	expect_error("-p target=80,foo", "invalid publish opts format (should be name=value but got 'foo')");
	expect_error("-p target=80,foo=1", "invalid publish opts format (unknown name 'foo')");
	expect_error(
		"-p 8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001");
	expect_error("-p 80:80-82", "invalid ranges specified for container and host Ports: 80-82 and 80");
	expect_error("-p 80/foo", "invalid proto: foo");
	expect_error("-p 80/tcp/udp", "invalid proto: tcp/udp");
	expect_error("-p 80/sctp", "sctp is not supported: the protocol of a port is tcp or udp");
	static const char *const ips[] = {"1.2.3", "localhost", "*", "a:b", "[::1", "[]", "01.2.3.4", NULL};
	for (size_t i = 0; ips[i]; i++) {
		_cleanup_free_ char *line = str_fmt("-p %s:80:80", ips[i]);
		_cleanup_free_ char *text = str_fmt("invalid IP address: %s", ips[i]);
		expect_error(line, text);
	}
}

static void test_expose_errors(void **state)
{
	(void)state;
	expect_error("--expose 8080:80", "invalid port format for --expose: 8080:80");
	expect_error("--expose abc",
		"invalid range format for --expose: abc, error: strconv.ParseUint: parsing \"abc\": invalid syntax");
	expect_error("--expose 65536",
		"invalid range format for --expose: 65536, error: strconv.ParseUint: parsing \"65536\": value out of "
		"range");
	expect_error("--expose /", "invalid range format for --expose: /, error: empty string specified for ports");
	expect_error("--expose 82-80",
		"invalid range format for --expose: 82-80, error: invalid range specified for port: 82-80");
	expect_error("--expose 0", "invalid range format for --expose: 0, error: invalid range specified for port: 0");
	expect_error("--expose 80/foo", "invalid proto: foo");
}

static void test_every_port(void **state)
{
	_cleanup_json_ json_t *bindings = json_object(), *exposed = json_object();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(port_publish("1-65535:1-65535", bindings, exposed, &e), 0);
	assert_int_equal(json_object_size(bindings), 65535);
	assert_int_equal(json_object_size(exposed), 65535);
}

static void test_names(void **state)
{
	(void)state;
	expect_body("--dns 8.8.8.8 --dns 0:0::1", HOST_CONFIG("\"Dns\": [\"8.8.8.8\", \"::1\"]"));
	expect_error(
		"--dns foo", "invalid argument \"foo\" for \"--dns\" flag: IP address is not correctly formatted: foo");
	expect_error("--dns 010.1.1.1",
		"invalid argument \"010.1.1.1\" for \"--dns\" flag: IP address is not correctly formatted: 010.1.1.1");
	expect_body("--dns-option ndots:5 --dns-opt foo", HOST_CONFIG("\"DnsOptions\": [\"ndots:5\", \"foo\"]"));
	expect_body("--dns-search foo.com. --dns-search . --dns-search a-b.c1",
		HOST_CONFIG("\"DnsSearch\": [\"foo.com\", \".\", \"a-b.c1\"]"));
	static const char *const bad[] = {"1", "a..b", "-a", "a-.b", ".a", "a_b", "..", NULL};
	for (size_t i = 0; bad[i]; i++) {
		_cleanup_free_ char *line = str_fmt("--dns-search %s", bad[i]);
		_cleanup_free_ char *text = str_fmt(
			"invalid argument \"%s\" for \"--dns-search\" flag: %s is not a valid domain", bad[i], bad[i]);
		expect_error(line, text);
	}
}

static void test_hosts(void **state)
{
	static const struct {
		const char *value, *text;
	} bad[] = {
		{"a", "bad format for add-host: \"a\""},
		{":1.2.3.4", "bad format for add-host: \":1.2.3.4\""},
		{"a:b=1.2.3.4", "bad format for add-host: \"a:b=1.2.3.4\""},
		{"a:foo", "invalid IP address in add-host: \"foo\""},
		{"a=", "invalid IP address in add-host: \"\""},
		{"a:[::1", "invalid IP address in add-host: \"[::1\""},
	};

	(void)state;
	expect_body("--add-host a:1.2.3.4 --add-host b=fd00::1 --add-host c:host-gateway --add-host d:[::1] --add-host "
		    "e:::1",
		HOST_CONFIG(
			"\"ExtraHosts\": [\"a:1.2.3.4\", \"b:fd00::1\", \"c:host-gateway\", \"d:::1\", \"e:::1\"]"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_free_ char *line = str_fmt("--add-host %s", bad[i].value);
		_cleanup_free_ char *text =
			str_fmt("invalid argument \"%s\" for \"--add-host\" flag: %s", bad[i].value, bad[i].text);
		expect_error(line, text);
	}
}

static void expect_column(const char *json, const char *want)
{
	_cleanup_json_ json_t *ports = json_loads(json, 0, NULL);
	_cleanup_free_ char *got = port_column(ports);

	assert_non_null(got);
	assert_string_equal(got, want);
}

#define OPEN(port, type) "{\"PrivatePort\": " #port ", \"Type\": \"" type "\"}"
#define MAPPED(ip, out, in, type) \
	"{\"IP\": \"" ip "\", \"PublicPort\": " #out ", \"PrivatePort\": " #in ", \"Type\": \"" type "\"}"

static void test_column(void **state)
{
	(void)state;
	expect_column("[]", "");
	expect_column("[" OPEN(80, "tcp") "]", "80/tcp");
	expect_column("[" MAPPED("0.0.0.0", 8080, 80, "tcp") "," MAPPED("::", 8080, 80, "tcp") "," OPEN(443, "tcp") "]",
		"443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
	/* ranges: a gap closes one */
	expect_column(
		"[" OPEN(82, "tcp") "," OPEN(80, "tcp") "," OPEN(81, "tcp") "," OPEN(53, "udp") "," OPEN(90, "tcp") "]",
		"80-82/tcp, 53/udp, 90/tcp");
	expect_column("[" MAPPED("0.0.0.0", 80, 80, "tcp") "," MAPPED("0.0.0.0", 81, 81, "tcp") "," MAPPED(
			      "::", 80, 80, "tcp") "," MAPPED("::", 81, 81, "tcp") "," MAPPED("0.0.0.0", 83, 83,
			      "tcp") "," MAPPED("127.0.0.1", 5353, 53, "udp") "]",
		"0.0.0.0:80-81->80-81/tcp, 0.0.0.0:83->83/tcp, [::]:80-81->80-81/tcp, 127.0.0.1:5353->53/udp");
	/* other numbers outside are no ranges; by the inner port, then the outer one */
	expect_column("[" MAPPED("0.0.0.0", 8081, 81, "tcp") "," MAPPED("0.0.0.0", 9090, 80, "tcp") "," MAPPED(
			      "0.0.0.0", 8080, 80, "tcp") "]",
		"0.0.0.0:8080->80/tcp, 0.0.0.0:9090->80/tcp, 0.0.0.0:8081->81/tcp");
	expect_column("[" MAPPED("0.0.0.0", 80, 80, "tcp") "," MAPPED("0.0.0.0", 80, 80, "udp") "," OPEN(80, "udp") "]",
		"80/udp, 0.0.0.0:80->80/tcp, 0.0.0.0:80->80/udp");
}

/* want: lines that end in '\n', or the text of the error */
static void expect_lines(const char *wanted, int expect, const char *want)
{
	_cleanup_json_ json_t *ports =
		json_loads("{\"80/tcp\": [{\"HostIp\": \"::\", \"HostPort\": \"8080\"}, {\"HostIp\": \"0.0.0.0\", "
			   "\"HostPort\": \"8080\"}],"
			   "\"443/tcp\": null, \"53/udp\": [{\"HostIp\": \"127.0.0.1\", \"HostPort\": \"5353\"}],"
			   "\"9/tcp\": [{\"HostIp\": \"\", \"HostPort\": \"99\"}]}",
			0, NULL);
	_cleanup_strv_ char **lines = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct err e = ERR_INIT;

	assert_non_null(ports);
	assert_int_equal(port_lines(ports, wanted, "box", &lines, &e), expect);
	strv_foreach(line, lines)
		buf_addf(&text, "%s\n", line);
	assert_string_equal(expect < 0 ? e.msg : text.data, want);
}

static void test_lines(void **state)
{
	_cleanup_strv_ char **lines = NULL;
	struct err e = ERR_INIT;

	(void)state;
	expect_lines(NULL, 0, "9/tcp -> :99\n53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
	expect_lines("", 0, "9/tcp -> :99\n53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
	expect_lines("80", 0, "0.0.0.0:8080\n[::]:8080\n");
	expect_lines("80/", 0, "0.0.0.0:8080\n[::]:8080\n");
	expect_lines("53/udp", 0, "127.0.0.1:5353\n");
	expect_lines("53", -2, "No public port '53' published for box");
	expect_lines("443", -2, "No public port '443' published for box");
	expect_lines("foo", -22, "invalid port (foo): strconv.ParseUint: parsing \"foo\": invalid syntax");
	expect_lines("70000", -22, "invalid port (70000): strconv.ParseUint: parsing \"70000\": value out of range");
	assert_int_equal(port_lines(NULL, NULL, "box", &lines, &e), 0);
	assert_null(lines);
}

static void expect_subnets(const char *subnets, const char *ranges, const char *gateways, const char *want)
{
	_cleanup_strv_ char **s = strv_split(subnets, " "), **r = strv_split(ranges, " "),
			    **g = strv_split(gateways, " ");
	_cleanup_json_ json_t *subnet = json_from_strv(s), *range = json_from_strv(r), *gateway = json_from_strv(g),
			      *config = NULL;
	struct err e = ERR_INIT;
	_cleanup_free_ char *text = NULL;

	if (network_ipam_config(subnet, range, gateway, &config, &e) == 0)
		text = json_dumps(config, JSON_COMPACT);
	assert_string_equal(text ? text : e.msg, want);
}

static void test_subnets(void **state)
{
	_cleanup_json_ json_t *config = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(network_ipam_config(NULL, NULL, NULL, &config, &e), 0);
	assert_int_equal(json_array_size(config), 0);
	expect_subnets("10.1.0.0/16 fd00::/64", "10.1.2.0/24", "fd00::1 10.1.0.1",
		"[{\"Subnet\":\"10.1.0.0/16\",\"IPRange\":\"10.1.2.0/24\",\"Gateway\":\"10.1.0.1\"},"
		"{\"Subnet\":\"fd00::/64\",\"Gateway\":\"fd00::1\"}]");
	expect_subnets("", "", "10.1.0.1", "every ip-range or gateway must have a corresponding subnet");
	expect_subnets("", "10.1.0.0/16", "", "every ip-range or gateway must have a corresponding subnet");
	expect_subnets("foo", "", "", "invalid subnet: invalid CIDR address: foo");
	expect_subnets("10.1.0.0", "", "", "invalid subnet: invalid CIDR address: 10.1.0.0");
	expect_subnets("10.1.0.0/33", "", "", "invalid subnet: invalid CIDR address: 10.1.0.0/33");
	expect_subnets("10.1.0.0/16 10.1.2.0/24", "", "", "multiple overlapping subnet configuration is not supported");
	expect_subnets("10.1.2.0/24 10.1.0.0/16", "", "", "multiple overlapping subnet configuration is not supported");
	expect_subnets("10.1.0.0/16", "foo", "", "invalid CIDR address: foo");
	expect_subnets("10.1.0.0/16", "10.2.0.0/24", "", "no matching subnet for range 10.2.0.0/24");
	expect_subnets("10.1.0.0/16 fd00::/64", "10.1.2.0/24 10.1.3.0/24", "",
		"cannot configure multiple ranges (10.1.3.0/24, 10.1.2.0/24) on the same subnet (10.1.0.0/16)");
	expect_subnets("10.1.0.0/16", "", "10.2.0.1", "no matching subnet for gateway 10.2.0.1");
	expect_subnets("10.1.0.0/16", "", "foo", "no matching subnet for gateway foo");
	expect_subnets("10.1.0.0/16 fd00::/64", "", "10.1.0.1 10.1.0.2",
		"cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/16)");
}

static void test_strings(void **state)
{
	static const struct opt table[] = {{"alias", 0, &opt_strings, "Aliases", "names"}, {0}};
	static const struct opt *const tables[OPT_TABLES] = {table};
	static const struct {
		const char *line, *body;
	} cases[] = {
		{"--alias a,b --alias c", "{\"Aliases\": [\"a\", \"b\", \"c\"]}"},
		{"--alias \"a,b\",c\"\"", "{\"Aliases\": [\"a,b\", \"c\"]}"},
		{"--alias \"a\"\"b\"", "{\"Aliases\": [\"a\\\"b\"]}"},
		{"--alias a,", "{\"Aliases\": [\"a\", \"\"]}"},
		{"--alias=", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		_cleanup_(opts_done) struct opts p;
		_cleanup_strv_ char **argv = strv_split(cases[i].line, " ");
		_cleanup_json_ json_t *want = json_loads(cases[i].body, 0, NULL);
		struct err e = ERR_INIT;
		assert_int_equal(opts_parse(&p, tables, argv, false, &e), 0);
		assert_true(json_equal(p.body, want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_network),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_network_errors),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_publish_many),
		cmocka_unit_test(test_port_errors),
		cmocka_unit_test(test_expose_errors),
		cmocka_unit_test(test_every_port),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_column),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_subnets),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
