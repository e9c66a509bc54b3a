/* caisson ps */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/port.h"
#include "cli/rows.h"

enum { COMMAND_WIDTH = 20, MOUNT_WIDTH = 15 };

static const struct opt options[] = {
	{"all", 'a', &opt_bool, NULL, "Show all containers, not only those that run"},
	{"filter", 'f', &opt_filter, NULL,
		"Show those that match: id, name, label, status, exited, ancestor, before, since, volume, network, "
		"publish, expose, health, is-task or isolation=VALUE"},
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"last", 'n', &opt_int, NULL, "Show the n containers created last, in whatever state"},
	{"latest", 'l', &opt_bool, NULL, "Show the container created last, in whatever state"},
	{"no-trunc", 0, &opt_bool, NULL, "Do not cut the output"},
	{"quiet", 'q', &opt_bool, NULL, "Show only IDs"},
	{"size", 's', &opt_bool, NULL, "Show the sizes of files"},
	{0},
};

static const struct format_column columns[] = {
	{"ID", "CONTAINER ID"},
	{"Names", "NAMES"},
	{"Image", "IMAGE"},
	{"Command", "COMMAND"},
	{"CreatedAt", "CREATED AT"},
	{"RunningFor", "CREATED"},
	{"Ports", "PORTS"},
	{"State", "STATE"},
	{"Status", "STATUS"},
	{"Size", "SIZE"},
	{"Labels", "LABELS"},
	{"Mounts", "MOUNTS"},
	{"LocalVolumes", "LOCAL VOLUMES"},
	{"Networks", "NETWORKS"},
	{"Isolation", "ISOLATION"},
	{0},
};

#define PLAIN                                                                                          \
	"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{." \
	"Isolation}}"

static const struct format_list plain_list = {PLAIN, "{{.ID}}", columns};
static const struct format_list size_list = {PLAIN "\t{{.Size}}", "{{.ID}}", columns};

static char *names_of(const json_t *container)
{
	_cleanup_strv_ char **names = json_strv(json_object_get(container, "Names"));
	_cleanup_buf_ struct buf b = {0};

	if (buf_adds(&b, "") < 0)
		return NULL;
	strv_foreach(name, names)
		buf_addf(&b, "%s%s", b.len ? "," : "", name + (*name == '/'));
	return steal_ptr(b.data);
}

static char *command_of(const json_t *container, bool no_trunc)
{
	const char *command = json_str(container, "Command");
	_cleanup_free_ char *cut =
		no_trunc ? strdup(command ? command : "") : row_ellipsis(command ? command : "", COMMAND_WIDTH);
	_cleanup_json_ json_t *text = cut ? json_from_str(cut) : NULL;

	return text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
}

static char *mounts_of(const json_t *container, bool no_trunc, int *ret_volumes)
{
	_cleanup_buf_ struct buf b = {0};
	size_t i;
	json_t *m;

	*ret_volumes = 0;
	if (buf_adds(&b, "") < 0)
		return NULL;
	json_array_foreach(json_object_get(container, "Mounts"), i, m) {
		const char *volume = json_str(m, "Name"), *source = json_str(m, "Source");
		const char *name = !str_empty(volume) ? volume : source ? source : "";
		_cleanup_free_ char *text = no_trunc ? strdup(name) : row_ellipsis(name, MOUNT_WIDTH);
		*ret_volumes += !str_empty(volume);
		if (!text || buf_addf(&b, "%s%s", i ? "," : "", text) < 0)
			return NULL;
	}
	return steal_ptr(b.data);
}

static char *networks_of(const json_t *container)
{
	_cleanup_buf_ struct buf b = {0};
	const char *name;
	json_t *network;

	if (buf_adds(&b, "") < 0)
		return NULL;
	json_object_foreach(json_path(container, "NetworkSettings.Networks"), name, network)
		buf_addf(&b, "%s%s", b.len ? "," : "", name);
	return steal_ptr(b.data);
}

/* "2MB (virtual 6.2MB)"; the image may have gone. */
static char *size_of(const json_t *container)
{
	const json_t *all = json_object_get(container, "SizeRootFs");

	if (!json_object_get(container, "SizeRw"))
		return strdup("N/A");
	_cleanup_free_ char *own = row_size(json_int(container, "SizeRw", 0));
	_cleanup_free_ char *whole = row_size(json_integer_value(all));
	return !own || !whole ? NULL : all ? str_fmt("%s (virtual %s)", own, whole) : strdup(own);
}

static void add_size(struct engine *g, json_t *container)
{
	_cleanup_json_ json_t *record = NULL;
	struct err gone;

	if (engine_inspect(g, json_str(container, "Id"), true, &record, &gone) < 0)
		return;
	json_object_set(container, "SizeRw", json_object_get(record, "SizeRw"));
	json_object_set(container, "SizeRootFs", json_object_get(record, "SizeRootFs"));
}

static const char *text_at(const json_t *o, const char *path)
{
	const char *s = json_string_value(json_path(o, path));

	return s ? s : "";
}

int container_row(const json_t *c, bool no_trunc, json_t *row)
{
	int64_t created = json_int(c, "Created", 0);
	const json_t *labels = json_object_get(c, "Labels");
	int volumes, r = 0;

	r |= row_set(row, "Command", command_of(c, no_trunc));
	r |= row_set(row, "CreatedAt", row_time(created));
	r |= row_set(row, "ID", row_id(json_str(c, "Id"), no_trunc));
	r |= row_set(row, "Image",
		str_starts(text_at(c, "Image"), "sha256:") ? row_id(text_at(c, "Image"), no_trunc)
							   : strdup(text_at(c, "Image")));
	r |= row_set(row, "Isolation", strdup(text_at(c, "HostConfig.Isolation")));
	r |= row_set(row, "Labels", row_labels(labels));
	char *mounts = mounts_of(c, no_trunc, &volumes);
	r |= row_set(row, "LocalVolumes", str_fmt("%d", volumes));
	r |= row_set(row, "Mounts", mounts);
	r |= row_set(row, "Names", names_of(c));
	r |= row_set(row, "Networks", networks_of(c));
	r |= row_set(row, "Ports", port_column(json_object_get(c, "Ports")));
	r |= row_set(row, "RunningFor", row_ago(created));
	r |= row_set(row, "Size", size_of(c));
	r |= row_set(row, "State", strdup(text_at(c, "State")));
	r |= row_set(row, "Status", strdup(text_at(c, "Status")));
	r |= json_set(row, "", json_pack("{s:O?}", "Label", labels));
	return r ? -ENOMEM : 0;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *rows = json_array();
	int64_t last = opts_flag(o, "latest") ? 1 : opts_int(o, "last", -1);
	bool size = opts_flag(o, "size");
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *container;
	int r = g ? engine_list(g, opts_flag(o, "all") || last > 0, opts_get(o, "filter"), &list, e) : -e->code;

	if (r < 0)
		return r;
	json_array_foreach(list, i, container) {
		json_t *row = json_object();
		if (last > 0 && (int64_t)i >= last) {
			json_decref(row);
			break;
		}
		if (size)
			add_size(g, container);
		if (json_array_append_new(rows, row) < 0 || container_row(container, opts_flag(o, "no-trunc"), row) < 0)
			return err_nomem(e);
	}
	return format_print_list(
		size ? &size_list : &plain_list, opts_str(o, "format"), opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_ps = {
	.name = "ps",
	.synopsis = "[OPTIONS]",
	.summary = "List containers",
	.options = {options},
	.run = run,
};
