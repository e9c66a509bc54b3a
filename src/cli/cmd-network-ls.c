/* caisson network ls */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

static const struct opt options[] = {
	{"filter", 'f', &opt_filter, NULL,
		"Show those that match: id, name, driver, scope, label, type (custom or builtin) or dangling=VALUE"},
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"no-trunc", 0, &opt_bool, NULL, "Do not cut the output"},
	{"quiet", 'q', &opt_bool, NULL, "Show only IDs"},
	{0},
};

static const struct format_column columns[] = {
	{"ID", "NETWORK ID"},
	{"Name", "NAME"},
	{"Driver", "DRIVER"},
	{"Scope", "SCOPE"},
	{"IPv4", "IPV4"},
	{"IPv6", "IPV6"},
	{"Internal", "INTERNAL"},
	{"Isolated", "ISOLATED"},
	{"Labels", "LABELS"},
	{"CreatedAt", "CREATED AT"},
	{0},
};
static const struct format_list network_list = {"{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}", "{{.ID}}", columns};

static int make_row(const json_t *n, bool no_trunc, json_t *row)
{
	static const struct {
		const char *field, *key;
	} texts[] = {{"Driver", "Driver"}, {"Name", "Name"}, {"Scope", "Scope"}},
	  flags[] = {
		  {"IPv4", "EnableIPv4"}, {"IPv6", "EnableIPv6"}, {"Internal", "Internal"}, {"Isolated", "Isolated"}};
	const json_t *labels = json_object_get(n, "Labels");
	int r = row_set(row, "ID", row_id(json_str(n, "Id"), no_trunc));

	r |= row_set(row, "CreatedAt", row_created(json_str(n, "Created")));
	r |= row_set(row, "Labels", row_labels(labels));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *s = json_str(n, texts[i].key);
		r |= row_set(row, texts[i].field, strdup(s ? s : ""));
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		r |= row_set(row, flags[i].field, strdup(json_flag(n, flags[i].key) ? "true" : "false"));
	r |= json_set(row, "", json_pack("{s:O?}", "Label", labels));
	return r ? -ENOMEM : 0;
}

static int compare_names(const void *a, const void *b)
{
	const char *x = json_str(*(json_t *const *)a, "Name"), *y = json_str(*(json_t *const *)b, "Name");

	return strverscmp(x ? x : "", y ? y : "");
}

/* The networks by name, numbers in names by their value. The caller frees the vector, not its elements. */
static json_t **sorted(const json_t *list)
{
	json_t **v = calloc(json_array_size(list) + 1, sizeof(json_t *)), *network;
	size_t i;

	if (!v)
		return NULL;
	json_array_foreach(list, i, network)
		v[i] = network;
	if (i)
		qsort(v, i, sizeof(*v), compare_names);
	return v;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *rows = json_array();
	struct engine *g = cli_engine(c, e);
	int r = g ? engine_network_list(g, opts_get(o, "filter"), &list, e) : -e->code;

	if (r < 0)
		return r;
	_cleanup_free_ json_t **networks = sorted(list);
	if (!networks)
		return err_nomem(e);
	for (size_t i = 0; networks[i]; i++) {
		json_t *row = json_object();
		if (json_array_append_new(rows, row) < 0 || make_row(networks[i], opts_flag(o, "no-trunc"), row) < 0)
			return err_nomem(e);
	}
	return format_print_list(&network_list, opts_str(o, "format"), opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_network_ls = {
	.name = "ls",
	.synopsis = "[OPTIONS]",
	.summary = "List networks",
	.options = {options},
	.run = run,
};
