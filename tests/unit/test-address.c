/* Addresses and subnets as numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"

static struct subnet subnet(const char *s)
{
	struct subnet n;

	assert_int_equal(subnet_parse(s, &n), 0);
	return n;
}

static struct address address(const char *s)
{
	struct address a;

	assert_int_equal(address_parse(s, &a), 0);
	return a;
}

static bool in(const char *a, const char *s)
{
	struct address x = address(a);
	struct subnet n = subnet(s);

	return subnet_contains(&n, &x);
}

static void test_parse(void **state)
{
	static const char *const bad[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "fd00::/129", "10.0.0/8",
		"10.0.0.0/8/8", "10.0.0.0/-1", "fd00:::/8",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", NULL};
	char text[ADDRESS_TEXT + 4];
	struct address a;
	struct subnet s;

	(void)state;
	for (size_t i = 0; bad[i]; i++)
		assert_int_equal(subnet_parse(bad[i], &s), -EINVAL);
	assert_int_equal(address_parse("fe80::1%eth0", &a), -EINVAL);
	s = subnet("10.1.2.3/16");
	assert_string_equal(subnet_format(&s, text), "10.1.0.0/16");
	s = subnet("FD00::0:1/64");
	assert_string_equal(subnet_format(&s, text), "fd00::/64");
}

static void test_contains(void **state)
{
	(void)state;
	assert_true(in("10.1.2.3", "10.1.0.0/16"));
	assert_true(in("10.1.127.3", "10.1.0.0/17"));
	assert_false(in("10.1.128.3", "10.1.0.0/17"));
	assert_true(in("1.2.3.4", "9.9.9.9/0"));
	assert_true(in("1.2.3.4", "1.2.3.4/32"));
	assert_false(in("1.2.3.5", "1.2.3.4/32"));
	assert_true(in("fd00::ffff", "fd00::/112"));
	assert_false(in("fd00::1:0", "fd00::/112"));
	assert_false(in("::", "0.0.0.0/0"));
}

static void test_overlap(void **state)
{
	struct subnet wide = subnet("10.0.0.0/8"), part = subnet("10.9.0.0/16"), other = subnet("11.0.0.0/8"),
		      v6 = subnet("::/0");

	(void)state;
	assert_true(subnet_overlaps(&wide, &part));
	assert_true(subnet_overlaps(&part, &wide));
	assert_false(subnet_overlaps(&part, &other));
	assert_false(subnet_overlaps(&wide, &v6));
	assert_true(subnet_within(&part, &wide));
	assert_false(subnet_within(&wide, &part));
}

static void test_nth(void **state)
{
	struct subnet s = subnet("10.0.255.0/23"), v6 = subnet("fd00::/64"), two = subnet("10.0.0.0/31");
	struct address a;
	char text[ADDRESS_TEXT];

	(void)state;
	assert_true(subnet_nth(&s, 257, &a));
	assert_string_equal(address_format(&a, text), "10.0.255.1");
	assert_int_equal(subnet_index(&s, &a), 257);
	assert_true(subnet_is_host(&s, &a));
	assert_true(subnet_nth(&s, 511, &a));
	assert_false(subnet_is_host(&s, &a));
	assert_false(subnet_nth(&s, 512, &a));
	a = s.base;
	assert_false(subnet_is_host(&s, &a));
	assert_true(subnet_is_host(&two, &two.base));
	assert_true(subnet_nth(&v6, 0x1ffff, &a));
	assert_string_equal(address_format(&a, text), "fd00::1:ffff");
	assert_int_equal(subnet_index(&v6, &a), 0x1ffff);
	assert_true(subnet_size(&v6) == UINT64_MAX);
	a = address("fd00::ffff:ffff:ffff:ffff");
	assert_true(subnet_index(&v6, &a) == UINT64_MAX);
	assert_true(subnet_is_host(&v6, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_nth),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
