/* Records of files: their encoding, and a tree that goes through them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "sandbox/files.h"

struct place {
	char path[64];
	int dir, proc;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->path, "/tmp/test-files.XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(p->dir, "to", 0755), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->dir);
	close(p->proc);
	assert_int_equal(rm_rf(AT_FDCWD, p->path), 0);
	free(p);
	return 0;
}

static void put(const struct place *p, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(p->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void holds(const struct place *p, const char *path, const char *text)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(file_read(p->dir, path, 4096, &b), 0);
	assert_string_equal(b.len ? b.data : "", text);
}

/* What is written goes to a file in memory, from where it is read. */
static struct files_writer writer(void)
{
	return (struct files_writer){.fd = memfd_create("records", MFD_CLOEXEC)};
}

static int receive_as(const struct place *p, struct files_writer *w, const char *only, struct err *e)
{
	struct files_reader r = {.fd = w->fd};
	const struct files_target t = {.root = p->dir, .proc = p->proc, .dir = "/to", .only = only};

	assert_int_equal(lseek(w->fd, 0, SEEK_SET), 0);
	*e = ERR_INIT;
	int n = files_receive(&r, &t, e);
	files_reader_done(&r);
	close(w->fd);
	files_writer_done(w);
	return n;
}

static void add(struct files_writer *w, const char *path, uint32_t mode, const char *link, const char *data)
{
	const struct files_entry x = {.path = (char *)path,
		.mode = mode,
		.link = (char *)link,
		.size = data ? strlen(data) : 0,
		.mtime = 1000};

	assert_int_equal(files_write_entry(w, FILES_ENTRY, &x), 0);
	if (data)
		assert_int_equal(files_write_data(w, 0, data, strlen(data)), 0);
}

static void test_plain_paths(void **state)
{
	static const char *const good[] = {".", "a", "a/b", "..a", "a/.b", "a..", "..."};
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", "..", "a/..", "../a", "a/../b", "./a", "a/.", "a/./b"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(files_path_plain(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(files_path_plain(bad[i]));
}

static void test_round_trip(void **state)
{
	const struct place *p = *state;
	struct files_sender s;
	struct files_writer w = writer();
	struct err e = ERR_INIT;
	struct stat a, b;
	char target[16];

	assert_int_equal(mkdirat(p->dir, "from", 0750), 0);
	assert_int_equal(mkdirat(p->dir, "from/sub", 01770), 0);
	put(p, "from/file", "content");
	assert_int_equal(fchmodat(p->dir, "from/file", 0640, 0), 0);
	assert_int_equal(linkat(p->dir, "from/file", p->dir, "from/sub/again", 0), 0);
	assert_int_equal(symlinkat("/nowhere", p->dir, "from/link"), 0);
	assert_int_equal(mkfifoat(p->dir, "from/fifo", 0600), 0);
	_cleanup_close_ int holes = openat(p->dir, "from/holes", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(holes, "x", 1, 5 << 20), 1);
	assert_int_equal(ftruncate(holes, 20 << 20), 0);

	assert_int_equal(files_sender_init(&s, &w, p->dir, p->proc, &e), 0);
	assert_int_equal(files_send(&s, "from", "named", false, &e), 0);
	assert_int_equal(files_write_end(&w), 0);
	files_sender_done(&s);
	/* holes are not carried */
	assert_true(lseek(w.fd, 0, SEEK_END) < 1 << 20);
	assert_int_equal(receive_as(p, &w, "named", &e), 0);

	holds(p, "to/named/file", "content");
	assert_int_equal(fstatat(p->dir, "to/named/file", &a, 0), 0);
	assert_int_equal(fstatat(p->dir, "to/named/sub/again", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_mode & 07777, 0640);
	assert_int_equal(fstatat(p->dir, "to/named/sub", &b, 0), 0);
	assert_int_equal(b.st_mode & 07777, 01770);
	assert_int_equal(readlinkat(p->dir, "to/named/link", target, sizeof(target)), strlen("/nowhere"));
	assert_int_equal(fstatat(p->dir, "to/named/fifo", &b, 0), 0);
	assert_true(S_ISFIFO(b.st_mode));
	assert_int_equal(fstatat(p->dir, "to/named/holes", &b, 0), 0);
	assert_int_equal(b.st_size, 20 << 20);
	assert_true(b.st_blocks * 512 < 1 << 20);
	assert_int_equal(fstatat(p->dir, "from", &a, 0), 0);
	assert_int_equal(fstatat(p->dir, "to/named", &b, 0), 0);
	assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
}

/* A file is replaced when all of it is there. */
static void test_not_whole(void **state)
{
	const struct place *p = *state;
	struct files_writer w = writer();
	struct err e = ERR_INIT;

	put(p, "to/old", "before");
	add(&w, "old", S_IFREG | 0600, NULL, "after");
	assert_int_equal(files_write_failed(&w, &(struct err){.code = ENOSPC, .msg = "the other side's disk"}), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), -ENOSPC);
	assert_string_equal(e.msg, "the other side's disk");
	holds(p, "to/old", "before");

	w = writer();
	add(&w, "new", S_IFREG | 0600, NULL, "after");
	assert_int_equal(fd_write_all(w.fd, w.out.data, w.out.len), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), -EPIPE);
	assert_int_equal(faccessat(p->dir, "to/new", F_OK, 0), -1);
	_cleanup_strv_ char **names = NULL;
	_cleanup_close_ int to = openat(p->dir, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(files_names(to, &names), 0);
	assert_int_equal(strv_len(names), 1);
}

static void test_clashes(void **state)
{
	const struct place *p = *state;
	struct files_writer w = writer();
	struct err e = ERR_INIT;

	put(p, "to/file", "x");
	assert_int_equal(mkdirat(p->dir, "to/dir", 0755), 0);
	add(&w, "file", S_IFDIR | 0700, NULL, NULL);
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), -EEXIST);
	assert_string_equal(e.msg, "cannot overwrite non-directory \"/to/file\" with directory \"/to\"");
	w = writer();
	add(&w, "dir", S_IFREG | 0700, NULL, "x");
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), -EEXIST);
	assert_string_equal(e.msg, "cannot overwrite directory \"/to/dir\" with non-directory \"/to\"");
}

/* A tree that makes a link and writes through it stays where it is. */
static void test_hostile_tree(void **state)
{
	const struct place *p = *state;
	struct files_writer w = writer();
	struct err e = ERR_INIT;

	put(p, "outside", "safe");
	add(&w, "up", S_IFLNK | 0777, "../../../../..", NULL);
	add(&w, "up/tmp-of-caisson-test", S_IFREG | 0600, NULL, "bad");
	add(&w, "over", S_IFLNK | 0777, "../outside", NULL);
	add(&w, "over", S_IFREG | 0600, NULL, "replaces the link");
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), 0);
	holds(p, "outside", "safe");
	holds(p, "to/over", "replaces the link");
	/* the root of what it may write to is p->dir */
	holds(p, "tmp-of-caisson-test", "bad");
	assert_int_equal(access("/tmp-of-caisson-test", F_OK), -1);

	/* nor is it another file than was asked for */
	static const char *const others[] = {"asked-not", "bashrc", "askedfor/../x", "/askedfor"};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		w = writer();
		add(&w, others[i], S_IFREG | 0600, NULL, "bad");
		assert_int_equal(files_write_end(&w), 0);
		assert_int_equal(receive_as(p, &w, "askedfor", &e), -EBADMSG);
	}
	w = writer();
	const struct files_entry hard = {
		.path = (char *)"askedfor", .link = (char *)"over", .mode = S_IFREG, .hard = true};
	assert_int_equal(files_write_entry(&w, FILES_ENTRY, &hard), 0);
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, "askedfor", &e), -EBADMSG);
}

/* What was asked for is a link, and then something below it: that would be beside it, and is not written. */
static void test_hostile_link(void **state)
{
	static const char *const links[] = {".", "/to", "../to", "victim"};
	const struct place *p = *state;
	struct err e = ERR_INIT;

	assert_int_equal(mkdirat(p->dir, "to/victim", 0755), 0);
	put(p, "to/victim/file", "safe");
	put(p, "to/file", "safe");
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		struct files_writer w = writer();
		add(&w, "asked", S_IFLNK | 0777, links[i], NULL);
		add(&w, "asked/file", S_IFREG | 0600, NULL, "bad");
		assert_int_equal(files_write_end(&w), 0);
		assert_int_equal(receive_as(p, &w, "asked", &e), -ELOOP);
		w = writer();
		add(&w, "asked", S_IFLNK | 0777, links[i], NULL);
		add(&w, "asked/new/file", S_IFREG | 0600, NULL, "bad");
		assert_int_equal(files_write_end(&w), 0);
		assert_int_equal(receive_as(p, &w, "asked", &e), -ELOOP);
		/* nor through one of a tree that may have any name */
		w = writer();
		add(&w, "sub", S_IFDIR | 0755, NULL, NULL);
		add(&w, "sub/link", S_IFLNK | 0777, "../victim", NULL);
		add(&w, "sub/link/file", S_IFREG | 0600, NULL, "bad");
		assert_int_equal(files_write_end(&w), 0);
		assert_int_equal(receive_as(p, &w, ".", &e), -ELOOP);
	}
	holds(p, "to/file", "safe");
	holds(p, "to/victim/file", "safe");
	assert_int_equal(faccessat(p->dir, "to/new", F_OK, 0), -1);
	assert_int_equal(faccessat(p->dir, "to/victim/new", F_OK, 0), -1);
	/* a directory that the tree does not name is still made */
	struct files_writer w = writer();
	add(&w, "deep/er/file", S_IFREG | 0600, NULL, "good");
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, "deep", &e), 0);
	holds(p, "to/deep/er/file", "good");
}

static void test_data_is_checked(void **state)
{
	const struct place *p = *state;
	struct err e = ERR_INIT;
	struct files_writer w = writer();

	assert_int_equal(files_write_data(&w, 0, "x", 1), 0);
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), -EBADMSG);
	w = writer();
	add(&w, "short", S_IFREG | 0600, NULL, "abc");
	assert_int_equal(files_write_data(&w, 3, "d", 1), 0);
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(receive_as(p, &w, NULL, &e), -EBADMSG);
	assert_int_equal(faccessat(p->dir, "to/short", F_OK, 0), -1);
}

static void test_requests(void **state)
{
	const struct files_request q = {
		.op = FILES_GET, .flags = FILES_FREEZE, .path = (char *)"/a b", .name = (char *)"n"};
	_cleanup_buf_ struct buf b = {0};
	struct files_request got;
	struct err e;

	(void)state;
	assert_int_equal(files_request_encode(&q, &b), 0);
	assert_int_equal(files_request_decode(&got, b.data, b.len, &e), 0);
	assert_int_equal(got.op, FILES_GET);
	assert_int_equal(got.flags, FILES_FREEZE);
	assert_string_equal(got.path, "/a b");
	files_request_done(&got);
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(files_request_decode(&got, b.data, n, &e), -EBADMSG);
		files_request_done(&got);
	}
}

/* Of an upper directory, made by hand, of which the whiteouts need root. */
static void test_diff(void **state)
{
	const struct place *p = *state;
	struct files_writer w = writer();
	struct err e = ERR_INIT;
	_cleanup_buf_ struct buf seen = {0};

	if (geteuid() != 0)
		skip();
	static const char *const dirs[] = {"lower", "upper", "lower/etc", "upper/etc", "lower/gone", "lower/opaque",
		"upper/opaque", "upper/proc", "upper/added", "lower/same", "upper/same"};
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		assert_int_equal(mkdirat(p->dir, dirs[i], 0755), 0);
	put(p, "lower/etc/changed", "1");
	put(p, "upper/etc/changed", "22");
	put(p, "upper/etc/hosts", "");
	put(p, "lower/opaque/hidden", "");
	put(p, "upper/opaque/new", "");
	put(p, "lower/same/touched", "x");
	put(p, "upper/same/touched", "x");
	const struct timespec then[2] = {{.tv_sec = 5}, {.tv_sec = 5, .tv_nsec = 7}};
	assert_int_equal(utimensat(p->dir, "lower/same/touched", then, 0), 0);
	assert_int_equal(utimensat(p->dir, "upper/same/touched", then, 0), 0);
	if (mknodat(p->dir, "upper/gone", S_IFCHR, 0) < 0 || mknodat(p->dir, "upper/never", S_IFCHR, 0) < 0)
		skip();
	_cleanup_close_ int upper = openat(p->dir, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int lower = openat(p->dir, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int opaque = openat(upper, "opaque", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsetxattr(opaque, "trusted.overlay.opaque", "y", 1, 0) < 0)
		skip();
	assert_int_equal(files_diff(upper, lower, p->proc, false, &w, &e), 0);
	assert_int_equal(files_write_end(&w), 0);
	assert_int_equal(lseek(w.fd, 0, SEEK_SET), 0);
	struct files_reader r = {.fd = w.fd};
	for (int n = 1; n > 0;) {
		_cleanup_(files_record_done) struct files_record x = {0};
		n = files_read(&r, &x, &e);
		assert_true(n >= 0);
		if (n > 0)
			buf_addf(&seen, "%c %s\n", (char)x.kind, x.path);
	}
	assert_string_equal(
		seen.data, "A added\nC etc\nC etc/changed\nD gone\nC opaque\nA opaque/new\nD opaque/hidden\n");
	files_reader_done(&r);
	close(w.fd);
	files_writer_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_paths),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clashes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data_is_checked, setup, teardown),
		cmocka_unit_test(test_requests),
		cmocka_unit_test_setup_teardown(test_diff, setup, teardown),
	};

	umask(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
