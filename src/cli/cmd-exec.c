/* caisson exec */
#include <errno.h>
#include <string.h>

#include "cli/client-config.h"
#include "cli/container-options.h"
#include "cli/stream.h"
#include "cli/term.h"
#include "proto/monitor.h"

static const struct opt options[] = {
	{"detach", 'd', &opt_bool, "Detach", "Run the command in the background"},
	{"detach-keys", 0, &opt_string, NULL, "Keys that leave the command running (default ctrl-p,ctrl-q)"},
	{"env", 'e', &opt_env, "Env", "Set an environment variable"},
	{"env-file", 0, &opt_list, NULL, "Read environment variables from a file"},
	{"interactive", 'i', &opt_bool, NULL, "Keep STDIN open"},
	{"privileged", 0, &opt_bool, "Privileged", "Give the command all capabilities"},
	{"tty", 't', &opt_bool, "Tty", "Give the command a terminal"},
	{"user", 'u', &opt_string, "User", "User to run as (name|uid[:group|gid])"},
	{"workdir", 'w', &opt_string, "WorkingDir", "Directory to run in"},
	{0},
};

static int fill_body(struct opts *o, struct err *e)
{
	bool detach = opts_flag(o, "detach");
	int r = json_set(o->body, "Cmd", json_from_strv(o->args + 1));

	if (r == 0)
		r = json_set(o->body, "AttachStdin", json_boolean(opts_flag(o, "interactive") && !detach));
	if (r == 0)
		r = json_set(o->body, "AttachStdout", json_boolean(!detach));
	if (r == 0)
		r = json_set(o->body, "AttachStderr", json_boolean(!detach));
	return r < 0 ? err_nomem(e) : env_files_apply(o, e);
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_free_ char *keys = client_detach_keys(o);
	_cleanup_close_ int sock = -1;
	unsigned rows = 0, cols = 0;
	int status, r = fill_body(o, e);
	struct stream s = {
		.ref = o->args[0],
		.tty = opts_flag(o, "tty"),
		.send_stdin = json_flag(o->body, "AttachStdin"),
		.until_started = opts_flag(o, "detach"),
		.detach_keys = keys,
		.refused = EXIT_NOT_EXECUTABLE,
	};

	if (r < 0)
		return r;
	if (tty_input_missing(s.tty, s.send_stdin))
		return 1;
	s.engine = cli_engine(c, e);
	if (!s.engine)
		return -e->code;
	if (s.tty)
		term_size(&rows, &cols);
	r = engine_exec(s.engine, s.ref, o->body, rows, cols, &sock, e);
	if (r < 0)
		return r;
	s.sock = sock;
	r = stream_run(&s, &status, e);
	if (r < 0 && s.until_started)
		e->status = 0; /* docker's: nobody waits for the command */
	return r < 0 ? r : status;
}

const struct command cmd_exec = {
	.name = "exec",
	.synopsis = "[OPTIONS] CONTAINER COMMAND [ARG...]",
	.summary = "Run a command in a running container",
	.options = {options},
	.min_args = 2,
	.max_args = -1,
	.stop = true,
	.use_status = true,
	.run = run,
};
