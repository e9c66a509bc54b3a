/* Images as commands see them; the work is image/'s, and caisson-fetch's where it needs the heavy libraries. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/engine-private.h"
#include "isolation/hyperv.h"

/* What the configuration says of registries goes with the rest. */
static int fetch_arguments(const struct engine *g, char *const args[], char ***ret)
{
	int r = strv_push(ret, "caisson-fetch");

	if (r == 0)
		r = strv_pushf(ret, "--root=%s", g->root);
	if (r == 0 && g->registry_timeout_s)
		r = strv_pushf(ret, "--timeout=%u", g->registry_timeout_s);
	strv_foreach(host, g->insecure_registries)
		if (r == 0)
			r = strv_pushf(ret, "--insecure-registry=%s", host);
	return r < 0 ? r : strv_push_all(ret, args);
}

/* in, out: what its stdin and stdout are, -1: the caller's. */
static int run_fetch(struct engine *g, char *const args[], int in, int out, struct err *e)
{
	_cleanup_free_ char *program = path_join(g->libexec_dir, "caisson-fetch");
	_cleanup_strv_ char **v = NULL;
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	if (!program || fetch_arguments(g, args, &v) < 0)
		return err_nomem(e);
	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, 1);
	int r = posix_spawn(&pid, program, &actions, NULL, v, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return err_errno(e, r, "%s", program);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "wait for caisson-fetch");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int engine_fetch(struct engine *g, char *const args[], bool to_stderr, struct err *e)
{
	return run_fetch(g, args, -1, to_stderr ? 2 : -1, e);
}

int engine_login(struct engine *g, const char *server, const char *user, const char *password, struct err *e)
{
	_cleanup_json_ json_t *doc = json_object();
	_cleanup_close_ int fd = memfd_create("login", MFD_CLOEXEC);
	char verb[] = "login", *args[] = {verb, (char *)server, NULL};

	if (user &&
		(json_set(doc, "Username", json_string(user)) < 0 ||
			json_set(doc, "Password", json_string(password)) < 0))
		return err_set(e, EINVAL, "the user name and the password must be UTF-8");
	char *text = json_dumps(doc, JSON_COMPACT);
	int r = text ? 0 : -ENOMEM;
	if (r == 0)
		r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, r < 0 ? r : errno, "pass the credentials on");
	return run_fetch(g, args, fd, -1, e);
}

int engine_erofs(struct engine *g, const struct image *image, char **ret, struct err *e)
{
	int r = image_erofs_path(g->root_fd, g->root, image, ret, e);

	if (r != -ENOENT)
		return r;
	*e = ERR_INIT;
	char *args[] = {"erofs", image->id, NULL};
	r = engine_fetch(g, args, true, e);
	if (r > 0)
		return err_set(e, EIO, "the image's root file system for hyperv could not be built");
	return r < 0 ? r : image_erofs_path(g->root_fd, g->root, image, ret, e);
}

int engine_image_inspect(struct engine *g, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = image_find(db, ref, &image, e);
	return r < 0 ? r : image_inspect(g->root, &image, ret, e);
}

int engine_image_history(struct engine *g, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = image_find(db, ref, &image, e);
	return r < 0 ? r : image_history(&image, ret, e);
}

static int in_use(void *data, const char *image_id, struct image_user *ret, struct err *e)
{
	struct engine *g = data;
	struct db *db;
	struct found f = {.run_dir = -1};
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = containers_use_image(db, image_id, ret->id, e);
	if (r <= 0)
		return r;
	r = container_find(g, ret->id, &f, e);
	ret->running = r == 0 && f.running;
	found_done(&f);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int engine_image_tag(struct engine *g, const char *ref, const char *name, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	struct err none;
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = image_tag(db, ref, name, e);
	if (r == 0 && image_find(db, name, &image, &none) == 0)
		event_image(g->root_fd, "tag", image.id, name);
	return r;
}

/* What was kept of them for faster starts. */
static void forget(struct engine *g, const char *id, const json_t *removed)
{
	size_t i;
	json_t *x;

	json_array_foreach(removed, i, x) {
		const char *deleted = json_str(x, "Deleted");
		if (deleted)
			template_forget_image(&g->host, deleted);
		event_image(g->root_fd, deleted ? "delete" : "untag", deleted ? deleted : id, deleted ? deleted : id);
	}
}

int engine_image_remove(struct engine *g, const char *ref, bool force, json_t **ret, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	struct err none;
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		image_find(db, ref, &image, &none);
	if (r == 0)
		r = image_remove(db, ref, force, in_use, g, ret, NULL, e);
	if (r == 0)
		forget(g, image.id, *ret);
	return r;
}

/* To a prune a container that has stopped is one that runs. */
static int in_use_at_all(void *data, const char *image_id, struct image_user *ret, struct err *e)
{
	int r = in_use(data, image_id, ret, e);

	ret->running = true;
	return r;
}

static int prune_image(struct engine *g, const char *id, json_t *deleted, int64_t *reclaimed, struct err *e)
{
	_cleanup_json_ json_t *removed = NULL;
	int64_t freed = 0;
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = image_remove(db, id, true, in_use_at_all, g, &removed, &freed, e);
	if (r == -EBUSY || r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	forget(g, id, removed);
	*reclaimed += freed;
	return json_array_extend(deleted, removed) < 0 ? err_nomem(e) : 0;
}

int engine_image_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e)
{
	static const char *const known[] = {"dangling", "label", "label!", "until", NULL};
	_cleanup_json_ json_t *list = NULL, *deleted = json_array();
	bool dangling = true;
	int64_t reclaimed = 0;
	size_t i;
	json_t *image;

	int r = prune_filters_check(filters, known, e);
	if (r == 0)
		r = image_wants_dangling(filters, &dangling, e);
	if (r == 0)
		r = engine_image_list(g, true, NULL, &list, e);
	json_array_foreach(list, i, image) {
		if (r == 0 && !(dangling && json_array_size(json_object_get(image, "RepoTags"))) &&
			prune_matches(
				filters, json_object_get(image, "Labels"), json_int(image, "Created", 0) * 1000000000))
			r = prune_image(g, json_str(image, "Id"), deleted, &reclaimed, e);
	}
	if (r == 0)
		*ret = json_pack("{s:O, s:I}", "ImagesDeleted", deleted, "SpaceReclaimed", (json_int_t)reclaimed);
	return r;
}
