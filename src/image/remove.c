/* Removing images: docker's rules for names, ids and containers that use them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "image/image.h"
#include "image/layers.h"
#include "image/ref.h"
#include "store/db.h"

struct removal {
	struct db *db;
	const char *ref;
	bool force;
	image_in_use_fn *in_use;
	void *data;
	json_t *report;
	int64_t freed;
};

static int report(struct removal *m, const char *what, const char *value, struct err *e)
{
	return json_array_append_new(m->report, json_pack("{s:s}", what, value)) < 0 ? err_nomem(e) : 0;
}

static int untag(struct removal *m, const char *name, struct err *e)
{
	_cleanup_free_ char *familiar = reference_familiar(name);

	if (!familiar)
		return err_nomem(e);
	int r = images_untag(m->db, name, e);
	return r < 0 ? r : report(m, "Untagged", familiar, e);
}

static int untag_all(struct removal *m, char *const *names, struct err *e)
{
	strv_foreach(name, names) {
		int r = untag(m, name, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool same_repository(const char *name, const struct reference *r)
{
	_cleanup_free_ char *repository = reference_repository(r);
	size_t n = repository ? strlen(repository) : 0;

	return repository && !strncmp(name, repository, n) && (name[n] == ':' || name[n] == '@') &&
		!strchr(name + n, '/');
}

/* A name goes while others stay. With the repository's last tag its digests go too, as nothing shows them any more. */
static int remove_name(
	struct removal *m, const struct image_row *row, const struct reference *r, const char *name, struct err *e)
{
	size_t tags = 0;
	int code = untag(m, name, e);

	strv_foreach(t, row->tags)
		tags += strcmp(t, name) != 0 && same_repository(t, r);
	if (tags || r->digest)
		return code;
	strv_foreach(digest, row->digests)
		if (code == 0 && same_repository(digest, r))
			code = untag(m, digest, e);
	return code;
}

/* 1: the image may lose its names but must stay. */
static int check_use(struct removal *m, const struct image_row *row, const char *name, struct err *e)
{
	struct image_user user = {0};
	int r = m->in_use ? m->in_use(m->data, row->id, &user, e) : 0;

	if (r <= 0)
		return r;
	const char *image = row->id + strlen("sha256:");
	if (name && !m->force)
		return err_set(e, EBUSY,
			"conflict: unable to remove repository reference \"%s\" (must force) - container %.12s is "
			"using its referenced image %.12s",
			m->ref, user.id, image);
	if (user.running)
		return err_set(e, EBUSY,
			"conflict: unable to delete %.12s (cannot be forced) - image is being used by running "
			"container %.12s",
			image, user.id);
	if (m->force)
		return 1;
	return err_set(e, EBUSY,
		"conflict: unable to delete %.12s (must be forced) - image is being used by stopped container %.12s",
		image, user.id);
}

static int count_freed(struct removal *m, const char *id, struct err *e)
{
	_cleanup_free_ char *erofs = str_fmt("erofs/%s.erofs", id + strlen("sha256:"));
	struct stat st;
	int r = erofs ? layers_own_size(m->db, id, &m->freed, e) : err_nomem(e);

	if (r == 0 && fstatat(db_root_fd(m->db), erofs, &st, AT_SYMLINK_NOFOLLOW) == 0)
		m->freed += st.st_size;
	return r;
}

static int remove_image(struct removal *m, const struct image_row *row, const char *name, struct err *e)
{
	int stays = check_use(m, row, name, e);
	int r = stays < 0 ? stays : untag_all(m, row->tags, e);

	if (r == 0)
		r = untag_all(m, row->digests, e);
	if (r == 0 && !stays) {
		r = count_freed(m, row->id, e);
		if (r == 0)
			r = images_delete(m->db, row->id, e);
		if (r == 0)
			r = report(m, "Deleted", row->id, e);
	}
	return r;
}

/* The canonical name by which the image was asked for; NULL if it was by id. */
static char *name_used(const struct removal *m, const struct image_row *row, struct reference *r)
{
	struct err ignored = ERR_INIT;

	if (reference_parse(m->ref, r, &ignored) < 0)
		return NULL;
	_cleanup_free_ char *name = reference_name(r);
	return name && (strv_has(row->tags, name) || strv_has(row->digests, name)) ? steal_ptr(name) : NULL;
}

/* How many names keep the image alive: tags, and digests of repositories that have no tag for it. */
static size_t count_names(const struct image_row *row)
{
	size_t n = strv_len(row->tags);

	strv_foreach(digest, row->digests) {
		bool tagged = false;
		size_t repository = strcspn(digest, "@");
		strv_foreach(t, row->tags)
			tagged |=
				!strncmp(t, digest, repository) && t[repository] == ':' && !strchr(t + repository, '/');
		n += !tagged;
	}
	return n;
}

static int remove_row(struct removal *m, const struct image_row *row, struct err *e)
{
	_cleanup_reference_ struct reference r = {0};
	_cleanup_free_ char *name = name_used(m, row, &r);

	if (name && count_names(row) > 1)
		return remove_name(m, row, &r, name, e);
	if (!name && count_names(row) > 1 && !m->force)
		return err_set(e, EBUSY,
			"conflict: unable to delete %.12s (must be forced) - image is referenced in multiple "
			"repositories",
			row->id + strlen("sha256:"));
	return remove_image(m, row, name, e);
}

int image_remove(struct db *d, const char *ref, bool force, image_in_use_fn *in_use, void *data, json_t **ret,
	int64_t *ret_freed, struct err *e)
{
	_cleanup_json_ json_t *done = json_array();
	_cleanup_image_ struct image i = {0};
	struct removal m = {.db = d, .ref = ref, .force = force, .in_use = in_use, .data = data, .report = done};
	int r = db_begin(d, e);

	if (r < 0)
		return r;
	r = image_find(d, ref, &i, e);
	if (r == 0)
		r = remove_row(&m, &i.row, e);
	r = db_end(d, r, e);
	if (r == 0)
		r = layers_sweep(d, e);
	if (r < 0)
		return r;
	if (ret_freed)
		*ret_freed = m.freed;
	*ret = steal_ptr(done);
	return 0;
}
