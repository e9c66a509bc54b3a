/* The file of a template: written, read, and damaged in every way; what is listed, and what is removed when it is old. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "isolation/hyperv-template.h"

#define NAME "0123456789abcdef-tcg-256m-2c-1n"
#define OLD  "fedcba9876543210-tcg-256m-2c-1n"
enum { PAGE = 4096, MEMORY = 64 * PAGE, STATE = 5000, DISK = 32 * PAGE, CUT = 4 << 20, CUT_FD = 200 };

struct place {
	char dir[64], path[200], disk[220];
	struct isolation_host host;
	char root[80], run[80];
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	*state = p;
	snprintf(p->dir, sizeof(p->dir), "/tmp/caisson-template.XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->root, sizeof(p->root), "%s/root", p->dir);
	snprintf(p->run, sizeof(p->run), "%s/run", p->dir);
	snprintf(p->path, sizeof(p->path), "%s/root/template/" NAME, p->dir);
	snprintf(p->disk, sizeof(p->disk), TEMPLATE_DISK, p->path);
	p->host = (struct isolation_host){.state_dir = p->root, .run_dir = p->run};
	_cleanup_free_ char *templates = template_path(&p->host, "");
	_cleanup_free_ char *holders = path_join(p->run, "template");
	return mkdir_p(AT_FDCWD, templates, 0700) | mkdir_p(AT_FDCWD, holders, 0700);
}

static int tear_down(void **state)
{
	struct place *p = *state;

	rm_rf(AT_FDCWD, p->dir);
	free(p);
	return 0;
}

static void fill(char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 31 + seed) ^ (i >> 7));
}

/* Memory of which pages 3 to 5 and the last are not zero. */
static int make_memory(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	char data[3 * PAGE];

	fill(data, sizeof(data), 1);
	assert_int_equal(ftruncate(fd, MEMORY), 0);
	assert_int_equal(pwrite(fd, data, sizeof(data), 3 * PAGE), sizeof(data));
	assert_int_equal(pwrite(fd, data, PAGE, MEMORY - PAGE), PAGE);
	return fd;
}

static void write_template(struct place *p)
{
	_cleanup_close_ int memory = make_memory(), disk = memfd_create("disk", MFD_CLOEXEC);
	struct template_footer f = {.memory_len = MEMORY,
		.state_len = STATE,
		.tsc_khz = 2300000,
		.built = 1000,
		.name = NAME,
		.release = "6.1.0"};
	struct err e = ERR_INIT;
	char state[STATE];

	fill(state, sizeof(state), 2);
	assert_int_equal(ftruncate(disk, DISK), 0);
	assert_int_equal(pwrite(disk, state, 1000, PAGE), 1000);
	assert_int_equal(template_write(p->path, memory, state, disk, &f, &e), 0);
}

static int check(struct place *p, const char *name)
{
	_cleanup_close_ int fd = open(p->path, O_RDONLY | O_CLOEXEC);
	struct template_footer f;

	return template_check(fd, name, &f);
}

static void flip(const char *path, off_t at)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

/* ---- one file ---- */

static void test_round_trip(void **state)
{
	struct place *p = *state;
	char got[STATE], want[STATE], page[3 * PAGE], data[3 * PAGE];
	struct template_footer f;
	struct err e = ERR_INIT;

	write_template(p);
	assert_int_not_equal(access(p->path, F_OK), -1);
	_cleanup_free_ char *tmp = str_fmt("%s.new", p->path);
	assert_int_equal(access(tmp, F_OK), -1);
	_cleanup_close_ int fd = template_read(p->path, NAME, &f, &e);
	assert_true(fd >= 0);
	assert_int_equal(f.memory_len, MEMORY);
	assert_int_equal(f.tsc_khz, 2300000);
	assert_string_equal(f.release, "6.1.0");
	fill(data, sizeof(data), 1);
	assert_int_equal(pread(fd, page, sizeof(page), 3 * PAGE), sizeof(page));
	assert_memory_equal(page, data, sizeof(page));
	assert_int_equal(pread(fd, page, PAGE, MEMORY - PAGE), PAGE);
	assert_memory_equal(page, data, PAGE);
	fill(want, sizeof(want), 2);
	assert_int_equal(pread(fd, got, STATE, MEMORY), STATE);
	assert_memory_equal(got, want, STATE);
	assert_int_equal(template_footer(fd, NAME, &f), 0);
	assert_int_equal(check(p, NULL), 0);
}

static void test_sparse(void **state)
{
	struct place *p = *state;
	struct stat st;

	write_template(p);
	assert_int_equal(stat(p->path, &st), 0);
	assert_true(st.st_blocks * 512 < MEMORY / 2);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_sealed(void **state)
{
	struct place *p = *state;
	struct template_footer f;
	struct err e = ERR_INIT;

	write_template(p);
	_cleanup_close_ int fd = template_read(p->path, NAME, &f, &e);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, MEMORY), -1);
	assert_ptr_equal(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
}

/* Every byte of state and footer, and many of the memory, holes among them. */
static void test_bits(void **state)
{
	struct place *p = *state;
	struct stat st;

	write_template(p);
	assert_int_equal(stat(p->path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += at < MEMORY ? 509 : 1) {
		flip(p->path, at);
		if (check(p, NULL) != -EBADMSG)
			fail_msg("byte %lld changed unseen", (long long)at);
		flip(p->path, at);
	}
	assert_int_equal(check(p, NULL), 0);
}

static void test_lengths(void **state)
{
	struct place *p = *state;
	struct template_footer f;
	struct err e = ERR_INIT;
	struct stat st;

	write_template(p);
	assert_int_equal(stat(p->path, &st), 0);
	for (off_t n = st.st_size - 1; n > 0; n = n * 3 / 4) {
		assert_int_equal(truncate(p->path, n), 0);
		assert_int_equal(check(p, NULL), -EBADMSG);
	}
	assert_int_equal(truncate(p->path, 0), 0);
	assert_int_equal(template_read(p->path, NAME, &f, &e), -EBADMSG);
	write_template(p);
	assert_int_equal(truncate(p->path, st.st_size + 1), 0);
	assert_int_equal(check(p, NULL), -EBADMSG);
	unlink(p->path);
	assert_int_equal(template_read(p->path, NAME, &f, &e), -ENOENT);
}

/* A page that a crash took, or put into another's place. */
static void test_pages(void **state)
{
	struct place *p = *state;
	static const char zeros[PAGE];
	char a[PAGE], b[PAGE];

	write_template(p);
	_cleanup_close_ int fd = open(p->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, a, PAGE, 3 * PAGE), PAGE);
	assert_int_equal(pread(fd, b, PAGE, 4 * PAGE), PAGE);
	assert_int_equal(pwrite(fd, zeros, PAGE, 3 * PAGE), PAGE);
	assert_int_equal(check(p, NULL), -EBADMSG);
	assert_int_equal(pwrite(fd, b, PAGE, 3 * PAGE) + pwrite(fd, a, PAGE, 4 * PAGE), 2 * PAGE);
	assert_int_equal(check(p, NULL), -EBADMSG);
	assert_int_equal(pwrite(fd, a, PAGE, 3 * PAGE) + pwrite(fd, b, PAGE, 4 * PAGE), 2 * PAGE);
	assert_int_equal(check(p, NULL), 0);
	assert_int_equal(
		pwrite(fd, zeros, PAGE, 20 * PAGE), PAGE); /* a hole that became a page of zeroes is the same memory */
	assert_int_equal(check(p, NULL), 0);
}

static void test_name(void **state)
{
	struct place *p = *state;
	struct template_footer f;
	struct err e = ERR_INIT;

	write_template(p);
	assert_int_equal(check(p, NAME), 0);
	assert_int_equal(template_read(p->path, OLD, &f, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "is damaged"));
}

/* Lengths that would overflow, or ask for too much memory. */
static void test_hostile_lengths(void **state)
{
	static const uint64_t lengths[] = {
		UINT64_MAX, UINT64_MAX - 5000, (uint64_t)1 << 63, (uint64_t)1 << 47, 1, 4095};
	struct place *p = *state;
	struct template_footer f;
	struct stat st;

	write_template(p);
	assert_int_equal(stat(p->path, &st), 0);
	_cleanup_close_ int fd = open(p->path, O_RDWR | O_CLOEXEC);
	off_t at = st.st_size - (off_t)sizeof(f);
	assert_int_equal(pread(fd, &f, sizeof(f), at), sizeof(f));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct template_footer bad = f;
		bad.memory_len = lengths[i];
		bad.state_len = (uint64_t)at - lengths[i]; /* the sum is right again */
		assert_int_equal(pwrite(fd, &bad, sizeof(bad), at), sizeof(bad));
		assert_int_equal(check(p, NULL), -EBADMSG);
	}
}

static void cut(int sig)
{
	(void)sig;
	(void)!ftruncate(CUT_FD, PAGE);
}

/* A file that is cut while it is read is damaged, and not the reader's end. */
static void test_cut_while_read(void **state)
{
	struct place *p = *state;
	struct template_footer f = {.disk_len = CUT};
	struct sigaction was, act = {.sa_handler = cut, .sa_flags = SA_RESTART};
	_cleanup_free_ char *block = malloc(CUT);
	unsigned short_ones = 0;
	struct stat st;

	write_template(p);
	_cleanup_close_ int fd = open(p->disk, O_RDWR | O_CLOEXEC);
	memset(block, 3, CUT);
	assert_int_equal(dup2(fd, CUT_FD), CUT_FD);
	sigaction(SIGALRM, &act, &was);
	for (int us = 10; us < 1000; us += 10) {
		struct itimerval when = {.it_value.tv_usec = us};
		assert_int_equal(pwrite(fd, block, CUT, 0), CUT);
		setitimer(ITIMER_REAL, &when, NULL);
		assert_int_equal(template_check_disk(fd, &f, true), -EBADMSG);
		short_ones += fstat(fd, &st) == 0 && st.st_size != CUT;
	}
	assert_true(short_ones > 0);
	usleep(2000);
	sigaction(SIGALRM, &was, NULL);
	close(CUT_FD);
}

/* One that could not be built: why, for a while, and until it could. */
static void test_failure(void **state)
{
	struct place *p = *state;
	struct timespec old[2] = {{.tv_sec = time(NULL) - 700}, {.tv_sec = time(NULL) - 700}};
	_cleanup_free_ char *file = str_fmt("%s/template/" NAME ".failed", p->run);
	char why[512], long_one[2000] = "";

	assert_false(template_failed_lately(&p->host, NAME, why, sizeof(why)));
	assert_false(template_last_failure(&p->host, why, sizeof(why)));
	template_build_failed(&p->host, NAME, "no space");
	assert_true(template_failed_lately(&p->host, NAME, why, sizeof(why)));
	assert_string_equal(why, "no space");
	assert_false(template_failed_lately(&p->host, OLD, why, sizeof(why)));
	assert_int_equal(utimensat(AT_FDCWD, file, old, 0), 0);
	assert_false(template_failed_lately(&p->host, NAME, why, sizeof(why)));
	assert_true(template_last_failure(&p->host, why, sizeof(why)));
	assert_string_equal(why, NAME " could not be built 11 minutes ago: no space");
	memset(long_one, 'x', sizeof(long_one) - 1);
	template_build_failed(&p->host, OLD, long_one);
	assert_true(template_failed_lately(&p->host, OLD, why, sizeof(why)));
	assert_true(template_last_failure(&p->host, why, sizeof(why)));
	assert_true(str_starts(why, OLD " could not be built 0 minutes ago: xxx"));
	template_build_worked(&p->host, OLD);
	template_build_worked(&p->host, NAME);
	assert_false(template_last_failure(&p->host, why, sizeof(why)));
}

/* As a clone's start makes its container's disk. */
static int copy_disk(struct place *p, const char *to, const struct template_footer *f)
{
	struct err e = ERR_INIT;
	_cleanup_close_ int fd = template_begin_disk(to, f, &e);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, DISK);
	assert_int_equal(access(to, F_OK), -1);
	return template_fill_disk(p->disk, fd, to, f, &e);
}

static void test_disk(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *to = str_fmt("%s/copy", p->dir);
	struct template_footer f;

	write_template(p);
	_cleanup_close_ int fd = open(p->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(template_footer(fd, NULL, &f), 0);
	assert_int_equal(f.disk_len, DISK);
	assert_int_equal(copy_disk(p, to, &f), 0);
	unlink(to);
	flip(p->disk, PAGE + 10);
	assert_int_equal(copy_disk(p, to, &f), -EBADMSG);
	assert_int_equal(access(to, F_OK), -1);
	flip(p->disk, PAGE + 10);
	assert_int_equal(truncate(p->disk, DISK - PAGE), 0);
	assert_int_equal(copy_disk(p, to, &f), -EBADMSG);
	unlink(p->disk);
	assert_int_equal(copy_disk(p, to, &f), -EBADMSG);
}

/* ---- the directory ---- */

static void put(struct place *p, const char *name, time_t age)
{
	_cleanup_free_ char *path = template_path(&p->host, name);
	struct timespec t[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};

	assert_int_equal(file_replace(AT_FDCWD, path, "x", 1, 0600), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static bool there(struct place *p, const char *name)
{
	_cleanup_free_ char *path = template_path(&p->host, name);

	return access(path, F_OK) == 0;
}

static void test_list(void **state)
{
	struct place *p = *state;
	struct template_info *v;
	size_t n;

	assert_int_equal(template_list(&p->host, true, &v, &n), 0);
	assert_int_equal(n, 0);
	free(v);
	write_template(p);
	put(p, OLD, 100);
	put(p, NAME ".lock", 0);
	put(p, NAME ".new", 0);
	assert_int_equal(template_list(&p->host, true, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].name, NAME);
	assert_false(v[0].damaged || v[0].held);
	assert_string_equal(v[0].kernel, "6.1.0");
	assert_string_equal(v[0].accel, "tcg");
	assert_int_equal(v[0].memory_mib, 256);
	assert_int_equal(v[0].cpus, 2);
	assert_int_equal(v[0].cards, 1);
	assert_int_equal(v[0].built, 1000);
	assert_string_equal(v[1].name, OLD);
	assert_true(v[1].damaged);
	free(v);
	flip(p->disk, 100);
	assert_int_equal(template_list(&p->host, false, &v, &n), 0);
	assert_false(v[0].damaged); /* only its whole length tells */
	free(v);
	assert_int_equal(template_list(&p->host, true, &v, &n), 0);
	assert_true(v[0].damaged);
	free(v);
}

static void test_remove(void **state)
{
	static const char *const wrong[] = {"", ".", "..", "../root", NAME ".lock", "a/b", OLD, NULL};
	struct place *p = *state;
	struct err e;

	write_template(p);
	put(p, NAME ".lock", 0);
	for (const char *const *s = wrong; *s; s++) {
		e = ERR_INIT;
		assert_int_equal(template_remove(&p->host, *s, &e), -ENOENT);
		assert_true(str_starts(e.msg, "No such template: "));
	}
	assert_int_equal(template_remove(&p->host, NAME, &e), 0);
	assert_false(there(p, NAME));
	assert_false(there(p, NAME ".disk"));
	template_tidy(&p->host);
	assert_false(there(p, NAME ".lock"));
}

static void test_prune(void **state)
{
	enum { HOUR = 3600 };
	struct place *p = *state;

	put(p, NAME, 48 * HOUR); /* of this generation: stays */
	put(p, NAME ".lock", 0);
	put(p, OLD, 25 * HOUR);
	put(p, OLD ".disk", 0);
	put(p, OLD ".lock", 0);
	put(p, "1123456789abcdef-tcg-256m-2c-1n", 23 * HOUR); /* used today */
	put(p, "2123456789abcdef-tcg-256m-2c-1n.new", 0);
	put(p, "2123456789abcdef-tcg-256m-2c-1n.disk.new", 0);
	_cleanup_free_ char *work = template_path(&p->host, "2123456789abcdef-tcg-256m-2c-1n.build");
	assert_int_equal(mkdir_p(AT_FDCWD, work, 0700), 0);
	put(p, "2123456789abcdef-tcg-256m-2c-1n.build/console.log", 0);
	put(p, "3123456789abcdef-tcg-256m-2c-1n.new", 0);
	put(p, "3123456789abcdef-tcg-256m-2c-1n.disk", 0);
	_cleanup_free_ char *busy = template_path(&p->host, "3123456789abcdef-tcg-256m-2c-1n.lock");
	_cleanup_close_ int lock = fd_lock_file(AT_FDCWD, busy, true, false);
	assert_true(lock >= 0);
	template_prune(&p->host, "0123456789abcdef");
	assert_true(there(p, NAME) && there(p, NAME ".lock"));
	assert_false(there(p, OLD) || there(p, OLD ".disk") || there(p, OLD ".lock"));
	assert_true(there(p, "1123456789abcdef-tcg-256m-2c-1n"));
	assert_false(there(p, "2123456789abcdef-tcg-256m-2c-1n.new") ||
		there(p, "2123456789abcdef-tcg-256m-2c-1n.disk.new") ||
		there(p, "2123456789abcdef-tcg-256m-2c-1n.build") || there(p, "2123456789abcdef-tcg-256m-2c-1n.lock"));
	assert_true(there(p, "3123456789abcdef-tcg-256m-2c-1n.new") &&
		there(p, "3123456789abcdef-tcg-256m-2c-1n.disk") && there(p, "3123456789abcdef-tcg-256m-2c-1n.lock"));
	close_fd(&lock);
	template_tidy(&p->host);
	assert_false(there(p, "3123456789abcdef-tcg-256m-2c-1n.new") ||
		there(p, "3123456789abcdef-tcg-256m-2c-1n.disk") || there(p, "3123456789abcdef-tcg-256m-2c-1n.lock"));
}

/* Locks and sockets of holders in the run directory. */
/* Of images the eight that were used last, none of them more than a week ago; those of an image that is gone. */
static void test_images(void **state)
{
	enum { DAY = 24 * 3600 };
	struct place *p = *state;
	struct template_name shape = {.text = "0123456789abcdef-tcg-256m-2c-1n"}, n;
	char name[80];

	template_image_name(&shape, "/erofs/c0ffee0123456789.erofs", &n);
	assert_string_equal(n.text, "0123456789abcdef-tcg-256m-2c-1n-c0ffee012345");
	assert_string_equal(template_image_of(n.text), "c0ffee012345");
	assert_null(template_image_of(shape.text));
	assert_null(template_image_of("0123456789abcdef"));
	put(p, shape.text, 30 * DAY);
	for (int i = 0; i < 11; i++) {
		snprintf(name, sizeof(name), "%s-%012d", shape.text, i);
		put(p, name, i == 0 ? 8 * DAY : i * 3600);
	}
	assert_true(template_room_for_image(&p->host)); /* one was last used a week ago */
	template_prune(&p->host, "0123456789abcdef");
	assert_true(there(p, shape.text));
	for (int i = 0; i < 11; i++) {
		snprintf(name, sizeof(name), "%s-%012d", shape.text, i);
		assert_int_equal(there(p, name), i >= 1 && i <= 8);
	}
	template_forget_image(&p->host, "sha256:0000000000030000");
	assert_false(there(p, "0123456789abcdef-tcg-256m-2c-1n-000000000003"));
	assert_true(there(p, "0123456789abcdef-tcg-256m-2c-1n-000000000004"));
	assert_false(template_wanted_again(&p->host, &n));
	assert_true(template_wanted_again(&p->host, &n));
	template_build_worked(&p->host, n.text);
	assert_false(template_wanted_again(&p->host, &n));
}

static void test_image_hash(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *path = str_fmt("%s/erofs", p->dir);
	struct timespec t[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	assert_int_equal(file_replace(AT_FDCWD, path, "image", 5, 0600), 0);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t first = template_image_hash(fd);
	assert_true(first && first == template_image_hash(fd));
	assert_int_equal(futimens(fd, t), 0);
	assert_true(template_image_hash(fd) != first);
	assert_int_equal(template_image_hash(-1), 0);
}

static void test_prune_run(void **state)
{
	struct place *p = *state;
	_cleanup_free_ char *path = path_join(p->run, "template");
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	put(p, NAME, 0);
	for (const char *const *s = (const char *const[]){NAME ".lock", NAME ".sock", OLD ".lock", OLD ".sock", NULL};
		*s; s++)
		assert_int_equal(file_replace(dir, *s, "", 0, 0600), 0);
	template_tidy(&p->host);
	assert_int_equal(faccessat(dir, NAME ".lock", F_OK, 0), 0);
	assert_int_equal(faccessat(dir, NAME ".sock", F_OK, 0), 0);
	assert_int_equal(faccessat(dir, OLD ".lock", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, OLD ".sock", F_OK, 0), -1);
}

#define with_place(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(test_round_trip),
		with_place(test_sparse),
		with_place(test_sealed),
		with_place(test_bits),
		with_place(test_lengths),
		with_place(test_pages),
		with_place(test_name),
		with_place(test_hostile_lengths),
		with_place(test_cut_while_read),
		with_place(test_failure),
		with_place(test_disk),
		with_place(test_list),
		with_place(test_remove),
		with_place(test_prune),
		with_place(test_images),
		with_place(test_image_hash),
		with_place(test_prune_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
