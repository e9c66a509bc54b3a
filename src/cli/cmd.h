/*
 * The commands: one const struct each, one file per verb (cmd-*.c), listed in commands.c. main.c reads the
 * line by the command's table and calls run().
 *
 * run() returns the exit status, or -errno with *e set: main then prints "caisson: text" and exits with
 * e->status, or the command's `failed`. Commands on several objects report each failure with cli_error(), go
 * on, and return 1.
 */
#pragma once

#include "base/err.h"
#include "cli/opt.h"
#include "engine/engine.h"

struct cli {
	const char *root, *run, *config;                      /* global options; NULL: the engine's defaults */
	struct engine *engine;                                /* opened by cli_engine() */
	const char *command;                                  /* as called: "caisson container ls" */
	struct timing timing;                                 /* from the command's begin on */
	enum { TIMING_OFF, TIMING_TABLE, TIMING_JSON } timed; /* --timing */
};

struct command {
	const char *name;
	const char *synopsis; /* behind the name, e.g. "[OPTIONS] IMAGE [COMMAND] [ARG...]" */
	const char *summary;
	const struct opt *options[OPT_TABLES];
	int min_args, max_args; /* max_args < 0: any number */
	bool stop;              /* options end at the first argument */
	int failed;             /* exit status of an error that brings none; 0: 1 */
	bool use_status;        /* exit with the error's own status (126, 127) when it has one */
	int (*run)(struct cli *c, struct opts *o, struct err *e);
};

/* A management command, "caisson container": its commands under their names there. */
struct command_group {
	const char *name, *summary;
	const struct {
		const char *name;
		const struct command *command;
	} commands[40];
};

extern const struct command cmd_attach;
extern const struct command cmd_audit;
extern const struct command cmd_container_inspect;
extern const struct command cmd_container_prune;
extern const struct command cmd_commit;
extern const struct command cmd_cp;
extern const struct command cmd_create;
extern const struct command cmd_diff;
extern const struct command cmd_doctor;
extern const struct command cmd_events;
extern const struct command cmd_exec;
extern const struct command cmd_export;
extern const struct command cmd_history;
extern const struct command cmd_image_inspect;
extern const struct command cmd_image_prune;
extern const struct command cmd_images;
extern const struct command cmd_import;
extern const struct command cmd_info;
extern const struct command cmd_inspect;
extern const struct command cmd_kernel_ls;
extern const struct command cmd_kernel_update;
extern const struct command cmd_kernel_use;
extern const struct command cmd_kill;
extern const struct command cmd_load;
extern const struct command cmd_login;
extern const struct command cmd_logout;
extern const struct command cmd_logs;
extern const struct command cmd_network_connect;
extern const struct command cmd_network_create;
extern const struct command cmd_network_disconnect;
extern const struct command cmd_network_inspect;
extern const struct command cmd_network_ls;
extern const struct command cmd_network_prune;
extern const struct command cmd_network_reload;
extern const struct command cmd_network_rm;
extern const struct command cmd_pause;
extern const struct command cmd_port;
extern const struct command cmd_ps;
extern const struct command cmd_pull;
extern const struct command cmd_push;
extern const struct command cmd_rename;
extern const struct command cmd_restart;
extern const struct command cmd_rm;
extern const struct command cmd_rmi;
extern const struct command cmd_run;
extern const struct command cmd_save;
extern const struct command cmd_start;
extern const struct command cmd_stats;
extern const struct command cmd_stop;
extern const struct command cmd_system_df;
extern const struct command cmd_system_prune;
extern const struct command cmd_system_rebuild;
extern const struct command cmd_system_restart;
extern const struct command cmd_tag;
extern const struct command cmd_template_build;
extern const struct command cmd_template_ls;
extern const struct command cmd_template_rm;
extern const struct command cmd_top;
extern const struct command cmd_unpause;
extern const struct command cmd_update;
extern const struct command cmd_version;
extern const struct command cmd_volume_create;
extern const struct command cmd_volume_inspect;
extern const struct command cmd_volume_ls;
extern const struct command cmd_volume_prune;
extern const struct command cmd_volume_rm;
extern const struct command cmd_wait;

/* commands.c. The lists end in NULL, or in a group without a name. */
extern const struct command *const commands[];
extern const struct command_group command_groups[];
const struct command *command_find(const char *name);
const struct command_group *command_group_find(const char *name);
const struct command *command_group_command(const struct command_group *g, const char *name);

/* help.c */
extern const struct opt global_options[];
void help_command(FILE *f, const char *called, const struct command *c);
void help_group(FILE *f, const struct command_group *g);
void help_main(FILE *f);
void help_usage(FILE *f, const char *called, const struct command *c); /* the "Usage:" line */
void help_options(FILE *f, const struct opt *const tables[]);

/* complete.c: `caisson __complete`, as cli/complete.h says. The exit status. */
int complete_run(struct cli *cli, char *argv[]);

/* timing.c */
extern const struct opt_type opt_timing;
void cli_timing_start(struct cli *c, const struct opts *o); /* if --timing was given, before the engine is opened */
void cli_timing_report(struct cli *c);                      /* the end of the command: prints it */

/* Rows of tables (cli/format.h): a container of engine_list, with its size if "SizeRw" is there; an image of engine_image_list, one row for each of its
 * tags, and with `digests` for each of their digests. 0 or -ENOMEM. */
int container_row(const json_t *container, bool no_trunc, json_t *row);
int image_rows(const json_t *image, bool no_trunc, bool digests, json_t *rows);

/* cli.c */
struct engine *cli_engine(struct cli *c, struct err *e); /* NULL with *e set */
void cli_error(const struct err *e);                     /* "caisson: text" */
void cli_errorf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_notice(void *data, const char *text); /* an engine_notice_fn: a line on stderr */

/* Writes text and " [y/N] ", and reads a line: was it y? */
bool cli_confirm(const char *text);

typedef int each_fn(struct engine *g, const char *ref, struct opts *o, struct err *e);
/* fn for every argument; prints its name (unless fn returns 1) or the error; exit status 0 or 1. */
int cli_each(struct cli *c, struct opts *o, each_fn *fn, struct err *e);
