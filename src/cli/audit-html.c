/*
 * An audit as one HTML page: a card for each statement with what was found of each container, the evidence folded away. Readable on a phone, and without
 * scripts or anything from elsewhere, which the page itself forbids too. Every text may be a hostile container's choice: all go through put().
 */
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/audit-report.h"

#include "config.h"

static const char head[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<title>caisson audit</title>\n"
	"<style>\n"
	":root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #1a7f37; --bad: #c62828; --open: "
	"#8a6d00; }\n"
	"@media (prefers-color-scheme: dark) { :root { --good: #57c878; --bad: #ff7b72; --open: #e3b341; } }\n"
	"body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; overflow-wrap: "
	"anywhere; }\n"
	"h1 { font-size: 1.4rem; margin: 0; }\n"
	"h2 { font-size: 1rem; margin: 0 0 .5rem; }\n"
	"h2 code { font-weight: normal; opacity: .7; margin-left: .5rem; }\n"
	"section { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .75rem; }\n"
	".row { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); }\n"
	".cell { background: var(--soft); border-radius: .4rem; min-width: 0; padding: .5rem .75rem; }\n"
	".name { font-size: .85rem; opacity: .8; }\n"
	".value { margin: .15rem 0; }\n"
	".why { font-size: .9rem; opacity: .85; }\n"
	".result { border: 1px solid; border-radius: .3rem; font-size: .8rem; font-weight: bold; padding: 0 .4rem; }\n"
	".holds { color: var(--good); } .fails { color: var(--bad); } .unknown { color: var(--open); }\n"
	"details { font-size: .85rem; margin-top: .25rem; }\n"
	"ul { font-family: ui-monospace, monospace; margin: .25rem 0 0; padding-left: 1.1rem; }\n"
	"p { margin: .25rem 0; }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n";

/* Text, as text. */
static void put(FILE *f, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\'':
			fputs("&#39;", f);
			break;
		default:
			fputc(*s, f);
		}
	}
}

/* <tag class="c">text</tag>; tag and class are ours. */
static void put_in(FILE *f, const char *tag, const char *class, const char *text)
{
	fprintf(f, "<%s class=\"%s\">", tag, class);
	put(f, text);
	fprintf(f, "</%s>\n", tag);
}

/* One of ours, whatever the report says. */
static const char *result_class(const char *result)
{
	static const char *const known[] = {"holds", "fails", "unknown", "info"};

	for (size_t i = 0; result && i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(result, known[i]))
			return known[i];
	return "unknown";
}

static void put_evidence(FILE *f, const json_t *evidence)
{
	size_t i;
	json_t *v;

	if (!json_array_size(evidence))
		return;
	fprintf(f, "<details><summary>evidence (%zu)</summary>\n<ul>\n", json_array_size(evidence));
	json_array_foreach(evidence, i, v) {
		fputs("<li>", f);
		put(f, json_string_value(v));
		fputs("</li>\n", f);
	}
	fputs("</ul></details>\n", f);
}

static void put_cell(FILE *f, const json_t *audit, const json_t *s)
{
	const char *result = result_class(json_str(s, "Result")), *why = json_str(s, "Why");
	_cleanup_free_ char *class = str_fmt("result %s", result);

	fputs("<div class=\"cell\">\n<div class=\"name\">", f);
	put(f, json_str(audit, "Name"));
	fputs(" (", f);
	put(f, json_str(audit, "Isolation"));
	fputs(")</div>\n", f);
	put_in(f, "span", class ? class : "result", result);
	put_in(f, "div", "value", json_str(s, "Value"));
	if (!str_empty(why))
		put_in(f, "div", "why", why);
	put_evidence(f, json_object_get(s, "Evidence"));
	fputs("</div>\n", f);
}

static void put_statement(FILE *f, const json_t *report, size_t n, const json_t *s)
{
	size_t i;
	json_t *audit;

	fputs("<section>\n<h2>", f);
	put(f, json_str(s, "Title"));
	fputs("<code>", f);
	put(f, json_str(s, "Key"));
	fputs("</code></h2>\n<div class=\"row\">\n", f);
	json_array_foreach(report, i, audit)
		put_cell(f, audit, json_array_get(json_object_get(audit, "Statements"), n));
	fputs("</div>\n</section>\n", f);
}

static void put_intro(FILE *f, const json_t *report)
{
	struct utsname u;
	char now[40];
	size_t i;
	json_t *audit;

	uname(&u);
	fputs("<h1>What can be seen of it from the host</h1>\n<p>", f);
	put(f, u.nodename);
	fputs(", Linux ", f);
	put(f, u.release);
	fprintf(f, ", measured at %s by caisson %s.</p>\n", clock_rfc3339(clock_real_ns(), now), CAISSON_VERSION);
	json_array_foreach(report, i, audit) {
		fputs("<p><b>", f);
		put(f, json_str(audit, "Name"));
		fputs("</b>, isolation ", f);
		put(f, json_str(audit, "Isolation"));
		fputs(", <code>", f);
		put(f, json_str(audit, "Container"));
		fputs("</code></p>\n", f);
	}
}

int report_html(FILE *f, const json_t *report)
{
	size_t i;
	json_t *s;

	fputs(head, f);
	put_intro(f, report);
	json_array_foreach(json_object_get(json_array_get(report, 0), "Statements"), i, s)
		put_statement(f, report, i, s);
	fputs("</body>\n</html>\n", f);
	return 0;
}
