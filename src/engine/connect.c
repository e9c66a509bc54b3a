/* Connecting a container to a network and disconnecting it, whether it runs or not. */
#include <errno.h>
#include <string.h>

#include "engine/engine-private.h"
#include "engine/netup.h"
#include "proto/frame.h"
#include "proto/monitor.h"

/* The endpoints that a container has. */
struct places {
	int next; /* position for another one */
	bool found;
	const char *network;
	struct endpoint_row row; /* that on `network`, if found */
};

static int note_place(void *data, const struct endpoint_row *p, struct err *e)
{
	struct places *s = data;

	if (p->position >= s->next)
		s->next = p->position + 1;
	if (strcmp(p->network, s->network) != 0)
		return 0;
	s->found = true;
	s->row = *p;
	s->row.container = strdup(p->container);
	s->row.address4 = strdup(p->address4);
	s->row.address6 = strdup(p->address6);
	s->row.aliases = strdup(p->aliases);
	return s->row.container && s->row.address4 && s->row.address6 && s->row.aliases ? 0 : err_nomem(e);
}

static int check_mode(const struct found *f, struct err *e)
{
	const json_t *hc = json_object_get(f->record, "HostConfig");

	if (network_mode_is(hc, "host"))
		return err_set(e, EINVAL, "container cannot be connected to host network or disconnected from it");
	if (network_mode_is(hc, "none"))
		return err_set(e, EINVAL,
			"container cannot be connected to multiple networks with one of the networks in private (none) "
			"mode");
	if (network_mode_container(hc))
		return err_set(e, EINVAL,
			"container sharing network namespace with another container cannot be connected to any other "
			"network");
	return 0;
}

static int ask_monitor(
	const struct found *f, uint8_t op, const struct network_row *n, const struct endpoint_row *p, struct err *e)
{
	_cleanup_buf_ struct buf encoded = {0}, b = {0};
	struct plan plan = {0};

	int r = endpoints_plan_one(n, p, &plan, e);
	if (r == 0 && (plan_encode(&plan, &encoded) < 0 || wire_add_bytes(&b, encoded.data, encoded.len) < 0))
		r = err_nomem(e);
	plan_done(&plan);
	return r < 0 ? r : monitor_simple(f, op, b.data, b.len, e);
}

/* The row, in a transaction: two commands at once make one place. */
static int insert_place(struct db *db, const struct found *f, const struct network_row *n, const json_t *config,
	struct places *s, struct err *e)
{
	const char *policy = json_str(json_object_get(f->record, "HostConfig"), "NetworkPolicy");
	int r = endpoints_of_container(db, f->row.id, note_place, s, e);

	if (r == 0 && s->found)
		r = err_set(e, EEXIST, "endpoint with name %s already exists in network %s", f->row.name, n->name);
	if (r == 0)
		r = endpoint_insert(db, n, f->row.id, s->next, config, policy && !strcmp(policy, "closed"), e);
	return r < 0 ? r : endpoints_of_container(db, f->row.id, note_place, s, e);
}

/* An interface that never came up is no error: the command that was to connect it was killed. */
static int disconnect_running(struct engine *g, const struct found *f, const struct network_row *n,
	const struct endpoint_row *p, struct err *e)
{
	bool up = netup_has(g, f->row.id, p->port);

	if (up)
		netup_leave(g, f, n, p);
	int r = ask_monitor(f, MONITOR_DISCONNECT, n, p, e);
	return r < 0 && !up ? 0 : r;
}

/* The interface first: without elements it can send nothing, and is not taken to be up. */
static int connect_running(struct engine *g, const struct found *f, const struct network_row *n,
	const struct endpoint_row *p, struct err *e)
{
	struct err undo;
	int r = netup_bridge(g, n, e);

	if (r == 0)
		r = ask_monitor(f, MONITOR_CONNECT, n, p, e);
	if (r < 0)
		return r;
	r = netup_join(g, f, n, p, e);
	if (r < 0)
		disconnect_running(g, f, n, p, &undo);
	return r;
}

int engine_network_connect(
	struct engine *g, const char *ref, const char *container, const json_t *config, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct places s = {.network = n.id};
	struct err undo;
	struct db *db;

	int r = container_find(g, container, &f, e);
	if (r == 0)
		r = check_mode(&f, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = network_find_or_default(g, db, ref, &n, e);
	if (r == 0)
		r = db_begin(db, e);
	if (r == 0)
		r = db_end(db, insert_place(db, &f, &n, config, &s, e), e);
	if (r == 0 && f.running) {
		r = connect_running(g, &f, &n, &s.row, e);
		if (r < 0)
			endpoints_delete(db, f.row.id, n.id, &undo);
		else
			event_network(g->root_fd, "connect", n.id, n.name, f.row.id);
	}
	endpoint_row_done(&s.row);
	return r;
}

int engine_network_disconnect(struct engine *g, const char *ref, const char *container, bool force, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct places s = {.network = n.id};
	struct err none;
	struct db *db;

	int r = container_find(g, container, &f, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = networks_find(db, ref, &n, e);
	if (r == 0)
		r = endpoints_of_container(db, f.row.id, note_place, &s, e);
	if (r == 0 && !s.found)
		r = err_set(e, ENOENT, "container %s is not connected to network %s", f.row.id, n.name);
	if (r == 0 && f.running)
		r = disconnect_running(g, &f, &n, &s.row, e);
	if (r == 0 || (force && s.found))
		r = endpoints_delete(db, f.row.id, n.id, r == 0 ? e : &none) < 0 ? -EIO : 0;
	if (r == 0)
		event_network(g->root_fd, "disconnect", n.id, n.name, f.row.id);
	endpoint_row_done(&s.row);
	return r;
}
