/* `import --change`: the Dockerfile instructions that need no build. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "image/fetch.h"

/* Words separated by blanks; quotes and backslashes as in a Dockerfile. */
static int split_words(const char *s, char ***ret, struct err *e)
{
	_cleanup_strv_ char **words = NULL;

	while (*(s += strspn(s, " \t"))) {
		_cleanup_buf_ struct buf word = {0};
		char quote = 0;
		for (; *s && (quote || !strchr(" \t", *s)); s++) {
			if (quote ? *s == quote : *s == '"' || *s == '\'') {
				quote = quote ? 0 : *s;
				continue;
			}
			if (*s == '\\' && s[1] && quote != '\'')
				s++;
			if (buf_add(&word, s, 1) < 0)
				return err_nomem(e);
		}
		if (quote)
			return err_set(e, EINVAL, "a quote %c is not closed", quote);
		if (strv_push(&words, word.len ? word.data : "") < 0)
			return err_nomem(e);
	}
	*ret = steal_ptr(words);
	return 0;
}

/* A JSON array of strings, or NULL if it is not one. */
static json_t *exec_form(const char *value)
{
	struct err ignored = ERR_INIT;
	_cleanup_json_ json_t *a = *value == '[' ? json_parse(value, strlen(value), "instruction", &ignored) : NULL;
	size_t i;
	json_t *j;

	if (!json_is_array(a))
		return NULL;
	json_array_foreach(a, i, j)
		if (!json_is_string(j))
			return NULL;
	return steal_ptr(a);
}

static int change_command(json_t *config, const char *key, const char *value, struct err *e)
{
	json_t *a = exec_form(value);

	if (!a)
		a = json_pack("[s, s, s]", "/bin/sh", "-c", value);
	return a && json_set(config, key, a) == 0 ? 0 : err_nomem(e);
}

/* "--interval=30s" and the like, each as nanoseconds but for --retries. */
static int health_option(json_t *check, const char *word, struct err *e)
{
	static const char *const names[][2] = {{"--interval=", "Interval"}, {"--timeout=", "Timeout"},
		{"--start-period=", "StartPeriod"}, {"--start-interval=", "StartInterval"}};
	int64_t ns;
	int n;

	if (str_starts(word, "--retries=") && parse_int(word + strlen("--retries="), &n) == 0 && n > 0)
		return json_set(check, "Retries", json_integer(n)) < 0 ? err_nomem(e) : 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_starts(word, names[i][0]) && clock_parse_duration(word + strlen(names[i][0]), &ns) == 0)
			return json_set(check, names[i][1], json_integer(ns)) < 0 ? err_nomem(e) : 0;
	return err_set(e, EINVAL, "HEALTHCHECK: %s", word);
}

/* NONE, or [--interval=30s ...] CMD and a command. */
static int change_health(json_t *config, const char *key, const char *value, struct err *e)
{
	_cleanup_json_ json_t *check = json_object();
	size_t n;

	for (; str_starts(value, "--"); value += strspn(value, " \t")) {
		_cleanup_free_ char *word = strndup(value, n = strcspn(value, " \t"));
		int r = word ? health_option(check, word, e) : err_nomem(e);
		if (r < 0)
			return r;
		value += n;
	}
	n = strcspn(value, " \t");
	const char *command = value + n + strspn(value + n, " \t");
	bool none = n == 4 && !strncasecmp(value, "NONE", n), cmd = n == 3 && !strncasecmp(value, "CMD", n) && *command;
	if (!none && !cmd)
		return err_set(e, EINVAL, "HEALTHCHECK: NONE or CMD and a command is needed");
	json_t *test = none ? json_pack("[s]", "NONE") : exec_form(command);
	if (test && cmd)
		json_array_insert_new(test, 0, json_string("CMD"));
	if (!test)
		test = json_pack("[s, o]", "CMD-SHELL", json_from_str(command));
	if (json_set(check, "Test", test) < 0 || json_set(config, key, json_incref(check)) < 0)
		return err_nomem(e);
	return 0;
}

static int change_text(json_t *config, const char *key, const char *value, struct err *e)
{
	return json_set(config, key, json_from_str(value)) < 0 ? err_nomem(e) : 0;
}

/* "K=V K=V" or, the old form, "K V with blanks". */
static int each_pair(
	const char *value, int (*fn)(json_t *config, const char *pair, struct err *e), json_t *config, struct err *e)
{
	_cleanup_strv_ char **words = NULL;
	int r = split_words(value, &words, e);

	if (r == 0 && words && !strchr(words[0], '=') && words[1]) {
		const char *rest = value + strcspn(value, " \t");
		_cleanup_free_ char *pair = str_fmt("%s=%s", words[0], rest + strspn(rest, " \t"));
		return pair ? fn(config, pair, e) : err_nomem(e);
	}
	strv_foreach(w, words) {
		if (r == 0 && (!strchr(w, '=') || *w == '='))
			r = err_set(e, EINVAL, "'%s' is not of the form NAME=VALUE", w);
		if (r == 0)
			r = fn(config, w, e);
	}
	return r;
}

static int add_env(json_t *config, const char *pair, struct err *e)
{
	_cleanup_strv_ char **env = json_strv(json_object_get(config, "Env"));

	if (env_set(&env, pair) < 0)
		return err_nomem(e);
	return json_set(config, "Env", json_from_strv(env)) < 0 ? err_nomem(e) : 0;
}

static json_t *object_at(json_t *config, const char *key)
{
	if (!json_is_object(json_object_get(config, key)))
		json_object_set_new(config, key, json_object());
	return json_object_get(config, key);
}

static int add_label(json_t *config, const char *pair, struct err *e)
{
	const char *value = strchr(pair, '=') + 1;
	_cleanup_free_ char *name = strndup(pair, (size_t)(value - pair) - 1);

	if (!name || json_set(object_at(config, "Labels"), name, json_from_str(value)) < 0)
		return err_nomem(e);
	return 0;
}

static int change_env(json_t *config, const char *key, const char *value, struct err *e)
{
	(void)key;
	return each_pair(value, add_env, config, e);
}

static int change_label(json_t *config, const char *key, const char *value, struct err *e)
{
	(void)key;
	return each_pair(value, add_label, config, e);
}

static bool port_valid(const char *s)
{
	uint32_t port;
	size_t n = strcspn(s, "/");
	_cleanup_free_ char *number = strndup(s, n);

	return number && parse_u32(number, &port) == 0 && port > 0 && port < 65536 &&
		(!s[n] || !strcmp(s + n, "/tcp") || !strcmp(s + n, "/udp") || !strcmp(s + n, "/sctp"));
}

static int change_expose(json_t *config, const char *key, const char *value, struct err *e)
{
	_cleanup_strv_ char **words = NULL;
	int r = split_words(value, &words, e);

	if (r < 0)
		return r;
	strv_foreach(w, words) {
		_cleanup_free_ char *name = str_fmt("%s%s", w, strchr(w, '/') ? "" : "/tcp");
		if (!port_valid(w))
			return err_set(e, EINVAL, "invalid port: %s", w);
		if (!name || json_set(object_at(config, key), name, json_object()) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int change_volume(json_t *config, const char *key, const char *value, struct err *e)
{
	_cleanup_json_ json_t *a = exec_form(value);
	_cleanup_strv_ char **paths = a ? json_strv(a) : NULL;
	int r = a ? 0 : split_words(value, &paths, e);

	if (r < 0)
		return r;
	strv_foreach(p, paths)
		if (json_set(object_at(config, key), p, json_object()) < 0)
			return err_nomem(e);
	return 0;
}

static int change_workdir(json_t *config, const char *key, const char *value, struct err *e)
{
	const char *old = json_str(config, key);
	_cleanup_free_ char *path = *value == '/' ? strdup(value) : str_fmt("%s/%s", str_empty(old) ? "" : old, value);

	return path ? change_text(config, key, path, e) : err_nomem(e);
}

static int change_signal(json_t *config, const char *key, const char *value, struct err *e)
{
	int sig;

	if (parse_signal(value, &sig) < 0)
		return err_set(e, EINVAL, "invalid signal: %s", value);
	return change_text(config, key, value, e);
}

/* What comes later, if that is an instruction which may. */
static int change_onbuild(json_t *config, const char *key, const char *value, struct err *e)
{
	static const char *const refused[] = {"ONBUILD", "FROM", "MAINTAINER"};
	_cleanup_strv_ char **later = json_strv(json_object_get(config, key));

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcspn(value, " \t") == strlen(refused[i]) && !strncasecmp(value, refused[i], strlen(refused[i])))
			return err_set(e, EINVAL, "%s isn't allowed as an ONBUILD trigger", refused[i]);
	if (strv_push(&later, value) < 0)
		return err_nomem(e);
	return json_set(config, key, json_from_strv(later)) < 0 ? err_nomem(e) : 0;
}

static const struct {
	const char *name, *key;
	int (*apply)(json_t *config, const char *key, const char *value, struct err *e);
} instructions[] = {
	{"CMD", "Cmd", change_command},
	{"ENTRYPOINT", "Entrypoint", change_command},
	{"ENV", "Env", change_env},
	{"EXPOSE", "ExposedPorts", change_expose},
	{"HEALTHCHECK", "Healthcheck", change_health},
	{"LABEL", "Labels", change_label},
	{"ONBUILD", "OnBuild", change_onbuild},
	{"STOPSIGNAL", "StopSignal", change_signal},
	{"USER", "User", change_text},
	{"VOLUME", "Volumes", change_volume},
	{"WORKDIR", "WorkingDir", change_workdir},
};

int import_change(json_t *config, const char *change, struct err *e)
{
	const char *start = change + strspn(change, " \t");
	size_t n = strcspn(start, " \t");
	const char *value = start + n + strspn(start + n, " \t");

	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		if (strlen(instructions[i].name) != n || strncasecmp(start, instructions[i].name, n) != 0)
			continue;
		if (!*value)
			return err_set(e, EINVAL, "--change %.*s: no value", (int)n, start);
		int r = instructions[i].apply(config, instructions[i].key, value, e);
		return r < 0 ? err_wrap(e, "--change %s", instructions[i].name) : 0;
	}
	return err_set(e, EINVAL, "--change: unknown instruction: %.*s", (int)n, start);
}
