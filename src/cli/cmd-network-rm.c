/* caisson network rm, prune */
#include <errno.h>

#include "cli/cmd.h"

static const struct opt rm_options[] = {
	{"force", 'f', &opt_bool, NULL, "A network that does not exist is no error"},
	{0},
};

static int remove_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	int r = engine_network_remove(g, ref, e);

	return r == -ENOENT && opts_flag(o, "force") ? 1 : r;
}

static int rm(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, remove_one, e);
}

const struct command cmd_network_rm = {
	.name = "rm",
	.synopsis = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Remove one or more networks",
	.options = {rm_options},
	.min_args = 1,
	.max_args = -1,
	.run = rm,
};

static const struct opt prune_options[] = {
	{"filter", 0, &opt_filter, NULL, "Remove only those that match: label=VALUE"},
	{"force", 'f', &opt_bool, NULL, "Do not ask"},
	{0},
};

static int prune(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *report = NULL;
	size_t i;
	json_t *name;

	if (!opts_flag(o, "force") &&
		!cli_confirm("WARNING! This will remove all custom networks not used by at least one container.\n"
			     "Are you sure you want to continue?"))
		return 0;
	struct engine *g = cli_engine(c, e);
	int r = g ? engine_network_prune(g, opts_get(o, "filter"), &report, e) : -e->code;
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(report, "NetworksDeleted"), i, name)
		printf("%s%s\n", i ? "" : "Deleted Networks:\n", json_string_value(name));
	if (i)
		putchar('\n');
	return 0;
}

const struct command cmd_network_prune = {
	.name = "prune",
	.synopsis = "[OPTIONS]",
	.summary = "Remove all networks that no container has",
	.options = {prune_options},
	.run = prune,
};
