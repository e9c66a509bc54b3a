/* caisson attach */
#include <errno.h>
#include <string.h>

#include "cli/client-config.h"
#include "cli/container-options.h"
#include "cli/stream.h"
#include "cli/term.h"
#include "proto/monitor.h"

static const struct opt options[] = {
	{"detach-keys", 0, &opt_string, NULL, "Keys that leave the container running (default ctrl-p,ctrl-q)"},
	{"no-stdin", 0, &opt_bool, NULL, "Do not attach STDIN"},
	{"sig-proxy", 0, &opt_bool, NULL, "Pass signals on to the process (default true)"},
	{0},
};

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *record = NULL;
	_cleanup_free_ char *keys = client_detach_keys(o);
	_cleanup_close_ int sock = -1;
	struct engine *g = cli_engine(c, e);
	struct err ignored;
	unsigned rows, cols;
	int status;

	int r = g ? engine_inspect(g, o->args[0], false, &record, e) : -e->code;
	if (r < 0)
		return r;
	const json_t *config = json_object_get(record, "Config");
	if (!json_flag(json_object_get(record, "State"), "Running"))
		return err_set(e, ESRCH, "You cannot attach to a stopped container, start it first");
	struct stream s = {
		.engine = g,
		.ref = json_str(record, "Id"),
		.tty = json_flag(config, "Tty"),
		.send_stdin = json_flag(config, "OpenStdin") && !opts_flag(o, "no-stdin"),
		.proxy = !json_flag(config, "Tty") && (!opts_given(o, "sig-proxy") || opts_flag(o, "sig-proxy")),
		.detach_keys = keys,
	};
	if (tty_input_missing(s.tty, s.send_stdin))
		return 1;
	r = engine_attach(g, s.ref, MONITOR_STDOUT | MONITOR_STDERR | (s.send_stdin ? MONITOR_STDIN : 0), &sock, e);
	if (r < 0)
		return r;
	term_size(&rows, &cols);
	if (s.tty && rows && cols)
		engine_resize(g, s.ref, 0, rows, cols, &ignored);
	s.sock = sock;
	r = stream_run(&s, &status, e);
	return r < 0 ? r : status;
}

const struct command cmd_attach = {
	.name = "attach",
	.synopsis = "[OPTIONS] CONTAINER",
	.summary = "Attach the terminal to a running container",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
