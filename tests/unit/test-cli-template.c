/* --format templates against what Go's text/template makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "cli/template.h"

static const char data[] =
	"{\"Name\": \"/web\", \"State\": {\"Running\": true, \"ExitCode\": 0, \"Error\": \"\"},"
	"\"Args\": [\"sh\", \"-c\", \"true\"], \"Empty\": [], \"Null\": null, \"Size\": 1234, \"Ratio\": 0.5,"
	"\"Config\": {\"Labels\": {\"z\": \"26\", \"a.b\": \"dotted\", \"m\": \"13\"}, \"Env\": null},"
	"\"Mounts\": [{\"Source\": \"/a\", \"RW\": true}, {\"Source\": \"/b\", \"RW\": false}]}";

static int run(const char *text, struct buf *out, struct err *e)
{
	_cleanup_json_ json_t *root = json_loads(data, 0, NULL);
	_cleanup_json_ json_t *methods = json_pack("{s:{s:s}}", "Label", "a.b", "dotted");
	_cleanup_template_ struct template *t = NULL;
	int r = template_parse(text, &t, e);

	assert_non_null(root);
	return r < 0 ? r : template_run(t, root, methods, out, e);
}

static void expect(const char *text, const char *want)
{
	_cleanup_buf_ struct buf out = {0};
	struct err e = ERR_INIT;

	if (run(text, &out, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	if (strcmp(out.data ? out.data : "", want))
		fail_msg("%s: \"%s\", not \"%s\"", text, out.data ? out.data : "", want);
}

static void expect_error(const char *text, const char *want)
{
	_cleanup_buf_ struct buf out = {0};
	struct err e = ERR_INIT;

	if (run(text, &out, &e) == 0)
		fail_msg("%s: no error but \"%s\"", text, out.data ? out.data : "");
	assert_string_equal(e.msg, want);
}

static void test_fields(void **state)
{
	(void)state;
	expect("", "");
	expect("plain", "plain");
	expect("{{.Name}}", "/web");
	expect("{{ .State.Running }} {{.State.ExitCode}}", "true 0");
	expect("a{{.Size}}b{{.Ratio}}c", "a1234b0.5c");
	expect("{{.Args}}", "[sh -c true]");
	expect("{{.Config.Labels}}", "map[a.b:dotted m:13 z:26]");
	expect("{{.Null}}", "<no value>");
	expect("{{.Config.Env}} {{json .Config.Env}} {{.Config.Env | len}}", "[] null 0");
	expect("{{.config}}", "<no value>");
	expect("{{.NAME}} {{.State.ERROR}}", "/web ");
	expect("{{.Config.Labels.z}} {{.Config.Labels.missing}}", "26 <no value>");
	expect("{{(index .Mounts 1).Source}}", "/b");
	expect("{{$.Name}}", "/web");
	expect("{{/* a }} comment */}}x", "x");
}

static void test_trim(void **state)
{
	(void)state;
	expect("a  {{- .Size -}}  b", "a1234b");
	expect("a {{.Size -}}\n\t b", "a 1234b");
	expect("{{- /* c */ -}} x", "x");
	expect("a {{-3}} b", "a -3 b");
}

static void test_conditions(void **state)
{
	(void)state;
	expect("{{if .State.Running}}up{{else}}down{{end}}", "up");
	expect("{{if .State.ExitCode}}bad{{end}}", "");
	expect("{{if .Empty}}a{{else if .Null}}b{{else if .Args}}c{{else}}d{{end}}", "c");
	expect("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none");
	expect("{{if and .Name (not .Error)}}ok{{end}}", "ok");
	expect("{{if or .Missing .Size}}ok{{end}}", "ok");
	expect("{{or .Empty .Name}}", "/web");
	expect("{{with .State}}{{.Running}}{{end}}", "true");
	expect("{{with .Empty}}x{{else}}y{{end}}", "y");
	expect("{{if eq .Name \"/web\"}}1{{end}}{{if ne .Size 1234}}2{{end}}{{if eq .Size 1 2 1234}}3{{end}}", "13");
	expect("{{lt 1 2}} {{ge 1 2}} {{gt 2.5 2}} {{le \"a\" \"b\"}}", "true false true true");
	expect("{{eq .State.Running true}} {{eq .Null nil}}", "true true");
}

static void test_range(void **state)
{
	(void)state;
	expect("{{range .Args}}<{{.}}>{{end}}", "<sh><-c><true>");
	expect("{{range $i, $a := .Args}}{{$i}}={{$a}} {{end}}", "0=sh 1=-c 2=true ");
	expect("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.b=dotted;m=13;z=26;");
	expect("{{range .Empty}}x{{else}}none{{end}}", "none");
	expect("{{range .Config.Env}}x{{end}}", "");
	expect("{{range .Mounts}}{{.Source}}{{if .RW}}+{{end}} {{$.Name}} {{end}}", "/a+ /web /b /web ");
	expect("{{range $m := .Mounts}}{{$m.Source}}{{end}}", "/a/b");
	expect("{{$x := 1}}{{range .Args}}{{$x = .}}{{end}}{{$x}}", "true");
}

static void test_functions(void **state)
{
	(void)state;
	expect("{{json .State}}", "{\"Running\":true,\"ExitCode\":0,\"Error\":\"\"}");
	expect("{{json .Name}}{{json .Empty}}{{json .Null}}", "\"/web\"[]null");
	expect("{{index .Config.Labels \"a.b\"}}|{{index .Config.Labels \"nope\"}}|{{index .Args 2}}", "dotted||true");
	expect("{{index .Config.Env \"x\"}}", "");
	expect("{{join .Args \",\"}} {{len .Args}} {{len .Name}}", "sh,-c,true 3 4");
	expect("{{upper .Name}} {{lower \"ABC\"}} {{title \"ab cd\"}}", "/WEB abc Ab Cd");
	expect("{{.Name | upper | printf \"%s!\"}}", "/WEB!");
	expect("{{printf \"%-6s|%5d|%q|%v|%t|%x\" .Name .Size .Name .Args true 255}}",
		"/web  | 1234|\"/web\"|[sh -c true]|true|ff");
	expect("{{printf \"%05d %.2f 100%%\" 42 .Ratio}}", "00042 0.50 100%");
	expect("{{slice .Name 1}} {{slice .Name 1 3}} {{slice .Args 1 2}}", "web we [-c]");
	expect("{{range split \"a:b:c\" \":\"}}{{.}} {{end}}", "a b c ");
	expect("{{print 1 2 \"x\" 3}} {{println \"a\" 1}}", "1 2x3 a 1\n");
	expect("{{pad \"x\" 1 2}}| {{truncate .Name 2}}", " x  | /w");
	expect("{{\"tab\\there\"}} {{`raw\\t`}}", "tab\there raw\\t");
	expect("{{html \"<&>\"}}", "&lt;&amp;&gt;");
	expect("{{.Label \"a.b\"}}|{{.Label \"x\"}}", "dotted|");
}

static void test_parse_errors(void **state)
{
	(void)state;
	expect_error("{{", "template: :1: unclosed action");
	expect_error("a\n{{.Name", "template: :2: unclosed action");
	expect_error("{{.Name}", "template: :1: unclosed action");
	expect_error("{{}}", "template: :1: missing value for command");
	expect_error("{{if .Name}}x", "template: :1: unexpected EOF");
	expect_error("{{end}}", "template: :1: unexpected {{end}}");
	expect_error("{{else}}", "template: :1: unexpected {{else}}");
	expect_error("{{if .Name}}{{else}}{{else}}{{end}}", "template: :1: expected end; found {{else}}");
	expect_error("{{foo .Name}}", "template: :1: function \"foo\" not defined");
	expect_error("{{(.Name}}", "template: :1: unclosed left paren");
	expect_error("{{.Name | .Size}}", "template: :1: non executable command in pipeline");
	expect_error("{{/* x }}", "template: :1: unclosed comment");
	expect_error("{{.Name ~}}", "template: :1: unexpected \"~\" in command");
	expect_error("{{\"a}}", "template: :1: unclosed action");
}

static void test_run_errors(void **state)
{
	(void)state;
	expect_error("{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\"");
	expect_error("x\n {{json .State.Foo}}",
		"template: :2:8: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\"");
	expect_error("{{.Name.Foo}}", "template: :1:2: executing \"\" at <.Name.Foo>: can't evaluate field Foo");
	expect_error("{{index .Args 9}}",
		"template: :1:2: executing \"\" at <index>: error calling index: index out of range: 9");
	expect_error("{{$x}}", "template: :1:2: executing \"\" at <$x>: undefined variable \"$x\"");
	expect_error("{{lt 1 \"a\"}}",
		"template: :1:2: executing \"\" at <lt>: error calling lt: "
		"incompatible types for comparison");
	expect_error("{{upper}}", "template: :1:2: executing \"\" at <upper>: wrong number of args for upper: got 0");
	expect_error(
		"{{range .Name}}{{end}}", "template: :1:8: executing \"\" at <.Name>: range can't iterate over it");
	expect_error("{{.Name \"x\"}}", "template: :1:2: executing \"\" at <.Name>: can't give arguments to a field");
	expect_error("{{printf \"%n\" 1}}",
		"template: :1:2: executing \"\" at <printf>: error calling printf: bad verb in \"%n\"");
	expect_error("{{slice .Name 9}}",
		"template: :1:2: executing \"\" at <slice>: error calling slice: index out of range: 9");
}

/* Depth is bounded, whatever is written. */
static void test_depth(void **state)
{
	_cleanup_buf_ struct buf text = {0}, out = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		buf_adds(&text, i ? "(" : "{{");
	buf_adds(&text, "}}");
	assert_int_equal(run(text.data, &out, &e), -22);
	text.len = 0;
	for (int i = 0; i < 5000; i++)
		buf_adds(&text, "{{if 1}}");
	assert_int_equal(run(text.data, &out, &e), -22);
	/* a chain of else-if nests as well */
	text.len = 0;
	buf_adds(&text, "{{if 0}}");
	for (int i = 0; i < 4000; i++)
		buf_adds(&text, "{{else if 0}}");
	buf_adds(&text, "{{end}}");
	assert_int_equal(run(text.data, &out, &e), -22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_parse_errors),
		cmocka_unit_test(test_run_errors),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
