/* What the audit needs to know of a container, gathered: its record, its monitor, what its own kernel says, the other containers there are. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/path.h"
#include "engine/engine-private.h"
#include "proto/look.h"
#include "proto/monitor.h"
#include "store/networks.h"

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

/* ---- its networks, and a neighbour on each ---- */

struct networks {
	struct engine *engine;
	char **ids;                /* in the order of the plan's interfaces */
	struct engine_probe probe; /* the neighbour, and the network it is on */
	struct network_row row;
};

static int note_network(void *data, const struct endpoint_row *p, struct err *e)
{
	struct networks *n = data;

	return strv_push(&n->ids, p->network) < 0 ? err_nomem(e) : 0;
}

static int open_neighbour(void *data, size_t interface, struct audit_neighbour *ret, struct err *e)
{
	struct networks *n = data;
	struct db *db;

	if (interface >= strv_len(n->ids))
		return err_set(e, ENOENT, "the network of interface %zu is not known", interface);
	int r = engine_db(n->engine, &db, e);
	if (r == 0)
		r = networks_find(db, n->ids[interface], &n->row, e);
	if (r == 0)
		r = engine_probe_open(n->engine, n->ids[interface], &n->probe, e);
	if (r == 0)
		*ret = (struct audit_neighbour){.netns = n->probe.netns,
			.gateways = {str_empty(n->row.gateway4) ? NULL : n->row.gateway4,
				str_empty(n->row.gateway6) ? NULL : n->row.gateway6}};
	return r;
}

static void close_neighbour(void *data)
{
	struct networks *n = data;

	engine_probe_close(n->engine, &n->probe);
	n->probe.netns = -1;
	network_row_done(&n->row);
}

/* A container in another's network namespace has that one's interfaces. */
static int find_networks(struct engine *g, const json_t *record, struct plan *plan, struct networks *ret, struct err *e)
{
	const char *other = network_mode_container(json_object_get(record, "HostConfig"));
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct db *db;

	if (other) {
		int r = container_find(g, other, &f, e);
		if (r < 0)
			return r;
		record = f.record;
	}
	int r = endpoints_plan(g, record, plan, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	return r < 0 ? r : endpoints_of_container(db, json_str(record, "Id"), note_network, ret, e);
}

static int measure(struct engine *g, const struct found *f, const struct look *look, const char *look_error,
	json_t **ret, struct err *e)
{
	_cleanup_free_ char *dir = str_fmt("%s/containers/%s", g->root, f->row.id);
	_cleanup_free_ char *ruleset = path_join(g->data_dir, "ruleset.nft");
	_cleanup_(others_done) struct others others = {0};
	struct networks networks = {.engine = g, .probe.netns = -1};
	struct plan plan = {0};

	int r = dir && ruleset ? find_others(g, &others, e) : err_nomem(e);
	if (r == 0)
		r = find_networks(g, f->record, &plan, &networks, e);
	if (r == 0) {
		const struct audit_host host = {.proc = "/proc",
			.sys = "/sys",
			.libexec_dir = g->libexec_dir,
			.ruleset = ruleset,
			.others = others.v,
			.others_len = others.len};
		const struct audit_target target = {.id = f->row.id,
			.name = f->row.name,
			.monitor = f->live.monitor,
			.pid = f->live.pid,
			.dir = dir,
			.image_file = json_str(json_object_get(f->record, "Caisson"), "Erofs"),
			.mounts = json_object_get(f->record, "Mounts"),
			.look = look,
			.look_error = look_error,
			.interfaces = plan.interfaces,
			.interfaces_len = plan.interfaces_len,
			.neighbour = open_neighbour,
			.neighbour_done = close_neighbour,
			.neighbour_data = &networks};
		r = audit_measure(&host, &target, ret, e);
	}
	plan_done(&plan);
	strv_free(networks.ids);
	network_row_done(&networks.row);
	return r;
}

int engine_audit(struct engine *g, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct look look = {0};
	struct err silent = ERR_INIT;
	json_t *statements = NULL;

	int r = container_find_running(g, ref, &f, e);
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

const char *engine_audit_key(size_t i)
{
	return audit_key(i);
}
