/* Image archives: which images they have, what links in them mean, and what hostile ones get. Needs root, as reading them in a child does. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "image/load.h"

struct fixture {
	char dir[64];
	int fd, files;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/caisson-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(f->fd, "files", 0700);
	f->files = openat(f->fd, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->files);
	close(f->fd);
	rm_rf(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

struct entry {
	const char *name, *text; /* text: NULL for none */
	const char *symlink, *hardlink;
	unsigned type; /* 0: a regular file */
};
enum { ENTRIES = 8 };

static int make_archive(struct fixture *f, const struct entry *entries, int filter)
{
	int fd = openat(f->fd, "archive", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter(a, filter);
	archive_write_open_fd(a, fd);
	for (size_t i = 0; i < ENTRIES && entries[i].name; i++) {
		const struct entry *x = &entries[i];
		struct archive_entry *entry = archive_entry_new();
		size_t n = x->text ? strlen(x->text) : 0;
		archive_entry_set_pathname(entry, x->name);
		archive_entry_set_filetype(entry, x->symlink ? AE_IFLNK : x->type ? x->type : AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (int64_t)n);
		if (x->symlink)
			archive_entry_set_symlink(entry, x->symlink);
		if (x->hardlink)
			archive_entry_set_hardlink(entry, x->hardlink);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		if (n)
			assert_int_equal(archive_write_data(a, x->text, n), (int)n);
		archive_entry_free(entry);
	}
	archive_write_free(a);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int list(struct fixture *f, int fd, struct members *m, struct load_images *ret, struct err *e)
{
	int r = load_open(fd, f->files, m, e);

	return r < 0 ? r : load_list(m, f->files, ret, e);
}

static int list_entries(struct fixture *f, const struct entry *entries, int filter, struct members *m,
	struct load_images *ret, struct err *e)
{
	_cleanup_close_ int fd = make_archive(f, entries, filter);

	return list(f, fd, m, ret, e);
}

#define CONFIG "{\"os\":\"linux\"}"

/* As docker saves: names, links for what is the same, directories. Whatever the compression. */
static void test_docker(void **state)
{
	static const struct entry entries[ENTRIES] = {{.name = "one/", .type = AE_IFDIR},
		{.name = "one/layer.tar", .text = "layer"}, {.name = "two/layer.tar", .symlink = "../one/layer.tar"},
		{.name = "three/layer.tar", .hardlink = "two/layer.tar"}, {.name = "./c.json", .text = CONFIG},
		{.name = "manifest.json",
			.text = "[{\"Config\":\"c.json\",\"RepoTags\":[\"a/b:1\",\"localhost:5000/c:2\"],"
				"\"Layers\":[\"one/layer.tar\",\"./two/layer.tar\",\"three/layer.tar\"]},"
				"{\"Config\":\"/c.json\",\"RepoTags\":null,\"Layers\":[\"one/layer.tar\"]}]"}};
	static const int filters[] = {
		ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_BZIP2};

	for (size_t k = 0; k < sizeof(filters) / sizeof(*filters); k++) {
		struct fixture *f = *state;
		struct members m = {0};
		struct load_images images = {0};
		struct err e = ERR_INIT;
		if (list_entries(f, entries, filters[k], &m, &images, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(images.n, 2);
		struct load_image *i = images.list;
		_cleanup_buf_ struct buf config = {0};
		assert_int_equal(load_text(f->files, i->config, CONFIG_MAX, &config, &e), 0);
		assert_string_equal(config.data, CONFIG);
		assert_int_equal(load_text(f->files, i->config, 3, &config, &e), -EFBIG);
		assert_string_equal(i->names[0], "docker.io/a/b:1");
		assert_string_equal(i->names[1], "localhost:5000/c:2");
		assert_null(i->names[2]);
		assert_int_equal(i->n_layers, 3);
		for (size_t n = 0; n < 3; n++)
			assert_string_equal(i->layers[n]->name, "one/layer.tar");
		assert_int_equal(i->layers[0]->size, 5);
		assert_null(images.list[1].names);
		load_images_done(&images);
		members_done(&m);
		close(f->files);
		rm_rf(f->fd, "files");
		mkdirat(f->fd, "files", 0700);
		f->files = openat(f->fd, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
}

#define TAG(layers) "[{\"Config\":\"c\",\"RepoTags\":[\"a:1\"],\"Layers\":[" layers "]}]"
#define SHA_EMPTY   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LAYOUT                                                                     \
	{                                                                          \
		.name = "oci-layout", .text = "{\"imageLayoutVersion\":\"1.0.0\"}" \
	}

static const struct {
	const char *what;
	struct entry entries[ENTRIES];
	int code;
	const char *message;
} hostile[] = {
	{"nothing", {{0}}, EBADMSG, "neither manifest.json nor index.json"},
	{"another tar", {{.name = "x", .text = "y"}}, EBADMSG, "neither manifest.json nor index.json"},
	{"a name that leads out", {{.name = "a/../../x", .text = "y"}}, EBADMSG, "a/../../x leads out of the archive"},
	{"a symbolic link that leads out", {{.name = "a/l", .symlink = "../../etc/passwd"}}, EBADMSG,
		"../../etc/passwd leads out of the archive"},
	{"an absolute link", {{.name = "manifest.json", .symlink = "/etc/passwd"}}, EBADMSG, "/etc/passwd leads out"},
	{"a hard link that leads out", {{.name = "l", .hardlink = "../etc/passwd"}}, EBADMSG,
		"../etc/passwd leads out"},
	{"a link to itself", {{.name = "manifest.json", .symlink = "manifest.json"}}, EBADMSG, "neither"},
	{"a circle of links",
		{{.name = "c", .symlink = "d"}, {.name = "d", .symlink = "c"},
			{.name = "manifest.json", .text = TAG("")}},
		ELOOP, "c: too many links"},
	{"a link to nowhere", {{.name = "c", .symlink = "no"}, {.name = "manifest.json", .text = TAG("")}}, ENOENT,
		"no is not in the archive"},
	{"a device in place of the configuration",
		{{.name = "c", .type = AE_IFCHR}, {.name = "manifest.json", .text = TAG("")}}, ENOENT,
		"c is not in the archive"},
	{"a name twice", {{.name = "manifest.json", .text = "[]"}, {.name = "./manifest.json", .text = "[ ]"}}, EBADMSG,
		"manifest.json twice"},
	{"a file and a link of one name", {{.name = "x", .text = ""}, {.name = "x", .symlink = "y"}}, EBADMSG,
		"x twice"},
	{"no JSON", {{.name = "manifest.json", .text = "{"}}, 0, "manifest.json"},
	{"no list", {{.name = "manifest.json", .text = "{}"}}, EBADMSG, "manifest.json has no images"},
	{"no object", {{.name = "manifest.json", .text = "[3]"}}, EBADMSG, "an image without Config"},
	{"no configuration", {{.name = "manifest.json", .text = TAG("")}}, ENOENT, "Config: c is not in the archive"},
	{"a missing layer", {{.name = "c", .text = CONFIG}, {.name = "manifest.json", .text = TAG("\"l\"")}}, ENOENT,
		"l is not in the archive"},
	{"a layer that is a number", {{.name = "c", .text = CONFIG}, {.name = "manifest.json", .text = TAG("1")}},
		EBADMSG, "an image without Layers"},
	{"a layer that leads out", {{.name = "c", .text = CONFIG}, {.name = "manifest.json", .text = TAG("\"../l\"")}},
		EBADMSG, "../l leads out"},
	{"a tag that is none",
		{{.name = "c", .text = CONFIG},
			{.name = "manifest.json", .text = "[{\"Config\":\"c\",\"RepoTags\":[\"A:1\"],\"Layers\":[]}]"}},
		EBADMSG, "invalid tag 'A:1'"},
	{"a name without a tag",
		{{.name = "c", .text = CONFIG},
			{.name = "manifest.json", .text = "[{\"Config\":\"c\",\"RepoTags\":[\"a\"],\"Layers\":[]}]"}},
		EBADMSG, "invalid tag 'a'"},
	{"a layout of another version",
		{{.name = "oci-layout", .text = "{\"imageLayoutVersion\":\"9\"}"},
			{.name = "index.json", .text = "{}"}},
		ENOTSUP, "version '9'"},
	{"an index without a layout", {{.name = "index.json", .text = "{}"}}, ENOENT,
		"oci-layout is not in the archive"},
	{"an index without images", {LAYOUT, {.name = "index.json", .text = "{}"}}, EBADMSG,
		"index.json has no images"},
	{"a blob that is missing",
		{LAYOUT,
			{.name = "index.json",
				.text = "{\"manifests\":[{\"digest\":\"sha256:" SHA_EMPTY "\",\"size\":0}]}"}},
		ENOENT, "blobs/sha256/" SHA_EMPTY " is not in the archive"},
	{"a blob that is another",
		{LAYOUT,
			{.name = "index.json",
				.text = "{\"manifests\":[{\"digest\":\"sha256:" SHA_EMPTY "\",\"size\":0}]}"},
			{.name = "blobs/sha256/" SHA_EMPTY, .text = "x"}},
		EBADMSG, "digest does not match"},
	{"a blob of another size",
		{LAYOUT,
			{.name = "index.json",
				.text = "{\"manifests\":[{\"digest\":\"sha256:" SHA_EMPTY "\",\"size\":5}]}"},
			{.name = "blobs/sha256/" SHA_EMPTY, .text = ""}},
		EBADMSG, "size does not match: expected 5 bytes, got 0"},
	{"a digest that leads out",
		{LAYOUT,
			{.name = "index.json", .text = "{\"manifests\":[{\"digest\":\"sha256:../../x\",\"size\":0}]}"}},
		EBADMSG, "is not a sha256 digest"},
};

static void test_hostile(void **state)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
		struct members m = {0};
		struct load_images images = {0};
		struct err e = ERR_INIT;
		void *own = NULL;
		(void)state;
		assert_int_equal(set_up(&own), 0);
		int r = list_entries(own, hostile[i].entries, ARCHIVE_FILTER_NONE, &m, &images, &e);
		if (r >= 0 || (hostile[i].code && r != -hostile[i].code) || !strstr(e.msg, hostile[i].message))
			fail_msg("%s: %d '%s'", hostile[i].what, r, e.msg);
		members_done(&m);
		tear_down(&own);
	}
}

/* Large and deep texts are refused before they cost much. */
static void test_large(void **state)
{
	enum { DEEP = 3 * 1024 * 1024, HUGE_TEXT = 10 * 1024 * 1024 };
	_cleanup_free_ char *text = malloc(HUGE_TEXT + 1);
	struct entry entries[ENTRIES] = {{.name = "manifest.json", .text = text}};
	struct members m = {0};
	struct load_images images = {0};
	struct err e = ERR_INIT;

	memset(text, '[', HUGE_TEXT);
	text[DEEP] = 0;
	assert_true(list_entries(*state, entries, ARCHIVE_FILTER_GZIP, &m, &images, &e) < 0);
	assert_non_null(strstr(e.msg, "manifest.json"));
	members_done(&m);
	tear_down(state);
	assert_int_equal(set_up(state), 0);
	text[DEEP] = '[';
	text[HUGE_TEXT] = 0;
	assert_int_equal(list_entries(*state, entries, ARCHIVE_FILTER_GZIP, &m, &images, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "manifest.json has 10485760 bytes"));
	members_done(&m);
}

static int ignore(void *data, const struct member *m, struct err *e)
{
	(void)m;
	(void)e;
	++*(int *)data;
	return 0;
}

/* An entry that says how large it is costs nothing; one that comes is cut off at the limit. */
static void test_limit(void **state)
{
	struct fixture *f = *state;
	static const struct entry entries[ENTRIES] = {
		{.name = "a", .text = "12345"}, {.name = "b", .text = "123456"}, {0}};
	struct err e = ERR_INIT;
	struct stat st;
	int n = 0;

	_cleanup_close_ int fd = make_archive(f, entries, ARCHIVE_FILTER_NONE);
	assert_int_equal(load_extract(fd, f->files, 10, ignore, &n, &e), -ENOSPC);
	assert_int_equal(n, 1);
	assert_non_null(strstr(e.msg, "b: the archive's files need more than the 10 bytes that are free"));
	assert_true(fstatat(f->files, "1", &st, 0) < 0);
	lseek(fd, 0, SEEK_SET);
	e = ERR_INIT;
	assert_int_equal(load_extract(fd, f->files, 4, ignore, &n, &e), -ENOSPC);
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	int fd = openat(f->fd, "archive", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	struct err e = ERR_INIT;
	int n = 0;

	archive_write_set_format_ustar(a);
	archive_write_add_filter_gzip(a);
	archive_write_open_fd(a, fd);
	archive_entry_set_pathname(entry, "x/");
	archive_entry_set_filetype(entry, AE_IFDIR);
	for (int i = 0; i <= MEMBERS_MAX; i++)
		archive_write_header(a, entry);
	archive_entry_free(entry);
	archive_write_free(a);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(load_extract(fd, f->files, 10, ignore, &n, &e), -E2BIG);
	close(fd);
}

/* What is cut off, and what is no archive at all. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	static const struct entry entries[ENTRIES] = {{.name = "a", .text = "12345"}, {0}};
	struct members m = {0};
	struct load_images images = {0};
	struct err e = ERR_INIT;

	_cleanup_close_ int fd = make_archive(f, entries, ARCHIVE_FILTER_NONE);
	assert_int_equal(ftruncate(fd, 514), 0);
	assert_true(list(f, fd, &m, &images, &e) < 0);
	assert_non_null(strstr(e.msg, "runcated"));
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	e = ERR_INIT;
	assert_true(list(f, fd, &m, &images, &e) < 0);
	assert_true(e.code > 0 && *e.msg);
	members_done(&m);
}

static void test_names(void **state)
{
	static const struct {
		const char *from, *name, *expected; /* NULL: leads out */
	} rows[] = {{NULL, "a", "a"}, {NULL, "./a//b/", "a/b"}, {NULL, "/a", "a"}, {NULL, "a/../b", "b"},
		{NULL, "..", NULL}, {NULL, "../a", NULL}, {NULL, "a/../../b", NULL}, {NULL, "..a", "..a"},
		{"x/y", "z", "x/z"}, {"x/y", "../z", "z"}, {"x/y", "../../z", NULL}, {"x", "y", "y"},
		{"x", "../y", NULL}, {"x/y", "/z", NULL}, {"x/y", "", "x"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err e = ERR_INIT;
		char name[MEMBER_NAME_SIZE];
		int r = member_name(rows[i].from, rows[i].name, name, &e);
		if ((r < 0) != !rows[i].expected || (r == 0 && strcmp(name, rows[i].expected) != 0))
			fail_msg("%s from %s: %d %s", rows[i].name, rows[i].from ? rows[i].from : "the root", r,
				r == 0 ? name : e.msg);
	}
	char name[MEMBER_NAME_SIZE], text[MEMBER_NAME_SIZE + 1];
	struct err e = ERR_INIT;
	memset(text, 'x', sizeof(text));
	text[MEMBER_NAME_SIZE] = 0;
	assert_int_equal(member_name(NULL, text, name, &e), -ENAMETOOLONG);
	assert_int_equal(member_name(NULL, text + 1, name, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_docker, set_up, tear_down),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
