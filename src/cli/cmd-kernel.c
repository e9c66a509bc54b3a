/* caisson kernel ls, update, use: the kernels of utility VMs. */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

static const struct opt ls_options[] = {
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"quiet", 'q', &opt_bool, NULL, "Show only versions"},
	{0},
};

static const struct format_column columns[] = {{"Version", "VERSION"}, {"Origin", "ORIGIN"}, {"Used", "USED"}, {0}};
static const struct format_list kernel_list = {"{{.Version}}\t{{.Origin}}\t{{.Used}}", "{{.Version}}", columns};

static int ls(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *rows = json_array();
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *k;
	int r = g ? engine_kernel_list(g, &list, e) : -e->code;

	if (r < 0)
		return r;
	json_array_foreach(list, i, k) {
		json_t *row = json_pack("{s:O, s:O, s:s}", "Version", json_object_get(k, "Version"), "Origin",
			json_object_get(k, "Origin"), "Used", json_flag(k, "Used") ? "yes" : "");
		if (json_array_append_new(rows, row) < 0)
			return err_nomem(e);
	}
	return format_print_list(&kernel_list, opts_str(o, "format"), opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_kernel_ls = {
	.name = "ls",
	.synopsis = "[OPTIONS]",
	.summary = "List the guest kernels that are there",
	.options = {ls_options},
	.run = ls,
};

static int update(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);

	(void)o;
	return g ? engine_kernel_update(g, cli_notice, NULL, e) : -e->code;
}

const struct command cmd_kernel_update = {
	.name = "update",
	.synopsis = "",
	.summary = "Fetch and unpack the distribution's newest guest kernel",
	.run = update,
};

static int use(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	const char *which = o->args[0];

	return g ? engine_kernel_use(g, strcmp(which, "auto") != 0 ? which : NULL, e) : -e->code;
}

const struct command cmd_kernel_use = {
	.name = "use",
	.synopsis = "KERNEL|auto",
	.summary = "Choose the guest kernel that virtual machines boot",
	.min_args = 1,
	.max_args = 1,
	.run = use,
};
