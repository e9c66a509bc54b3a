/* caisson top */
#include "cli/cmd.h"
#include "cli/table.h"

enum { TOP_WIDTH = 20 }; /* docker's least width of a column here */

static int add_line(struct buf *b, const json_t *cells)
{
	size_t i;
	json_t *cell;
	int r = 0;

	json_array_foreach(cells, i, cell) {
		if (r == 0)
			r = buf_addf(b, "%s%s", i ? "\t" : "", json_string_value(cell) ? json_string_value(cell) : "");
	}
	return r < 0 ? r : buf_adds(b, "\n");
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *top = NULL;
	_cleanup_buf_ struct buf lines = {0}, table = {0};
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *process;
	int r = g ? engine_top(g, o->args[0], o->args + 1, &top, e) : -e->code;

	if (r < 0)
		return r;
	r = add_line(&lines, json_object_get(top, "Titles"));
	json_array_foreach(json_object_get(top, "Processes"), i, process) {
		if (r == 0)
			r = add_line(&lines, process);
	}
	if (r < 0 || table_format(lines.data, TOP_WIDTH, &table) < 0)
		return err_nomem(e);
	fwrite(table.data ? table.data : "", 1, table.len, stdout);
	return 0;
}

const struct command cmd_top = {
	.name = "top",
	.synopsis = "CONTAINER [PS_OPTION...]",
	.summary = "Show the processes of a container",
	.min_args = 1,
	.max_args = -1,
	.stop = true,
	.run = run,
};
