/*
 * Any command line of run and create, one argument a line: what is taken becomes a body that can be written as JSON and arguments that stand in the
 * line, and what is refused has a text.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/container-options.h"
#include "cli/network-options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* An argument may be empty, so this is no strv_split. */
static char **split(const char *text)
{
	char **v = NULL;

	for (;;) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *arg = strndup(text, n);
		check(arg && strv_push(&v, arg) == 0);
		if (!text[n])
			return v;
		text += n + 1;
	}
}

static void check_refusal(int r, const struct err *e)
{
	check(r == -e->code && e->code > 0);
	check(*e->msg && !strchr(e->msg, '\n') && memchr(e->msg, 0, sizeof(e->msg)));
}

/* A range of all ports takes seconds under a sanitizer; fuzz-network-options is about them. */
static void leave_ranges_out(struct opts *o, const char *option)
{
	size_t i;
	json_t *v;
	bool range = false;

	json_array_foreach(opts_get(o, option), i, v)
		range |= strchr(json_string_value(v), '-') != NULL;
	if (range)
		json_object_del(o->given, option);
}

static void check_taken(struct opts *o, char **argv)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < o->args_len; i++) {
		bool found = false;
		for (char **a = argv; *a; a++)
			found |= *a == o->args[i];
		check(found);
	}
	leave_ranges_out(o, "publish");
	leave_ranges_out(o, "expose");
	int r = network_options_apply(o, &e);
	if (r < 0)
		check_refusal(r, &e);
	_cleanup_free_ char *body = json_dumps(o->body, 0), *given = json_dumps(o->given, 0);
	check(body && given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct opt *const tables[OPT_TABLES] = {container_options, refused_options};
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_(opts_done) struct opts o;
	struct err e = ERR_INIT;

	check(text != NULL);
	_cleanup_strv_ char **argv = split(text);
	int r = opts_parse(&o, tables, argv, true, &e);
	if (r < 0)
		check_refusal(r, &e);
	else if (!o.help)
		check_taken(&o, argv);
	return 0;
}
