#include "cli/stats-row.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/rows.h"

/* Figures come from a guest, too: those that cannot be are not shown. */
static bool figure(const json_t *s, const char *key, double *ret)
{
	const json_t *n = json_object_get(s, key);

	*ret = (double)json_integer_value(n);
	return json_is_integer(n) && *ret >= 0;
}

static char *size_text(double v, double step, const char *const *units, int digits)
{
	size_t i = 0;

	for (; v >= step - 0.5 && i < 5; i++) /* 999.7 would be 1e+03 */
		v /= step;
	return str_fmt("%.*g%s", digits, v, units[i]);
}

static char *binary(const json_t *s, const char *key)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double v;

	return figure(s, key, &v) ? size_text(v, 1024, units, 4) : strdup("--");
}

static char *decimal(const json_t *s, const char *key)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double v;

	return figure(s, key, &v) ? size_text(v, 1000, units, 3) : strdup("--");
}

static int set_pair(json_t *row, const char *field, char *first, char *second)
{
	_cleanup_free_ char *a = first, *b = second;

	return row_set(row, field, a && b ? str_fmt("%s / %s", a, b) : NULL);
}

/* Of one CPU, in the time between the samples. */
static char *cpu_percent(const json_t *before, const json_t *now, const char *key)
{
	double from, to, t0, t1;

	if (!figure(before, key, &from) || !figure(now, key, &to) || !figure(before, "AtMs", &t0) ||
		!figure(now, "AtMs", &t1) || to < from || t1 <= t0)
		return strdup("--");
	return str_fmt("%.2f%%", (to - from) * 100 / ((t1 - t0) * 1e6));
}

static char *memory_percent(const json_t *now)
{
	double used, limit;

	if (!figure(now, "Memory", &used) || !figure(now, "MemoryLimit", &limit) || limit <= 0)
		return strdup("--");
	return str_fmt("%.2f%%", used * 100 / limit);
}

static char *number(const json_t *now, const char *key)
{
	double v;

	return figure(now, key, &v) ? str_fmt("%.0f", v) : strdup("--");
}

int stats_row(const json_t *before, const json_t *now, bool no_trunc, json_t *row)
{
	const char *id = json_str(now, "Id"), *ref = json_str(now, "Ref"), *name = json_str(now, "Name");
	int r = row_set(row, "Container", ref ? strdup(ref) : row_id(id, no_trunc));

	r |= set_pair(row, "BlockIO", decimal(now, "BlockRead"), decimal(now, "BlockWritten"));
	r |= row_set(row, "CPUPerc", cpu_percent(before, now, "CpuNs"));
	r |= row_set(row, "HostCPUPerc", cpu_percent(before, now, "HostCpuNs"));
	r |= row_set(row, "HostMem", binary(now, "HostMemory"));
	r |= row_set(row, "ID", row_id(id, no_trunc));
	r |= row_set(row, "MemPerc", memory_percent(now));
	r |= set_pair(row, "MemUsage", binary(now, "Memory"), binary(now, "MemoryLimit"));
	r |= row_set(row, "Name", strdup(name ? name : ""));
	r |= set_pair(row, "NetIO", decimal(now, "NetReceived"), decimal(now, "NetSent"));
	r |= row_set(row, "PIDs", number(now, "Pids"));
	return r ? -ENOMEM : 0;
}
