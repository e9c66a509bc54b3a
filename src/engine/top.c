/*
 * The processes of a container in the columns that the options of ps ask for. In hyperv mode there is no ps of the host's that could see them: the options
 * are read here, in the forms that people use: -ef, aux, -o LIST, -e.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine-private.h"
#include "proto/frame.h"
#include "proto/monitor.h"

/* What a line of the monitor's has (sandbox/ps.h), by tabs. */
enum field {
	F_USER,
	F_PID,
	F_PPID,
	F_C,
	F_STIME,
	F_TTY,
	F_TIME,
	F_STAT,
	F_VSZ,
	F_RSS,
	F_NICE,
	F_PCPU,
	F_PMEM,
	F_ELAPSED,
	F_COMM,
	F_CMD,
	FIELDS
};

static const struct column {
	const char *name, *title;
	enum field field;
} columns[] = {
	{"%cpu", "%CPU", F_PCPU},
	{"%mem", "%MEM", F_PMEM},
	{"args", "COMMAND", F_CMD},
	{"c", "C", F_C},
	{"cmd", "CMD", F_CMD},
	{"comm", "COMMAND", F_COMM},
	{"command", "COMMAND", F_CMD},
	{"cputime", "TIME", F_TIME},
	{"etime", "ELAPSED", F_ELAPSED},
	{"etimes", "ELAPSED", F_ELAPSED},
	{"euid", "EUID", F_USER},
	{"euser", "EUSER", F_USER},
	{"ni", "NI", F_NICE},
	{"nice", "NI", F_NICE},
	{"pcpu", "%CPU", F_PCPU},
	{"pid", "PID", F_PID},
	{"pmem", "%MEM", F_PMEM},
	{"ppid", "PPID", F_PPID},
	{"rss", "RSS", F_RSS},
	{"s", "S", F_STAT},
	{"start", "START", F_STIME},
	{"start_time", "START", F_STIME},
	{"stat", "STAT", F_STAT},
	{"state", "S", F_STAT},
	{"stime", "STIME", F_STIME},
	{"time", "TIME", F_TIME},
	{"tname", "TTY", F_TTY},
	{"tt", "TT", F_TTY},
	{"tty", "TT", F_TTY},
	{"ucmd", "CMD", F_COMM},
	{"uid", "UID", F_USER},
	{"user", "USER", F_USER},
	{"vsize", "VSZ", F_VSZ},
	{"vsz", "VSZ", F_VSZ},
};

enum { COLUMNS_MAX = 32 };
struct layout {
	struct column column[COLUMNS_MAX];
	size_t len;
};

static const struct layout full = {
	{{"", "UID", F_USER}, {"", "PID", F_PID}, {"", "PPID", F_PPID}, {"", "C", F_C}, {"", "STIME", F_STIME},
		{"", "TTY", F_TTY}, {"", "TIME", F_TIME}, {"", "CMD", F_CMD}},
	8};
static const struct layout bsd = {
	{{"", "USER", F_USER}, {"", "PID", F_PID}, {"", "%CPU", F_PCPU}, {"", "%MEM", F_PMEM}, {"", "VSZ", F_VSZ},
		{"", "RSS", F_RSS}, {"", "TTY", F_TTY}, {"", "STAT", F_STAT}, {"", "START", F_STIME},
		{"", "TIME", F_TIME}, {"", "COMMAND", F_CMD}},
	11};
static const struct layout plain = {
	{{"", "PID", F_PID}, {"", "TTY", F_TTY}, {"", "TIME", F_TIME}, {"", "CMD", F_COMM}}, 4};

static int add_columns(struct layout *l, const char *list, struct err *e)
{
	_cleanup_strv_ char **names = strv_split(list, ", ");

	strv_foreach(name, names) {
		size_t i = 0, n = sizeof(columns) / sizeof(*columns);
		while (i < n && strcmp(columns[i].name, name) != 0)
			i++;
		if (i == n)
			return err_set(e, EINVAL, "ps: unknown user-defined format specifier \"%s\"", name);
		if (l->len == COLUMNS_MAX)
			return err_set(e, E2BIG, "ps: too many columns");
		l->column[l->len++] = columns[i];
	}
	return names ? 0 : err_set(e, EINVAL, "ps: empty format list");
}

/* One word of letters: "-ef", "-e", "aux", "-eo". *ret_list: a list follows. */
static int read_letters(const char *word, struct layout *l, bool *ret_list, struct err *e)
{
	bool dash = *word == '-';
	const char *letters = word + dash;

	if (!*letters || strspn(letters, "AaefFuxo") != strlen(letters))
		return err_set(e, ENOTSUP, "ps option '%s' is not known: use -ef, aux, -e or -o LIST", word);
	*ret_list = strchr(letters, 'o');
	if (strpbrk(letters, "fF"))
		*l = full;
	else if (strchr(letters, 'u'))
		*l = bsd;
	return 0;
}

static int read_options(char *const args[], struct layout *l, struct err *e)
{
	struct layout own = {.len = 0};

	*l = args && *args ? plain : full;
	for (char *const *a = args; a && *a; a++) {
		bool list = false;
		const char *text = NULL;
		if (!strncmp(*a, "-o", 2) && (*a)[2])
			text = *a + 2;
		else if (str_starts(*a, "--format="))
			text = *a + strlen("--format=");
		else if (!strcmp(*a, "--format"))
			list = true;
		else if (read_letters(*a, l, &list, e) < 0)
			return -e->code;
		if (list && !(text = *++a))
			return err_set(e, EINVAL, "ps: a list of columns must follow %s", *(a - 1));
		if (text && add_columns(&own, text, e) < 0)
			return -e->code;
	}
	if (!own.len)
		return 0;
	*l = own;
	/* docker finds the container's processes by it */
	for (size_t i = 0; i < l->len; i++)
		if (l->column[i].field == F_PID)
			return 0;
	return err_set(e, EINVAL, "Couldn't find PID field in ps output");
}

static json_t *cell(const struct column *c, char *const *fields)
{
	char text[40];

	if (!strcmp(c->title, "S"))
		return json_sprintf("%.1s", fields[c->field]);
	if (strcmp(c->name, "etime") != 0)
		return json_from_str(fields[c->field]);
	unsigned long s = strtoul(fields[c->field], NULL, 10);
	if (s < 3600)
		snprintf(text, sizeof(text), "%02lu:%02lu", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, sizeof(text), "%02lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(text, sizeof(text), "%lu-%02lu:%02lu:%02lu", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
	return json_string(text);
}

static json_t *process_row(const struct layout *l, const char *line)
{
	_cleanup_strv_ char **fields = strv_split(line, "\t");
	json_t *row = json_array();

	for (size_t i = 0; i < l->len; i++)
		json_array_append_new(row, strv_len(fields) == FIELDS ? cell(&l->column[i], fields) : json_string(""));
	return row;
}

int top_rows(char *const args[], char *const *lines, json_t **ret, struct err *e)
{
	struct layout l;
	int r = read_options(args, &l, e);

	if (r < 0)
		return r;
	json_t *titles = json_array(), *rows = json_array();
	for (size_t i = 0; i < l.len; i++)
		json_array_append_new(titles, json_string(l.column[i].title));
	strv_foreach(line, lines)
		json_array_append_new(rows, process_row(&l, line));
	*ret = json_pack("{s:o, s:o}", "Titles", titles, "Processes", rows);
	return *ret ? 0 : err_nomem(e);
}

int engine_top(struct engine *g, const char *ref, char *const args[], json_t **ret, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_strv_ char **lines = NULL;
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	struct frame a;

	int r = container_find(g, ref, &f, e);
	if (r == 0 && !f.running)
		r = err_set(e, ESRCH, "Container %s is not running", f.row.id);
	if (r == 0)
		r = monitor_call(&f, MONITOR_PS, NULL, 0, &sock, e);
	if (r == 0)
		r = monitor_answer(sock, &b, &a, e);
	if (r < 0)
		return r;
	struct wire w = {.p = a.payload, .left = a.len};
	for (uint32_t n = wire_u32(&w); n && !w.bad; n--) {
		_cleanup_free_ char *line = wire_str(&w);
		if (line && strv_push(&lines, line) < 0)
			return err_nomem(e);
	}
	r = top_rows(args, lines, ret, e);
	if (r == 0)
		event_of(g, &f.row, f.record, "top", NULL);
	return r;
}
