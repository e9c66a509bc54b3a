/* caisson logs */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/time-options.h"

static const struct opt options[] = {
	{"details", 0, &opt_bool, NULL, "Show what --log-opt labels, env and tag add to each line"},
	{"follow", 'f', &opt_bool, NULL, "Go on with what is written from now on"},
	{"since", 0, &opt_string, NULL, "Only what is later than a time (2024-01-02T13:23:37Z) or a time ago (42m)"},
	{"tail", 'n', &opt_string, NULL, "Number of lines from the end (default all)"},
	{"timestamps", 't', &opt_bool, NULL, "Show the time of each line"},
	{"until", 0, &opt_string, NULL, "Only what is earlier than a time (2024-01-02T13:23:37Z) or a time ago (42m)"},
	{"vm", 0, &opt_bool, NULL, "The console of the utility VM instead of the workload's output"},
	{0},
};

int opts_time(const struct opts *o, const char *name, int64_t *ret, struct err *e)
{
	const char *s = opts_str(o, name);

	if (!s || clock_parse(s, ret) == 0)
		return 0;
	return err_set(
		e, EINVAL, "invalid value for \"%s\": failed to parse value as time or duration: \"%s\"", name, s);
}

static int parse_tail(const struct opts *o, int64_t *ret, struct err *e)
{
	const char *s = opts_str(o, "tail");
	uint64_t v;

	*ret = -1;
	if (!s || !strcmp(s, "all") || *s == '-')
		return 0;
	if (parse_u64(s, &v) < 0 || v > INT64_MAX)
		return err_set(e, EINVAL, "invalid value for \"tail\": \"%s\": a number or 'all' is needed", s);
	*ret = (int64_t)v;
	return 0;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine_logs l = {
		.follow = opts_flag(o, "follow"),
		.timestamps = opts_flag(o, "timestamps"),
		.details = opts_flag(o, "details"),
		.vm = opts_flag(o, "vm"),
	};
	int r = opts_time(o, "since", &l.since_ns, e);

	if (r == 0)
		r = opts_time(o, "until", &l.until_ns, e);
	if (r == 0)
		r = parse_tail(o, &l.tail, e);
	if (r < 0)
		return r;
	struct engine *g = cli_engine(c, e);
	return g ? engine_logs(g, o->args[0], &l, stdout, stderr, e) : -e->code;
}

const struct command cmd_logs = {
	.name = "logs",
	.synopsis = "[OPTIONS] CONTAINER",
	.summary = "Show what a container has written",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
