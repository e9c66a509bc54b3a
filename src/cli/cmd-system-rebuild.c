/* caisson system rebuild: a new database in place of a damaged one. */
#include <stdio.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"force", 'f', &opt_bool, NULL, "Rebuild a database with which nothing is wrong, too"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	_cleanup_json_ json_t *done = NULL;
	int r = g ? engine_database_rebuild(g, opts_flag(o, "force"), &done, cli_notice, NULL, e) : -e->code;

	if (r < 0)
		return r;
	if (json_is_null(done)) {
		printf("Nothing is wrong with the database in %s: it was left as it is.\n", g->root);
		return 0;
	}
	printf("Containers: %lld\nImages: %lld\nVolumes: %lld\nNetworks: %lld\nKept: %s\n",
		(long long)json_int(done, "Containers", 0), (long long)json_int(done, "Images", 0),
		(long long)json_int(done, "Volumes", 0), (long long)json_int(done, "Networks", 0),
		json_str(done, "Kept"));
	return json_int(done, "LeftOut", 0) != 0;
}

const struct command cmd_system_rebuild = {
	.name = "rebuild",
	.synopsis = "[OPTIONS]",
	.summary = "Make a new database in place of a damaged one",
	.options = {options},
	.run = run,
};
