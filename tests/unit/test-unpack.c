/* Layers become directories: what is kept, what whiteouts turn into, and what hostile layers must not do. Needs root, as unpacking does. */
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
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "image/unpack.h"

struct fixture {
	char dir[64];
	int tar, top, layer; /* layer: a directory in top */
	struct archive *a;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/caisson-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->top = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(f->top, "layer", 0755);
	f->layer = openat(f->top, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->tar = openat(f->top, "tar", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	f->a = archive_write_new();
	archive_write_set_format_pax_restricted(f->a);
	archive_write_add_filter_gzip(f->a);
	archive_write_set_bytes_in_last_block(f->a, 1);
	archive_write_open_fd(f->a, f->tar);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	archive_write_free(f->a);
	close(f->tar);
	close(f->layer);
	close(f->top);
	rm_rf(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

struct file {
	const char *path;
	mode_t mode; /* with the type; 0: a regular file 0644 */
	const char *text, *link, *hardlink, *xattr;
	uid_t uid;
	dev_t dev;
};

static void add(struct fixture *f, struct file w)
{
	struct archive_entry *entry = archive_entry_new();
	size_t n = w.text ? strlen(w.text) : 0;

	archive_entry_set_pathname(entry, w.path);
	archive_entry_set_mode(entry, w.mode ? w.mode : S_IFREG | 0644);
	archive_entry_set_size(entry, (int64_t)n);
	archive_entry_set_uid(entry, w.uid);
	archive_entry_set_mtime(entry, 1000000, 500);
	if (w.dev) {
		archive_entry_set_rdevmajor(entry, major(w.dev));
		archive_entry_set_rdevminor(entry, minor(w.dev));
	}
	if (w.link)
		archive_entry_set_symlink(entry, w.link);
	if (w.hardlink)
		archive_entry_set_hardlink(entry, w.hardlink);
	if (w.xattr)
		archive_entry_xattr_add_entry(entry, w.xattr, "y", 1);
	assert_int_equal(archive_write_header(f->a, entry), ARCHIVE_OK);
	if (n)
		assert_int_equal(archive_write_data(f->a, w.text, n), (int)n);
	archive_entry_free(entry);
}

static int unpack(struct fixture *f, struct unpack_result *ret, struct err *e)
{
	struct unpack_job job;
	uint64_t used;
	int r;

	archive_write_close(f->a);
	lseek(f->tar, 0, SEEK_SET);
	assert_int_equal(unpack_job_start(f->tar, f->layer, -1, &job, e), 0);
	while ((r = unpack_job_read(&job, &used, ret, e)) > 0)
		;
	unpack_job_done(&job);
	return r;
}

static void unpack_well(struct fixture *f)
{
	struct unpack_result result;
	struct err e = ERR_INIT;

	if (unpack(f, &result, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct stat look(struct fixture *f, const char *path)
{
	struct stat st;

	if (fstatat(f->layer, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static bool is_opaque(struct fixture *f, const char *path)
{
	char value[2];
	_cleanup_close_ int fd = openat(f->layer, path, O_RDONLY | O_CLOEXEC);

	return fgetxattr(fd, "trusted.overlay.opaque", value, 2) == 1 && *value == 'y';
}

static void keeps_what_files_have(void **state)
{
	struct fixture *f = *state;

	add(f, (struct file){.path = "d", .mode = S_IFDIR | 0500});
	add(f, (struct file){.path = "d/suid", .mode = S_IFREG | 04755, .text = "hello", .uid = 42, .xattr = "user.k"});
	add(f, (struct file){.path = "d/same", .hardlink = "d/suid"});
	add(f, (struct file){.path = "link", .mode = S_IFLNK | 0777, .link = "../../etc/passwd"});
	add(f, (struct file){.path = "null", .mode = S_IFCHR | 0666, .dev = makedev(1, 3)});
	add(f, (struct file){.path = "fifo", .mode = S_IFIFO | 0600});
	unpack_well(f);
	struct stat st = look(f, "d/suid");
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_uid, 42);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtim.tv_sec, 1000000);
	assert_int_equal(st.st_mtim.tv_nsec, 500);
	assert_int_equal(look(f, "d/same").st_ino, st.st_ino);
	st = look(f, "d");
	assert_int_equal(st.st_mode, S_IFDIR | 0500);
	assert_int_equal(st.st_mtim.tv_sec, 1000000);
	assert_true(S_ISLNK(look(f, "link").st_mode));
	assert_int_equal(look(f, "null").st_rdev, makedev(1, 3));
	assert_true(S_ISFIFO(look(f, "fifo").st_mode));
}

static void turns_whiteouts_into_overlay_s(void **state)
{
	struct fixture *f = *state;

	add(f, (struct file){.path = "a/.wh.gone"});
	add(f, (struct file){.path = "b", .mode = S_IFDIR | 0755});
	add(f, (struct file){.path = "b/.wh..wh..opq"});
	add(f, (struct file){.path = "b/new", .text = "x"});
	add(f, (struct file){.path = ".wh.dir"});
	add(f, (struct file){.path = "dir", .mode = S_IFDIR | 0755}); /* replaced in this layer */
	add(f, (struct file){.path = "file", .text = "x"});
	add(f, (struct file){.path = ".wh.file"}); /* is for lower layers only */
	add(f, (struct file){.path = ".wh..wh.plnk", .mode = S_IFDIR | 0755});
	unpack_well(f);
	struct stat st = look(f, "a/gone");
	assert_true(is_whiteout(&st));
	assert_true(is_opaque(f, "b"));
	assert_false(is_opaque(f, "a"));
	assert_true(S_ISREG(look(f, "b/new").st_mode));
	assert_true(S_ISDIR(look(f, "dir").st_mode));
	assert_true(is_opaque(f, "dir"));
	assert_true(S_ISREG(look(f, "file").st_mode));
	assert_int_equal(faccessat(f->layer, ".wh..wh.plnk", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void never_sets_overlay_s_attributes(void **state)
{
	struct fixture *f = *state;

	add(f, (struct file){.path = "d", .mode = S_IFDIR | 0755, .xattr = "trusted.overlay.opaque"});
	unpack_well(f);
	assert_false(is_opaque(f, "d"));
}

static void links_do_not_lead_out(void **state)
{
	struct fixture *f = *state;

	add(f, (struct file){.path = "up", .mode = S_IFLNK | 0777, .link = "../.."});
	add(f, (struct file){.path = "up/escaped", .text = "x"});
	add(f, (struct file){.path = "abs", .mode = S_IFLNK | 0777, .link = f->dir});
	add(f, (struct file){.path = "/top", .text = "x"});
	unpack_well(f);
	assert_int_equal(look(f, "escaped").st_size, 1);
	assert_int_equal(look(f, "top").st_size, 1);
	assert_int_equal(faccessat(f->top, "escaped", F_OK, 0), -1);
	assert_int_equal(access("/tmp/escaped", F_OK), -1);
}

static void fails(struct fixture *f, struct file first, struct file second, const char *says)
{
	struct unpack_result result;
	struct err e = ERR_INIT;

	if (first.path)
		add(f, first);
	add(f, second);
	assert_true(unpack(f, &result, &e) < 0);
	if (!strstr(e.msg, says))
		fail_msg("said: %s\nnot: %s", e.msg, says);
	assert_int_equal(faccessat(f->top, "escaped", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void refuses_dotdot(void **state)
{
	fails(*state, (struct file){0}, (struct file){.path = "../escaped", .text = "x"},
		"entry ../escaped: the path leads out");
}

static void refuses_dotdot_inside(void **state)
{
	fails(*state, (struct file){0}, (struct file){.path = "a/../../escaped", .text = "x"}, "the path leads out");
}

static void refuses_dotdot_hardlink(void **state)
{
	fails(*state, (struct file){0}, (struct file){.path = "x", .hardlink = "../tar"},
		"entry x: hard link to ../tar: the path leads out");
}

static void refuses_hardlink_through_symlink(void **state)
{
	fails(*state, (struct file){.path = "up", .mode = S_IFLNK | 0777, .link = ".."},
		(struct file){.path = "x", .hardlink = "up/tar"}, "hard link to up/tar");
}

static void refuses_absolute_symlinked_parent(void **state)
{
	struct fixture *f = *state;

	fails(f, (struct file){.path = "abs", .mode = S_IFLNK | 0777, .link = f->dir},
		(struct file){.path = "abs/escaped", .text = "x"}, "entry abs/escaped");
}

static void refuses_file_as_directory(void **state)
{
	fails(*state, (struct file){.path = "a", .text = "x"}, (struct file){.path = "a/b", .text = "x"},
		"entry a/b: its directory a: Not a directory");
}

static void refuses_root_as_file(void **state)
{
	fails(*state, (struct file){0}, (struct file){.path = "./", .mode = S_IFLNK | 0777, .link = "/"},
		"root is not a directory");
}

static void refuses_truncated(void **state)
{
	struct fixture *f = *state;
	struct unpack_result result;
	struct err e = ERR_INIT;
	struct stat st;

	add(f, (struct file){.path = "file", .text = "some text that is long enough"});
	archive_write_close(f->a);
	assert_int_equal(fstat(f->tar, &st), 0);
	assert_int_equal(ftruncate(f->tar, st.st_size - 12), 0);
	assert_true(unpack(f, &result, &e) < 0);
	assert_non_null(strstr(e.msg, "truncated"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(keeps_what_files_have),
		TEST(turns_whiteouts_into_overlay_s),
		TEST(never_sets_overlay_s_attributes),
		TEST(links_do_not_lead_out),
		TEST(refuses_dotdot),
		TEST(refuses_dotdot_inside),
		TEST(refuses_dotdot_hardlink),
		TEST(refuses_hardlink_through_symlink),
		TEST(refuses_absolute_symlinked_parent),
		TEST(refuses_file_as_directory),
		TEST(refuses_root_as_file),
		TEST(refuses_truncated),
	};

	return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
