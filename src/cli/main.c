/* caisson: global options, the command that is meant, its options and arguments, and the exit status. */
#include "cli/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config.h"

enum { EXIT_USAGE = 125 }; /* docker's for a flag that is wrong, whatever the command */

static int usage_error(const char *called, const struct err *e)
{
	fprintf(stderr, "%s\nSee '%s --help'.\n", e->msg, called);
	return EXIT_USAGE;
}

static int unknown_command(const char *parent, const char *name)
{
	fprintf(stderr, "caisson: '%s' is not a caisson command.\nSee '%s --help'\n", name, parent);
	return 1;
}

/* 0, or the exit status of a wrong number of arguments. */
static int check_args(const char *called, const struct command *c, int n)
{
	const char *how = c->min_args == c->max_args ? "exactly " : n < c->min_args ? "at least " : "at most ";
	int want = n < c->min_args ? c->min_args : c->max_args;

	if (n >= c->min_args && (c->max_args < 0 || n <= c->max_args))
		return 0;
	if (!c->max_args)
		fprintf(stderr, "\"%s\" accepts no arguments.\n", called);
	else
		fprintf(stderr, "\"%s\" requires %s%d argument%s.\n", called, how, want, want == 1 ? "" : "s");
	fprintf(stderr, "See '%s --help'.\n\n", called);
	help_usage(stderr, called, c);
	fprintf(stderr, "\n%s\n", c->summary);
	return 1;
}

static int run_command(struct cli *cli, const struct command *c, char *argv[])
{
	struct err e = ERR_INIT;
	_cleanup_(opts_done) struct opts o;
	int r;

	if (opts_parse(&o, c->options, argv, c->stop, &e) < 0)
		return usage_error(cli->command, &e);
	if (o.help) {
		help_command(stdout, cli->command, c);
		return 0;
	}
	r = check_args(cli->command, c, o.args_len);
	if (r)
		return r;
	r = c->run(cli, &o, &e);
	if (r >= 0)
		return r;
	cli_error(&e);
	if (c->use_status && e.status)
		return e.status;
	return c->failed ? c->failed : 1;
}

static int run_group(struct cli *cli, const struct command_group *g, char *argv[])
{
	_cleanup_free_ char *called = NULL;
	_cleanup_free_ char *parent = str_fmt("caisson %s", g->name);
	const struct command *c;

	if (!*argv || !strcmp(*argv, "--help") || !strcmp(*argv, "-h") || !strcmp(*argv, "help")) {
		help_group(stdout, g);
		return 0;
	}
	if (**argv == '-') {
		struct err e = ERR_INIT;
		err_set(&e, EINVAL, "unknown flag: %s", *argv);
		return usage_error(parent, &e);
	}
	c = command_group_command(g, *argv);
	if (!c)
		return unknown_command(parent, *argv);
	called = str_fmt("%s %s", parent, *argv);
	cli->command = called;
	return run_command(cli, c, argv + 1);
}

static int dispatch(struct cli *cli, char *argv[]);

static int show_help(struct cli *cli, char *argv[])
{
	char help[] = "--help";
	char *line[] = {argv[0], help, NULL, NULL};

	if (!*argv) {
		help_main(stdout);
		return 0;
	}
	if (argv[1] && command_group_find(argv[0])) {
		line[1] = argv[1];
		line[2] = help;
	}
	return dispatch(cli, line);
}

static int dispatch(struct cli *cli, char *argv[])
{
	const struct command_group *g = command_group_find(*argv);
	const struct command *c = command_find(*argv);

	if (!strcmp(*argv, "help"))
		return show_help(cli, argv + 1);
	if (g)
		return run_group(cli, g, argv + 1);
	if (!c)
		return unknown_command("caisson", *argv);
	_cleanup_free_ char *called = str_fmt("caisson %s", c->name);
	cli->command = called;
	return run_command(cli, c, argv + 1);
}

static int run_main(struct cli *cli, char *argv[])
{
	static const struct opt *const tables[OPT_TABLES] = {global_options};
	struct err e = ERR_INIT;
	_cleanup_(opts_done) struct opts o;

	if (opts_parse(&o, tables, argv, true, &e) < 0)
		return usage_error("caisson", &e);
	if (opts_flag(&o, "version")) {
		printf("Caisson version %s\n", CAISSON_VERSION);
		return 0;
	}
	if (o.help || !o.args_len) {
		help_main(stdout);
		return 0;
	}
	if (opts_flag(&o, "debug"))
		setenv("CAISSON_DEBUG", "all", 0);
	cli->root = opts_str(&o, "root");
	cli->run = opts_str(&o, "run");
	cli->config = opts_str(&o, "config");
	return dispatch(cli, o.args);
}

int main(int argc, char *argv[])
{
	struct cli cli = {.timing.began_ns = clock_mono_ns()};
	int status;

	status = argc > 1 && !strcmp(argv[1], "__complete") ? complete_run(&cli, argv + 2)
							    : run_main(&cli, argv + (argc > 0));
	if (cli.engine)
		engine_free(cli.engine);
	cli_timing_report(&cli);
	if (fflush(stdout) || ferror(stdout)) {
		if (errno != EPIPE)
			cli_errorf("write to standard output: %s", strerror(errno));
		return status ? status : 1;
	}
	return status;
}
