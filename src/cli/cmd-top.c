/* caisson top */
#include "cli/cmd.h"
#include "cli/table.h"

#include <errno.h>
#include <string.h>

enum { TOP_WIDTH = 20, COLUMNS_MAX = 32 }; /* docker's least width of a column here */

/* The columns of `ps -o` that the container's kernel was asked for: where each is among those of engine_top, and its title. */
static const struct {
	const char *name, *title;
	size_t at;
} known[] = {
	{"uid", "UID", 0},
	{"euid", "EUID", 0},
	{"pid", "PID", 1},
	{"ppid", "PPID", 2},
	{"c", "C", 3},
	{"stime", "STIME", 4},
	{"tty", "TTY", 5},
	{"tt", "TT", 5},
	{"time", "TIME", 6},
	{"cputime", "TIME", 6},
	{"cmd", "CMD", 7},
	{"args", "COMMAND", 7},
	{"command", "COMMAND", 7},
};

struct columns {
	const char *titles[COLUMNS_MAX];
	size_t at[COLUMNS_MAX];
	size_t n; /* 0: all, as they come */
};

static int add_column(struct columns *c, const char *name, struct err *e)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].name, name) != 0)
			continue;
		if (c->n == COLUMNS_MAX)
			return err_set(e, E2BIG, "top: more than %d columns", COLUMNS_MAX);
		c->titles[c->n] = known[i].title;
		c->at[c->n++] = known[i].at;
		return 0;
	}
	return err_set(
		e, ENOTSUP, "top: no column '%s': there are uid, pid, ppid, c, stime, tty, time, cmd and args", name);
}

static int add_list(struct columns *c, const char *list, struct err *e)
{
	_cleanup_strv_ char **names = strv_split(list, ", ");
	int r = names ? 0 : err_set(e, EINVAL, "top: -o needs a list of columns");

	strv_foreach(name, names) {
		if (r == 0)
			r = add_column(c, name, e);
	}
	return r;
}

/* The options of ps that choose columns: -ef (what there is anyway), -o LIST, -eo LIST. */
static int read_options(char *const *args, struct columns *c, struct err *e)
{
	for (; *args; args++) {
		const char *a = *args, *o = strchr(a, 'o');
		bool letters = *a == '-' && strspn(a + 1, "eAf") == strcspn(a + 1, "o");
		if (!letters)
			return err_set(e, ENOTSUP, "top: ps option '%s' is not supported: only -e, -f and -o are", a);
		if (!o)
			continue;
		const char *list = o[1] ? o + 1 : *++args;
		int r = list ? add_list(c, list, e) : err_set(e, EINVAL, "top: -o needs a list of columns");
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_cell(struct buf *b, size_t i, const char *cell)
{
	return buf_addf(b, "%s%s", i ? "\t" : "", cell ? cell : "");
}

static int add_line(struct buf *b, const json_t *cells, const struct columns *c)
{
	size_t n = c->n ? c->n : json_array_size(cells);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_cell(b, i, json_string_value(json_array_get(cells, c->n ? c->at[i] : i)));
	return r < 0 ? r : buf_adds(b, "\n");
}

static int add_titles(struct buf *b, const json_t *top, const struct columns *c)
{
	int r = 0;

	if (!c->n)
		return add_line(b, json_object_get(top, "Titles"), c);
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = add_cell(b, i, c->titles[i]);
	return r < 0 ? r : buf_adds(b, "\n");
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *top = NULL;
	_cleanup_buf_ struct buf lines = {0}, table = {0};
	struct columns columns = {0};
	int r = read_options(o->args + 1, &columns, e);
	struct engine *g = r < 0 ? NULL : cli_engine(c, e);
	size_t i;
	json_t *process;

	if (!g)
		return -e->code;
	r = engine_top(g, o->args[0], &top, e);
	if (r < 0)
		return r;
	r = add_titles(&lines, top, &columns);
	json_array_foreach(json_object_get(top, "Processes"), i, process) {
		if (r == 0)
			r = add_line(&lines, process, &columns);
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
