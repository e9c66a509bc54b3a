/* caisson start */
#include <errno.h>
#include <string.h>

#include "cli/client-config.h"
#include "cli/container-options.h"
#include "cli/stream.h"
#include "cli/term.h"
#include "proto/monitor.h"

static const struct opt options[] = {
	{"attach", 'a', &opt_bool, NULL, "Attach STDOUT and STDERR and pass signals on"},
	{"detach-keys", 0, &opt_string, NULL, "Keys that leave the container running (default ctrl-p,ctrl-q)"},
	{"interactive", 'i', &opt_bool, NULL, "Attach STDIN"},
	{0},
};

static int start_attached(struct engine *g, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *record = NULL;
	_cleanup_free_ char *keys = client_detach_keys(o);
	_cleanup_close_ int sock = -1;
	int status, r = engine_inspect(g, o->args[0], false, &record, e);

	if (r < 0)
		return r;
	const char *id = json_str(record, "Id");
	const json_t *config = json_object_get(record, "Config");
	struct stream s = {
		.engine = g,
		.ref = id,
		.tty = json_flag(config, "Tty"),
		.send_stdin = opts_flag(o, "interactive") && json_flag(config, "OpenStdin"),
		.proxy = !json_flag(config, "Tty"),
		.detach_keys = keys,
	};
	struct engine_start start = {
		.streams = MONITOR_STDOUT | MONITOR_STDERR | (s.send_stdin ? MONITOR_STDIN : 0),
		.notice = cli_notice,
	};
	if (tty_input_missing(s.tty, s.send_stdin))
		return 1;
	if (s.tty)
		term_size(&start.rows, &start.cols);
	r = engine_start(g, id, &start, &sock, e);
	if (r < 0)
		return r;
	s.sock = sock;
	r = stream_run(&s, &status, e);
	return r < 0 ? r : status;
}

/* docker names those that failed once more at the end. */
static int start_all(struct engine *g, struct opts *o, struct err *e)
{
	_cleanup_buf_ struct buf failed = {0};
	struct engine_start start = {.notice = cli_notice};

	for (int i = 0; i < o->args_len; i++) {
		if (engine_start(g, o->args[i], &start, NULL, e) == 0) {
			printf("%s\n", o->args[i]);
			continue;
		}
		cli_error(e);
		buf_addf(&failed, "%s%s", failed.len ? ", " : "", o->args[i]);
	}
	if (!failed.len)
		return 0;
	fprintf(stderr, "Error: failed to start containers: %s\n", failed.data);
	return 1;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	bool attach = opts_flag(o, "attach") || opts_flag(o, "interactive");

	if (attach && o->args_len > 1)
		return err_set(e, EINVAL, "you cannot start and attach multiple containers at once");
	if (!cli_engine(c, e))
		return -e->code;
	return attach ? start_attached(c->engine, o, e) : start_all(c->engine, o, e);
}

const struct command cmd_start = {
	.name = "start",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Start one or more containers that do not run",
	.options = {options},
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
