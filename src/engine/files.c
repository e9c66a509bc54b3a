/* Whose files: a container that runs, or one that is held for this; and the requests to whoever is at work there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/engine-private.h"
#include "proto/files.h"
#include "proto/monitor.h"

struct engine_files {
	struct engine *engine;
	struct found f;
	int hold; /* -1: it runs */
	bool mounts;
};

/* The container, but what its workload would have: only the root and what is mounted in it counts. */
static json_t *files_record(const json_t *record, bool mounts)
{
	static const char *const kept[] = {
		"Isolation", "ReadonlyRootfs", "CgroupParent", "ShmSize", "FreshBoot", "Kernel"};
	json_t *r = json_copy((json_t *)record), *hc = json_object(), *config = json_object(), *own;
	const json_t *old = json_object_get(record, "HostConfig");

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (json_object_get(old, kept[i]))
			json_object_set(hc, kept[i], json_object_get(old, kept[i]));
	json_object_set_new(hc, "NetworkMode", json_string("none"));
	json_object_set_new(config, "OpenStdin", json_true());
	json_object_set(config, "Hostname", json_path(record, "Config.Hostname"));
	own = json_copy(json_object_get(record, "Caisson"));
	json_object_set_new(own, "Security", json_pack("{s:s}", "Seccomp", "unconfined"));
	json_object_set_new(r, "HostConfig", hc);
	json_object_set_new(r, "Config", config);
	json_object_set_new(r, "Caisson", own);
	if (!mounts)
		json_object_set_new(r, "Mounts", json_array());
	return r;
}

int files_plan(struct engine *g, const json_t *record, struct plan *ret, struct err *e)
{
	const struct files_request hold = {.op = FILES_HOLD};
	_cleanup_buf_ struct buf b = {0};
	int r = engine_plan(g, record, ret, e);

	if (r == 0 && files_request_encode(&hold, &b) < 0)
		r = err_nomem(e);
	if (r == 0) {
		ret->process.files_len = b.len;
		ret->process.files = steal_ptr(b.data);
	}
	return r;
}

struct engine *files_engine(const struct engine_files *f)
{
	return f->engine;
}

void files_event(const struct engine_files *f, const char *action, const char *key, const char *value)
{
	json_t *extra = key ? json_pack("{s:o}", key, json_from_str(value)) : NULL;

	event_of(f->engine, &f->f.row, f->f.record, action, extra);
}

const json_t *files_container(const struct engine_files *f)
{
	return f->f.record;
}

const char *files_name(const struct engine_files *f)
{
	return f->f.row.name;
}

/* With the lock: its record is another for the time of this. */
static int hold(struct engine_files *f, int *lock, struct err *e)
{
	json_t *record = f->f.record;

	f->f.record = files_record(record, f->mounts);
	int r = f->f.record ? start_for_files(f->engine, &f->f, lock, &f->hold, e) : err_nomem(e);
	json_decref(f->f.record);
	f->f.record = record;
	if (r < 0)
		return r;
	char path[96];
	snprintf(path, sizeof(path), "containers/%s", f->f.row.id);
	close_fd(&f->f.run_dir);
	f->f.run_dir = openat(f->engine->run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->f.run_dir < 0)
		return err_errno(e, errno, "run directory of container %s", f->f.row.name);
	f->f.running = true; /* for its monitor's callers */
	return 0;
}

int engine_files_open(struct engine *g, const char *ref, bool mounts, struct engine_files **ret, struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct engine_files *f = calloc(1, sizeof(*f));

	if (!f)
		return err_nomem(e);
	*f = (struct engine_files){.engine = g, .f = {.run_dir = -1}, .hold = -1, .mounts = mounts};
	int r = container_take(g, ref, false, &f->f, &lock, e);
	if (r == 0 && !f->f.running)
		r = hold(f, &lock, e);
	if (r < 0) {
		engine_files_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

/* Until what it held is as it was: the end of the connection comes after that. */
static void release(struct engine_files *f)
{
	_cleanup_buf_ struct buf b = {0};
	struct frame a;
	struct err none;

	if (frame_add(&b, MONITOR_EOF, 0, NULL, 0) < 0 || send(f->hold, b.data, b.len, MSG_NOSIGNAL) < 0)
		shutdown(f->hold, SHUT_WR);
	while (monitor_answer(f->hold, &b, &a, &none) == 0)
		;
	close_fd(&f->hold);
}

void engine_files_close(struct engine_files *f)
{
	if (!f)
		return;
	if (f->hold >= 0)
		release(f);
	found_done(&f->f);
	free(f);
}

int engine_files_writable(const struct engine_files *f, const char *path, struct err *e)
{
	_cleanup_free_ char *clean = path_clean(path);
	const json_t *best = NULL, *m;
	size_t i, depth = 0;

	if (!clean)
		return err_nomem(e);
	json_array_foreach(json_object_get(f->f.record, "Mounts"), i, m) {
		const char *to = json_str(m, "Destination"), *type = json_str(m, "Type");
		size_t n = to ? strlen(to) : 0;
		if (!n || !type || !strcmp(type, "tmpfs") || n < depth)
			continue;
		if (!strncmp(clean, to, n) && (!clean[n] || clean[n] == '/' || n == 1)) {
			best = m;
			depth = n;
		}
	}
	if (best)
		return json_flag(best, "RW") ? 0 : err_set(e, EROFS, "mounted volume is marked read-only");
	if (json_flag(json_object_get(f->f.record, "HostConfig"), "ReadonlyRootfs"))
		return err_set(e, EROFS, "container rootfs is marked read-only");
	return 0;
}

int files_request(struct engine_files *f, const struct files_request *q, int *ret_sock, struct err *e)
{
	_cleanup_buf_ struct buf files = {0}, process = {0}, b = {0};
	bool put = q->op == FILES_PUT;
	uint32_t streams = MONITOR_STDOUT | (put ? (uint32_t)MONITOR_STDIN : 0);

	if (files_request_encode(q, &files) < 0)
		return err_nomem(e);
	const struct plan_process p = {.open_stdin = put, .files = files.data, .files_len = files.len};
	if (plan_process_encode(&p, &process) < 0 || wire_add_u32(&b, streams) < 0 ||
		wire_add_bytes(&b, process.data, process.len) < 0)
		return err_nomem(e);
	return monitor_call(&f->f, MONITOR_EXEC, b.data, b.len, ret_sock, e);
}
