/* caisson audit: measured rows about running containers, as a table, JSON or a page; --require makes a check of them. */
#include <errno.h>
#include <string.h>

#include "cli/audit-report.h"

static bool known_key(const char *key)
{
	const char *k;

	for (size_t i = 0; (k = engine_audit_key(i)); i++)
		if (!strcmp(k, key))
			return true;
	return false;
}

/* "own-kernel,no-host-mounts" */
static int set_require(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_strv_ char **keys = strv_split(value, ", ");
	int r = 0;

	strv_foreach(key, keys) {
		if (!known_key(key))
			return err_set(e, EINVAL, "there is no statement '%s'", key);
		if (r == 0)
			r = opts_append(p, o, json_from_str(key), e);
	}
	return r;
}
static const struct opt_type opt_require = {"list", set_require};

static int set_format(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const char *const known[] = {"table", "json", "html", NULL};

	if (!str_in(value, known))
		return err_set(e, EINVAL, "must be one of \"table\", \"json\" or \"html\"");
	return opts_put(p, o, json_from_str(value), e);
}
static const struct opt_type opt_format = {"string", set_format};

/* What follows the image is its command, options too. */
static int set_compare(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	int r = opt_bool.set(p, o, value, e);

	if (r == 0)
		p->stop = opts_flag(p, o->name);
	return r;
}
static const struct opt_type opt_compare = {"", set_compare};

static const struct opt options[] = {
	{"compare", 0, &opt_compare, NULL,
		"Run an image in both modes and audit both: audit --compare IMAGE [COMMAND] [ARG...]"},
	{"format", 'f', &opt_format, NULL, "Output as 'table', 'json', or 'html' (one page that needs nothing else)"},
	{"no-trunc", 0, &opt_bool, NULL, "Do not cut the output, show all evidence"},
	{"require", 0, &opt_require, NULL, "Exit with 1 unless these statements hold"},
	{0},
};

/* Names what does not hold; 0 or 1. */
static int check_required(const struct opts *o, const json_t *report)
{
	size_t i, k;
	json_t *audit, *s;
	int status = 0;

	json_array_foreach(report, i, audit) {
		json_array_foreach(json_object_get(audit, "Statements"), k, s) {
			const char *key = json_str(s, "Key"), *result = json_str(s, "Result"),
				   *why = json_str(s, "Why");
			size_t n;
			json_t *wanted;
			json_array_foreach(opts_get(o, "require"), n, wanted) {
				if (strcmp(json_string_value(wanted), key) != 0 || !strcmp(result, "holds"))
					continue;
				cli_errorf("%s: %s %s: %s", json_str(audit, "Name"), key,
					!strcmp(result, "unknown") ? "is not known" : "does not hold", why);
				status = 1;
				break;
			}
		}
	}
	return status;
}

static int print(const struct opts *o, const json_t *report, bool beside)
{
	const char *format = opts_str(o, "format");

	if (format && !strcmp(format, "json")) {
		json_dumpf(report, stdout, JSON_INDENT(2));
		putchar('\n');
		return 0;
	}
	if (format && !strcmp(format, "html"))
		return report_html(stdout, report);
	return beside && !opts_flag(o, "no-trunc") ? report_side_by_side(stdout, report)
						   : report_table(stdout, report, opts_flag(o, "no-trunc"));
}

static int print_compared(struct cli *c, struct opts *o, json_t *report, struct err *e)
{
	(void)c;
	int r = print(o, report, true);
	return r < 0 ? err_nomem(e) : check_required(o, report);
}

/* The running containers, by their ids. */
static int all_running(struct engine *g, char ***ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL;
	size_t i;
	json_t *c;
	int r = engine_list(g, false, NULL, &list, e);

	json_array_foreach(list, i, c) {
		if (r == 0 && strv_push(ret, json_str(c, "Id")) < 0)
			r = err_nomem(e);
	}
	return r;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *report = json_array();
	_cleanup_strv_ char **running = NULL;
	int status = 0, r = 0;

	if (opts_flag(o, "compare"))
		return o->args_len ? audit_compare(c, o, print_compared, e)
				   : err_set(e, EINVAL, "--compare needs an image");
	struct engine *g = cli_engine(c, e);
	if (!g)
		return -e->code;
	if (!o->args_len)
		r = all_running(g, &running, e);
	if (r < 0)
		return r;
	for (char *const *ref = o->args_len ? o->args : running; ref && *ref; ref++) {
		struct err why = ERR_INIT;
		json_t *audit;
		r = engine_audit(g, *ref, &audit, &why);
		if (r == 0) {
			json_array_append_new(report, audit);
		} else if (o->args_len || r != -ESRCH) { /* one that has ended meanwhile is not running */
			cli_error(&why);
			status = 1;
		}
	}
	if (print(o, report, false) < 0)
		return err_nomem(e);
	return check_required(o, report) | status;
}

const struct command cmd_audit = {
	.name = "audit",
	.synopsis = "[OPTIONS] [CONTAINER...]",
	.summary = "Measure what can be seen of running containers from the host",
	.options = {options},
	.max_args = -1,
	.run = run,
};
