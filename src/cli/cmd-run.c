/* caisson run: create, start, and be the container's stdio until it ends. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/client-config.h"
#include "cli/container-options.h"
#include "cli/stream.h"
#include "cli/term.h"
#include "proto/monitor.h"

enum { GONE_TRIES = 200, GONE_US = 5000 };

static const struct opt options[] = {
	{"detach", 'd', &opt_bool, NULL, "Run in the background and print the container's ID"},
	{"detach-keys", 0, &opt_string, NULL, "Keys that leave the container running (default ctrl-p,ctrl-q)"},
	{"sig-proxy", 0, &opt_bool, NULL, "Pass signals on to the process (default true)"},
	{"timing", 0, &opt_timing, NULL, "Print where the time went at the end (--timing=table|json)"},
	{0},
};

static uint32_t streams_of(const json_t *body)
{
	return (json_flag(body, "AttachStdin") ? MONITOR_STDIN : 0) |
		(json_flag(body, "AttachStdout") ? MONITOR_STDOUT : 0) |
		(json_flag(body, "AttachStderr") ? MONITOR_STDERR : 0);
}

/* docker leaves a container that cannot be started behind as "Created", but not with --rm. */
static int start_failed(struct engine *g, const struct opts *o, const char *id, int r)
{
	struct err ignored;

	if (opts_flag(o, "rm"))
		engine_remove(g, id, true, true, &ignored);
	return r;
}

/*
 * Its monitor was killed: whoever looks at the container puts the record right, or removes it if it was --rm. A killed process closes its sockets a moment
 * before it gives up its locks, by which others know.
 */
static void write_down_end(struct engine *g, const char *id)
{
	bool running = true;
	struct err ignored;

	for (int tries = 0; running && tries < GONE_TRIES; tries++) {
		_cleanup_json_ json_t *o = NULL;
		if (tries)
			usleep(GONE_US);
		running = engine_inspect(g, id, false, &o, &ignored) == 0 &&
			json_flag(json_object_get(o, "State"), "Running");
	}
}

static int run_attached(struct cli *c, struct opts *o, const char *id, const char *keys, struct err *e)
{
	struct engine_start start = {.streams = streams_of(o->body), .notice = cli_notice};
	struct stream s = {
		.engine = c->engine,
		.ref = id,
		.tty = opts_flag(o, "tty"),
		.send_stdin = start.streams & MONITOR_STDIN,
		.proxy = !opts_flag(o, "tty") && (!opts_given(o, "sig-proxy") || opts_flag(o, "sig-proxy")),
		.detach_keys = keys,
		.timing = c->engine->timing,
	};
	_cleanup_close_ int sock = -1;
	int status, r;

	if (s.tty)
		term_size(&start.rows, &start.cols);
	r = engine_start(c->engine, id, &start, &sock, e);
	if (r < 0)
		return start_failed(c->engine, o, id, r);
	if (!(start.streams & (MONITOR_STDOUT | MONITOR_STDERR)))
		printf("%s\n", id);
	s.sock = sock;
	r = stream_run(&s, &status, e);
	if (r == -ECONNRESET)
		write_down_end(c->engine, id);
	return r < 0 ? r : status;
}

static int run_detached(struct cli *c, struct opts *o, const char *id, struct err *e)
{
	struct engine_start start = {.notice = cli_notice};
	int r = engine_start(c->engine, id, &start, NULL, e);

	if (r < 0)
		return start_failed(c->engine, o, id, r);
	printf("%s\n", id);
	return 0;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	bool detach = opts_flag(o, "detach");
	_cleanup_free_ char *keys = client_detach_keys(o);
	struct detach_keys parsed;
	char id[65];

	if (detach && opts_given(o, "attach")) {
		fprintf(stderr, "conflicting options: cannot specify both --attach and --detach\n");
		return 1;
	}
	if (!detach && tty_input_missing(opts_flag(o, "tty"), opts_flag(o, "interactive")))
		return 1;
	cli_timing_start(c, o);
	int r = detach_keys_parse(keys, &parsed, e);
	if (r == 0)
		r = container_create(c, o, id, e);
	if (r)
		return r < 0 ? r : EXIT_ENGINE;
	return detach ? run_detached(c, o, id, e) : run_attached(c, o, id, keys, e);
}

const struct command cmd_run = {
	.name = "run",
	.synopsis = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Create a container from an image and start it",
	.options = {container_options, resource_options, refused_options, options},
	.min_args = 1,
	.max_args = -1,
	.stop = true,
	.failed = EXIT_ENGINE,
	.use_status = true,
	.run = run,
};
