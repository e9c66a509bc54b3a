/* caisson stats: what containers use, once or again and again. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"
#include "cli/stats-row.h"

enum { PERIOD_MS = 1000 };

static const struct opt options[] = {
	{"all", 'a', &opt_bool, NULL, "Show all containers, not only those that run"},
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"no-stream", 0, &opt_bool, NULL, "Show one result and end"},
	{"no-trunc", 0, &opt_bool, NULL, "Do not cut the output"},
	{0},
};

static const struct format_column columns[] = {
	{"ID", "CONTAINER ID"},
	{"Container", "CONTAINER"},
	{"Name", "NAME"},
	{"CPUPerc", "CPU %"},
	{"MemUsage", "MEM USAGE / LIMIT"},
	{"MemPerc", "MEM %"},
	{"NetIO", "NET I/O"},
	{"BlockIO", "BLOCK I/O"},
	{"PIDs", "PIDS"},
	{"HostMem", "HOST MEM"},
	{"HostCPUPerc", "HOST CPU %"},
	{0},
};
static const struct format_list stats_list = {"{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}"
					      "}\t{{.BlockIO}}\t{{.PIDs}}\t{{.HostMem}}",
	NULL, columns};

/* {"ID": sample without figures} of what is to be shown now. */
static int choose(struct engine *g, struct opts *o, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *chosen = json_object();
	size_t i;
	json_t *c;

	int r = engine_list(g, opts_flag(o, "all"), NULL, &list, e);
	json_array_foreach(list, i, c) {
		const char *id = json_str(c, "Id"),
			   *name = json_string_value(json_array_get(json_object_get(c, "Names"), 0));
		json_t *s = json_pack("{s:s, s:s}", "Id", id, "Name", name ? name + (*name == '/') : "");
		if (json_set(chosen, id, s) < 0)
			return err_nomem(e);
	}
	if (r == 0)
		*ret = steal_ptr(chosen);
	return r;
}

/* The same of those that the user named. One that is not there is an error at first, and later has gone. */
static int choose_named(struct engine *g, struct opts *o, bool first, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *chosen = json_object();

	for (int i = 0; i < o->args_len; i++) {
		_cleanup_json_ json_t *c = NULL;
		int r = engine_inspect(g, o->args[i], false, &c, e);
		if (r == -ENOENT && !first)
			continue;
		if (r < 0)
			return r;
		const char *id = json_str(c, "Id"), *name = json_str(c, "Name");
		json_t *s = json_pack("{s:s, s:s, s:s}", "Id", id, "Name", name ? name + 1 : "", "Ref", o->args[i]);
		if (json_set(chosen, id, s) < 0)
			return err_nomem(e);
	}
	*ret = steal_ptr(chosen);
	return 0;
}

static int take_samples(struct engine *g, struct opts *o, bool first, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *chosen = NULL;
	const char *id;
	json_t *s;
	void *next;

	int r = o->args_len ? choose_named(g, o, first, &chosen, e) : choose(g, o, &chosen, e);
	json_object_foreach_safe(chosen, next, id, s)
	{
		_cleanup_json_ json_t *figures = NULL;
		struct err why = ERR_INIT;
		int k = engine_stats(g, id, &figures, &why);
		if (k == 0)
			json_object_update(s, figures);
		else if (k == -ENOENT || (k == -ESRCH && !o->args_len && !opts_flag(o, "all")))
			json_object_del(chosen, id); /* it ended in between */
	}
	if (r == 0)
		*ret = steal_ptr(chosen);
	return r;
}

static int show(struct opts *o, const json_t *before, const json_t *now, struct err *e)
{
	_cleanup_json_ json_t *rows = json_array();
	const char *id;
	json_t *s;

	json_object_foreach((json_t *)now, id, s) {
		json_t *row = json_object();
		if (json_array_append_new(rows, row) < 0 ||
			stats_row(json_object_get(before, id), s, opts_flag(o, "no-trunc"), row) < 0)
			return err_nomem(e);
	}
	return format_print_list(&stats_list, opts_str(o, "format"), false, rows, e);
}

static void rest(uint64_t since_ms)
{
	uint64_t took = clock_mono_ms() - since_ms;

	if (took < PERIOD_MS)
		nanosleep(&(struct timespec){.tv_sec = (time_t)((PERIOD_MS - took) / 1000),
				  .tv_nsec = (long)((PERIOD_MS - took) % 1000 * 1000000)},
			NULL);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *before = NULL;
	bool stream = !opts_flag(o, "no-stream"), redraw = stream && isatty(1);
	struct engine *g = cli_engine(c, e);
	uint64_t start = clock_mono_ms();
	int r = g ? take_samples(g, o, true, &before, e) : -e->code;

	while (r == 0) {
		_cleanup_json_ json_t *now = NULL;
		rest(start);
		start = clock_mono_ms();
		r = take_samples(g, o, false, &now, e);
		if (r < 0 || (o->args_len && !json_object_size(now)))
			break;
		if (redraw)
			fputs("\033[2J\033[H", stdout);
		r = show(o, before, now, e);
		fflush(stdout);
		if (!stream || ferror(stdout))
			break;
		json_decref(before);
		before = steal_ptr(now);
		engine_close_db(g);
	}
	return r;
}

const struct command cmd_stats = {
	.name = "stats",
	.synopsis = "[OPTIONS] [CONTAINER...]",
	.summary = "Show what containers use, again and again",
	.options = {options},
	.max_args = -1,
	.run = run,
};
