/*
 * Changing what a container may use, and its restart policy. A container that runs has the new limits first, and then they are recorded; if either fails,
 * it gets the old ones back and the record stays. Two updates at once: the record is only replaced if it is still the one that the change began with.
 */
#include <errno.h>
#include <string.h>

#include "engine/engine-private.h"
#include "proto/frame.h"
#include "proto/monitor.h"

enum { TRIES = 10 };

/* docker's rules of what may follow on what. */
static int check_change(const json_t *hc, const json_t *change, struct err *e)
{
	int64_t memory = json_int(change, "Memory", 0), swap = json_int(hc, "MemorySwap", 0);
	const char *policy = json_str(json_object_get(change, "RestartPolicy"), "Name");
	static const struct {
		const char *now, *then, *text;
	} conflicts[] = {
		{"CpuPeriod", "NanoCpus", "Nano CPUs cannot be updated as CPU Period has already been set"},
		{"CpuQuota", "NanoCpus", "Nano CPUs cannot be updated as CPU Quota has already been set"},
		{"NanoCpus", "CpuPeriod", "CPU Period cannot be updated as NanoCPUs has already been set"},
		{"NanoCpus", "CpuQuota", "CPU Quota cannot be updated as NanoCPUs has already been set"},
	};

	for (size_t i = 0; i < sizeof(conflicts) / sizeof(*conflicts); i++)
		if (json_int(hc, conflicts[i].now, 0) > 0 && json_int(change, conflicts[i].then, 0) > 0)
			return err_set(e, EBUSY, "Conflicting options: %s", conflicts[i].text);
	if (memory && swap > 0 && memory > swap && !json_int(change, "MemorySwap", 0))
		return err_set(e, EBUSY,
			"Memory limit should be smaller than already set memoryswap limit, update the memoryswap at "
			"the same time");
	if (!str_empty(policy) && strcmp(policy, "no") != 0 && json_flag(hc, "AutoRemove"))
		return err_set(
			e, EBUSY, "Restart policy cannot be updated because AutoRemove is enabled for the container");
	return 0;
}

static bool is_nothing(const char *key, const json_t *v)
{
	return (json_is_integer(v) && !json_integer_value(v) && strcmp(key, "PidsLimit") != 0) ||
		(json_is_string(v) && !json_string_length(v));
}

/* The record with the change in it. */
static int change_record(const struct found *f, const json_t *change, json_t *warnings, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *record = json_deep_copy(f->record);
	json_t *hc = json_object_get(record, "HostConfig"), *v;
	const char *key;

	if (!hc)
		return err_nomem(e);
	int r = check_change(hc, change, e);
	json_object_foreach((json_t *)change, key, v)
		if (!is_nothing(key, v) && json_object_set(hc, key, v) < 0)
			return err_nomem(e);
	json_array_clear(warnings);
	if (r == 0)
		r = resources_check(hc, record_isolation(record), warnings, e);
	if (r == 0)
		*ret = steal_ptr(record);
	return r;
}

/* No more of a plan than what says what may be used. */
static int limits_of(const json_t *record, struct plan *p, struct err *e)
{
	const json_t *hc = json_object_get(record, "HostConfig");
	const char *cpus = json_str(hc, "CpusetCpus"), *mems = json_str(hc, "CpusetMems");

	p->privileged = json_flag(hc, "Privileged");
	if (!str_empty(cpus) && !(p->cpuset_cpus = strdup(cpus)))
		return err_nomem(e);
	if (!str_empty(mems) && !(p->cpuset_mems = strdup(mems)))
		return err_nomem(e);
	return resources_plan(hc, p) < 0 ? err_nomem(e) : 0;
}

static int apply(struct engine *g, const struct found *f, const json_t *record, struct err *e)
{
	_cleanup_(plan_done) struct plan p = {0};
	_cleanup_buf_ struct buf encoded = {0}, b = {0};
	int r = limits_of(record, &p, e);

	if (r == 0)
		r = isolation_check(record_isolation(record), &g->host, &p, e);
	if (r < 0 || !f->running || f->live.phase == STATE_RESTARTING)
		return r;
	if (plan_encode(&p, &encoded) < 0 || wire_add_bytes(&b, encoded.data, encoded.len) < 0)
		return err_nomem(e);
	r = monitor_simple(f, MONITOR_UPDATE, b.data, b.len, e);
	return r == -ESRCH || r == -ECONNRESET ? 0 : r; /* it has ended meanwhile */
}

/* 1: recorded; 0: somebody else has changed the record. */
static int record_change(struct engine *g, const struct found *f, const json_t *record, struct err *e)
{
	_cleanup_free_ char *text = json_dumps(record, JSON_COMPACT);
	struct db *db;

	if (!text)
		return err_nomem(e);
	int r = engine_db(g, &db, e);
	return r < 0 ? r : containers_set_record(db, f->row.id, f->row.record, text, e);
}

static int update_once(struct engine *g, const char *ref, const json_t *change, json_t *warnings, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_json_ json_t *record = NULL;
	struct err none;

	int r = container_find(g, ref, &f, e);
	if (r < 0)
		return r;
	r = change_record(&f, change, warnings, &record, e);
	if (r == 0) {
		r = apply(g, &f, record, e);
		if (r == 0)
			r = record_change(g, &f, record, e);
		if (r < 0)
			apply(g, &f, f.record, &none);
		if (r > 0)
			event_of(g, &f.row, record, "update", NULL);
	}
	if (r >= 0)
		return r;
	return err_wrap(e, "Cannot update container %s", f.row.id);
}

int engine_update(struct engine *g, const char *ref, const json_t *change, json_t **ret_warnings, struct err *e)
{
	_cleanup_json_ json_t *warnings = json_array();
	int r = hostconfig_check(change, e);

	if (r < 0)
		return r;
	r = 0;
	for (int tries = 0; r == 0 && tries < TRIES; tries++)
		r = update_once(g, ref, change, warnings, e);
	if (r == 0)
		r = err_set(e, EBUSY, "Cannot update container %s: it is being changed again and again", ref);
	if (r > 0)
		*ret_warnings = steal_ptr(warnings);
	return r < 0 ? r : 0;
}
