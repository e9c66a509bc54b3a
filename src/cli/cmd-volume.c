/* caisson volume create, ls, rm (inspect is with the others in cmd-inspect.c) */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

static const struct opt create_options[] = {
	{"driver", 'd', &opt_string, "Driver", "Driver of the volume (local)"},
	{"label", 0, &opt_label, "Labels", "Set a label"},
	{"opt", 'o', &opt_map, "DriverOpts",
		"Options of the driver: type=none, o=bind and device=PATH make it a directory of the host"},
	{0},
};

static int create(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *volume = NULL;
	struct engine *g;

	if (o->args_len && json_set(o->body, "Name", json_from_str(o->args[0])) < 0)
		return err_nomem(e);
	g = cli_engine(c, e);
	int r = g ? engine_volume_create(g, o->body, &volume, e) : -e->code;
	if (r < 0)
		return r;
	printf("%s\n", json_str(volume, "Name") ? json_str(volume, "Name") : "");
	return 0;
}

const struct command cmd_volume_create = {
	.name = "create",
	.synopsis = "[OPTIONS] [VOLUME]",
	.summary = "Create a volume",
	.options = {create_options},
	.max_args = 1,
	.run = create,
};

static const struct opt ls_options[] = {
	{"filter", 'f', &opt_filter, NULL, "Show those that match: name, label, driver or dangling=VALUE"},
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"quiet", 'q', &opt_bool, NULL, "Show only names"},
	{0},
};

static const struct format_column columns[] = {
	{"Driver", "DRIVER"},
	{"Name", "VOLUME NAME"},
	{"Labels", "LABELS"},
	{"Mountpoint", "MOUNTPOINT"},
	{"Scope", "SCOPE"},
	{"Links", "LINKS"},
	{"Size", "SIZE"},
	{"Availability", "AVAILABILITY"},
	{"Group", "GROUP"},
	{"Status", "STATUS"},
	{0},
};
static const struct format_list volume_list = {"{{.Driver}}\t{{.Name}}", "{{.Name}}", columns};

static int make_row(const json_t *v, json_t *row)
{
	static const char *const fields[] = {"Driver", "Mountpoint", "Name", "Scope"};
	const json_t *labels = json_object_get(v, "Labels");
	int r = row_set(row, "Labels", row_labels(labels));

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const char *s = json_str(v, fields[i]);
		r |= row_set(row, fields[i], strdup(s ? s : ""));
	}
	/* what docker has here for volumes of a cluster, or elsewhere only (system df) */
	static const char *const not_here[] = {"Availability", "Group", "Links", "Size", "Status"};
	for (size_t i = 0; i < sizeof(not_here) / sizeof(*not_here); i++)
		r |= row_set(row, not_here[i], strdup("N/A"));
	r |= json_set(row, "", json_pack("{s:O?}", "Label", labels));
	return r ? -ENOMEM : 0;
}

static int ls(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *rows = json_array();
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *v;
	int r = g ? engine_volume_list(g, opts_get(o, "filter"), &list, e) : -e->code;

	if (r < 0)
		return r;
	json_array_foreach(list, i, v) {
		json_t *row = json_object();
		if (json_array_append_new(rows, row) < 0 || make_row(v, row) < 0)
			return err_nomem(e);
	}
	return format_print_list(&volume_list, opts_str(o, "format"), opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_volume_ls = {
	.name = "ls",
	.synopsis = "[OPTIONS]",
	.summary = "List volumes",
	.options = {ls_options},
	.run = ls,
};

static const struct opt rm_options[] = {
	{"force", 'f', &opt_bool, NULL, "A volume that does not exist is no error"},
	{0},
};

static int remove_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	return engine_volume_remove(g, ref, opts_flag(o, "force"), e);
}

static int rm(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, remove_one, e);
}

const struct command cmd_volume_rm = {
	.name = "rm",
	.synopsis = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Remove one or more volumes",
	.options = {rm_options},
	.min_args = 1,
	.max_args = -1,
	.run = rm,
};
