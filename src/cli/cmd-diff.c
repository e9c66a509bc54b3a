/* caisson diff */
#include "cli/cmd.h"

static void print(void *data, char kind, const char *path)
{
	(void)data;
	/* a name may hold anything: what would act on a terminal is shown */
	printf("%c /", kind);
	for (; *path; path++) {
		if ((unsigned char)*path < ' ' || *path == 0x7f)
			printf("\\%03o", (unsigned char)*path);
		else
			putchar(*path);
	}
	putchar('\n');
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	struct engine_files *f = NULL;
	int r = g ? engine_files_open(g, o->args[0], false, &f, e) : -e->code;

	if (r == 0)
		r = engine_files_diff(f, print, NULL, e);
	engine_files_close(f);
	return r;
}

const struct command cmd_diff = {
	.name = "diff",
	.synopsis = "CONTAINER",
	.summary = "Show what a container has changed of its image's files",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
