/* Image references: what docker takes, and what it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "image/ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void accepts(void **state)
{
	static const struct {
		const char *in, *canonical, *familiar, *host;
	} cases[] = {
		{"busybox", "docker.io/library/busybox:latest", "busybox:latest", "registry-1.docker.io"},
		{"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36", "registry-1.docker.io"},
		{"docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest", "registry-1.docker.io"},
		{"index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest", "registry-1.docker.io"},
		{"me/thing", "docker.io/me/thing:latest", "me/thing:latest", "registry-1.docker.io"},
		{"localhost/x", "localhost/x:latest", "localhost/x:latest", "localhost"},
		{"localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000"},
		{"[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest", "[::1]:5000"},
		{"ghcr.io/a/b/c__d-e.f:V_1", "ghcr.io/a/b/c__d-e.f:V_1", "ghcr.io/a/b/c__d-e.f:V_1", "ghcr.io"},
		{"Host/x", "Host/x:latest", "Host/x:latest", "Host"},
		{"a@sha256:" HEX64, "docker.io/library/a@sha256:" HEX64, "a@sha256:" HEX64, "registry-1.docker.io"},
		{"a:t@sha256:" HEX64, "docker.io/library/a@sha256:" HEX64, "a@sha256:" HEX64, "registry-1.docker.io"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reference r = {0};
		struct err e = ERR_INIT;
		if (reference_parse(cases[i].in, &r, &e) < 0)
			fail_msg("%s: %s", cases[i].in, e.msg);
		_cleanup_free_ char *name = reference_name(&r);
		_cleanup_free_ char *familiar = reference_familiar(name);
		assert_string_equal(name, cases[i].canonical);
		assert_string_equal(familiar, cases[i].familiar);
		assert_string_equal(reference_host(&r), cases[i].host);
		reference_done(&r);
	}
}

static void refuses(void **state)
{
	static const char *const cases[] = {"", ":", "a:", "a@", "a@sha256:12", "Busybox", "a/B", "a//b", "a/", "/a",
		"-a", "a-", "a..b", "a___b", "a b", "a:.x", "a:b:c", "http://a/b", "../a", "a/../b", "x@y@z",
		"host:port/a", "host:/a", "a_b.c/x", HEX64, "a\nb", "a/b?c=d"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reference r = {0};
		if (reference_parse(cases[i], &r, &e) != -EINVAL)
			fail_msg("'%s' was taken as %s/%s:%s", cases[i], r.domain, r.path, r.tag);
	}
}

static void names_the_upper_case_repository(void **state)
{
	struct reference r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(reference_parse("Busybox", &r, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid reference format: repository name (library/Busybox) must be lowercase");
}

static void limits_the_length(void **state)
{
	char name[400], tag[200] = "a:";
	struct reference r = {0};
	struct err e = ERR_INIT;

	(void)state;
	memset(name, 'a', 238); /* with docker.io/library/ in front: 256 */
	name[238] = 0;
	assert_int_equal(reference_parse(name, &r, &e), -EINVAL);
	name[237] = 0;
	assert_int_equal(reference_parse(name, &r, &e), 0);
	reference_done(&r);
	memset(tag + 2, 't', 129);
	tag[131] = 0;
	assert_int_equal(reference_parse(tag, &r, &e), -EINVAL);
	tag[130] = 0;
	assert_int_equal(reference_parse(tag, &r, &e), 0);
	reference_done(&r);
}

static void knows_local_hosts(void **state)
{
	(void)state;
	assert_true(reference_is_local("localhost"));
	assert_true(reference_is_local("localhost:5000"));
	assert_true(reference_is_local("127.0.0.1:5000"));
	assert_true(reference_is_local("127.9.9.9"));
	assert_true(reference_is_local("[::1]:443"));
	assert_false(reference_is_local("localhost.example.com"));
	assert_false(reference_is_local("127.0.0.1.example.com"));
	assert_false(reference_is_local("128.0.0.1"));
	assert_false(reference_is_local("[::2]:443"));
	assert_false(reference_is_local("127.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(names_the_upper_case_repository),
		cmocka_unit_test(limits_the_length),
		cmocka_unit_test(knows_local_hosts),
	};

	return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
