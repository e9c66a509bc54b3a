/* A database that is damaged in every way is refused, and made anew of the mirror with nothing lost; the damaged file is kept. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "store/containers.h"
#include "store/db.h"
#include "store/images.h"
#include "store/networks.h"
#include "store/volumes.h"

enum { CONTAINERS = 40, FILE_MAX = 1024 * 1024 };

struct fixture {
	char dir[64];
	int fd;
	struct db *db;
	struct buf whole; /* the database's file, with nothing in a WAL */
	char *rows;       /* what it says */
	struct buf notices;
};

static void put_container(struct fixture *f, int n)
{
	char name[32], record[2000], path[96];
	struct container_row row = {.name = name,
		.image_id = (char *)"sha256:aa",
		.record = record,
		.created_ns = 1000 + n,
		.auto_remove = n & 1};
	struct endpoint_row end = {.container = row.id, .network = "net", .aliases = (char *)"[]", .position = 0};
	struct err e = ERR_INIT;
	char address[32];

	snprintf(row.id, sizeof(row.id), "%064d", n);
	snprintf(name, sizeof(name), "name.%d", n);
	snprintf(record, sizeof(record), "{\"Id\": \"%d\", \"Text\": \"quotes ' \\\" and\\nlines %01500d\"}", n, n);
	snprintf(path, sizeof(path), "containers/%s", row.id);
	assert_int_equal(mkdir_p(f->fd, path, 0700), 0);
	assert_int_equal(containers_insert(f->db, &row, &e), 0);
	snprintf(end.port, sizeof(end.port), "csp%d", n);
	snprintf(end.mac, sizeof(end.mac), "02:%02x", n);
	snprintf(address, sizeof(address), "10.0.0.%d", n + 2);
	end.address4 = address;
	end.address6 = (char *)"";
	assert_int_equal(endpoints_insert(f->db, &end, &e), 0);
}

static void put_all(struct fixture *f)
{
	struct image_layer layer = {.diff_id = "sha256:11", .dir = "11", .size = 7};
	char *tags[] = {(char *)"docker.io/library/x:latest", NULL};
	struct image_row image = {.id = "sha256:aa",
		.config = (char *)"{}",
		.manifest = (char *)"",
		.manifest_digest = (char *)"",
		.media_type = (char *)"",
		.tags = tags,
		.layers = &layer,
		.n_layers = 1};
	struct volume_row volume = {.name = (char *)"vol.1", .created_ns = 5, .labels = (char *)"{\"a\":\"b\"}"};
	struct network_row net = {.id = "net",
		.name = (char *)"net",
		.bridge = "br",
		.subnet4 = (char *)"10.0.0.0/24",
		.gateway4 = (char *)"10.0.0.1",
		.range4 = (char *)"",
		.subnet6 = (char *)"",
		.gateway6 = (char *)"",
		.range6 = (char *)"",
		.labels = (char *)"{}",
		.options = (char *)"{}"};
	struct err e = ERR_INIT;

	assert_int_equal(mkdir_p(f->fd, "volumes/vol.1", 0700), 0);
	assert_int_equal(layers_put(f->db, &layer, &e), 0);
	assert_true(images_put(f->db, &image, &e) >= 0);
	assert_true(volumes_insert(f->db, &volume, &e) >= 0);
	assert_int_equal(networks_insert(f->db, &net, &e), 0);
	for (int n = 0; n < CONTAINERS; n++)
		put_container(f, n);
}

static void add_rows(struct db *d, const char *sql, struct buf *ret)
{
	struct err e = ERR_INIT;
	_cleanup_stmt_ struct stmt *s = NULL;

	assert_int_equal(db_query(d, &s, &e, sql, ""), 0);
	while (stmt_step(s, &e) > 0)
		buf_addf(ret, "%s\n", stmt_str(s, 0));
	assert_int_equal(e.code, 0);
}

static char *rows_of(struct db *d)
{
	struct buf b = {0};

	add_rows(d,
		"SELECT json_array(id, name, image, record, created, auto_remove, status, exit_code) FROM containers "
		"ORDER BY id",
		&b);
	add_rows(d, "SELECT json_array(container, network, mac, address4, address6) FROM endpoints ORDER BY 1", &b);
	add_rows(d, "SELECT json_array(id, config) FROM image", &b);
	add_rows(d, "SELECT json_array(name, image, is_digest) FROM image_name", &b);
	add_rows(d, "SELECT json_array(image, position, diff_id) FROM image_layer", &b);
	add_rows(d, "SELECT json_array(diff_id, dir, size) FROM layer", &b);
	add_rows(d, "SELECT json_array(name, created, anonymous, labels) FROM volumes", &b);
	add_rows(d, "SELECT json_array(id, name, bridge, subnet4) FROM networks", &b);
	return b.data;
}

/* The directory with these files alone: no database has been opened there. */
static void put_file(struct fixture *f, const void *p, size_t n)
{
	unlinkat(f->fd, "db.sqlite-wal", 0);
	unlinkat(f->fd, "db.sqlite-shm", 0);
	if (p)
		assert_int_equal(file_replace(f->fd, "db.sqlite", p, n, 0600), 0);
	else
		unlinkat(f->fd, "db.sqlite", 0);
}

static void notice(void *data, const char *text)
{
	buf_addf(data, "%s\n", text);
}

static int rebuild(struct fixture *f, bool force, struct db_rebuilt *ret)
{
	struct err e = ERR_INIT;
	int r = db_rebuild(f->fd, f->dir, force, ret, notice, &f->notices, &e);

	assert_int_equal(e.code, 0);
	return r;
}

static void is_as_before(struct fixture *f)
{
	_cleanup_db_ struct db *d = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(db_open(f->fd, f->dir, &d, &e), 0);
	_cleanup_free_ char *now = rows_of(d);
	assert_string_equal(now, f->rows);
	assert_int_equal(db_check(d, &e), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	struct db_rebuilt done;

	strcpy(f->dir, "/tmp/caisson-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	assert_int_equal(db_open(f->fd, f->dir, &f->db, &e), 0);
	put_all(f);
	f->rows = rows_of(f->db);
	db_close(f->db);
	f->db = NULL;
	/* one file without a WAL, as which it can be damaged anywhere */
	assert_int_equal(rebuild(f, false, &done), 0);
	assert_int_equal(rebuild(f, true, &done), 1);
	db_rebuilt_done(&done);
	assert_int_equal(file_read(f->fd, "db.sqlite", FILE_MAX, &f->whole), 0);
	is_as_before(f);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	rm_rf(AT_FDCWD, f->dir);
	buf_done(&f->whole);
	buf_done(&f->notices);
	free(f->rows);
	free(f);
	return 0;
}

/* Refused by name, made anew, and kept as it was. */
static void refuses_and_rebuilds(struct fixture *f, const void *p, size_t n)
{
	_cleanup_db_ struct db *d = NULL;
	_cleanup_buf_ struct buf kept = {0};
	struct err e = ERR_INIT;
	struct db_rebuilt done;

	put_file(f, p, n);
	int r = db_open(f->fd, f->dir, &d, &e);
	if (r == 0)
		r = db_check(d, &e);
	assert_int_equal(r, -EUCLEAN);
	assert_non_null(strstr(e.msg, "caisson system rebuild"));
	assert_non_null(strstr(e.msg, f->dir));
	db_close(d);
	d = NULL;
	put_file(f, p, n);
	assert_int_equal(rebuild(f, false, &done), 1);
	assert_int_equal(done.containers, CONTAINERS);
	assert_int_equal(done.images, 1);
	assert_int_equal(done.volumes, 1);
	assert_int_equal(done.networks, 1);
	assert_int_equal(done.left_out, 0);
	is_as_before(f);
	_cleanup_free_ char *path = path_join(done.kept, "db.sqlite");
	if (p && n) {
		assert_int_equal(file_read(AT_FDCWD, path, FILE_MAX, &kept), 0);
		assert_int_equal(kept.len, n);
		assert_memory_equal(kept.data, p, n);
	}
	db_rebuilt_done(&done);
}

static void truncated(void **state)
{
	struct fixture *f = *state;

	refuses_and_rebuilds(f, f->whole.data, f->whole.len / 2);
	refuses_and_rebuilds(f, f->whole.data, f->whole.len - 4096);
	refuses_and_rebuilds(f, f->whole.data, 1000);
	refuses_and_rebuilds(f, f->whole.data, 0);
	refuses_and_rebuilds(f, NULL, 0);
}

static void zeroed(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *copy = calloc(1, f->whole.len);

	refuses_and_rebuilds(f, copy, f->whole.len);
	memcpy(copy, f->whole.data, f->whole.len);
	memset(copy + 8192, 0, 4096);
	refuses_and_rebuilds(f, copy, f->whole.len);
}

static void of_something_else(void **state)
{
	struct fixture *f = *state;
	static const char text[] =
		"no database at all, but a text that is a bit longer than the header of one, which has 100 bytes";

	refuses_and_rebuilds(f, text, sizeof(text));
}

/* A flipped bit that changes what the database says is found, wherever it is. */
static void flipped(void **state)
{
	struct fixture *f = *state;
	int found = 0;

	for (size_t at = 40; at < f->whole.len; at += 4999) {
		_cleanup_free_ char *copy = malloc(f->whole.len);
		_cleanup_db_ struct db *d = NULL;
		struct err e = ERR_INIT;
		struct db_rebuilt done;

		memcpy(copy, f->whole.data, f->whole.len);
		copy[at] = (char)(copy[at] ^ 1 << at % 8);
		put_file(f, copy, f->whole.len);
		int r = db_open(f->fd, f->dir, &d, &e);
		if (r == 0)
			r = db_check(d, &e);
		db_close(d);
		d = NULL;
		if (r == 0) {
			is_as_before(f); /* it was where nothing is */
			continue;
		}
		found++;
		assert_true(rebuild(f, true, &done) == 1);
		db_rebuilt_done(&done);
		is_as_before(f);
	}
	assert_true(found > 5);
}

static void leaves_out_what_it_cannot_read(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct db_rebuilt done;
	char path[128];

	snprintf(path, sizeof(path), "mirror/containers/%064d", 3);
	assert_int_equal(file_replace(f->fd, path, "{\"id\": ", 7, 0600), 0);
	assert_int_equal(file_replace(f->fd, "mirror/volumes/vol%2e1", "", 0, 0600), 0);
	put_file(f, "", 0);
	assert_int_equal(rebuild(f, false, &done), 1);
	assert_int_equal(done.containers, CONTAINERS - 1);
	assert_int_equal(done.volumes, 0);
	assert_int_equal(done.left_out, 2);
	assert_non_null(strstr(f->notices.data, path));
	assert_non_null(strstr(f->notices.data, "mirror/volumes/vol%2e1 is left out: it cannot be read"));
	_cleanup_free_ char *kept = path_join(done.kept, "mirror-volumes-vol%2e1");
	assert_int_equal(access(kept, F_OK), 0);
	free(f->rows);
	assert_int_equal(db_open(f->fd, f->dir, &f->db, &e), 0);
	f->rows = rows_of(f->db);
	db_close(f->db);
	is_as_before(f);
	db_rebuilt_done(&done);
}

/* A container that was removed, and one whose creation failed, do not come back. */
static void follows_removals_and_failures(void **state)
{
	struct fixture *f = *state;
	struct container_row row = {
		.id = "new", .name = (char *)"name.7", .image_id = (char *)"", .record = (char *)"{}"};
	struct err e = ERR_INIT;
	struct db_rebuilt done;
	char id[65];

	assert_int_equal(db_open(f->fd, f->dir, &f->db, &e), 0);
	snprintf(id, sizeof(id), "%064d", 5);
	assert_int_equal(containers_delete(f->db, id, &e), 1);
	assert_int_equal(endpoints_delete(f->db, id, NULL, &e), 1);
	assert_int_equal(containers_insert(f->db, &row, &e), -EEXIST);
	row.name = (char *)"other";
	assert_int_equal(mkdir_p(f->fd, "containers/new", 0700), 0);
	assert_int_equal(db_begin(f->db, &e), 0);
	assert_int_equal(containers_insert(f->db, &row, &e), 0);
	db_rollback(f->db);
	assert_int_equal(db_check(f->db, &e), 0);
	snprintf(id, sizeof(id), "%064d", 6);
	assert_int_equal(containers_rename(f->db, id, "renamed", &e), 0);
	free(f->rows);
	f->rows = rows_of(f->db);
	db_close(f->db);
	put_file(f, "", 0);
	assert_int_equal(rebuild(f, false, &done), 1);
	assert_int_equal(done.containers, CONTAINERS - 1);
	is_as_before(f);
	db_rebuilt_done(&done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(truncated),
		TEST(zeroed),
		TEST(of_something_else),
		TEST(flipped),
		TEST(leaves_out_what_it_cannot_read),
		TEST(follows_removals_and_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
