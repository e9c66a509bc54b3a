/* Images in the database: names that move, ids by prefix, docker's rules of removal, many writers at once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/path.h"
#include "image/image.h"
#include "image/layers.h"
#include "store/db.h"

#define ID(c) "sha256:" c c c c c c c c c c c c c c c c
static const char id_a[] = ID("aaa1"), id_b[] = ID("aaa2"), diff[] = ID("0123");

struct fixture {
	char dir[64];
	int fd;
	struct db *db;
	struct image_user user; /* what in_use answers; id "": nobody */
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
	return db_open(f->fd, f->dir, &f->db, &e);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	close(f->fd);
	rm_rf(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *id, const char *name)
{
	struct image_layer layer = {.size = 7};
	char *tags[] = {(char *)name, NULL};
	struct image_row row = {.config = (char *)"{\"os\":\"linux\",\"config\":{\"Cmd\":[\"sh\"]}}",
		.manifest = (char *)"",
		.manifest_digest = (char *)"",
		.media_type = (char *)"",
		.size = 7,
		.tags = tags,
		.layers = &layer,
		.n_layers = 1};
	struct err e = ERR_INIT;
	_cleanup_close_ int layers = -1;

	strcpy(layer.diff_id, diff);
	snprintf(layer.dir, sizeof(layer.dir), "%.32s", diff + 7);
	strcpy(row.id, id);
	assert_int_equal(layers_open(f->db, &layers, &e), 0);
	mkdirat(layers, layer.dir, 0755);
	assert_int_equal(layers_put(f->db, &layer, &e), 0);
	assert_true(images_put(f->db, &row, &e) >= 0);
}

static int in_use(void *data, const char *image_id, struct image_user *ret, struct err *e)
{
	struct fixture *f = data;

	(void)image_id;
	(void)e;
	*ret = f->user;
	return f->user.id[0] != 0;
}

static int try_remove(struct fixture *f, const char *ref, bool force, char text[1100])
{
	_cleanup_json_ json_t *report = NULL;
	struct err e = ERR_INIT;
	int r = image_remove(f->db, ref, force, in_use, f, &report, NULL, &e);

	_cleanup_free_ char *dump = report ? json_dumps(report, JSON_COMPACT) : NULL;
	snprintf(text, 1100, "%s", dump ? dump : e.msg);
	return r;
}

static bool layer_is_there(struct fixture *f)
{
	char path[64];

	snprintf(path, sizeof(path), "layers/%.32s", diff + 7);
	return faccessat(f->fd, path, F_OK, 0) == 0;
}

static void finds_by_name_and_prefix(void **state)
{
	struct fixture *f = *state;
	struct image i = {0};
	struct err e = ERR_INIT;
	_cleanup_strv_ char **dirs = NULL;

	put(f, id_a, "docker.io/library/x:latest");
	put(f, id_b, "docker.io/library/y:latest");
	assert_int_equal(image_find(f->db, "x", &i, &e), 0);
	assert_string_equal(i.id, id_a);
	assert_string_equal(json_string_value(json_array_get(json_object_get(i.config, "Cmd"), 0)), "sh");
	assert_int_equal(image_lower_dirs("/r", &i, &dirs, &e), 0);
	assert_string_equal(dirs[0], "/r/layers/01230123012301230123012301230123");
	image_done(&i);
	assert_int_equal(image_find(f->db, id_b, &i, &e), 0);
	image_done(&i);
	assert_int_equal(image_find(f->db, "aaa2", &i, &e), 0);
	image_done(&i);
	assert_int_equal(image_find(f->db, "aaa", &i, &e), -ENOTUNIQ);
	assert_int_equal(image_find(f->db, "z", &i, &e), -ENOENT);
	assert_string_equal(e.msg, "No such image: z");
	assert_int_equal(image_find(f->db, "%", &i, &e), -EINVAL);
}

static void moves_tags(void **state)
{
	struct fixture *f = *state;
	struct image i = {0};
	struct err e = ERR_INIT;

	put(f, id_a, "docker.io/library/x:latest");
	put(f, id_b, "docker.io/library/x:latest");
	assert_int_equal(image_find(f->db, "x", &i, &e), 0);
	assert_string_equal(i.id, id_b);
	image_done(&i);
	assert_int_equal(image_find(f->db, id_a, &i, &e), 0);
	assert_null(i.row.tags);
	image_done(&i);
}

static void removes_with_the_last_name(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char text[1100];

	put(f, id_a, "docker.io/library/x:latest");
	assert_int_equal(image_tag(f->db, "x", "y:1", &e), 0);
	assert_int_equal(try_remove(f, "aaa1", false, text), -EBUSY);
	assert_string_equal(text,
		"conflict: unable to delete aaa1aaa1aaa1 (must be forced) - image is referenced in multiple "
		"repositories");
	assert_int_equal(try_remove(f, "x", false, text), 0);
	assert_string_equal(text, "[{\"Untagged\":\"x:latest\"}]");
	assert_true(layer_is_there(f));
	assert_int_equal(try_remove(f, "y:1", false, text), 0);
	assert_non_null(strstr(text, "{\"Untagged\":\"y:1\"},{\"Deleted\":\"sha256:aaa1"));
	assert_false(layer_is_there(f));
	assert_int_equal(try_remove(f, "y:1", false, text), -ENOENT);
}

static void keeps_shared_layers(void **state)
{
	struct fixture *f = *state;
	char text[1100];

	put(f, id_a, "docker.io/library/x:latest");
	put(f, id_b, "docker.io/library/y:latest");
	assert_int_equal(try_remove(f, "x", false, text), 0);
	assert_true(layer_is_there(f));
}

static void leaves_the_sweep_to_who_adds(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char text[1100];
	int lock;

	put(f, id_a, "docker.io/library/x:latest");
	assert_int_equal(layers_lock(f->db, &lock, &e), 0);
	assert_int_equal(try_remove(f, "x", false, text), 0);
	assert_true(layer_is_there(f));
	close(lock);
	assert_int_equal(layers_sweep(f->db, &e), 0);
	assert_false(layer_is_there(f));
}

static void heeds_containers(void **state)
{
	struct fixture *f = *state;
	struct image i = {0};
	struct err e = ERR_INIT;
	char text[1100];

	put(f, id_a, "docker.io/library/x:latest");
	f->user = (struct image_user){.id = "c0ffee", .running = true};
	assert_int_equal(try_remove(f, "x", true, text), -EBUSY);
	assert_string_equal(text,
		"conflict: unable to delete aaa1aaa1aaa1 (cannot be forced) - image is being used by running container "
		"c0ffee");
	f->user.running = false;
	assert_int_equal(try_remove(f, "x", false, text), -EBUSY);
	assert_string_equal(text,
		"conflict: unable to remove repository reference \"x\" (must force) - container c0ffee is using its "
		"referenced image aaa1aaa1aaa1");
	assert_int_equal(try_remove(f, "x", true, text), 0);
	assert_int_equal(image_find(f->db, id_a, &i, &e), 0);
	assert_null(i.row.tags);
	image_done(&i);
	assert_true(layer_is_there(f));
}

static void takes_many_writers(void **state)
{
	struct fixture *f = *state;
	enum { WRITERS = 12, ROUNDS = 10 };
	struct image_row row;
	struct err e = ERR_INIT;
	int status;

	put(f, id_a, "docker.io/library/x:latest");
	for (int w = 0; w < WRITERS; w++) {
		if (fork())
			continue;
		for (int n = 0; n < ROUNDS; n++) {
			_cleanup_db_ struct db *d = NULL;
			char name[64];
			snprintf(name, sizeof(name), "docker.io/library/x:%d-%d", w, n);
			if (db_open(f->fd, f->dir, &d, &e) < 0 || images_tag(d, id_a, name, &e) < 0)
				_exit(1);
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	assert_int_equal(images_by_id(f->db, id_a, &row, &e), 0);
	assert_int_equal(strv_len(row.tags), WRITERS * ROUNDS + 1);
	image_row_done(&row);
}

static void names_a_damaged_database(void **state)
{
	struct fixture *f = *state;
	struct db *d = NULL;
	struct err e = ERR_INIT;

	mkdirat(f->fd, "other", 0755);
	_cleanup_free_ char *root = path_join(f->dir, "other");
	_cleanup_close_ int fd = openat(f->fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int file = openat(fd, "db.sqlite", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int n = 0; n < 100; n++)
		assert_int_equal(write(file, "this is no database at all, not at all", 38), 38);
	assert_int_equal(db_open(fd, root, &d, &e), -EUCLEAN);
	assert_non_null(strstr(e.msg, "other/db.sqlite is damaged"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(finds_by_name_and_prefix),
		TEST(moves_tags),
		TEST(removes_with_the_last_name),
		TEST(keeps_shared_layers),
		TEST(leaves_the_sweep_to_who_adds),
		TEST(heeds_containers),
		TEST(takes_many_writers),
		TEST(names_a_damaged_database),
	};

	return cmocka_run_group_tests_name("images", tests, NULL, NULL);
}
