/* Images that are here: looking them up, their layers and files. */
#include "image/image.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/path.h"
#include "image/platform.h"
#include "image/ref.h"
#include "store/db.h"

void image_done(struct image *i)
{
	free(i->id);
	json_decref(i->doc);
	image_row_done(&i->row);
	*i = (struct image){0};
}

static bool may_be_id(const char *s)
{
	size_t n;

	if (str_starts(s, "sha256:"))
		s += strlen("sha256:");
	n = strlen(s);
	return n > 0 && n <= 64 && strspn(s, "0123456789abcdef") == n;
}

static int find_by_name(struct db *d, const char *ref, struct image_row *ret, struct err *e)
{
	_cleanup_reference_ struct reference r = {0};
	int code = reference_parse(ref, &r, e);

	if (code < 0)
		return code;
	_cleanup_free_ char *name = reference_name(&r);
	return name ? images_by_name(d, name, ret, e) : err_nomem(e);
}

/* A full id is an id; what else may be both is a name first. */
static int find_row(struct db *d, const char *ref, struct image_row *ret, struct err *e)
{
	bool full_id = may_be_id(ref) && strlen(ref) >= 64;
	int r = full_id ? -ENOENT : find_by_name(d, ref, ret, e);

	if ((r == -ENOENT || r == -EINVAL) && may_be_id(ref))
		r = images_by_id(d, ref, ret, e);
	return r == -ENOENT ? err_set(e, ENOENT, "No such image: %s", ref) : r;
}

int image_find(struct db *d, const char *ref, struct image *ret, struct err *e)
{
	_cleanup_image_ struct image i = {0};
	int r = find_row(d, ref, &i.row, e);

	if (r < 0)
		return r;
	i.id = strdup(i.row.id);
	if (!i.id)
		return err_nomem(e);
	i.doc = json_parse(i.row.config, strlen(i.row.config), i.id, e);
	if (!i.doc)
		return -e->code;
	i.config = json_object_get(i.doc, "config");
	*ret = i;
	i = (struct image){0};
	return 0;
}

static bool has_above(const struct image_row *r, size_t n)
{
	for (size_t k = n + 1; k < r->n_layers; k++)
		if (!strcmp(r->layers[k].diff_id, r->layers[n].diff_id))
			return true;
	return false;
}

int image_lower_dirs(const char *root, const struct image *i, char ***ret, struct err *e)
{
	_cleanup_strv_ char **dirs = NULL;

	if (!i->row.n_layers)
		return err_set(e, EINVAL, "image %s has no layers", i->id);
	/* A layer that comes twice has nothing to say below itself, and overlayfs refuses a directory given twice. */
	for (size_t n = i->row.n_layers; n-- > 0;)
		if (!has_above(&i->row, n) && strv_pushf(&dirs, "%s/layers/%s", root, i->row.layers[n].dir) < 0)
			return err_nomem(e);
	*ret = steal_ptr(dirs);
	return 0;
}

int image_erofs_path(int root_fd, const char *root, const struct image *i, char **ret, struct err *e)
{
	_cleanup_free_ char *path = str_fmt("erofs/%s.erofs", i->id + strlen("sha256:"));
	_cleanup_free_ char *full = path ? path_join(root, path) : NULL;

	if (!full)
		return err_nomem(e);
	if (faccessat(root_fd, path, F_OK, 0) < 0)
		return err_errno(e, errno, "%s", full);
	*ret = steal_ptr(full);
	return 0;
}

int image_check_platform(const struct image *i, const char *ref, const char *platform, struct err *e)
{
	char wanted[PLATFORM_TEXT], actual[PLATFORM_TEXT];
	struct platform p;
	int r = platform_parse(platform, &p, e);

	if (r < 0)
		return r;
	/* images of old tools do not say what they are for */
	if (str_empty(json_str(i->doc, "architecture")) || platform_rank(i->doc, &p))
		return 0;
	platform_text_of(i->doc, actual);
	platform_text(&p, wanted);
	if (str_empty(platform))
		return err_set(e, ENOEXEC,
			"The requested image's platform (%s) does not match the detected host platform (%s) and no "
			"specific platform was requested",
			actual, wanted);
	return err_set(e, ENOENT,
		"image with reference %.200s was found but does not match the specified platform: wanted %s, actual: "
		"%s",
		ref, wanted, actual);
}

int image_tag(struct db *d, const char *ref, const char *new_ref, struct err *e)
{
	_cleanup_reference_ struct reference r = {0};
	_cleanup_image_ struct image i = {0};
	int code = reference_parse(new_ref, &r, e);

	if (code < 0)
		return code;
	if (r.digest)
		return err_set(e, EINVAL, "refusing to create a tag with a digest reference");
	_cleanup_free_ char *name = reference_name(&r);
	if (!name)
		return err_nomem(e);
	code = image_find(d, ref, &i, e);
	return code < 0 ? code : images_tag(d, i.id, name, e);
}
