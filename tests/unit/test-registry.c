/* What may be spoken to without TLS, and what of a header is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "image/auth.h"
#include "image/registry.h"

/* A realm is the registry's word: credentials must not go to another host in the clear, however its name is written. */
static void test_local(void **state)
{
	static const char *const local[] = {"http://localhost/v2/", "https://127.0.0.1:5000/", "http://127.8.9.1/x",
		"http://[::1]:80/", "http://user@localhost/"};
	static const char *const remote[] = {"http://example.com/", "http://localhost:x@example.com/",
		"http://localhost@example.com/", "http://localhost.example.com/", "http://127.0.0.1.example.com/",
		"http://example.com/localhost", "http://example.com#@localhost/", "http://[::2]/", "http://128.0.0.1/",
		"", "localhost"};

	(void)state;
	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
		if (!http_is_local(local[i]))
			fail_msg("not local: %s", local[i]);
	for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++)
		if (http_is_local(remote[i]))
			fail_msg("local: %s", remote[i]);
}

static void test_challenge_header(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	char line[1000];

	(void)state;
	assert_true(http_note_challenge(&b, "Content-Type: x\r\n", 17));
	assert_int_equal(b.len, 0);
	/* the line is as long as curl says, not as far as a NUL */
	assert_true(http_note_challenge(&b, "WWW-Authenticate: Basic a=bJUNK", 27));
	assert_string_equal(b.data, "Basic a=b");
	memset(line, 'x', sizeof(line));
	memcpy(line, "www-authenticate: ", 18);
	for (int i = 0; i < 1000; i++)
		assert_true(http_note_challenge(&b, line, sizeof(line)));
	assert_true(b.len < 20000);
}

static void test_basic(void **state)
{
	(void)state;
	_cleanup_free_ char *s = auth_basic("Aladdin:open sesame");
	assert_string_equal(s, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_challenge_header),
		cmocka_unit_test(test_basic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
