/* --timing: the steps of a command's start, on stderr when all is over. */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"

enum { NS_PER_US = 1000 };

static int set_timing(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	if (!strcmp(value, "true"))
		value = "table";
	if (strcmp(value, "table") != 0 && strcmp(value, "json") != 0)
		return err_set(e, EINVAL, "must be one of \"table\" or \"json\"");
	return opts_put(p, o, json_from_str(value), e);
}
const struct opt_type opt_timing = {"", set_timing};

void cli_timing_start(struct cli *c, const struct opts *o)
{
	const char *how = opts_str(o, "timing");

	if (how)
		c->timed = strcmp(how, "json") ? TIMING_TABLE : TIMING_JSON;
}

/* Milliseconds from the command's begin, in whole microseconds, so that durations add up as they are printed. */
static double since_began(const struct timing *t, uint64_t ns)
{
	return (double)((ns - t->began_ns) / NS_PER_US) / 1000;
}

/* On one line, as what stands before it may be the workload's. */
static void print_json(FILE *f, const struct timing *t)
{
	double start = 0;

	fputs("{\"Phases\":[", f);
	for (size_t i = 0; i < t->len; i++) {
		double end = since_began(t, t->steps[i].end_ns);
		fprintf(f, "%s{\"Phase\":\"%s\",\"Start\":%.3f,\"Duration\":%.3f}", i ? "," : "",
			timing_name(t->steps[i].phase), start, end - start);
		start = end;
	}
	fprintf(f, "],\"Total\":%.3f}\n", start);
}

static void print_table(FILE *f, const struct timing *t)
{
	double start = 0;

	fprintf(f, "%-10s %10s %10s\n", "PHASE", "START MS", "MS");
	for (size_t i = 0; i < t->len; i++) {
		double end = since_began(t, t->steps[i].end_ns);
		fprintf(f, "%-10s %10.3f %10.3f\n", timing_name(t->steps[i].phase), start, end - start);
		start = end;
	}
	fprintf(f, "%-10s %10s %10.3f\n", "total", "", start);
}

void cli_timing_report(struct cli *c)
{
	if (!c->timed)
		return;
	timing_end(&c->timing, TIMING_CLEAN_UP);
	if (c->timed == TIMING_JSON)
		print_json(stderr, &c->timing);
	else
		print_table(stderr, &c->timing);
}
