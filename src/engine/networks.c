/* The commands on networks, and the default one. What is up of them on the host: netup.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc.h"
#include "engine/engine-private.h"
#include "engine/netup.h"
#include "net/ipam.h"
#include "net/link.h"

enum { MTU_DEFAULT = 1500, MTU_MIN = 68, MTU_MIN_IPV6 = 1280, MTU_MAX = 65535 };

bool host_has_ipv6(void)
{
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

/* ---- making one ---- */

static int dup_into(char **at, const char *s)
{
	free(*at);
	*at = strdup(s ? s : "");
	return *at ? 0 : -ENOMEM;
}

static int take_mtu(const json_t *options, struct network_row *n, struct err *e)
{
	static const char *const known[] = {"mtu", "com.docker.network.driver.mtu", NULL};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)options, key, value) {
		const char *text = json_string_value(value);
		if (!str_in(key, known))
			return err_set(e, EINVAL,
				"option '%s' is not supported by the driver 'bridge' of caisson: use mtu", key);
		if (!text || parse_u32(text, &n->mtu) < 0 || n->mtu < (*n->subnet6 ? MTU_MIN_IPV6 : MTU_MIN) ||
			n->mtu > MTU_MAX)
			return err_set(e, EINVAL, "invalid MTU %s: it must be between %d and %d", text ? text : "",
				*n->subnet6 ? MTU_MIN_IPV6 : MTU_MIN, MTU_MAX);
	}
	return 0;
}

/* One pool a family. */
static int take_pools(const json_t *ipam, struct network_row *n, struct err *e)
{
	size_t i;
	json_t *pool;

	json_array_foreach(json_object_get(ipam, "Config"), i, pool) {
		const char *subnet = json_str(pool, "Subnet"), *gateway = json_str(pool, "Gateway"),
			   *range = json_str(pool, "IPRange");
		const char *any = !str_empty(subnet) ? subnet : !str_empty(gateway) ? gateway : range;
		bool v6 = any && strchr(any, ':');
		char **at[] = {
			v6 ? &n->subnet6 : &n->subnet4, v6 ? &n->gateway6 : &n->gateway4, v6 ? &n->range6 : &n->range4};
		if (!str_empty(*at[0]))
			return err_set(e, EINVAL, "bridge driver doesn't support multiple subnets of one family");
		if (dup_into(at[0], subnet) < 0 || dup_into(at[1], gateway) < 0 || dup_into(at[2], range) < 0)
			return err_nomem(e);
	}
	return 0;
}

static char *compact(const json_t *object)
{
	char *text = json_is_object(object) ? json_dumps(object, JSON_COMPACT) : NULL;

	return text ? text : strdup("{}");
}

static int make_row(const char *name, const json_t *body, struct network_row *n, struct err *e)
{
	if (random_id(n->id) < 0)
		return err_set(e, EIO, "no random bytes");
	n->created_ns = clock_real_ns();
	n->name = strdup(name);
	n->internal = json_flag(body, "Internal");
	n->isolated = json_flag(body, "Isolated");
	n->labels = compact(json_object_get(body, "Labels"));
	n->options = compact(json_object_get(body, "Options"));
	n->mtu = MTU_DEFAULT;
	if (!n->name || !n->labels || !n->options || dup_into(&n->subnet6, "") < 0)
		return err_nomem(e);
	if (!strcmp(name, DEFAULT_NETWORK))
		snprintf(n->bridge, sizeof(n->bridge), NET_BRIDGE_PREFIX "0");
	else
		snprintf(n->bridge, sizeof(n->bridge), NET_BRIDGE_PREFIX "-%.7s", n->id);
	int r = take_pools(json_object_get(body, "IPAM"), n, e);
	return r < 0 ? r : take_mtu(json_object_get(body, "Options"), n, e);
}

/* In a transaction of the caller's. */
static int insert_row(struct db *db, struct network_row *n, bool ipv6, struct err *e)
{
	_cleanup_(network_row_done) struct network_row other = {0};
	struct err none;

	if (networks_find(db, n->name, &other, &none) == 0 && !strcmp(other.name, n->name))
		return err_set(e, EEXIST, "network with name %s already exists", n->name);
	int r = ipam_network(db, n, ipv6, e);
	if (r == 0 && *n->subnet6 && !host_has_ipv6())
		r = err_set(e, EAFNOSUPPORT, "network %s: IPv6 is disabled on this host", n->name);
	return r < 0 ? r : networks_insert(db, n, e);
}

int network_find_or_default(struct engine *g, struct db *db, const char *ref, struct network_row *ret, struct err *e)
{
	int r = networks_find(db, ref, ret, e);

	(void)g;
	if (r != -ENOENT || strcmp(ref, DEFAULT_NETWORK) != 0)
		return r;
	*e = ERR_INIT;
	r = make_row(DEFAULT_NETWORK, NULL, ret, e);
	if (r == 0)
		r = db_begin(db, e);
	return r < 0 ? r : db_end(db, insert_row(db, ret, host_has_ipv6(), e), e);
}

static int check_create(const json_t *body, struct err *e)
{
	static const char *const reserved[] = {"bridge", "host", "none", "default", NULL};
	const char *name = json_str(body, "Name"), *driver = json_str(body, "Driver");

	if (str_empty(name))
		return err_set(e, EINVAL, "invalid network name: name is empty");
	int r = name_check_length("network", name, e);
	if (r < 0)
		return r;
	if (!name_valid(name))
		return err_set(e, EINVAL, "invalid network name: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed: %s", name);
	if (str_in(name, reserved))
		return err_set(e, EPERM, "operation is not permitted on predefined %s network", name);
	if (!str_empty(driver) && strcmp(driver, "bridge") != 0)
		return err_set(e, ENOTSUP,
			"could not find plugin %s in v1 plugin registry: caisson has the driver 'bridge'", driver);
	return 0;
}

int engine_network_create(struct engine *g, const json_t *body, char ret_id[65], struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	_cleanup_close_ int lock = -1;
	struct err undo;
	struct db *db;

	int r = check_create(body, e);
	if (r == 0)
		r = make_row(json_str(body, "Name"), body, &n, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = lock = network_lock(g, e);
	if (r >= 0)
		r = db_begin(db, e);
	if (r >= 0)
		r = db_end(db, insert_row(db, &n, json_flag(body, "EnableIPv6"), e), e);
	if (r < 0)
		return r;
	r = network_raise(g, &n, e);
	if (r < 0) {
		networks_delete(db, n.id, &undo);
		network_lower(g, &n);
		return r;
	}
	memcpy(ret_id, n.id, sizeof(n.id));
	event_network(g->root_fd, "create", n.id, n.name, NULL);
	return 0;
}

/* ---- removing ---- */

static int first_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	(void)e;
	snprintf(data, 65, "%s", p->container);
	return 0;
}

/* Names who has it: *who is a container's id, or "". */
static int network_user(struct db *db, const char *id, char who[65], struct err *e)
{
	*who = 0;
	return endpoints_of_network(db, id, first_endpoint, who, e);
}

/* The row last: what is killed before leaves a network that can be removed again. */
static int delete_network(struct engine *g, struct db *db, const struct network_row *n, struct err *e)
{
	_cleanup_(container_row_done) struct container_row c = {0};
	struct err none;
	char who[65];

	int r = network_user(db, n->id, who, e);
	if (r < 0)
		return r;
	if (*who)
		return err_set(e, EBUSY, "error while removing network: network %s has active endpoints (container %s)",
			n->name, containers_find(db, who, &c, &none) == 0 ? c.name : who);
	network_lower(g, n);
	r = networks_delete(db, n->id, e);
	if (r < 0)
		return r;
	event_network(g->root_fd, "destroy", n->id, n->name, NULL);
	return 0;
}

static int remove_network(struct engine *g, struct network_row *n, struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct db *db;

	int r = engine_db(g, &db, e);
	if (r == 0)
		r = lock = network_lock(g, e);
	if (r >= 0)
		r = db_begin(db, e);
	if (r >= 0)
		r = db_end(db, delete_network(g, db, n, e), e);
	return r < 0 ? r : 0;
}

static int check_builtin(const char *ref, struct err *e)
{
	if (strcmp(ref, "host") != 0 && strcmp(ref, "none") != 0)
		return 0;
	return err_set(e, EPERM, "operation is not permitted on predefined %s network", ref);
}

int engine_network_remove(struct engine *g, const char *ref, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	struct db *db;

	int r = check_builtin(ref, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0 && !strcmp(ref, DEFAULT_NETWORK))
		r = err_set(e, EPERM, "operation is not permitted on predefined %s network", ref);
	if (r == 0)
		r = networks_find(db, ref, &n, e);
	if (r == 0 && !strcmp(n.name, DEFAULT_NETWORK))
		r = err_set(e, EPERM, "operation is not permitted on predefined %s network", n.name);
	return r < 0 ? r : remove_network(g, &n, e);
}

struct pruning {
	const json_t *filters;
	char **ids;
};

static int collect(void *data, const struct network_row *n, struct err *e)
{
	struct pruning *p = data;

	_cleanup_json_ json_t *labels = json_loads(n->labels, 0, NULL);

	return prune_matches(p->filters, labels, n->created_ns) && strv_push(&p->ids, n->id) < 0 ? err_nomem(e) : 0;
}

/* One that is in use, or has gone meanwhile, stays out of the list; so does the default network, which comes back at its next use. */
static int prune_one(struct engine *g, struct db *db, const char *id, json_t *deleted, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	int r = networks_find(db, id, &n, e);

	if (r == 0)
		r = remove_network(g, &n, e);
	if (r == 0 && strcmp(n.name, DEFAULT_NETWORK) != 0 && json_array_append_new(deleted, json_string(n.name)) < 0)
		r = err_nomem(e);
	return r == -EBUSY || r == -ENOENT ? 0 : r;
}

int engine_network_prune(struct engine *g, const json_t *filters, json_t **ret, struct err *e)
{
	static const char *const known[] = {"label", "label!", "until", NULL};
	_cleanup_json_ json_t *deleted = json_array();
	struct pruning p = {.filters = filters};
	struct db *db;

	int r = prune_filters_check(filters, known, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = networks_each(db, collect, &p, e);
	strv_foreach(id, p.ids) {
		if (r == 0)
			r = prune_one(g, db, id, deleted, e);
	}
	strv_free(p.ids);
	if (r == 0)
		*ret = json_pack("{s:O}", "NetworksDeleted", deleted);
	return r;
}
