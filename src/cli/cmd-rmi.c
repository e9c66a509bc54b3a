/* caisson rmi */
#include <errno.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"force", 'f', &opt_bool, NULL, "Remove the image although containers that do not run are made of it"},
	{0},
};

static int remove_one(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *done = NULL;
	bool force = opts_flag(o, "force");
	const char *what;
	size_t i;
	json_t *step, *value;
	int r = engine_image_remove(g, ref, force, &done, e);

	if (r == -ENOENT && force) {
		cli_error(e);
		return 1;
	}
	json_array_foreach(done, i, step) {
		json_object_foreach(step, what, value)
			printf("%s: %s\n", what, json_string_value(value) ? json_string_value(value) : "");
	}
	return r < 0 ? r : 1;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	return cli_each(c, o, remove_one, e);
}

const struct command cmd_rmi = {
	.name = "rmi",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Remove one or more images",
	.options = {options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
