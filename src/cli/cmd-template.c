/* caisson template build, ls, rm: the virtual machines that have booted and that others are cloned from. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

/* ---- build ---- */

static const struct opt build_options[] = {
	{"cpus", 0, &opt_cpus, "NanoCpus", "For containers with this number of CPUs"},
	{"memory", 'm', &opt_bytes, "Memory", "For containers with this memory limit"},
	{"network", 0, &opt_string, "NetworkMode", "For containers on a network or on none (bridge|none)"},
	{0},
};

static int build(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	char name[80];
	int r = g ? engine_template_build(g, o->body, o->args_len ? o->args[0] : NULL, cli_notice, NULL, name, e)
		  : -e->code;

	if (r == 0 && *name)
		printf("%s\n", name);
	return r;
}

const struct command cmd_template_build = {
	.name = "build",
	.synopsis = "[OPTIONS] [IMAGE]",
	.summary = "Build the template of containers with these options, if it is not there",
	.max_args = 1,
	.options = {build_options},
	.run = build,
};

/* ---- ls ---- */

static const struct opt ls_options[] = {
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"quiet", 'q', &opt_bool, NULL, "Show only names"},
	{0},
};

static const struct format_column columns[] = {
	{"Name", "NAME"},
	{"Kernel", "KERNEL"},
	{"Accel", "ACCEL"},
	{"Memory", "MEMORY"},
	{"CPUs", "CPUS"},
	{"Cards", "CARDS"},
	{"Image", "IMAGE"},
	{"Size", "SIZE"},
	{"Created", "CREATED"},
	{"LastUsed", "LAST USED"},
	{"Held", "HELD"},
	{0},
};
static const struct format_list template_list = {"{{.Name}}\t{{.Kernel}}\t{{.Accel}}\t{{.Memory}}\t{{.CPUs}}\t{{.Cards}"
						 "}\t{{.Image}}\t{{.Size}}\t{{.Created}}\t{{.LastUsed}}\t{{"
						 ".Held}}",
	"{{.Name}}", columns};

static char *ago(const json_t *t, const char *key)
{
	const char *text = json_str(t, key);
	int64_t ns;

	return text && clock_parse(text, &ns) == 0 ? row_ago(ns / 1000000000) : strdup("");
}

static char *number(const json_t *t, const char *key)
{
	return str_fmt("%lld", (long long)json_int(t, key, 0));
}

static int make_row(const json_t *t, json_t *row)
{
	bool damaged = json_flag(t, "Damaged");
	const char *kernel = damaged ? "(damaged)" : json_str(t, "Kernel"), *accel = json_str(t, "Accel");
	int r = row_set(row, "Name", strdup(json_str(t, "Name") ? json_str(t, "Name") : ""));

	r |= row_set(row, "Kernel", strdup(kernel ? kernel : ""));
	r |= row_set(row, "Accel", strdup(accel ? accel : ""));
	r |= row_set(row, "Memory", str_fmt("%lldMiB", (long long)json_int(t, "Memory", 0) >> 20));
	r |= row_set(row, "CPUs", number(t, "Cpus"));
	r |= row_set(row, "Cards", number(t, "Cards"));
	r |= row_set(row, "Image", strdup(json_str(t, "Image") ? json_str(t, "Image") : ""));
	r |= row_set(row, "Size", row_size(json_int(t, "Size", 0)));
	r |= row_set(row, "Created", damaged ? strdup("") : ago(t, "Created"));
	r |= row_set(row, "LastUsed", ago(t, "LastUsed"));
	r |= row_set(row, "Held", strdup(json_flag(t, "Held") ? "yes" : ""));
	return r ? -ENOMEM : 0;
}

static int ls(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *rows = json_array();
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *t;
	int r = g ? engine_template_list(g, &list, e) : -e->code;

	if (r < 0)
		return r;
	json_array_foreach(list, i, t) {
		json_t *row = json_object();
		if (json_array_append_new(rows, row) < 0 || make_row(t, row) < 0)
			return err_nomem(e);
	}
	return format_print_list(&template_list, opts_str(o, "format"), opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_template_ls = {
	.name = "ls",
	.synopsis = "[OPTIONS]",
	.summary = "List the templates of virtual machines",
	.options = {ls_options},
	.run = ls,
};

/* ---- rm ---- */

static const struct opt rm_options[] = {
	{"all", 'a', &opt_bool, NULL, "Remove all templates"},
	{0},
};

static int remove_one(struct engine *g, const char *name, struct opts *o, struct err *e)
{
	(void)o;
	return engine_template_remove(g, name, e);
}

static int remove_all(struct cli *c, struct err *e)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = cli_engine(c, e);
	int status = 0;
	size_t i;
	json_t *t;
	int r = g ? engine_template_list(g, &list, e) : -e->code;

	if (r < 0)
		return r;
	json_array_foreach(list, i, t) {
		struct err why = ERR_INIT;
		r = engine_template_remove(g, json_str(t, "Name"), &why);
		if (r == 0)
			printf("%s\n", json_str(t, "Name"));
		else if (r != -ENOENT) { /* another was faster */
			cli_error(&why);
			status = 1;
		}
	}
	return status;
}

static int rm(struct cli *c, struct opts *o, struct err *e)
{
	if (opts_flag(o, "all") && o->args_len)
		return err_set(e, EINVAL, "name templates, or use --all");
	if (!opts_flag(o, "all") && !o->args_len)
		return err_set(e, EINVAL, "\"%s\" requires at least 1 argument, or --all", c->command);
	return o->args_len ? cli_each(c, o, remove_one, e) : remove_all(c, e);
}

const struct command cmd_template_rm = {
	.name = "rm",
	.synopsis = "[OPTIONS] [TEMPLATE...]",
	.summary = "Remove templates of virtual machines",
	.options = {rm_options},
	.max_args = -1,
	.run = rm,
};
