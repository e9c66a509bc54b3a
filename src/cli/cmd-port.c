/* caisson port */
#include "cli/cmd.h"
#include "cli/port.h"

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *container = NULL;
	_cleanup_strv_ char **lines = NULL;
	struct engine *g = cli_engine(c, e);
	int r = g ? engine_inspect(g, o->args[0], false, &container, e) : -e->code;

	if (r == 0)
		r = port_lines(json_path(container, "NetworkSettings.Ports"), o->args_len > 1 ? o->args[1] : NULL,
			o->args[0], &lines, e);
	if (r < 0)
		return r;
	strv_foreach(line, lines)
		printf("%s\n", line);
	return 0;
}

const struct command cmd_port = {
	.name = "port",
	.synopsis = "CONTAINER [PRIVATE_PORT[/PROTO]]",
	.summary = "List the published ports of a container",
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
