/* caisson __complete: which word of a command line it is that is to be completed. */
#include "cli/complete.h"

#include <stdlib.h>
#include <string.h>

void complete_add(struct completing *c, const char *value, const char *text)
{
	if (!str_starts(value, c->word))
		return;
	printf("%s%s", c->before, value);
	if (text)
		printf("\t%s", text);
	putchar('\n');
}

void complete_words(struct completing *c, const char *words)
{
	_cleanup_strv_ char **v = strv_split(words, " ");

	strv_foreach(w, v)
		complete_add(c, w, NULL);
}

/* ---- the line so far ---- */

struct line {
	const struct opt *tables[OPT_TABLES];
	const struct command_group *group;
	const struct command *command;
	const struct opt *pending; /* its value is the word */
	bool only_args;            /* options are over */
	char **args;               /* borrowed strings */
	size_t len;
};

static const struct opt *find_option(const struct line *l, const char *name, size_t n)
{
	for (size_t i = 0; i < OPT_TABLES && l->tables[i]; i++)
		for (const struct opt *o = l->tables[i]; o->name; o++)
			if (strlen(o->name) == n && !memcmp(o->name, name, n))
				return o;
	return NULL;
}

static const struct opt *find_letter(const struct line *l, char letter)
{
	for (size_t i = 0; i < OPT_TABLES && l->tables[i]; i++)
		for (const struct opt *o = l->tables[i]; o->name; o++)
			if (o->letter == letter)
				return o;
	return NULL;
}

/* The option that a word like "--name" or "-itv" leaves without its value; NULL if it leaves none. */
static const struct opt *wants_value(const struct line *l, const char *word)
{
	const struct opt *o = NULL;

	if (word[1] == '-') {
		o = strchr(word, '=') ? NULL : find_option(l, word + 2, strlen(word + 2));
		return o && *o->type->arg ? o : NULL;
	}
	for (const char *p = word + 1; *p; p++) {
		o = find_letter(l, *p);
		if (!o || *o->type->arg)
			return o && !p[1] ? o : NULL;
	}
	return NULL;
}

static void note_global(struct cli *cli, const struct opt *o, const char *value)
{
	if (!strcmp(o->name, "root"))
		cli->root = value;
	else if (!strcmp(o->name, "run"))
		cli->run = value;
	else if (!strcmp(o->name, "config"))
		cli->config = value;
}

static void begin_command(struct line *l, const struct command *command)
{
	memset(l->tables, 0, sizeof(l->tables));
	l->command = command;
	for (size_t i = 0; i < OPT_TABLES && command->options[i]; i++)
		l->tables[i] = command->options[i];
}

/* false: no such command, nothing can be said of what follows */
static bool take_argument(struct line *l, char *word)
{
	const struct command *command;

	if (l->command) {
		l->args[l->len++] = word;
		l->only_args |= l->command->stop;
		return true;
	}
	if (!l->group && !strcmp(word, "help"))
		return true; /* what follows is a command */
	command = l->group ? command_group_command(l->group, word) : command_find(word);
	if (command)
		begin_command(l, command);
	else if (l->group || !(l->group = command_group_find(word)))
		return false;
	return true;
}

static bool take(struct line *l, struct cli *cli, char *word)
{
	if (l->pending) {
		if (!l->command && !l->group)
			note_global(cli, l->pending, word);
		l->pending = NULL;
		return true;
	}
	if (l->only_args || *word != '-' || !word[1])
		return take_argument(l, word);
	if (!strcmp(word, "--")) {
		l->only_args = true;
		return true;
	}
	l->pending = wants_value(l, word);
	char *value = strchr(word, '=');
	if (value && word[1] == '-' && !l->command && !l->group) {
		const struct opt *o = find_option(l, word + 2, (size_t)(value - word) - 2);
		if (o)
			note_global(cli, o, value + 1);
	}
	return true;
}

/* ---- what the word may be ---- */

static void add_options(struct completing *c, const struct line *l)
{
	char text[80];

	for (size_t i = 0; i < OPT_TABLES && l->tables[i]; i++)
		for (const struct opt *o = l->tables[i]; o->name; o++) {
			if (!o->help)
				continue;
			snprintf(text, sizeof(text), "--%s", o->name);
			complete_add(c, text, o->help);
		}
	complete_add(c, "--help", "Show what the command does and takes");
}

static void add_commands(struct completing *c)
{
	for (const struct command *const *command = commands; *command; command++)
		complete_add(c, (*command)->name, (*command)->summary);
	for (const struct command_group *g = command_groups; g->name; g++)
		complete_add(c, g->name, g->summary);
	complete_add(c, "help", "Show the help of a command");
}

static void add_group(struct completing *c, const struct command_group *g)
{
	for (size_t i = 0; g->commands[i].name; i++)
		complete_add(c, g->commands[i].name, g->commands[i].command->summary);
}

static void complete_word(struct completing *c, struct line *l)
{
	const char *word = c->word, *equals = strchr(word, '=');
	_cleanup_free_ char *before = equals ? strndup(word, (size_t)(equals - word) + 1) : NULL;

	if (l->pending) {
		complete_value(c, l->pending);
	} else if (*word == '-' && !l->only_args && str_starts(word, "--") && before) {
		const struct opt *o = find_option(l, word + 2, (size_t)(equals - word) - 2);
		c->before = before;
		c->word = equals + 1;
		if (o)
			complete_value(c, o);
	} else if (*word == '-' && !l->only_args) {
		add_options(c, l);
	} else if (l->command) {
		complete_argument(c, l->command, l->len);
	} else if (l->group) {
		add_group(c, l->group);
	} else {
		add_commands(c);
	}
	c->before = "";
}

int complete_run(struct cli *cli, char *argv[])
{
	static const char *const ends[] = {":", ":nospace", ":files", ":directories"};
	size_t n = strv_len(argv);
	_cleanup_free_ char **args = calloc(n + 1, sizeof(*args));
	struct line l = {.tables = {global_options}, .args = args};
	struct completing c = {.cli = cli, .word = n ? argv[n - 1] : "", .before = "", .done = args};
	bool known = args;

	for (size_t i = 0; known && i + 1 < n; i++)
		known = take(&l, cli, argv[i]);
	if (known)
		complete_word(&c, &l);
	printf("%s\n", ends[c.end]);
	return 0;
}
