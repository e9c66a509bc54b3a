/* caisson stats: what containers use, once or again and again. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

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
	{0},
};
static const struct format_list stats_list = {"{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}"
					      "}\t{{.BlockIO}}\t{{.PIDs}}\t{{.HostMem}}",
	NULL, columns};

static char *binary_size(const json_t *stats, const char *key)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	const json_t *n = json_object_get(stats, key);
	double v = (double)json_integer_value(n);
	size_t i = 0;

	if (!json_is_integer(n))
		return strdup("--");
	for (; v >= 1024 && i < 5; i++)
		v /= 1024;
	return str_fmt("%.4g%s", v, units[i]);
}

static char *percent(double part, double whole)
{
	return whole > 0 ? str_fmt("%.2f%%", part * 100 / whole) : strdup("--");
}

/* `before` is an earlier sample of the same container, ms earlier; NULL: none. */
static int make_row(const char *ref, const json_t *before, const json_t *s, double ms, bool no_trunc, json_t *row)
{
	double cpu = (double)(json_int(s, "CpuNs", 0) - json_int(before, "CpuNs", 0));
	const json_t *pids = json_object_get(s, "Pids");
	_cleanup_free_ char *used = binary_size(s, "Memory"), *limit = binary_size(s, "MemoryLimit");
	int r = row_set(row, "Container", strdup(ref));

	r |= row_set(row, "BlockIO", strdup("--"));
	r |= row_set(row, "CPUPerc", before ? percent(cpu, ms * 1e6) : strdup("--"));
	r |= row_set(row, "HostMem", binary_size(s, "HostMemory"));
	r |= row_set(row, "ID", row_id(json_str(s, "Id"), no_trunc));
	r |= row_set(row, "MemPerc", percent((double)json_int(s, "Memory", 0), (double)json_int(s, "MemoryLimit", 0)));
	r |= row_set(row, "MemUsage", used && limit ? str_fmt("%s / %s", used, limit) : NULL);
	r |= row_set(row, "Name", strdup(json_str(s, "Name") ? json_str(s, "Name") : ""));
	r |= row_set(row, "NetIO", strdup("--"));
	r |= row_set(row, "PIDs",
		json_is_integer(pids) ? str_fmt("%lld", (long long)json_integer_value(pids)) : strdup("--"));
	return r ? -ENOMEM : 0;
}

/* {"ref": sample} of those asked for, or of all that run. */
static int take_samples(struct engine *g, struct opts *o, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *samples = json_object();
	_cleanup_strv_ char **refs = NULL;
	size_t i;
	json_t *c;
	int r = o->args_len ? strv_push_all(&refs, o->args) : engine_list(g, opts_flag(o, "all"), NULL, &list, e);

	if (r < 0)
		return r;
	json_array_foreach(list, i, c)
		strv_push(&refs, json_str(c, "Id"));
	strv_foreach(ref, refs) {
		json_t *s = NULL;
		r = engine_stats(g, ref, &s, e);
		if (r < 0 && o->args_len && r != -ESRCH)
			return r;
		if (r < 0)
			s = json_pack("{s:s}", "Id", ref);
		if (json_set(samples, ref, s) < 0)
			return err_nomem(e);
	}
	*ret = steal_ptr(samples);
	return 0;
}

static int show(struct opts *o, const json_t *before, const json_t *now, double ms, struct err *e)
{
	_cleanup_json_ json_t *rows = json_array();
	const char *ref;
	json_t *s;

	json_object_foreach((json_t *)now, ref, s) {
		json_t *row = json_object();
		if (json_array_append_new(rows, row) < 0 ||
			make_row(ref, json_object_get(before, ref), s, ms, opts_flag(o, "no-trunc"), row) < 0)
			return err_nomem(e);
	}
	return format_print_list(&stats_list, opts_str(o, "format"), false, rows, e);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *before = NULL, *now = NULL;
	bool stream = !opts_flag(o, "no-stream");
	struct engine *g = cli_engine(c, e);
	int r = g ? take_samples(g, o, &before, e) : -e->code;

	while (r == 0) {
		uint64_t start = clock_mono_ms();
		sleep(1);
		r = take_samples(g, o, &now, e);
		if (r == 0 && stream && isatty(1))
			printf("\033[2J\033[H");
		if (r == 0)
			r = show(o, before, now, (double)(clock_mono_ms() - start), e);
		fflush(stdout);
		if (!stream || ferror(stdout))
			break;
		json_decref(before);
		before = steal_ptr(now);
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
