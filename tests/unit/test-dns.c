/* dns/args.c: what dnsmasq is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "dns/dns.h"

static char **args(char *const *listen, bool internal, const char *resolv)
{
	struct dns_options o = {.bridges = (char *[]){(char *)"csn0", NULL},
		.port = 53,
		.listen = (char **)listen,
		.internal = internal};
	struct err e = ERR_INIT;
	char **v = NULL;

	assert_int_equal(dnsmasq_args(&o, resolv, &v, &e), 0);
	return v;
}

static void test_forwarding(void **state)
{
	(void)state;
	_cleanup_strv_ char **v =
		args((char *[]){(char *)"10.9.0.1/20", (char *)"fd00:9::1/64", (char *)"10.8.0.1", NULL}, false,
			"/etc/resolv.conf");

	assert_string_equal(v[0], "dnsmasq");
	assert_true(strv_has(v, "--conf-file=/dev/null"));
	assert_true(strv_has(v, "--interface=csn0"));
	assert_true(strv_has(v, "--resolv-file=/etc/resolv.conf"));
	assert_true(strv_has(v, "--rev-server=10.9.0.0/20"));
	assert_true(strv_has(v, "--rev-server=fd00:9::/64"));
	strv_foreach(a, v) {
		assert_null(strstr(a, "10.8.0.1"));
		assert_false(str_starts(a, "--listen-address")); /* it would open the socket to other interfaces */
	}
	assert_true(strv_has(v, "--local=//"));
	assert_false(strv_has(v, "--local=/#/"));
	assert_false(strv_has(v, "--no-resolv"));
}

static void test_internal(void **state)
{
	(void)state;
	_cleanup_strv_ char **v = args((char *[]){(char *)"10.9.0.1/24", NULL}, true, NULL);

	assert_true(strv_has(v, "--local=/#/"));
	assert_true(strv_has(v, "--no-resolv"));
	strv_foreach(a, v)
		assert_false(str_starts(a, "--resolv-file"));
}

static void test_no_resolvers(void **state)
{
	(void)state;
	_cleanup_strv_ char **v = args((char *[]){(char *)"10.9.0.1/24", NULL}, false, NULL);

	assert_true(strv_has(v, "--no-resolv"));
	assert_false(strv_has(v, "--local=/#/"));
}

static void test_bad_addresses(void **state)
{
	static const char *const bad[] = {"", "/24", "10.9.0.1/", "10.9.0.1/0", "10.9.0.1/33", "10.9.0.1/24/1",
		"10.9.0.1,10.9.0.2", "10.9.0.1/24,8.8.8.8", "fd00::1/129", "fd00::1%eth0/64", "name", "10.9.0",
		"10.9.0.1/ 24", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/64"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct dns_options o = {.bridges = (char *[]){(char *)"csn0", NULL},
			.port = 53,
			.listen = (char *[]){(char *)bad[i], NULL}};
		struct err e = ERR_INIT;
		char **v = NULL;

		assert_int_equal(dnsmasq_args(&o, NULL, &v, &e), -EINVAL);
		assert_null(v);
		assert_non_null(strstr(e.msg, "is not an address"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_internal),
		cmocka_unit_test(test_no_resolvers),
		cmocka_unit_test(test_bad_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
