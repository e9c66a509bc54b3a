/*
 * What arguments and values of options may be. An argument is known by its word in the command's synopsis, "CONTAINER", "[IMAGE...]"; a value by the option's
 * name; the names of filters by the option's help, "... match: name, label or dangling=VALUE".
 */
#include "cli/complete.h"

#include <string.h>

#include "base/json.h"
#include "base/path.h"

/* ---- things that there are ---- */

static struct engine *engine(struct completing *c)
{
	struct err none;

	return cli_engine(c->cli, &none);
}

static void add_unless_done(struct completing *c, const char *value, const char *text)
{
	if (!strv_has(c->done, value))
		complete_add(c, value, text);
}

/* states: NULL for all */
static void add_containers(struct completing *c, const char *states, const char *suffix)
{
	_cleanup_json_ json_t *list = NULL;
	_cleanup_strv_ char **wanted = states ? strv_split(states, " ") : NULL;
	struct engine *g = engine(c);
	struct err none;
	size_t i;
	json_t *x;

	if (!g || engine_list(g, true, NULL, &list, &none) < 0)
		return;
	json_array_foreach(list, i, x) {
		const char *name = json_string_value(json_array_get(json_object_get(x, "Names"), 0));
		_cleanup_free_ char *value = name ? str_fmt("%s%s", name + (*name == '/'), suffix) : NULL;
		_cleanup_free_ char *id = strndup(json_str(x, "Id"), 12);
		if (wanted && !strv_has(wanted, json_str(x, "State")))
			continue;
		if (value)
			add_unless_done(c, value, json_str(x, "Status"));
		if (id && *c->word && !*suffix) /* whoever types an id */
			add_unless_done(c, id, name);
	}
}

static void add_images(struct completing *c, bool repositories)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = engine(c);
	struct err none;
	size_t i, k;
	json_t *image, *tag;

	if (!g || engine_image_list(g, true, NULL, &list, &none) < 0)
		return;
	json_array_foreach(list, i, image) {
		json_array_foreach(json_object_get(image, "RepoTags"), k, tag) {
			_cleanup_free_ char *name = strdup(json_string_value(tag));
			char *colon = name ? strrchr(name, ':') : NULL;
			if (!colon)
				continue;
			bool latest = !strcmp(colon, ":latest");
			if (!repositories && (!latest || strchr(path_base(c->word), ':')))
				add_unless_done(c, name, NULL);
			*colon = 0;
			if (repositories || latest)
				add_unless_done(c, name, NULL);
		}
	}
}

/* The values of one member of each object of a list. */
static void add_members(struct completing *c, const json_t *list, const char *member, const char *text)
{
	size_t i;
	json_t *x;

	json_array_foreach((json_t *)list, i, x)
		if (json_str(x, member))
			add_unless_done(c, json_str(x, member), text ? json_str(x, text) : NULL);
}

static void add_networks(struct completing *c)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = engine(c);
	struct err none;

	if (g && engine_network_list(g, NULL, &list, &none) == 0)
		add_members(c, list, "Name", "Driver");
}

static void add_volumes(struct completing *c)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = engine(c);
	struct err none;

	if (g && engine_volume_list(g, NULL, &list, &none) == 0)
		add_members(c, list, "Name", NULL);
}

static void add_kernels(struct completing *c)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = engine(c);
	struct err none;

	if (strchr("./~", *c->word) && *c->word) {
		c->end = COMPLETE_FILES;
		return;
	}
	if (g && engine_kernel_list(g, &list, &none) == 0)
		add_members(c, list, "Version", "Origin");
	complete_add(c, "auto", "The newest, or one that was built here");
}

static void add_templates(struct completing *c)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = engine(c);
	struct err none;

	if (g && engine_template_list(g, &list, &none) == 0)
		add_members(c, list, "Name", NULL);
}

static void add_anything(struct completing *c)
{
	add_containers(c, NULL, "");
	add_images(c, false);
	add_networks(c);
	add_volumes(c);
}

/* "CONTAINER:PATH" or a path of the host, which it is for one of two */
static void add_copied(struct completing *c)
{
	bool from_container = c->done[0] && strchr(c->done[0], ':');

	if (from_container || (strchr("./~", *c->word) && *c->word)) {
		c->end = COMPLETE_FILES;
		return;
	}
	c->end = COMPLETE_NO_SPACE;
	add_containers(c, NULL, ":");
}

/* ---- arguments ---- */

/* The containers that a command can do something to; all for the others. */
static const char *states_of(const struct command *command)
{
	static const struct {
		const struct command *command;
		const char *states;
	} rows[] = {
		{&cmd_attach, "running"},
		{&cmd_audit, "running"},
		{&cmd_exec, "running"},
		{&cmd_kill, "running paused"},
		{&cmd_pause, "running"},
		{&cmd_port, "running paused"},
		{&cmd_start, "created exited"},
		{&cmd_stats, "running"},
		{&cmd_stop, "running paused restarting"},
		{&cmd_top, "running"},
		{&cmd_unpause, "paused"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].command == command)
			return rows[i].states;
	return NULL;
}

/* The synopsis' word for the nth argument, "CONTAINER" of "[CONTAINER...]"; the last one may be repeated. */
static void argument_word(const char *synopsis, size_t n, char *ret, size_t size)
{
	_cleanup_strv_ char **words = strv_split(synopsis, " \n\t");
	const char *found = "";

	strv_foreach(w, words) {
		if (!strcmp(w, "[OPTIONS]"))
			continue;
		found = w;
		if (!n--)
			break;
	}
	if (n != (size_t)-1 && !strstr(found, "..."))
		found = "";
	found += *found == '[';
	snprintf(ret, size, "%.*s", (int)strcspn(found, "[]."), found);
}

void complete_argument(struct completing *c, const struct command *command, size_t n)
{
	char word[64];

	if (command->max_args >= 0 && n >= (size_t)command->max_args)
		return;
	argument_word(command->synopsis, n, word, sizeof(word));
	if (!strcmp(word, "CONTAINER"))
		add_containers(c, states_of(command), "");
	else if (!strcmp(word, "IMAGE") || str_starts(word, "SOURCE_IMAGE") || str_starts(word, "TARGET_IMAGE") ||
		!strcmp(word, "NAME"))
		add_images(c, false);
	else if (!strcmp(word, "REPOSITORY"))
		add_images(c, true);
	else if (!strcmp(word, "NETWORK") && command != &cmd_network_create)
		add_networks(c);
	else if (!strcmp(word, "VOLUME") && command != &cmd_volume_create)
		add_volumes(c);
	else if (!strcmp(word, "TEMPLATE"))
		add_templates(c);
	else if (!strcmp(word, "NAME|ID"))
		add_anything(c);
	else if (str_starts(word, "FILE") || str_starts(word, "PATH"))
		c->end = COMPLETE_FILES;
	else if (str_starts(word, "KERNEL"))
		add_kernels(c);
	else if (strstr(word, "PATH"))
		add_copied(c);
}

/* ---- values of options ---- */

static void add_network_modes(struct completing *c)
{
	static const char other[] = "container:";
	_cleanup_free_ char *before = str_fmt("%s%s", c->before, other);

	if (before && str_starts(c->word, other)) {
		c->before = before;
		c->word += strlen(other);
		add_containers(c, "running", "");
		c->before = "";
		return;
	}
	complete_words(c, other);
	add_networks(c);
}

/* "-v NAME:..." or "-v /path:..." */
static void add_sources(struct completing *c)
{
	_cleanup_json_ json_t *list = NULL;
	struct engine *g = engine(c);
	struct err none;
	size_t i;
	json_t *v;

	if (strchr("./~", *c->word) && *c->word) {
		c->end = COMPLETE_FILES;
		return;
	}
	c->end = COMPLETE_NO_SPACE;
	if (!g || engine_volume_list(g, NULL, &list, &none) < 0)
		return;
	json_array_foreach(list, i, v) {
		_cleanup_free_ char *value = str_fmt("%s:", json_str(v, "Name"));
		if (value)
			complete_add(c, value, NULL);
	}
}

static void add_signals(struct completing *c)
{
	for (int sig = 1; sig < 32; sig++)
		if (signal_name(sig))
			complete_add(c, signal_name(sig) + strlen("SIG"), NULL);
}

static void add_audit_keys(struct completing *c)
{
	for (size_t i = 0; engine_audit_key(i); i++)
		complete_add(c, engine_audit_key(i), NULL);
}

static void add_environment(struct completing *c)
{
	for (char *const *e = environ; *e; e++) {
		_cleanup_free_ char *name = strndup(*e, strcspn(*e, "="));
		if (name)
			complete_add(c, name, NULL);
	}
}

static void add_all_images(struct completing *c)
{
	add_images(c, false);
}

static void add_all_containers(struct completing *c)
{
	add_containers(c, NULL, "");
}

static void add_files(struct completing *c)
{
	c->end = COMPLETE_FILES;
}

static void add_directories(struct completing *c)
{
	c->end = COMPLETE_DIRECTORIES;
}

#define CAPABILITIES                                                                                                   \
	"ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE "            \
	"DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD "    \
	"NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN "     \
	"SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG " \
	"WAKE_ALARM"

/* By the option's name, or the filter's. */
struct values {
	const char *name, *words;
	void (*add)(struct completing *c);
};

static const struct values option_values[] = {
	{"attach", "STDIN STDOUT STDERR", NULL},
	{"cap-add", CAPABILITIES, NULL},
	{"cap-drop", CAPABILITIES, NULL},
	{"cgroupns", "host private", NULL},
	{"cidfile", NULL, add_files},
	{"config", NULL, add_files},
	{"device", NULL, add_files},
	{"driver", "bridge local", NULL},
	{"env", NULL, add_environment},
	{"env-file", NULL, add_files},
	{"format", "json table", NULL},
	{"input", NULL, add_files},
	{"ipc", "host none private shareable container:", NULL},
	{"isolation", "default hyperv process vm", NULL},
	{"kernel", NULL, add_files},
	{"label-file", NULL, add_files},
	{"log-driver", "json-file none", NULL},
	{"mount", "type=bind type=tmpfs type=volume", NULL},
	{"network", NULL, add_network_modes},
	{"network-policy", "closed open", NULL},
	{"output", NULL, add_files},
	{"pid", "host container:", NULL},
	{"platform", "linux/amd64 linux/arm64 linux/386", NULL},
	{"pull", "always missing never", NULL},
	{"require", NULL, add_audit_keys},
	{"restart", "always no on-failure unless-stopped", NULL},
	{"root", NULL, add_directories},
	{"run", NULL, add_directories},
	{"security-opt", "no-new-privileges seccomp= systempaths=unconfined apparmor=unconfined label=disable", NULL},
	{"signal", NULL, add_signals},
	{"stop-signal", NULL, add_signals},
	{"storage-opt", "size=", NULL},
	{"timing", "json table", NULL},
	{"type", "container image network volume", NULL},
	{"userns", "host", NULL},
	{"uts", "host", NULL},
	{"volume", NULL, add_sources},
	{"volume-driver", "local", NULL},
	{"volumes-from", NULL, add_all_containers},
};

static const struct values filter_values[] = {
	{"ancestor", NULL, add_all_images},
	{"before", NULL, add_all_containers},
	{"container", NULL, add_all_containers},
	{"dangling", "false true", NULL},
	{"driver", "bridge local", NULL},
	{"health", "healthy none starting unhealthy", NULL},
	{"image", NULL, add_all_images},
	{"is-task", "false true", NULL},
	{"isolation", "hyperv process", NULL},
	{"network", NULL, add_networks},
	{"reference", NULL, add_all_images},
	{"since", NULL, add_all_containers},
	{"status", "created dead exited paused removing restarting running", NULL},
	{"type", "builtin container custom image network volume", NULL},
	{"volume", NULL, add_volumes},
};

static void add_values(struct completing *c, const struct values *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, name) != 0)
			continue;
		if (table[i].words)
			complete_words(c, table[i].words);
		if (table[i].add)
			table[i].add(c);
	}
}

/* The names that the help has behind "match:", with "=" behind them. */
static void add_filters(struct completing *c, const char *help)
{
	const char *list = strstr(help, "match: ");
	_cleanup_strv_ char **words = list ? strv_split(list + strlen("match: "), ", ") : NULL;

	c->end = COMPLETE_NO_SPACE;
	strv_foreach(w, words) {
		_cleanup_free_ char *name = str_fmt("%.*s=", (int)strcspn(w, "="), w);
		if (name && strcmp(w, "or") != 0)
			complete_add(c, name, NULL);
	}
}

static void complete_filter(struct completing *c, const struct opt *o)
{
	const char *equals = strchr(c->word, '=');
	_cleanup_free_ char *name = equals ? strndup(c->word, (size_t)(equals - c->word)) : NULL;
	_cleanup_free_ char *before = name ? str_fmt("%s%s=", c->before, name) : NULL;

	if (!before)
		return add_filters(c, o->help ? o->help : "");
	c->before = before;
	c->word = equals + 1;
	add_values(c, filter_values, sizeof(filter_values) / sizeof(*filter_values), name);
	c->before = "";
}

void complete_value(struct completing *c, const struct opt *o)
{
	if (o->type == &opt_filter)
		complete_filter(c, o);
	else if (!*o->type->arg)
		complete_words(c, "true false");
	else
		add_values(c, option_values, sizeof(option_values) / sizeof(*option_values), o->name);
}
