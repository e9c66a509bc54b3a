/* What takes room: the files that containers have written, images and what they share, volumes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "engine/engine-private.h"
#include "isolation/hyperv.h"

/* What mkfs and the first mount make on a disk on which the container has written nothing. */
enum { DISK_MADE = 9 * 4096 };

/* As the guest says, or if it does not run (or stands still) as its disk does. */
static int disk_written(struct engine *g, const struct found *f, uint64_t *ret)
{
	_cleanup_free_ char *path = str_fmt("containers/%s/disk.ext4", f->row.id);
	_cleanup_json_ json_t *stats = NULL;
	struct err none;
	uint64_t used = 0;

	if (!path)
		return -ENOMEM;
	if (f->running && f->live.phase == STATE_RUNNING && engine_stats(g, f->row.id, &stats, &none) == 0 &&
		json_is_integer(json_object_get(stats, "Disk"))) {
		used = (uint64_t)json_int(stats, "Disk", 0);
	} else {
		_cleanup_close_ int fd = openat(g->root_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		int r = fd < 0 ? -errno : hyperv_disk_used(fd, &used);
		if (r < 0)
			return r;
	}
	*ret = used > DISK_MADE ? used - DISK_MADE : 0;
	return 0;
}

int container_written(struct engine *g, const struct found *f, uint64_t *ret)
{
	_cleanup_free_ char *path = str_fmt("containers/%s/upper", f->row.id);

	if (record_isolation(f->record) == ISOLATION_HYPERV)
		return disk_written(g, f, ret);
	return path ? tree_size(g->root_fd, path, ret) : -ENOMEM;
}

/* ---- system df ---- */

/* Each container of the list with "SizeRw", and how many there are of each image. */
static int add_containers(struct engine *g, json_t *o, json_t *used, struct err *e)
{
	json_t *list = NULL, *c;
	size_t i;
	int r = engine_list(g, true, NULL, &list, e);

	if (r < 0 || json_set(o, "Containers", list) < 0)
		return r < 0 ? r : err_nomem(e);
	json_array_foreach(list, i, c) {
		_cleanup_json_ json_t *record = NULL;
		const char *image = json_str(c, "ImageID");
		struct err gone;
		if (engine_inspect(g, json_str(c, "Id"), true, &record, &gone) == 0 &&
			json_object_get(record, "SizeRw"))
			json_object_set(c, "SizeRw", json_object_get(record, "SizeRw"));
		if (!str_empty(image))
			json_set(used, image, json_integer(json_int(used, image, 0) + 1));
	}
	return 0;
}

/* How many images have each layer, and the bytes of all layers, unpacked and as they came. */
struct layers {
	json_t *count;
	int64_t size;
};

static int count_layers(void *data, const struct image_row *row, struct err *e)
{
	struct layers *l = data;

	for (size_t i = 0; i < row->n_layers; i++) {
		const char *id = row->layers[i].diff_id;
		int64_t n = json_int(l->count, id, 0);
		if (!n)
			l->size += row->layers[i].size + row->layers[i].blob_size;
		if (json_set(l->count, id, json_integer(n + 1)) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int64_t shared_size(const struct image_row *row, const struct layers *l)
{
	int64_t size = 0;

	for (size_t i = 0; i < row->n_layers; i++)
		if (json_int(l->count, row->layers[i].diff_id, 0) > 1)
			size += row->layers[i].size;
	return size;
}

static int64_t own_blobs_size(const struct image_row *row, const struct layers *l)
{
	int64_t size = 0;

	for (size_t i = 0; i < row->n_layers; i++)
		if (json_int(l->count, row->layers[i].diff_id, 0) == 1)
			size += row->layers[i].blob_size;
	return size;
}

static int add_images(struct engine *g, json_t *o, const json_t *used, struct err *e)
{
	_cleanup_json_ json_t *count = json_object();
	struct layers l = {.count = count};
	json_t *list = NULL, *image;
	size_t i;
	int r = images_each(g->db, count_layers, &l, e);

	if (r == 0)
		r = engine_image_list(g, true, NULL, &list, e);
	if (r < 0 || json_set(o, "Images", list) < 0)
		return r < 0 ? r : err_nomem(e);
	json_array_foreach(list, i, image) {
		struct image_row row = {0};
		struct err gone;
		const char *id = json_str(image, "Id");
		json_object_set_new(image, "Containers", json_integer(json_int(used, id, 0)));
		if (images_by_id(g->db, id, &row, &gone) == 0) {
			json_object_set_new(image, "SharedSize", json_integer(shared_size(&row, &l)));
			json_object_set_new(image, "BlobsSize", json_integer(own_blobs_size(&row, &l)));
		}
		image_row_done(&row);
	}
	return json_set(o, "LayersSize", json_integer(l.size)) < 0 ? err_nomem(e) : 0;
}

static int add_volumes(struct engine *g, json_t *o, struct err *e)
{
	_cleanup_json_ json_t *uses = NULL;
	json_t *list = NULL, *v;
	size_t i;
	int r = volume_uses(g->db, &uses, e);

	if (r == 0)
		r = engine_volume_list(g, NULL, &list, e);
	if (r < 0 || json_set(o, "Volumes", list) < 0)
		return r < 0 ? r : err_nomem(e);
	json_array_foreach(list, i, v) {
		const char *name = json_str(v, "Name");
		json_object_set_new(v, "UsageData",
			json_pack("{s:I, s:i}", "Size", (json_int_t)volume_size(g, name), "RefCount",
				(int)json_array_size(json_object_get(uses, name))));
	}
	return 0;
}

int engine_usage(struct engine *g, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *o = json_object(), *used = json_object();
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = add_containers(g, o, used, e);
	if (r == 0)
		r = add_images(g, o, used, e);
	if (r == 0)
		r = add_volumes(g, o, e);
	if (r == 0)
		*ret = steal_ptr(o);
	return r;
}
