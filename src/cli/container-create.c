/* Making a container for run and create: the body, --cidfile, and the pull of an image that is missing. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "cli/container-options.h"
#include "cli/network-options.h"

enum { LINES_MAX = 1024 * 1024 };

static int check_text(const char *path, const struct buf *b, struct err *e)
{
	const char *end = b->data + b->len;
	size_t line = 1;

	for (const char *s = b->data; s && s < end; line++) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		size_t n = (size_t)((nl ? nl : end) - s);
		json_t *text = memchr(s, 0, n) ? NULL : json_stringn(s, n);
		if (!text)
			return err_set(e, EINVAL, "file %s contains invalid utf8 bytes at line %zu", path, line);
		json_decref(text);
		s += n + 1;
	}
	return 0;
}

static int read_lines(const char *path, char ***ret, struct err *e)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file with it */
	_cleanup_buf_ struct buf b = {0};
	int r = file_read(AT_FDCWD, path, LINES_MAX, &b);

	if (r < 0) {
		_cleanup_free_ char *why = str_fmt("%s", strerror(-r));
		return err_set(e, -r, "open %s: %s", path, why ? str_lower(why) : "");
	}
	r = check_text(path, &b, e);
	if (r < 0)
		return r;
	const char *text = b.data ? b.data : "";
	*ret = strv_split(str_starts(text, mark) ? text + strlen(mark) : text, "\r\n");
	return 0;
}

/* A line without its indent; NULL for a comment. */
static const char *content_of(const char *line)
{
	line += strspn(line, " \t");
	return *line && *line != '#' ? line : NULL;
}

static int check_variable(const char *path, const char *line, struct err *e)
{
	size_t n = strcspn(line, "=");

	if (!n)
		return err_set(e, EINVAL, "%s: no variable name on line '%s'", path, line);
	if (strcspn(line, " \t") < n)
		return err_set(e, EINVAL, "%s: variable '%.*s' contains whitespaces", path, (int)n, line);
	return 0;
}

int env_file_read(const char *path, json_t *env, struct err *e)
{
	_cleanup_strv_ char **lines = NULL;
	int r = read_lines(path, &lines, e);

	strv_foreach(line, lines) {
		const char *s = content_of(line);
		if (r < 0 || !s)
			continue;
		r = check_variable(path, s, e);
		if (r < 0)
			break;
		const char *own = strchr(s, '=') ? NULL : getenv(s);
		_cleanup_free_ char *pair = own ? str_fmt("%s=%s", s, own) : strdup(s);
		if (!pair)
			return err_nomem(e);
		if (strchr(pair, '='))
			json_array_append_new(env, json_from_str(pair));
	}
	return r;
}

int env_files_apply(struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *env = json_array();
	size_t i;
	json_t *path;

	if (!opts_given(o, "env-file"))
		return 0;
	json_array_foreach(opts_get(o, "env-file"), i, path) {
		int r = env_file_read(json_string_value(path), env, e);
		if (r < 0)
			return r;
	}
	json_array_extend(env, json_object_get(o->body, "Env"));
	return json_object_set(o->body, "Env", env) < 0 ? err_nomem(e) : 0;
}

static int add_file_label(json_t *labels, const char *line)
{
	size_t n = strcspn(line, "=");
	_cleanup_free_ char *key = strndup(line, n);

	if (!key)
		return -ENOMEM;
	return *key ? json_set(labels, key, json_from_str(line[n] ? line + n + 1 : "")) : 0;
}

static int label_files_apply(struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *labels = json_object();
	size_t i;
	json_t *path;

	if (!opts_given(o, "label-file"))
		return 0;
	json_array_foreach(opts_get(o, "label-file"), i, path) {
		_cleanup_strv_ char **lines = NULL;
		int r = read_lines(json_string_value(path), &lines, e);
		strv_foreach(line, lines) {
			const char *s = content_of(line);
			if (r == 0 && s)
				r = check_variable(json_string_value(path), s, e);
			if (r == 0 && s && add_file_label(labels, s) < 0)
				r = err_nomem(e);
		}
		if (r < 0)
			return r;
	}
	json_object_update(labels, json_object_get(o->body, "Labels"));
	return json_object_set(o->body, "Labels", labels) < 0 ? err_nomem(e) : 0;
}

/* Which streams are attached: those of -a, or all but a stdin that is not interactive. */
static int body_streams(struct opts *o, struct err *e)
{
	static const char *const names[][2] = {
		{"stdin", "AttachStdin"}, {"stdout", "AttachStdout"}, {"stderr", "AttachStderr"}};
	_cleanup_strv_ char **asked = json_strv(opts_get(o, "attach"));
	bool interactive = opts_flag(o, "interactive"), detach = opts_flag(o, "detach"), on = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		on = asked ? strv_has(asked, names[i][0]) : !detach && (i || interactive);
		if (json_set(o->body, names[i][1], json_boolean(on)) < 0)
			return err_nomem(e);
		if (!i && interactive && on && json_set(o->body, "StdinOnce", json_true()) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int fill_body(struct opts *o, struct err *e)
{
	int r = json_set(o->body, "Image", json_from_str(o->args[0]));

	if (r == 0 && o->args_len > 1)
		r = json_set(o->body, "Cmd", json_from_strv(o->args + 1));
	if (r < 0)
		return err_nomem(e);
	r = env_files_apply(o, e);
	if (r == 0)
		r = label_files_apply(o, e);
	if (r == 0)
		r = network_options_apply(o, e);
	return r < 0 ? r : body_streams(o, e);
}

/* docker's rule: what stands behind the last ':' is a tag unless there is a '/' in it. */
static bool has_tag(const char *ref)
{
	const char *colon = strrchr(ref, ':');

	return strchr(ref, '@') || (colon && !strchr(colon, '/'));
}

static int pull(struct engine *g, struct opts *o, struct err *e)
{
	_cleanup_strv_ char **args = NULL;
	int r = strv_push(&args, "pull");

	timing_end(g->timing, TIMING_RESOLVE);
	if (r == 0 && opts_flag(o, "quiet"))
		r = strv_push(&args, "--quiet");
	if (r == 0 && opts_given(o, "platform"))
		r = strv_pushf(&args, "--platform=%s", opts_str(o, "platform"));
	if (r == 0)
		r = strv_push(&args, o->args[0]);
	r = r < 0 ? err_nomem(e) : engine_fetch(g, args, true, e);
	timing_end(g->timing, TIMING_PULL);
	return r;
}

static void print_warnings(json_t *warnings)
{
	size_t i;
	json_t *w;

	json_array_foreach(warnings, i, w)
		fprintf(stderr, "WARNING: %s\n", json_string_value(w) ? json_string_value(w) : "");
	json_decref(warnings);
}

static int create_or_pull(struct engine *g, struct opts *o, char ret_id[65], struct err *e)
{
	const char *when = opts_str(o, "pull"), *ref = o->args[0];
	bool pulled = when && !strcmp(when, "always");
	json_t *warnings = NULL;
	int r = pulled ? pull(g, o, e) : 0;

	for (; r == 0; pulled = true) {
		r = engine_create(g, opts_str(o, "name"), o->body, ret_id, &warnings, e);
		if (r == 0) {
			print_warnings(warnings);
			return 0;
		}
		if (r != -ENOENT || pulled || (when && !strcmp(when, "never")) ||
			(!strstr(e->msg, "No such image") && !strstr(e->msg, "does not match the specified platform")))
			return r;
		fprintf(stderr, "Unable to find image '%s%s' locally\n", ref, has_tag(ref) ? "" : ":latest");
		r = pull(g, o, e);
	}
	return r;
}

static int open_cidfile(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd >= 0)
		return fd;
	if (errno == EEXIST)
		return err_set(e, EEXIST,
			"container ID file found, make sure the other container isn't running or delete %s", path);
	return err_errno(e, errno, "failed to create the container ID file %s", path);
}

static int check_options(const struct opts *o, struct err *e)
{
	static const char *const times[] = {"always", "missing", "never", "", NULL};
	static const char *const health[] = {
		"health-interval", "health-retries", "health-start-interval", "health-start-period", "health-timeout"};
	const char *when = opts_str(o, "pull"), *restart = json_str(opts_get(o, "restart"), "Name");

	if (when && !str_in(when, times))
		return err_set(e, EINVAL,
			"invalid pull option: '%s': must be one of \"always\", \"missing\" or \"never\"", when);
	if (opts_given(o, "no-healthcheck") &&
		(opts_given(o, "health-cmd") || opts_given(o, "health-interval") || opts_given(o, "health-timeout") ||
			opts_given(o, "health-retries") || opts_given(o, "health-start-period") ||
			opts_given(o, "health-start-interval")))
		return err_set(e, EINVAL, "--no-healthcheck conflicts with --health-* options");
	for (size_t i = 0; i < sizeof(health) / sizeof(*health); i++)
		if (opts_int(o, health[i], 0) < 0)
			return err_set(e, EINVAL, "--%s cannot be negative", health[i]);
	if (opts_flag(o, "rm") && !str_empty(restart) && strcmp(restart, "no"))
		return err_set(e, EINVAL, "conflicting options: cannot specify both --restart and --rm");
	return 0;
}

int container_create(struct cli *c, struct opts *o, char ret_id[65], struct err *e)
{
	const char *path = opts_str(o, "cidfile");
	_cleanup_close_ int cidfile = -1;
	struct engine *g;
	int r = check_options(o, e);

	if (r == 0)
		r = fill_body(o, e);
	if (r < 0)
		e->status = EXIT_ENGINE; /* as for an option that cannot be read */
	g = r == 0 ? cli_engine(c, e) : NULL;
	if (!g)
		return -e->code;
	if (!str_empty(path)) {
		cidfile = open_cidfile(path, e);
		if (cidfile < 0)
			return cidfile;
	}
	r = create_or_pull(g, o, ret_id, e);
	if (r == 0 && cidfile >= 0 && fd_write_all(cidfile, ret_id, strlen(ret_id)) < 0)
		r = err_errno(e, errno, "write the container ID file %s", path);
	if (r && cidfile >= 0)
		unlink(path);
	return r;
}

bool tty_input_missing(bool tty, bool attach_stdin)
{
	if (!tty || !attach_stdin || isatty(0))
		return false;
	fprintf(stderr, "the input device is not a TTY\n");
	return true;
}
