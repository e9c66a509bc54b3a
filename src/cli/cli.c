/* What all commands share: the engine, opened when it is first needed, and how errors are told. */
#include "cli/cmd.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

struct engine *cli_engine(struct cli *c, struct err *e)
{
	if (!c->engine &&
		engine_open(
			&c->engine, &(struct engine_paths){.root = c->root, .run = c->run, .config = c->config}, e) < 0)
		return NULL;
	if (c->timed)
		c->engine->timing = &c->timing;
	return c->engine;
}

void cli_errorf(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("caisson: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void cli_error(const struct err *e)
{
	cli_errorf("%s", e->msg);
}

void cli_notice(void *data, const char *text)
{
	(void)data;
	fprintf(stderr, "%s\n", text);
}

bool cli_confirm(const char *text)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	printf("%s [y/N] ", text);
	fflush(stdout);
	if (getline(&line, &size, stdin) < 0)
		return false;
	line[strcspn(line, "\r\n")] = 0;
	return !strcasecmp(line, "y");
}

int cli_each(struct cli *c, struct opts *o, each_fn *fn, struct err *e)
{
	struct engine *g = cli_engine(c, e);
	int status = 0;

	if (!g)
		return -e->code;
	for (int i = 0; i < o->args_len; i++) {
		struct err why = ERR_INIT;
		int r = fn(g, o->args[i], o, &why);
		if (r < 0) {
			cli_error(&why);
			status = 1;
		} else if (r == 0) {
			printf("%s\n", o->args[i]);
		}
	}
	return status;
}
