/* caisson events */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/time-options.h"

static const struct opt options[] = {
	{"filter", 'f', &opt_filter, NULL,
		"Show those that match: type, event, container, image, label, network, volume, scope or "
		"isolation=VALUE"},
	{"format", 0, &opt_string, NULL, "Output by a 'TEMPLATE', or as 'json'"},
	{"since", 0, &opt_string, NULL, "Begin with those since a time (2024-01-02T13:23:37Z) or a time ago (42m)"},
	{"until", 0, &opt_string, NULL, "End with those until a time (2024-01-02T13:23:37Z) or a time ago (42m)"},
	{0},
};

/* 2024-05-01T12:00:00.123456789+02:00 */
static void print_time(int64_t ns)
{
	time_t s = ns / 1000000000;
	struct tm tm;
	char date[32], zone[8];

	localtime_r(&s, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	printf("%s.%09lld", date, (long long)(ns % 1000000000));
	if (!strcmp(zone, "+0000"))
		printf("Z ");
	else
		printf("%.3s:%s ", zone, zone + 3);
}

/* 2024-05-01T12:00:00.123456789Z container start ID (image=busybox, name=box) */
static void print_line(const json_t *m)
{
	json_t *attributes = json_path(m, "Actor.Attributes");
	_cleanup_strv_ char **keys = NULL;
	const char *key, *before = "";
	json_t *v;

	print_time(json_int(m, "timeNano", 0));
	printf("%s %s %s", json_str(m, "Type"), json_str(m, "Action"), json_str(json_object_get(m, "Actor"), "ID"));
	json_object_foreach(attributes, key, v)
		strv_push(&keys, key);
	strv_sort(keys);
	strv_foreach(k, keys) {
		printf("%s%s=%s", *before ? before : " (", k, json_str(attributes, k) ? json_str(attributes, k) : "");
		before = ", ";
	}
	printf("%s\n", *before ? ")" : "");
}

/* The names that docker's templates have for it. */
static int print_template(const char *format, const json_t *m, struct err *e)
{
	static const char *const names[][2] = {{"status", "Status"}, {"id", "ID"}, {"from", "From"}, {"scope", "Scope"},
		{"time", "Time"}, {"timeNano", "TimeNano"}, {"isolation", "Isolation"}};
	_cleanup_json_ json_t *o = json_object();

	json_object_set(o, "Type", json_object_get(m, "Type"));
	json_object_set(o, "Action", json_object_get(m, "Action"));
	json_object_set(o, "Actor", json_object_get(m, "Actor"));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		json_t *v = json_object_get(m, names[i][0]);
		json_object_set_new(o, names[i][1], v ? json_incref(v) : json_string(""));
	}
	return format_print_object(format, o, e);
}

static int print_event(void *data, const json_t *m, struct err *e)
{
	const char *format = data;
	int r = 0;

	if (str_empty(format)) {
		print_line(m);
	} else if (!strcmp(format, "json") || !strcmp(format, "{{json .}}")) {
		json_dumpf(m, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		r = print_template(format, m, e);
	}
	return r < 0 ? r : fflush(stdout) == EOF;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine_events events = {
		.filters = opts_get(o, "filter"),
		.reader = STDOUT_FILENO,
		.fn = print_event,
		.data = (void *)opts_str(o, "format"),
	};
	const char *format = opts_str(o, "format");
	int r = str_empty(format) ? 0 : format_check(format, e);
	struct engine *g = r < 0 ? NULL : cli_engine(c, e);

	r = g ? 0 : -e->code;

	if (r == 0)
		r = opts_time(o, "since", &events.since_ns, e);
	if (r == 0)
		r = opts_time(o, "until", &events.until_ns, e);
	return r < 0 ? r : engine_events(g, &events, e);
}

const struct command cmd_events = {
	.name = "events",
	.synopsis = "[OPTIONS]",
	.summary = "Show what is done to containers, images, networks and volumes, as it is done",
	.options = {options},
	.use_status = true,
	.run = run,
};
