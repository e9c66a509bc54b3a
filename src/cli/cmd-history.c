/* caisson history */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

enum { CREATED_BY_WIDTH = 45 };

static const struct opt options[] = {
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"human", 'H', &opt_bool, NULL, "Print sizes and dates in words (default true)"},
	{"no-trunc", 0, &opt_bool, NULL, "Do not cut the output"},
	{"quiet", 'q', &opt_bool, NULL, "Show only IDs"},
	{0},
};

static const struct format_column columns[] = {
	{"ID", "IMAGE"},
	{"CreatedSince", "CREATED"},
	{"CreatedAt", "CREATED AT"},
	{"CreatedBy", "CREATED BY"},
	{"Size", "SIZE"},
	{"Comment", "COMMENT"},
	{0},
};
static const struct format_list human_list = {
	"{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", "{{.ID}}", columns};
static const struct format_list exact_list = {
	"{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", "{{.ID}}", columns};

/* A tab would be another column. */
static char *created_by(const char *text, bool no_trunc)
{
	_cleanup_free_ char *s = strdup(text ? text : "");

	for (char *c = s; c && *c; c++)
		if (*c == '\t')
			*c = ' ';
	return !s ? NULL : no_trunc ? steal_ptr(s) : row_ellipsis(s, CREATED_BY_WIDTH);
}

static int make_row(const json_t *step, bool human, bool no_trunc, json_t *row)
{
	int64_t created = json_int(step, "Created", 0), size = json_int(step, "Size", 0);
	const char *comment = json_str(step, "Comment");
	char at[40];

	int r = row_set(row, "ID", row_id(json_str(step, "Id"), no_trunc));
	r |= row_set(row, "CreatedSince", created > 0 ? row_ago(created) : strdup("N/A"));
	r |= row_set(row, "CreatedAt", strdup(clock_rfc3339(created * 1000000000, at)));
	r |= row_set(row, "CreatedBy", created_by(json_str(step, "CreatedBy"), no_trunc));
	r |= row_set(row, "Size", human ? row_size(size) : str_fmt("%lld", (long long)size));
	r |= row_set(row, "Comment", strdup(comment ? comment : ""));
	return r ? -ENOMEM : 0;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *rows = json_array();
	bool human = !opts_given(o, "human") || opts_flag(o, "human");
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *step;

	int r = g ? engine_image_history(g, o->args[0], &list, e) : -e->code;
	if (r < 0)
		return r;
	json_array_foreach(list, i, step) {
		json_t *row = json_object();
		if (json_array_append_new(rows, row) < 0 || make_row(step, human, opts_flag(o, "no-trunc"), row) < 0)
			return err_nomem(e);
	}
	return format_print_list(
		human ? &human_list : &exact_list, opts_str(o, "format"), opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_history = {
	.name = "history",
	.synopsis = "[OPTIONS] IMAGE",
	.summary = "Show the history of an image",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
