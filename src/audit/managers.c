/* Whether the host's managers of virtual machines show the container. */
#include <stdio.h>
#include <string.h>

#include "audit/audit-private.h"
#include "base/proc.h"

#define SECONDS "5"

static char *const managers[][8] = {
	{"virsh", "-r", "-c", "qemu:///system", "list", "--all", "--name", NULL},
	{"machinectl", "list", "--all", "--no-legend", "--no-pager", NULL},
};

static void command_text(char *const *argv, struct buf *b)
{
	strv_foreach(s, argv)
		buf_addf(b, "%s%s", b->len ? " " : "", s);
}

/* Machines are listed one a line, the name first. */
static size_t count_named(struct audit *a, struct finding *f, const char *manager, const char *output, size_t *machines)
{
	_cleanup_strv_ char **lines = strv_split(output, "\n");
	size_t found = 0;

	strv_foreach(line, lines) {
		_cleanup_strv_ char **words = strv_split(line, " \t");
		const char *name = words ? words[0] : "",
			   *rest = str_starts(name, "caisson-") ? name + strlen("caisson-") : name;
		*machines += *name != 0;
		if (!strcmp(rest, a->target->name) || (strlen(rest) >= 12 && str_starts(a->target->id, rest))) {
			finding_note(f, "%s shows %s", manager, name);
			found++;
		}
	}
	return found;
}

void measure_managers(struct audit *a, struct finding *f)
{
	size_t asked = 0, found = 0;

	for (size_t i = 0; i < sizeof(managers) / sizeof(*managers); i++) {
		_cleanup_buf_ struct buf out = {0}, command = {0};
		_cleanup_strv_ char **argv = NULL;
		char program[4096];
		size_t machines = 0;

		command_text(managers[i], &command);
		if (!proc_find_program(managers[i][0], program, sizeof(program))) {
			finding_note(f, "%s is not installed", managers[i][0]);
			continue;
		}
		if (strv_push(&argv, "timeout") < 0 || strv_push(&argv, SECONDS) < 0 ||
			strv_push_all(&argv, managers[i]) < 0)
			continue;
		int r = proc_run(argv, &out, NULL);
		if (r != 0) {
			char *text = out.data ? out.data : "";
			finding_because(f, "'%s' failed (%d): %.*s", command.data, r, (int)strcspn(text, "\n"), text);
			continue;
		}
		asked++;
		found += count_named(a, f, managers[i][0], out.data ? out.data : "", &machines);
		finding_note(f, "'%s' lists %zu machine%s", command.data, machines, machines == 1 ? "" : "s");
	}
	if (found) {
		finding_value(f, "shown");
		f->result = FINDING_FAILS;
		finding_because(f, "a manager of virtual machines shows it");
	} else if (!asked || finding_reasoned(f)) {
		finding_value(f, "not known");
		f->result = FINDING_UNKNOWN;
		if (!finding_reasoned(f))
			finding_because(f, "neither virsh nor machinectl is installed");
	} else {
		finding_value(f, "not shown");
		f->result = FINDING_HOLDS;
	}
}
