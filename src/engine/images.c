/* Images as commands see them; the work is image/'s, and caisson-fetch's where it needs the heavy libraries. */
#include <errno.h>
#include <fnmatch.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

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

int engine_fetch(struct engine *g, char *const args[], bool to_stderr, struct err *e)
{
	_cleanup_free_ char *program = path_join(g->libexec_dir, "caisson-fetch");
	_cleanup_strv_ char **v = NULL;
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	if (!program || fetch_arguments(g, args, &v) < 0)
		return err_nomem(e);
	posix_spawn_file_actions_init(&actions);
	if (to_stderr)
		posix_spawn_file_actions_adddup2(&actions, 2, 1);
	int r = posix_spawn(&pid, program, &actions, NULL, v, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return err_errno(e, r, "%s", program);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "wait for caisson-fetch");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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

static bool image_matches(const json_t *image, const json_t *filters)
{
	const json_t *references = json_object_get(filters, "reference"),
		     *dangling = json_object_get(filters, "dangling");
	const json_t *tags = json_object_get(image, "RepoTags");
	size_t i, k;
	json_t *v, *tag;

	json_array_foreach((json_t *)dangling, i, v) {
		bool want = false;
		if (parse_bool(json_is_string(v) ? json_string_value(v) : "", &want) < 0 ||
			want != !json_array_size(tags))
			return false;
	}
	if (!references)
		return true;
	json_array_foreach((json_t *)references, i, v) {
		json_array_foreach((json_t *)tags, k, tag) {
			const char *name = json_string_value(tag), *pattern = json_string_value(v);
			_cleanup_free_ char *repository = strndup(name, (size_t)(strrchr(name, ':') - name));
			if (pattern &&
				(!fnmatch(pattern, name, FNM_PATHNAME) ||
					(repository && !fnmatch(pattern, repository, FNM_PATHNAME))))
				return true;
		}
	}
	return false;
}

int engine_image_list(struct engine *g, bool all, const json_t *filters, json_t **ret, struct err *e)
{
	static const char *const known[] = {"reference", "dangling", NULL};
	_cleanup_json_ json_t *list = NULL;
	const char *key;
	json_t *v, *kept = json_array();
	struct db *db;
	size_t i;
	int r = engine_db(g, &db, e);

	(void)all; /* there are no intermediate images */
	json_object_foreach((json_t *)filters, key, v)
		if (r == 0 && !str_in(key, known))
			r = err_set(e, EINVAL, "invalid filter '%s'", key);
	if (r == 0)
		r = image_list(db, &list, e);
	json_array_foreach(list, i, v)
		if (image_matches(v, filters))
			json_array_append(kept, v);
	if (r < 0)
		json_decref(kept);
	else
		*ret = kept;
	return r;
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
	struct db *db;
	int r = engine_db(g, &db, e);

	return r < 0 ? r : image_tag(db, ref, name, e);
}

/* What was kept of them for faster starts. */
static void forget(struct engine *g, const json_t *removed)
{
	size_t i;
	json_t *x;

	json_array_foreach(removed, i, x)
		if (json_str(x, "Deleted"))
			template_forget_image(&g->host, json_str(x, "Deleted"));
}

int engine_image_remove(struct engine *g, const char *ref, bool force, json_t **ret, struct err *e)
{
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = image_remove(db, ref, force, in_use, g, ret, e);
	if (r == 0)
		forget(g, *ret);
	return r;
}
