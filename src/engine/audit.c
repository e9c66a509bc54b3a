/* What the audit needs to know of a container, gathered: its record, its monitor, what its own kernel says, the other containers there are. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "engine/engine-private.h"
#include "proto/look.h"
#include "proto/monitor.h"

enum { LOOK_MS = 10000 };

/* A guest that does not answer must not keep us for ever. */
static int ask_look(const struct found *f, struct look *ret, struct err *e)
{
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	struct frame a;

	int r = monitor_call(f, MONITOR_LOOK, NULL, 0, &sock, e);
	if (r == 0 && poll(&(struct pollfd){.fd = sock, .events = POLLIN}, 1, LOOK_MS) <= 0)
		r = err_set(e, ETIMEDOUT, "no answer within %d s", LOOK_MS / 1000);
	if (r == 0)
		r = monitor_answer(sock, &b, &a, e);
	if (r < 0)
		return r;
	struct wire w = {.p = a.payload, .left = a.len};
	return a.type == MONITOR_LOOK_BYTES ? look_decode(ret, &w, e)
					    : err_set(e, EBADMSG, "the monitor answers something else");
}

struct others {
	struct audit_other *v;
	size_t len;
};

static void others_done(struct others *o)
{
	for (size_t i = 0; i < o->len; i++) {
		free((char *)o->v[i].id);
		free((char *)o->v[i].name);
	}
	free(o->v);
}

/* All running containers. One that ends meanwhile is left out. */
static int find_others(struct engine *g, struct others *ret, struct err *e)
{
	_cleanup_json_ json_t *list = NULL;
	size_t i;
	json_t *c;
	int r = engine_list(g, false, NULL, &list, e);

	ret->v = r < 0 ? NULL : calloc(json_array_size(list) + 1, sizeof(*ret->v));
	if (r < 0)
		return r;
	if (!ret->v)
		return err_nomem(e);
	json_array_foreach(list, i, c) {
		_cleanup_(found_done) struct found f = {.run_dir = -1};
		struct err gone;
		if (container_find(g, json_str(c, "Id"), &f, &gone) < 0 || !f.running)
			continue;
		struct audit_other *o = &ret->v[ret->len++];
		*o = (struct audit_other){
			.id = strdup(f.row.id), .name = strdup(f.row.name), .monitor = f.live.monitor};
		if (!o->id || !o->name)
			return err_nomem(e);
	}
	return 0;
}

static int measure(struct engine *g, const struct found *f, const struct look *look, const char *look_error,
	json_t **ret, struct err *e)
{
	_cleanup_free_ char *dir = str_fmt("%s/containers/%s", g->root, f->row.id);
	_cleanup_(others_done) struct others others = {0};
	_cleanup_close_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct plan plan = {0};
	const struct audit_origin origins[] = {{.name = "host", .netns = netns}};
	int r = dir ? find_others(g, &others, e) : err_nomem(e);

	if (r == 0)
		r = engine_plan(g, f->record, &plan, e);
	if (r == 0) {
		const struct audit_host host = {.proc = "/proc",
			.sys = "/sys",
			.libexec_dir = g->libexec_dir,
			.others = others.v,
			.others_len = others.len};
		const struct audit_target target = {.id = f->row.id,
			.name = f->row.name,
			.isolation = isolation_name(record_isolation(f->record)),
			.monitor = f->live.monitor,
			.pid = f->live.pid,
			.dir = dir,
			.image_file = json_str(json_object_get(f->record, "Caisson"), "Erofs"),
			.mounts = json_object_get(f->record, "Mounts"),
			.look = look,
			.look_error = look_error,
			.interfaces = plan.interfaces,
			.interfaces_len = plan.interfaces_len,
			.origins = origins,
			.origins_len = sizeof(origins) / sizeof(*origins)};
		r = audit_measure(&host, &target, ret, e);
	}
	plan_done(&plan);
	return r;
}

int engine_audit(struct engine *g, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct look look = {0};
	struct err silent = ERR_INIT;
	json_t *statements = NULL;

	int r = container_find(g, ref, &f, e);
	if (r == 0 && !f.running)
		r = err_set(e, ESRCH, "container %s is not running", f.row.id);
	if (r < 0)
		return r;
	bool answered = ask_look(&f, &look, &silent) == 0;
	r = measure(g, &f, answered ? &look : NULL, silent.msg, &statements, e);
	look_done(&look);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s, s:s, s:s, s:o}", "Container", f.row.id, "Name", f.row.name, "Isolation",
		isolation_name(record_isolation(f.record)), "Statements", statements);
	return *ret ? 0 : err_nomem(e);
}
