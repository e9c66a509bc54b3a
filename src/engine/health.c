/*
 * Health checks in the record, and what a container's monitor found, as docker's State.Health: in the run directory while it runs, then in the
 * container's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "engine/engine-private.h"

enum { FILE_MAX = 256 * 1024, NS_PER_MS = 1000000, INTERVAL_MS = 30000, START_INTERVAL_MS = 5000, RETRIES = 3 };

#define HEALTH_FILE "health"

/* ["CMD", "curl", ...], ["CMD-SHELL", "curl ..."]; ["NONE"] and [] are none. */
static json_t *command_of(const json_t *config)
{
	const json_t *test = json_path(config, "Healthcheck.Test");
	const char *kind = json_string_value(json_array_get(test, 0));
	json_t *command;

	if (!kind || !strcmp(kind, "NONE") || json_array_size(test) < 2)
		return NULL;
	if (strcmp(kind, "CMD-SHELL") != 0) {
		command = json_copy((json_t *)test);
		json_array_remove(command, 0);
		return command;
	}
	command = json_array_size(json_object_get(config, "Shell")) ? json_copy(json_object_get(config, "Shell"))
								    : json_pack("[s,s]", "/bin/sh", "-c");
	json_array_append(command, json_array_get(test, 1));
	return command;
}

static int check_duration(const json_t *h, const char *key, struct err *e)
{
	int64_t ns = json_int(h, key, 0);

	return ns && ns < NS_PER_MS ? err_set(e, EINVAL, "%s in Healthcheck cannot be less than 1ms", key) : 0;
}

int health_check_config(const json_t *config, struct err *e)
{
	static const char *const durations[] = {"Interval", "Timeout", "StartPeriod", "StartInterval"};
	static const char *const kinds[] = {"NONE", "CMD", "CMD-SHELL", NULL};
	const json_t *h = json_object_get(config, "Healthcheck");
	const char *kind = json_string_value(json_array_get(json_object_get(h, "Test"), 0));

	for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++)
		if (check_duration(h, durations[i], e) < 0)
			return -EINVAL;
	if (json_int(h, "Retries", 0) < 0)
		return err_set(e, EINVAL, "Retries in Healthcheck cannot be negative");
	if (kind && !str_in(kind, kinds))
		return err_set(e, EINVAL, "Unknown healthcheck type '%s' (expected 'CMD')", kind);
	return 0;
}

void health_inherit(json_t *config, const json_t *image)
{
	json_t *theirs = json_object_get(image, "Healthcheck"), *own = json_object_get(config, "Healthcheck");
	const char *key;
	json_t *v;

	if (!json_is_object(theirs))
		return;
	if (!json_is_object(own)) {
		json_object_set_new(config, "Healthcheck", json_deep_copy(theirs));
		return;
	}
	json_object_foreach(theirs, key, v) {
		const json_t *mine = json_object_get(own, key);
		if (!mine || (json_is_array(mine) && !json_array_size(mine)) ||
			(json_is_integer(mine) && !json_integer_value(mine)))
			json_object_set(own, key, v);
	}
}

static uint64_t ms_of(const json_t *h, const char *key, uint64_t usual)
{
	int64_t ns = json_int(h, key, 0);

	return ns > 0 ? (uint64_t)(ns / NS_PER_MS) : usual;
}

int engine_health_check(struct engine *g, const char *id, struct health_check *ret, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	struct db *db;

	*ret = (struct health_check){0};
	int r = engine_db(g, &db, e);
	if (r == 0)
		r = containers_find(db, id, &row, e);
	if (r < 0)
		return r;
	_cleanup_json_ json_t *record = json_loads(row.record, 0, NULL);
	const json_t *config = json_object_get(record, "Config"), *h = json_object_get(config, "Healthcheck");
	_cleanup_json_ json_t *command = command_of(config);
	if (!command)
		return 0;
	_cleanup_json_ json_t *body = json_pack("{s:O}", "Cmd", command);
	ret->interval_ms = ms_of(h, "Interval", INTERVAL_MS);
	ret->timeout_ms = ms_of(h, "Timeout", INTERVAL_MS);
	ret->start_period_ms = ms_of(h, "StartPeriod", 0);
	ret->start_interval_ms = ms_of(h, "StartInterval", START_INTERVAL_MS);
	ret->retries = (uint32_t)json_int(h, "Retries", 0);
	if (!ret->retries)
		ret->retries = RETRIES;
	r = engine_plan_exec(g, record, body, &ret->probe, e);
	if (r < 0)
		health_check_done(ret);
	return r;
}

static json_t *state_json(const struct health_state *s)
{
	json_t *log = json_array();
	char start[40], end[40];

	for (size_t i = 0; i < s->log_len; i++)
		json_array_append_new(log,
			json_pack("{s:s, s:s, s:i, s:o}", "Start", clock_rfc3339(s->log[i].start_ns, start), "End",
				clock_rfc3339(s->log[i].end_ns, end), "ExitCode", s->log[i].status, "Output",
				json_from_str(s->log[i].output)));
	return json_pack("{s:s, s:i, s:o}", "Status", health_status_name(s->status), "FailingStreak", (int)s->streak,
		"Log", log);
}

static int open_run_dir(struct engine *g, const char *id)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", id);
	return openat(g->run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int write_state(int dir, const json_t *o)
{
	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);

	return text ? file_replace(dir, HEALTH_FILE, text, strlen(text), 0600) : -ENOMEM;
}

void engine_container_health(struct engine *g, const char *id, const struct health_state *s, bool changed)
{
	_cleanup_close_ int dir = open_run_dir(g, id);
	_cleanup_json_ json_t *o = state_json(s);
	char action[40];

	if (dir >= 0 && o)
		write_state(dir, o);
	snprintf(action, sizeof(action), "health_status: %s", health_status_name(s->status));
	if (changed)
		engine_container_event(g, id, action, NULL);
}

/* docker's: one that does not run is not healthy. */
void health_keep(struct engine *g, const char *id)
{
	_cleanup_close_ int from = open_run_dir(g, id), to = -1;
	struct err none;

	_cleanup_json_ json_t *o = from < 0 ? NULL : json_parse_file(from, HEALTH_FILE, FILE_MAX, &none);
	if (!o || container_dir(g, id, &to) < 0)
		return;
	json_object_set_new(o, "Status", json_string("unhealthy"));
	write_state(to, o);
}

json_t *health_json(struct engine *g, const struct found *f)
{
	_cleanup_json_ json_t *command = command_of(json_object_get(f->record, "Config"));
	_cleanup_close_ int own = -1;
	struct err none;
	json_t *o = NULL;

	if (!command)
		return NULL;
	if (f->running && f->live.phase != STATE_RESTARTING)
		o = json_parse_file(f->run_dir, HEALTH_FILE, FILE_MAX, &none);
	else if (container_dir(g, f->row.id, &own) == 0)
		o = json_parse_file(own, HEALTH_FILE, FILE_MAX, &none);
	return o ? o
		 : json_pack("{s:s, s:i, s:[]}", "Status", f->running ? "starting" : "unhealthy", "FailingStreak", 0,
			   "Log");
}
