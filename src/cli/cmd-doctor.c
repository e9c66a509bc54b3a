/* caisson doctor */
#include <string.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"format", 'f', &opt_string, NULL, "Output as 'json'"},
	{0},
};

static void print_need(const json_t *need)
{
	const char *mode = json_str(need, "Mode"), *what = json_str(need, "What"), *detail = json_str(need, "Detail");
	const char *remedy = json_str(need, "Remedy");
	bool ok = json_flag(need, "Ok"), required = !json_object_get(need, "Required") || json_flag(need, "Required");

	printf("%-8s %-8s %s%s%s\n",
		ok                 ? "ok"
			: required ? "MISSING"
				   : "limited",
		mode ? mode : "", what ? what : "", str_empty(detail) ? "" : ": ", detail ? detail : "");
	if (!ok && !str_empty(remedy))
		printf("%18s%s\n", "-> ", remedy);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *needs = NULL;
	const char *format = opts_str(o, "format");
	struct engine *g = cli_engine(c, e);
	bool both = false;
	size_t i;
	json_t *need;
	int r = g ? engine_doctor(g, &needs, &both, e) : -e->code;

	if (r < 0)
		return r;
	if (format && !strcmp(format, "json")) {
		json_dumpf(needs, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		json_array_foreach(needs, i, need)
			print_need(need);
	}
	return both ? 0 : 1;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.synopsis = "[OPTIONS]",
	.summary = "Check what the host has for each isolation mode, and say what to do about the rest",
	.options = {options},
	.run = run,
};
