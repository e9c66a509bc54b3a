/* caisson update */
#include <errno.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"restart", 0, &opt_restart, "HostConfig.RestartPolicy", "When to start the container again after it ended"},
	{0},
};

static int update(struct engine *g, const char *ref, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *warnings = NULL;
	size_t i;
	json_t *w;
	int r = engine_update(g, ref, json_object_get(o->body, "HostConfig"), &warnings, e);

	json_array_foreach(warnings, i, w)
		fprintf(stderr, "WARNING: %s\n", json_string_value(w));
	return r;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	if (!json_object_size(o->given))
		return err_set(e, EINVAL, "you must provide one or more flags when using this command");
	return cli_each(c, o, update, e);
}

const struct command cmd_update = {
	.name = "update",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Change the limits of one or more containers",
	.options = {resource_options, options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
