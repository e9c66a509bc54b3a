/* What may be spoken to without TLS, what of a header is kept, what an answer means, and what platforms are called. */
#include <errno.h>
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
		if (!http_is_insecure(local[i], NULL))
			fail_msg("not local: %s", local[i]);
	for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++)
		if (http_is_insecure(remote[i], NULL))
			fail_msg("local: %s", remote[i]);
}

/* Those that the configuration names are meant with their port, and no other host of a like name. */
static void test_insecure(void **state)
{
	char host[] = "10.0.0.1:5000", bare[] = "Registry.lan", *named[] = {host, bare, NULL};
	struct http_options o = {.insecure = named};

	(void)state;
	assert_true(http_is_insecure("http://10.0.0.1:5000/v2/", &o));
	assert_true(http_is_insecure("https://registry.lan/v2/", &o));
	assert_false(http_is_insecure("http://10.0.0.1/v2/", &o));
	assert_false(http_is_insecure("http://10.0.0.1:50001/v2/", &o));
	assert_false(http_is_insecure("http://registry.lan:5000/", &o));
	assert_false(http_is_insecure("http://10.0.0.1:5000@example.com/", &o));
	assert_false(http_is_insecure("http://x.registry.lan/", &o));
}

static void test_content_range(void **state)
{
	static const char *const wrong[] = {"", "bytes", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "bytes 0-9/*",
		"items 0-9/10", "bytes 0-9/10 11", "bytes -1-9/10",
		"bytes 0-99999999999999999999/999999999999999999999"};
	uint64_t first = 0, total = 0;

	(void)state;
	assert_int_equal(http_content_range("bytes 100-199/200junk", 17, &first, &total), 0);
	assert_int_equal(first, 100);
	assert_int_equal(total, 200);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (http_content_range(wrong[i], strlen(wrong[i]), &first, &total) == 0)
			fail_msg("taken: %s", wrong[i]);
}

static void test_retries(void **state)
{
	unsigned s = 7;

	(void)state;
	assert_int_equal(http_retry_ms(1, 0), 250);
	assert_int_equal(http_retry_ms(3, 0), 1000);
	assert_true(http_retry_ms(1000, 0) <= 60000);
	assert_int_equal(http_retry_ms(1, 2), 2000);
	assert_int_equal(http_retry_ms(1, 3600), -1);
	assert_int_equal(http_retry_ms(1, UINT32_MAX), -1);
	http_note_retry_after(&s, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 44);
	assert_int_equal(s, 7);
	http_note_retry_after(&s, "retry-after: 12\r\n", 17);
	assert_int_equal(s, 12);
}

static void check_status(long status, const char *body, int code, const char *text)
{
	struct err e = ERR_INIT;
	struct buf b = {.data = (char *)body, .len = strlen(body)};

	assert_int_equal(http_status_error(status, 0, &b, &e), -code);
	assert_string_equal(e.msg, text);
}

/* What a registry says of an error is shown, but as words, not as what a terminal takes for commands. */
static void test_status(void **state)
{
	(void)state;
	check_status(401, "", EACCES, "unauthorized: authentication required");
	check_status(403, "<html>", EACCES, "denied: requested access to the resource is denied");
	check_status(404, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}", ENOENT,
		"manifest unknown: manifest unknown");
	check_status(404, "{\"errors\":[{\"message\":\"a\\u001b[2Jb\"}]}", ENOENT, "a [2Jb");
	check_status(429, "{\"errors\":[]}", EBUSY,
		"toomanyrequests: too many requests; try again later, or log in for a higher limit");
	check_status(503, "{}", EIO, "the registry answered with status 503; try again later");
	check_status(418, "{\"errors\":[{\"code\":7}]}", EIO, "the registry answered with status 418");
}

static void test_platforms(void **state)
{
	static const char *const good[][2] = {{"linux/amd64", "linux/amd64"}, {"x86_64", "linux/amd64"},
		{"arm64", "linux/arm64/v8"}, {"Linux/ARM/v6", "linux/arm/v6"}, {"linux/armhf", "linux/arm/v7"},
		{"linux/s390x", "linux/s390x"}};
	static const char *const bad[] = {"vms", "linux/vax", "linux/amd64/v2/x", "windows/amd64", "windows", "/",
		"amd64/linux", "linux/arm/an-overlong-variant"};
	char text[PLATFORM_TEXT];
	struct platform p;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(platform_parse(good[i][0], &p, &e), 0);
		assert_string_equal(platform_text(&p, text), good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (platform_parse(bad[i], &p, &e) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
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
	_cleanup_free_ char *s = auth_basic("Aladdin", "open sesame");
	assert_string_equal(s, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_content_range),
		cmocka_unit_test(test_retries),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_challenge_header),
		cmocka_unit_test(test_basic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
