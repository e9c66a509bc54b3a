/* --help, made from the tables of options and commands in docker's layout. */
#include "cli/cmd.h"

#include <string.h>

enum { HELP_WIDTH = 80, HELP_SUMMARY_COLUMN = 14 };

const struct opt global_options[] = {
	{"config", 0, &opt_string, NULL, "Configuration file"},
	{"debug", 'D', &opt_bool, NULL, "Trace what is done on stderr"},
	{"root", 0, &opt_string, NULL, "Directory of images, volumes and containers"},
	{"run", 0, &opt_string, NULL, "Directory of the state of running containers"},
	{"version", 'v', &opt_bool, NULL, "Print the version and quit"},
	{0},
};

/* Prints text from `column` on, wrapped at words; the cursor is at `column` already. */
static void print_wrapped(FILE *f, const char *text, int column)
{
	int width = HELP_WIDTH - column, used = 0;

	while (*text) {
		int n = (int)strcspn(text, " ");
		if (used && used + 1 + n > width) {
			fprintf(f, "\n%*s", column, "");
			used = 0;
		}
		used += fprintf(f, "%s%.*s", used ? " " : "", n, text);
		text += n;
		text += *text == ' ';
	}
	fputc('\n', f);
}

/* The width of "name arg". */
static int option_width(const struct opt *o)
{
	size_t arg = strlen(o->type->arg);

	return (int)(strlen(o->name) + (arg ? arg + 1 : 0));
}

static const struct opt *next_by_name(const struct opt *const tables[], const char *after)
{
	const struct opt *best = NULL;

	for (size_t i = 0; i < OPT_TABLES && tables[i]; i++)
		for (const struct opt *o = tables[i]; o->name; o++)
			if (o->help && (!after || strcmp(o->name, after) > 0) &&
				(!best || strcmp(o->name, best->name) < 0))
				best = o;
	return best;
}

void help_options(FILE *f, const struct opt *const tables[])
{
	int width = 0;

	for (const struct opt *o = NULL; (o = next_by_name(tables, o ? o->name : NULL));)
		width = option_width(o) > width ? option_width(o) : width;
	for (const struct opt *o = NULL; (o = next_by_name(tables, o ? o->name : NULL));) {
		char letter[] = "-x,";
		letter[1] = o->letter;
		fprintf(f, "  %3s --%s%s%s%*s   ", o->letter ? letter : "", o->name, *o->type->arg ? " " : "",
			o->type->arg, width - option_width(o), "");
		print_wrapped(f, o->help, width + 11);
	}
}

void help_usage(FILE *f, const char *called, const struct command *c)
{
	fprintf(f, "Usage:  %s%s%s\n", called, *c->synopsis ? " " : "", c->synopsis);
}

/* "Aliases:", all the names a command has. */
static void print_aliases(FILE *f, const struct command *c)
{
	_cleanup_buf_ struct buf b = {0};
	int n = 0;

	for (const struct command_group *g = command_groups; g->name; g++)
		for (size_t i = 0; g->commands[i].name; i++)
			if (g->commands[i].command == c)
				buf_addf(&b, "%scaisson %s %s", n++ ? ", " : "", g->name, g->commands[i].name);
	if (command_find(c->name) == c)
		buf_addf(&b, "%scaisson %s", n++ ? ", " : "", c->name);
	if (n > 1 && b.len)
		fprintf(f, "\nAliases:\n  %s\n", b.data);
}

void help_command(FILE *f, const char *called, const struct command *c)
{
	help_usage(f, called, c);
	fprintf(f, "\n%s\n", c->summary);
	print_aliases(f, c);
	if (c->options[0]) {
		fprintf(f, "\nOptions:\n");
		help_options(f, c->options);
	}
}

static void print_summary(FILE *f, const char *name, const char *summary)
{
	fprintf(f, "  %-*s%s\n", HELP_SUMMARY_COLUMN - 2, name, summary);
}

void help_group(FILE *f, const struct command_group *g)
{
	fprintf(f, "Usage:  caisson %s COMMAND\n\n%s\n\nCommands:\n", g->name, g->summary);
	for (size_t i = 0; g->commands[i].name; i++)
		if (!i || g->commands[i].command != g->commands[i - 1].command) /* its other names follow it */
			print_summary(f, g->commands[i].name, g->commands[i].command->summary);
	fprintf(f, "\nRun 'caisson %s COMMAND --help' for more information on a command.\n", g->name);
}

void help_main(FILE *f)
{
	static const struct opt *const tables[OPT_TABLES] = {global_options};

	fprintf(f,
		"Usage:  caisson [OPTIONS] COMMAND\n\nContainers with the host's kernel or with one of "
		"their own\n\nManagement Commands:\n");
	for (const struct command_group *g = command_groups; g->name; g++)
		print_summary(f, g->name, g->summary);
	fprintf(f, "\nCommands:\n");
	for (const struct command *const *c = commands; *c; c++)
		print_summary(f, (*c)->name, (*c)->summary);
	fprintf(f, "\nGlobal Options:\n");
	help_options(f, tables);
	fprintf(f, "\nRun 'caisson COMMAND --help' for more information on a command.\n");
}
