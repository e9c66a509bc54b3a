/* Credentials: docker's config.json, its helpers (a script here), and what is written back. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "image/credentials.h"
#include "image/login.h"

/* One that keeps what it is given in the file `kept` beside it, as the protocol says; its name chooses its faults. */
static const char helper[] = "#!/bin/sh\n"
			     "dir=$(dirname \"$0\")\n"
			     "echo \"$0 $*\" >> \"$dir/calls\"\n"
			     "tr '\\0' '\\n' < /proc/$$/environ >> \"$dir/calls\"\n"
			     "case $0-$1 in\n"
			     "*-loud-get) yes | head -c 100000 ;;\n"
			     "*-broken-get) echo 'the keyring is locked'; exit 1 ;;\n"
			     "*-chatty-get) echo noise >&2; cat \"$dir/kept\" ;;\n"
			     "*-get) read -r server; [ -f \"$dir/kept\" ] || { echo 'credentials not found in native "
			     "keychain'; exit 1; }; cat \"$dir/kept\" ;;\n"
			     "*-store) cat > \"$dir/kept\" ;;\n"
			     "*-erase) rm \"$dir/kept\" ;;\n"
			     "esac\n";

struct place {
	char dir[64];
	char *file, *calls;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	static const char *const names[] = {"good", "loud", "broken", "chatty"};

	strcpy(p->dir, "/tmp/caisson-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->file = path_join(p->dir, "config.json");
	p->calls = path_join(p->dir, "calls");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *path = str_fmt("%s/docker-credential-%s", p->dir, names[i]);
		assert_int_equal(file_replace(AT_FDCWD, path, helper, strlen(helper), 0755), 0);
	}
	_cleanup_free_ char *search = str_fmt("%s:/usr/bin:/bin", p->dir);
	setenv("PATH", search, 1);
	unsetenv("HOME");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("REGISTRY_AUTH_FILE");
	setenv("DOCKER_CONFIG", p->dir, 1);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	assert_int_equal(rm_rf(AT_FDCWD, p->dir), 0);
	free(p->file);
	free(p->calls);
	free(p);
	return 0;
}

static void write_config(const struct place *p, const char *text)
{
	assert_int_equal(file_replace(AT_FDCWD, p->file, text, strlen(text), 0600), 0);
}

static void expect(const char *domain, const char *user, const char *secret, bool is_token)
{
	_cleanup_credentials_ struct credentials c = {0};
	struct err e = ERR_INIT;

	assert_int_equal(credentials_find(domain, &c, &e), 0);
	if (!secret) {
		assert_null(c.secret);
		return;
	}
	assert_string_equal(c.user, user);
	assert_string_equal(c.secret, secret);
	assert_int_equal(c.is_token, is_token);
}

static void expect_error(const char *domain, const char *part)
{
	_cleanup_credentials_ struct credentials c = {0};
	struct err e = ERR_INIT;

	assert_true(credentials_find(domain, &c, &e) < 0);
	assert_null(c.secret);
	if (!strstr(e.msg, part))
		fail_msg("%s: not in: %s", part, e.msg);
}

static void finds_those_of_the_file(void **state)
{
	write_config(*state,
		"{\"auths\":{\"https://index.docker.io/v1/"
		"\":{\"auth\":\"dTpwOncw\"},\"localhost:5000\":{\"auth\":\"YTpi\"},"
		"\"https://url.test/v2/\":{\"username\":\"u\",\"password\":\"w\"},\"empty.test\":{},"
		"\"token.test\":{\"auth\":\"dTo=\",\"identitytoken\":\"it\"},\"bad.test\":{\"auth\":\"*\"},"
		"\"nul.test\":{\"auth\":\"dQA6YQ==\"},\"noname.test\":{\"auth\":\"OnA=\"}}}");
	expect("docker.io", "u", "p:w0", false);
	expect("localhost:5000", "a", "b", false);
	expect("url.test", "u", "w", false);
	expect("token.test", "", "it", true);
	expect("localhost:5001", NULL, NULL, false);
	expect("empty.test", NULL, NULL, false);
	expect_error("bad.test", "config.json: the credentials for bad.test are not valid");
	expect_error("nul.test", "not valid");
	expect_error("noname.test", "not valid");
}

static void says_what_is_wrong_with_a_file(void **state)
{
	static const char *const wrong[] = {"", "{", "[]", "7", "{\"auths\":{}} x", "{\"a\":1,\"a\":2}"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		write_config(*state, wrong[i]);
		expect_error("x.test", "config.json");
	}
	write_config(*state, "{\"auths\":[1,2],\"credHelpers\":7,\"credsStore\":{}}");
	expect("x.test", NULL, NULL, false);
}

static void keeps_in_the_file(void **state)
{
	struct place *p = *state;
	char user[] = "u", password[] = "p:\"w\\";
	struct credentials c = {.user = user, .secret = password};
	_cleanup_free_ char *where = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(credentials_store("docker.io", &c, &where, &e), 0);
	assert_string_equal(where, p->file);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	expect("docker.io", "u", password, false);
	/* what else is there stays; a link stays one; another way to write the domain goes */
	_cleanup_free_ char *real = path_join(p->dir, "real.json");
	write_config(p,
		"{\"auths\":{\"https://x.test/v1/"
		"\":{\"auth\":\"YTpi\"}},\"proxies\":{\"default\":{\"httpProxy\":\"p\"}}}");
	assert_int_equal(rename(p->file, real), 0);
	assert_int_equal(symlink("real.json", p->file), 0);
	free(steal_ptr(where));
	c.is_token = true;
	assert_int_equal(credentials_store("x.test", &c, &where, &e), 0);
	assert_int_equal(lstat(p->file, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	expect("x.test", "", password, true);
	_cleanup_json_ json_t *doc = json_parse_file(AT_FDCWD, p->file, 10000, &e);
	assert_int_equal(json_object_size(json_object_get(doc, "auths")), 1);
	assert_non_null(json_path(doc, "proxies.default.httpProxy"));
	assert_int_equal(credentials_erase("x.test", &e), 1);
	assert_int_equal(credentials_erase("x.test", &e), 0);
	expect("x.test", NULL, NULL, false);
}

static void helpers_keep_and_answer(void **state)
{
	struct place *p = *state;
	char user[] = "u", password[] = "sec-ret", token[] = "<token>";
	struct credentials c = {.user = user, .secret = password};
	_cleanup_free_ char *where = NULL;
	_cleanup_buf_ struct buf calls = {0};
	struct err e = ERR_INIT;

	write_config(p, "{\"credsStore\":\"absent\",\"credHelpers\":{\"x.test\":\"good\",\"y.test\":\"chatty\"}}");
	expect("x.test", NULL, NULL, false);
	assert_int_equal(credentials_erase("x.test", &e), 0);
	assert_int_equal(credentials_store("x.test", &c, &where, &e), 0);
	assert_null(where);
	expect("x.test", "u", "sec-ret", false);
	expect("y.test", "u", "sec-ret", false); /* its stderr is not its answer */
	assert_int_equal(file_read(AT_FDCWD, p->calls, 1000000, &calls), 0);
	assert_non_null(strstr(calls.data, "docker-credential-good store\n"));
	assert_null(strstr(calls.data, "sec-ret"));
	assert_int_equal(credentials_erase("x.test", &e), 1);
	expect("x.test", NULL, NULL, false);
	c.is_token = true;
	assert_int_equal(credentials_store("x.test", &c, &where, &e), 0);
	expect("x.test", token, "sec-ret", true);
	expect_error("z.test", "docker-credential-absent: not found in PATH");
}

static void helpers_that_fail(void **state)
{
	static const char *const names[] = {"../evil", "a b", "x;y", "$(x)", "a/b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	write_config(*state, "{\"credHelpers\":{\"loud.test\":\"loud\",\"broken.test\":\"broken\"}}");
	expect_error("broken.test", "docker-credential-broken get: the keyring is locked");
	expect_error("loud.test", "docker-credential-loud");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *text = str_fmt("{\"credsStore\":\"%s\"}", names[i]);
		write_config(*state, text);
		expect_error("x.test", "is not the name of a credential helper");
	}
}

static void server_names(void **state)
{
	static const char *const good[][2] = {{"", "docker.io"}, {"docker.io", "docker.io"},
		{"https://index.docker.io/v1/", "docker.io"}, {"Registry-1.docker.io", "docker.io"},
		{"localhost:5000", "localhost:5000"}, {"https://x.test/v2/", "x.test"},
		{"http://10.0.0.1:80", "10.0.0.1:80"}};
	static const char *const bad[] = {"x", "x.test:port", "-p", "a b.test", "user@x.test", "x.test?y"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		_cleanup_free_ char *domain = NULL;
		assert_int_equal(login_domain(good[i][0], &domain, &e), 0);
		assert_string_equal(domain, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		_cleanup_free_ char *domain = NULL;
		if (login_domain(bad[i], &domain, &e) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_those_of_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_what_is_wrong_with_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_in_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(helpers_keep_and_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(helpers_that_fail, set_up, tear_down),
		cmocka_unit_test(server_names),
	};

	return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
