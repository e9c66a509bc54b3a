/* Manifests, indexes, configurations; challenges and credentials of registries. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "image/auth.h"
#include "image/manifest.h"

#define D0    "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define D1    "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define OCI   "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"
#define CONFIG \
	"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" D0 "\",\"size\":10}"
#define LAYER "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" D1 "\",\"size\":20}"

static const struct platform amd64 = {.os = "linux", .arch = "amd64"};
static const struct platform arm_v7 = {.os = "linux", .arch = "arm", .variant = "v7"};

static int parse(const char *text, const char *type, const struct platform *p, struct manifest *m,
	struct descriptor *child, struct err *e)
{
	return manifest_parse(text, strlen(text), type, p, m, child, e);
}

static void takes_an_image(void **state)
{
	static struct manifest m;
	struct descriptor child;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse("{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "]}", OCI "; charset=utf-8", &amd64,
				 &m, &child, &e),
		0);
	assert_int_equal(m.n_layers, 1);
	assert_string_equal(m.config.digest, D0);
	assert_string_equal(m.layers[0].digest, D1);
	assert_int_equal(m.layers[0].size, 20);
	assert_string_equal(m.media_type, OCI);
}

static void refuses_bad_manifests(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "not valid JSON"},
		{"[]", "not an object"},
		{"{\"schemaVersion\":1}", "schema 1"},
		{"{\"schemaVersion\":3}", "version 3"},
		{"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", "no layers"},
		{"{\"schemaVersion\":2,\"layers\":[" LAYER "]}", "no config"},
		{"{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "],\"manifests\":[]}", "both"},
		{"{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":[]}", "itself"},
		{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"../../etc\",\"size\":1}]}",
			"not a sha256 digest"},
		{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"" D1 "\",\"size\":-1}]}", "size"},
		{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":\"application/"
		 "vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"digest\":\"" D1 "\",\"size\":1}]}",
			"elsewhere"},
		{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"mediaType\":\"application/x-helm\",\"digest\":\"" D1
		 "\",\"size\":1}]}",
			"application/x-helm"},
		{"{\"schemaVersion\":2,\"config\":{\"digest\":\"" D0 "\",\"size\":99999999999},\"layers\":[" LAYER "]}",
			"99999999999"},
		{"{\"schemaVersion\":2,\"schemaVersion\":2}", "duplicate"},
	};
	static struct manifest m;
	struct descriptor child;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		assert_true(parse(cases[i].text, OCI, &amd64, &m, &child, &e) < 0);
		if (!strstr(e.msg, cases[i].says))
			fail_msg("%s\nsaid: %s\nnot: %s", cases[i].text, e.msg, cases[i].says);
	}
}

#define ENTRY(digest, os, arch, variant)                                                             \
	"{\"mediaType\":\"" OCI "\",\"digest\":\"" digest "\",\"size\":5,\"platform\":{\"os\":\"" os \
	"\",\"architecture\":\"" arch "\"" variant "}}"

static void chooses_the_platform(void **state)
{
	static struct manifest m;
	struct descriptor child;
	struct err e = ERR_INIT;

	(void)state;
	const char *amd = "{\"schemaVersion\":2,\"manifests\":[" ENTRY(D0, "windows", "amd64", "") "," ENTRY(
		D1, "linux", "amd64", "") "]}";
	assert_int_equal(parse(amd, INDEX, &amd64, &m, &child, &e), 1);
	assert_string_equal(child.digest, D1);
	assert_int_equal(parse(amd, INDEX, &arm_v7, &m, &child, &e), -ENOENT);
	assert_string_equal(e.msg,
		"no matching manifest for linux/arm/v7 in the manifest list entries; choose one of them with "
		"--platform: "
		"windows/amd64, linux/amd64");
	const char *arm = "{\"schemaVersion\":2,\"manifests\":[" ENTRY(
		D0, "linux", "arm", ",\"variant\":\"v6\"") "," ENTRY(D1, "linux", "arm", ",\"variant\":\"v7\"") "]}";
	assert_int_equal(parse(arm, INDEX, &arm_v7, &m, &child, &e), 1);
	assert_string_equal(child.digest, D1);
	const char *newer =
		"{\"schemaVersion\":2,\"manifests\":[" ENTRY(D0, "linux", "arm", ",\"variant\":\"v8\"") "]}";
	assert_int_equal(parse(newer, INDEX, &arm_v7, &m, &child, &e), -ENOENT);
}

static void checks_the_configuration(void **state)
{
	static struct image_config c;
	const char *good = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2024-05-01T12:00:00Z\","
			   "\"rootfs\":{\"diff_ids\":[\"" D1 "\"]}}";
	const char *bad = "{\"rootfs\":{\"diff_ids\":[\"" D1 "/..\"]}}";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(image_config_parse(good, strlen(good), 1, &c, &e), 0);
	assert_string_equal(c.diff_ids[0], D1);
	assert_int_equal(c.created_ns, 1714564800LL * 1000000000);
	assert_int_equal(image_config_check_platform(&c, &amd64, &e), 0);
	assert_int_equal(image_config_check_platform(&c, &arm_v7, &e), -ENOEXEC);
	json_decref(c.doc);
	assert_true(image_config_parse(good, strlen(good), 2, &c, &e) < 0);
	assert_true(image_config_parse(bad, strlen(bad), 1, &c, &e) < 0);
}

static void reads_challenges(void **state)
{
	struct challenge c = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
		challenge_parse(
			"Bearer realm=\"https://a/t\",service=\"r, \\\"x\\\"\", scope=\"a:b:pull,push\"", &c, &e),
		0);
	assert_int_equal(c.scheme, CHALLENGE_BEARER);
	assert_string_equal(c.realm, "https://a/t");
	assert_string_equal(c.service, "r, \"x\"");
	assert_string_equal(c.scope, "a:b:pull,push");
	challenge_done(&c);
	assert_int_equal(challenge_parse("Basic realm=x, Bearer realm=\"https://b\"", &c, &e), 0);
	assert_int_equal(c.scheme, CHALLENGE_BEARER);
	assert_string_equal(c.realm, "https://b");
	challenge_done(&c);
	assert_int_equal(challenge_parse("Negotiate, basic realm=\"x\"", &c, &e), 0);
	assert_int_equal(c.scheme, CHALLENGE_BASIC);
	challenge_done(&c);
	assert_int_equal(challenge_parse("Negotiate", &c, &e), 0);
	assert_int_equal(c.scheme, CHALLENGE_NONE);
	challenge_done(&c);
	assert_int_equal(challenge_parse("Bearer service=\"x\"", &c, &e), -EBADMSG);
	assert_int_equal(challenge_parse("Bearer realm=\"x", &c, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_an_image),
		cmocka_unit_test(refuses_bad_manifests),
		cmocka_unit_test(chooses_the_platform),
		cmocka_unit_test(checks_the_configuration),
		cmocka_unit_test(reads_challenges),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
