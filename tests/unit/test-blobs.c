/* Layers and their blobs: what is kept of a stream, manifests made of it, damage, databases from before blobs were kept. Needs root, as unpacking does. */
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
#include "base/json.h"
#include "base/path.h"
#include "image/add.h"
#include "image/image.h"
#include "image/layers.h"
#include "store/db.h"

struct fixture {
	char dir[64];
	int fd, lock;
	struct db *db;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;

	strcpy(f->dir, "/tmp/caisson-test-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return db_open(f->fd, f->dir, &f->db, &e) < 0 ? -1 : layers_lock(f->db, &f->lock, &e);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close_fd(&f->lock);
	db_close(f->db);
	close(f->fd);
	rm_rf(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

/* A tar with one file "x", compressed by a filter of libarchive's. */
static int make_tar(struct fixture *f, int filter)
{
	int fd = openat(f->fd, "tar", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	archive_write_set_format_ustar(a);
	archive_write_add_filter(a, filter);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open_fd(a, fd);
	archive_entry_set_pathname(entry, "x");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_mtime(entry, 1234, 0);
	archive_entry_set_size(entry, 5);
	archive_write_header(a, entry);
	archive_write_data(a, "hello", 5);
	archive_entry_free(entry);
	archive_write_free(a);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static struct image_layer add(struct fixture *f, int filter, int64_t *ret_newest)
{
	_cleanup_close_ int tar = make_tar(f, filter);
	struct image_layer l = {0};
	struct err e = ERR_INIT;

	if (layer_add(f->db, tar, NULL, &l, ret_newest, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

static struct image_row record(struct fixture *f, struct image_layer *l, const char *manifest)
{
	struct err e = ERR_INIT;
	struct image_row row = {.manifest = (char *)manifest,
		.manifest_digest = (char *)"",
		.media_type = (char *)(*manifest ? "application/vnd.oci.image.manifest.v1+json" : ""),
		.layers = l,
		.n_layers = 1};

	row.config =
		str_fmt("{\"os\":\"linux\",\"created\":\"1970-01-01T00:00:01Z\",\"rootfs\":{\"diff_ids\":[\"%s\"]}}",
			l->diff_id);
	if (image_record(f->db, &row, &e) < 0)
		fail_msg("%s", e.msg);
	return row;
}

static int count(struct fixture *f, const char *name)
{
	_cleanup_close_ int fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = dir_open(fd, ".");
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d)))
		n += de->d_name[0] != '.';
	return n;
}

/* Whatever the compression, it is one layer; its blob is the stream as it came, or the plain one. */
static void test_kinds(void **state)
{
	static const struct {
		int filter;
		const char *type;
		bool plain;
	} rows[] = {{ARCHIVE_FILTER_NONE, "", true}, {ARCHIVE_FILTER_GZIP, "gzip", false},
		{ARCHIVE_FILTER_ZSTD, "zstd", false}, {ARCHIVE_FILTER_XZ, "", true}, {ARCHIVE_FILTER_BZIP2, "", true}};
	struct fixture *f = *state;
	char diff_id[72] = "";

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t newest = 0;
		struct image_layer l = add(f, rows[i].filter, &newest);
		if (!*diff_id)
			strcpy(diff_id, l.diff_id);
		assert_string_equal(l.diff_id, diff_id);
		assert_string_equal(l.blob_type, rows[i].type);
		assert_int_equal(!strcmp(l.blob, l.diff_id), rows[i].plain);
		assert_int_equal(l.size, 5);
		assert_int_equal(newest, 1234);
	}
	assert_int_equal(count(f, "layers"), 1);
	assert_int_equal(count(f, "blobs"), 3);
}

static void test_wrong_diff_id(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int tar = make_tar(f, ARCHIVE_FILTER_GZIP);
	struct image_layer l;
	struct err e = ERR_INIT;

	assert_int_equal(layer_add(f->db, tar, "sha256:00", &l, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "digest does not match: the image says sha256:00"));
	assert_int_equal(count(f, "layers"), 0);
	assert_int_equal(count(f, "blobs"), 0);
}

/* What no image uses goes, with what the killed left; what one uses stays. */
static void test_sweep(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct image_layer unused = add(f, ARCHIVE_FILTER_GZIP, NULL), l = add(f, ARCHIVE_FILTER_NONE, NULL);
	struct image_row row = record(f, &l, "");
	_cleanup_close_ int blobs = -1;

	assert_string_not_equal(unused.blob, l.blob);
	assert_int_equal(blobs_open(f->db, &blobs, &e), 0);
	close(openat(blobs, "tmp-0123", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(count(f, "blobs"), 3);
	close_fd(&f->lock);
	assert_int_equal(layers_sweep(f->db, &e), 0);
	assert_int_equal(count(f, "blobs"), 1);
	assert_int_equal(faccessat(blobs, l.blob + 7, F_OK, 0), 0);
	int64_t size = 0;
	assert_int_equal(layers_own_size(f->db, row.id, &size, &e), 0);
	assert_int_equal(size, 5 + l.blob_size);
	assert_int_equal(layers_blobs_size(f->db, &size, &e), 0);
	assert_int_equal(size, l.blob_size);
	assert_int_equal(images_delete(f->db, row.id, &e), 0);
	assert_int_equal(layers_sweep(f->db, &e), 0);
	assert_int_equal(count(f, "blobs"), 0);
	assert_int_equal(count(f, "layers"), 0);
	free(row.config);
}

static void test_open(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct image_layer l = add(f, ARCHIVE_FILTER_GZIP, NULL), none = l;
	_cleanup_free_ char *path = str_fmt("blobs/%s", l.blob + 7);
	char byte = 'x';
	int fd;

	assert_int_equal(layer_blob_open(f->db, &l, &fd, &e), 0);
	close(fd);
	none.blob[0] = 0;
	assert_int_equal(layer_blob_open(f->db, &none, &fd, &e), -ENODATA);
	assert_non_null(strstr(e.msg, "older version of caisson"));
	fd = openat(f->fd, path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, 30), 1);
	close(fd);
	assert_int_equal(layer_blob_open_unchecked(f->db, &l, &fd, &e), 0);
	close(fd);
	assert_int_equal(layer_blob_open(f->db, &l, &fd, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "damaged: pull or import the image again"));
	/* it has gone, so that a pull brings it */
	assert_int_equal(layer_blob_open_unchecked(f->db, &l, &fd, &e), -ENODATA);
}

static json_t *manifest_of(const struct image_row *row, enum manifest_kind kind)
{
	_cleanup_image_manifest_ struct image_manifest m = {0};
	struct err e = ERR_INIT;

	if (image_manifest(row, kind, &m, &e) < 0)
		fail_msg("%s", e.msg);
	json_t *doc = json_parse(m.text.data, m.text.len, "manifest", &e);
	assert_non_null(doc);
	assert_string_equal(m.media_type, json_str(doc, "mediaType"));
	return doc;
}

static void check_manifest(const struct image_row *row, enum manifest_kind kind, const char *layer_type)
{
	_cleanup_json_ json_t *doc = manifest_of(row, kind);
	const json_t *l = json_array_get(json_object_get(doc, "layers"), 0);

	assert_string_equal(json_str(l, "mediaType"), layer_type);
	assert_string_equal(json_str(l, "digest"), row->layers[0].blob);
	assert_int_equal(json_int(l, "size", 0), row->layers[0].blob_size);
	assert_string_equal(json_str(json_object_get(doc, "config"), "digest"), row->id);
}

static void test_made_manifest(void **state)
{
	struct fixture *f = *state;
	struct image_layer l = add(f, ARCHIVE_FILTER_GZIP, NULL);
	struct image_row row = record(f, &l, "");
	struct err e = ERR_INIT;
	struct image_manifest m;

	check_manifest(&row, MANIFEST_ANY, "application/vnd.docker.image.rootfs.diff.tar.gzip");
	check_manifest(&row, MANIFEST_OCI, "application/vnd.oci.image.layer.v1.tar+gzip");
	l = add(f, ARCHIVE_FILTER_NONE, NULL);
	check_manifest(&row, MANIFEST_ANY, "application/vnd.docker.image.rootfs.diff.tar");
	check_manifest(&row, MANIFEST_OCI, "application/vnd.oci.image.layer.v1.tar");
	l = add(f, ARCHIVE_FILTER_ZSTD, NULL);
	check_manifest(&row, MANIFEST_ANY, "application/vnd.oci.image.layer.v1.tar+zstd");
	l.blob[0] = 0;
	assert_int_equal(image_manifest(&row, MANIFEST_ANY, &m, &e), -ENODATA);
	assert_non_null(strstr(e.msg, "pull or import"));
	free(row.config);
}

/* The manifest that came with the image is its manifest only as long as it names the blobs that are here. */
static void test_own_manifest(void **state)
{
	struct fixture *f = *state;
	struct image_layer l = add(f, ARCHIVE_FILTER_GZIP, NULL);
	struct image_row row = record(f, &l, "");
	_cleanup_image_manifest_ struct image_manifest made = {0}, own = {0}, other = {0};
	struct err e = ERR_INIT;

	assert_int_equal(image_manifest(&row, MANIFEST_OCI, &made, &e), 0);
	_cleanup_free_ char *text = str_fmt("%s \n", made.text.data);
	row.manifest = text;
	row.media_type = (char *)made.media_type;
	assert_int_equal(image_manifest(&row, MANIFEST_ANY, &own, &e), 0);
	assert_string_equal(own.text.data, text);
	/* one that was recorded without takes it */
	row.manifest_digest = own.digest;
	assert_int_equal(image_record(f->db, &row, &e), 0);
	_cleanup_image_ struct image i = {0};
	assert_int_equal(image_find(f->db, row.id, &i, &e), 0);
	assert_string_equal(i.row.manifest, text);
	assert_string_equal(i.row.manifest_digest, own.digest);
	l = add(f, ARCHIVE_FILTER_NONE, NULL);
	assert_int_equal(image_manifest(&row, MANIFEST_OCI, &other, &e), 0);
	assert_null(strstr(other.text.data, "gzip"));
	free(row.config);
}

static void test_record_checks(void **state)
{
	struct fixture *f = *state;
	struct image_layer l = add(f, ARCHIVE_FILTER_GZIP, NULL);
	struct image_row row = record(f, &l, "");
	struct err e = ERR_INIT;

	assert_int_equal(row.created_ns, 1000000000);
	assert_int_equal(row.size, 5);
	assert_int_equal(image_record(f->db, &row, &e), 0);
	l.diff_id[70] = l.diff_id[70] == '0' ? '1' : '0';
	assert_int_equal(image_record(f->db, &row, &e), -EBADMSG);
	free(row.config);
}

/* A database of version 2 has layers without blobs. */
static void test_migration(void **state)
{
	struct fixture *f = *state;
	struct image_layer l = add(f, ARCHIVE_FILTER_GZIP, NULL);
	struct image_row row = record(f, &l, "");
	struct err e = ERR_INIT;
	static const char *const back[] = {"ALTER TABLE layer DROP COLUMN blob",
		"ALTER TABLE layer DROP COLUMN blob_type", "ALTER TABLE layer DROP COLUMN blob_size",
		"ALTER TABLE containers DROP COLUMN restarts", "ALTER TABLE containers DROP COLUMN by_hand",
		"PRAGMA user_version = 2"};

	for (size_t i = 0; i < sizeof(back) / sizeof(*back); i++)
		if (db_exec(f->db, &e, back[i], "") < 0)
			fail_msg("%s", e.msg);
	db_close(f->db);
	f->db = NULL;
	assert_int_equal(db_open(f->fd, f->dir, &f->db, &e), 0);
	_cleanup_image_ struct image i = {0};
	assert_int_equal(image_find(f->db, row.id, &i, &e), 0);
	assert_string_equal(i.row.layers[0].diff_id, l.diff_id);
	assert_string_equal(i.row.layers[0].blob, "");
	/* a blob that comes later is the layer's */
	assert_int_equal(image_record(f->db, &row, &e), 0);
	image_done(&i);
	assert_int_equal(image_find(f->db, row.id, &i, &e), 0);
	assert_string_equal(i.row.layers[0].blob, l.blob);
	assert_string_equal(i.row.layers[0].blob_type, "gzip");
	free(row.config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_diff_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_manifest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_manifest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_record_checks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_migration, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
