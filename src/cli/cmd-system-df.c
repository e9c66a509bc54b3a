/* caisson system df: what takes room, in four lines or (-v) each thing of it. */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

static const struct opt options[] = {
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"verbose", 'v', &opt_bool, NULL, "Show each image, container and volume"},
	{0},
};

static const struct format_column sum_columns[] = {
	{"Type", "TYPE"},
	{"TotalCount", "TOTAL"},
	{"Active", "ACTIVE"},
	{"Size", "SIZE"},
	{"Reclaimable", "RECLAIMABLE"},
	{0},
};
static const struct format_list sums = {
	"{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}", NULL, sum_columns};

static const struct format_column image_columns[] = {
	{"Repository", "REPOSITORY"},
	{"Tag", "TAG"},
	{"ID", "IMAGE ID"},
	{"CreatedSince", "CREATED"},
	{"Size", "SIZE"},
	{"SharedSize", "SHARED SIZE"},
	{"UniqueSize", "UNIQUE SIZE"},
	{"Containers", "CONTAINERS"},
	{0},
};
static const struct format_column container_columns[] = {
	{"ID", "CONTAINER ID"},
	{"Image", "IMAGE"},
	{"Command", "COMMAND"},
	{"LocalVolumes", "LOCAL VOLUMES"},
	{"Size", "SIZE"},
	{"RunningFor", "CREATED"},
	{"Status", "STATUS"},
	{"Names", "NAMES"},
	{0},
};
static const struct format_column volume_columns[] = {
	{"Name", "VOLUME NAME"},
	{"Links", "LINKS"},
	{"Size", "SIZE"},
	{0},
};
static const struct format_column cache_columns[] = {
	{"ID", "CACHE ID"},
	{"CacheType", "CACHE TYPE"},
	{"Size", "SIZE"},
	{"CreatedSince", "CREATED"},
	{"LastUsedSince", "LAST USED"},
	{"UsageCount", "USAGE"},
	{"Shared", "SHARED"},
	{0},
};

/* The tables of -v; docker has one for the layers that builds keep, of which there are none. */
static const struct {
	const char *key, *title;
	struct format_list list;
} parts[] = {
	{"Images", "Images space usage:\n",
		{"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t"
		 "{{.Containers}}",
			NULL, image_columns}},
	{"Containers", "\nContainers space usage:\n",
		{"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t"
		 "{{.Names}}",
			NULL, container_columns}},
	{"Volumes", "\nLocal Volumes space usage:\n", {"{{.Name}}\t{{.Links}}\t{{.Size}}", NULL, volume_columns}},
	{"BuildCache", "\nBuild cache usage: 0B\n",
		{"{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t"
		 "{{.Shared}}",
			NULL, cache_columns}},
};

static char *bytes(int64_t n)
{
	char text[16];

	return strdup(human_size((double)n, text));
}

/* "1.2MB (30%)" */
static char *reclaimable(int64_t part, int64_t whole)
{
	char text[16];

	human_size((double)part, text);
	return whole > 0 ? str_fmt("%s (%lld%%)", text, (long long)(part * 100 / whole)) : strdup(text);
}

struct sum {
	const char *type;
	int64_t total, active, size, reclaimable;
};

static int add_sum(json_t *rows, const struct sum *s)
{
	json_t *row = json_object();
	int r = json_array_append_new(rows, row) < 0 ? -ENOMEM : 0;

	if (r == 0)
		r = row_set(row, "Type", strdup(s->type));
	if (r == 0)
		r = row_set(row, "TotalCount", str_fmt("%lld", (long long)s->total));
	if (r == 0)
		r = row_set(row, "Active", str_fmt("%lld", (long long)s->active));
	if (r == 0)
		r = row_set(row, "Size", bytes(s->size));
	return r < 0 ? r : row_set(row, "Reclaimable", reclaimable(s->reclaimable, s->size));
}

static struct sum sum_images(const json_t *usage)
{
	struct sum s = {.type = "Images", .size = json_int(usage, "LayersSize", 0)};
	size_t i;
	json_t *image;

	s.reclaimable = s.size;
	json_array_foreach(json_object_get(usage, "Images"), i, image) {
		s.total++;
		if (json_int(image, "Containers", 0) <= 0)
			continue;
		s.active++;
		s.reclaimable -=
			json_int(image, "Size", 0) - json_int(image, "SharedSize", 0) + json_int(image, "BlobsSize", 0);
	}
	return s;
}

static struct sum sum_containers(const json_t *usage)
{
	static const char *const active[] = {"running", "paused", "restarting", NULL};
	struct sum s = {.type = "Containers"};
	size_t i;
	json_t *c;

	json_array_foreach(json_object_get(usage, "Containers"), i, c) {
		bool up = str_in(json_str(c, "State"), active);
		int64_t size = json_int(c, "SizeRw", 0);
		s.total++;
		s.active += up;
		s.size += size;
		s.reclaimable += up ? 0 : size;
	}
	return s;
}

static struct sum sum_volumes(const json_t *usage)
{
	struct sum s = {.type = "Local Volumes"};
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(usage, "Volumes"), i, v) {
		const json_t *data = json_object_get(v, "UsageData");
		bool used = json_int(data, "RefCount", 0) > 0;
		s.total++;
		s.active += used;
		s.size += json_int(data, "Size", 0);
		s.reclaimable += used ? 0 : json_int(data, "Size", 0);
	}
	return s;
}

static int volume_row(const json_t *v, json_t *rows)
{
	const json_t *data = json_object_get(v, "UsageData"), *labels = json_object_get(v, "Labels");
	json_t *row = json_object();
	int r = json_array_append_new(rows, row) < 0 ? -ENOMEM : 0;

	if (r == 0)
		r = row_set(row, "Name", strdup(json_str(v, "Name")));
	if (r == 0)
		r = row_set(row, "Links", str_fmt("%lld", (long long)json_int(data, "RefCount", 0)));
	if (r == 0)
		r = row_set(row, "Size", bytes(json_int(data, "Size", 0)));
	if (r == 0)
		r = row_set(row, "Labels", row_labels(labels));
	return r;
}

static int add_row(size_t part, const json_t *item, json_t *rows)
{
	if (!strcmp(parts[part].key, "Images"))
		return image_rows(item, false, false, rows);
	if (!strcmp(parts[part].key, "Volumes"))
		return volume_row(item, rows);
	json_t *row = json_object();
	return json_array_append_new(rows, row) < 0 ? -ENOMEM : container_row(item, false, row);
}

/* {"Images": rows, "Containers": rows, "Volumes": rows, "BuildCache": []} */
static int all_rows(const json_t *usage, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *all = json_object();
	size_t i;
	json_t *item;

	for (size_t part = 0; part < sizeof(parts) / sizeof(*parts); part++) {
		json_t *rows = json_array();
		if (json_set(all, parts[part].key, rows) < 0)
			return err_nomem(e);
		json_array_foreach(json_object_get(usage, parts[part].key), i, item)
			if (add_row(part, item, rows) < 0)
				return err_nomem(e);
		json_array_foreach(rows, i, item)
			json_object_del(item, ""); /* methods, which are no fields */
	}
	*ret = steal_ptr(all);
	return 0;
}

static int print_all(const json_t *usage, const char *format, struct err *e)
{
	_cleanup_json_ json_t *all = NULL;
	bool plain = !format || !*format || !strcmp(format, "table");
	int r = all_rows(usage, &all, e);

	_cleanup_free_ char *text = plain ? NULL : format_unescape(format);
	if (r == 0 && !plain)
		return text ? format_print_object(text, all, e) : err_nomem(e);
	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
		printf("%s\n", parts[i].title);
		r = format_print_list(&parts[i].list, NULL, false, json_object_get(all, parts[i].key), e);
	}
	return r;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *usage = NULL, *rows = json_array();
	struct engine *g = cli_engine(c, e);
	int r = g ? engine_usage(g, &usage, e) : -e->code;

	if (r < 0)
		return r;
	if (opts_flag(o, "verbose"))
		return print_all(usage, opts_str(o, "format"), e);
	const struct sum lines[] = {
		sum_images(usage), sum_containers(usage), sum_volumes(usage), {.type = "Build Cache"}};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (add_sum(rows, &lines[i]) < 0)
			return err_nomem(e);
	return format_print_list(&sums, opts_str(o, "format"), false, rows, e);
}

const struct command cmd_system_df = {
	.name = "df",
	.synopsis = "[OPTIONS]",
	.summary = "Show what takes room",
	.options = {options},
	.run = run,
};
