/* Templates of utility VMs: front to isolation/hyperv.h. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine-private.h"
#include "image/image.h"
#include "isolation/hyperv.h"

static json_t *to_json(const struct template_info *t)
{
	char built[40], used[40];

	return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:s, s:I, s:s, s:s, s:b, s:b}", "Name", t->name, "Kernel",
		t->kernel, "Accel", t->accel, "Memory", (json_int_t)(t->memory_mib << 20), "Cpus", (int)t->cpus,
		"Cards", (int)t->cards, "Image", t->image, "Size", (json_int_t)t->size, "Created",
		clock_rfc3339(t->built * 1000000000, built), "LastUsed", clock_rfc3339(t->used * 1000000000, used),
		"Held", t->held, "Damaged", t->damaged);
}

int engine_template_list(struct engine *g, json_t **ret, struct err *e)
{
	_cleanup_free_ struct template_info *v = NULL;
	_cleanup_json_ json_t *list = json_array();
	size_t n;
	int r = template_list(&g->host, true, &v, &n);

	if (r < 0)
		return err_errno(e, r, "list the templates in %s/template", g->root);
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, to_json(&v[i])) < 0)
			return err_nomem(e);
	*ret = steal_ptr(list);
	return 0;
}

static int read_shape(const json_t *hc, struct template_shape *ret, struct err *e)
{
	const char *network = json_str(hc, "NetworkMode");
	int r = hostconfig_check(hc, e);

	*ret = (struct template_shape){.memory = (uint64_t)json_int(hc, "Memory", 0),
		.nanocpus = (uint64_t)json_int(hc, "NanoCpus", 0),
		.card = !network || strcmp(network, "none") != 0};
	if (r == 0 && network && ret->card && strcmp(network, "bridge") != 0)
		r = err_set(e, EINVAL, "invalid network (%s): use 'bridge' or 'none'", network);
	return r;
}

static int find_erofs(struct engine *g, const char *ref, char **ret, struct err *e)
{
	_cleanup_image_ struct image image = {0};
	struct db *db;
	int r = engine_db(g, &db, e);

	if (r == 0)
		r = image_find(db, ref, &image, e);
	return r < 0 ? r : engine_erofs(g, &image, ret, e);
}

int engine_template_build(struct engine *g, const json_t *hostconfig, const char *image, engine_notice_fn *notice,
	void *data, char ret_name[80], struct err *e)
{
	_cleanup_free_ char *erofs = NULL;
	struct template_shape s;
	int r = read_shape(hostconfig, &s, e);

	if (r == 0)
		r = isolation_probe(ISOLATION_HYPERV, &g->host, e);
	if (r == 0 && image)
		r = find_erofs(g, image, &erofs, e);
	return r < 0 ? r : template_make(&g->host, &s, erofs, notice, data, ret_name, e);
}

int engine_template_remove(struct engine *g, const char *name, struct err *e)
{
	int r = template_remove(&g->host, name, e);

	template_tidy(&g->host);
	return r;
}
