/* caisson commit */
#include "cli/cmd.h"

static const struct opt options[] = {
	{"author", 'a', &opt_string, NULL, "Author of the image (\"John Hannibal Smith <hannibal@a-team.com>\")"},
	{"change", 'c', &opt_list, NULL,
		"Apply a Dockerfile instruction to the image (CMD, ENTRYPOINT, ENV, USER, WORKDIR, ...)"},
	{"message", 'm', &opt_string, NULL, "Message of the image's history"},
	{"pause", 'p', &opt_bool, NULL, "Let the container stand still meanwhile (default true)"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_strv_ char **changes = json_strv(opts_get(o, "change"));
	struct engine *g = cli_engine(c, e);
	const struct engine_commit commit = {
		.author = opts_str(o, "author"),
		.message = opts_str(o, "message"),
		.changes = changes,
		.pause = !opts_given(o, "pause") || opts_flag(o, "pause"),
		.reference = o->args_len > 1 ? o->args[1] : NULL,
	};
	char id[72];
	int r = g ? engine_commit(g, o->args[0], &commit, id, e) : -e->code;

	if (r == 0)
		printf("%s\n", id);
	return r;
}

const struct command cmd_commit = {
	.name = "commit",
	.synopsis = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
	.summary = "Make an image of what a container has changed",
	.options = {options},
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
