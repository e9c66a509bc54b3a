/* A container's places on networks: from what a creation asks for to rows, and from rows to the plan's interfaces. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine-private.h"
#include "net/ipam.h"
#include "store/networks.h"

/* ---- what is asked for ---- */

bool network_mode_is(const json_t *hc, const char *what)
{
	const char *mode = json_str(hc, "NetworkMode");

	return mode && !strcmp(mode, what);
}

const char *network_mode_container(const json_t *hc)
{
	const char *mode = json_str(hc, "NetworkMode");

	return mode && str_starts(mode, "container:") ? mode + strlen("container:") : NULL;
}

bool network_mode_foreign(const json_t *hc)
{
	return network_mode_is(hc, "host") || network_mode_is(hc, "none") || network_mode_container(hc);
}

/* container:NAME becomes container:ID. What a virtual machine cannot do is refused before anything is made. */
static int resolve_mode(struct engine *g, json_t *hc, enum isolation_kind kind, struct err *e)
{
	_cleanup_(container_row_done) struct container_row row = {0};
	const char *mode = json_str(hc, "NetworkMode"), *other = network_mode_container(hc);
	struct db *db;

	if (str_empty(mode) || !strcmp(mode, "default"))
		return json_set(hc, "NetworkMode", json_string(DEFAULT_NETWORK)) < 0 ? err_nomem(e) : 0;
	if (kind == ISOLATION_HYPERV && (other || !strcmp(mode, "host")))
		return err_set(e, ENOTSUP,
			"--network=%s is not possible with --isolation=hyperv: the container has its own kernel, and "
			"so its own network",
			mode);
	if (!other)
		return 0;
	int r = engine_db(g, &db, e);
	if (r == 0)
		r = containers_find(db, other, &row, e);
	if (r < 0)
		return r;
	return json_set(hc, "NetworkMode", json_sprintf("container:%s", row.id)) < 0 ? err_nomem(e) : 0;
}

static int check_endpoint(struct db *db, const char *name, const json_t *config, const json_t *hc, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	const json_t *ipam = json_object_get(config, "IPAMConfig");
	bool wants = !str_empty(json_str(ipam, "IPv4Address")) || !str_empty(json_str(ipam, "IPv6Address"));

	if (network_mode_foreign(hc))
		return err_set(e, EINVAL,
			"conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	if (!strcmp(name, "host") || !strcmp(name, "none") || str_starts(name, "container:"))
		return err_set(e, EINVAL,
			"conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	if (!strcmp(name, DEFAULT_NETWORK))
		return wants
			? err_set(e, EINVAL, "user specified IP address is supported on user defined networks only")
			: 0;
	return networks_find(db, name, &n, e);
}

int endpoints_resolve(
	struct engine *g, json_t *hc, const json_t *networking, enum isolation_kind kind, json_t **ret, struct err *e)
{
	const json_t *configs = json_object_get(networking, "EndpointsConfig");
	_cleanup_json_ json_t *all = json_object();
	const char *name;
	json_t *config;
	struct db *db;

	int r = resolve_mode(g, hc, kind, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	const char *mode = json_str(hc, "NetworkMode");
	if (r == 0 && !network_mode_foreign(hc)) {
		/* the API names the default network "default" where the mode does */
		config = json_object_get(configs, mode);
		if (!config && !strcmp(mode, DEFAULT_NETWORK))
			config = json_object_get(configs, "default");
		r = json_set(all, mode, config ? json_incref(config) : json_object()) < 0 ? err_nomem(e) : 0;
	}
	json_object_foreach((json_t *)configs, name, config) {
		if (r == 0 && !json_object_get(all, name) && strcmp(name, "default") != 0 &&
			json_set(all, name, json_incref(config)) < 0)
			r = err_nomem(e);
	}
	json_object_foreach(all, name, config) {
		if (r == 0)
			r = check_endpoint(db, name, config, hc, e);
	}
	if (r == 0)
		*ret = json_incref(all);
	return r;
}

/* ---- rows ---- */

int endpoint_insert(struct db *db, const struct network_row *n, const char *container, int position,
	const json_t *config, bool closed, struct err *e)
{
	const json_t *ipam = json_object_get(config, "IPAMConfig");
	const char *address4 = json_str(ipam, "IPv4Address"), *address6 = json_str(ipam, "IPv6Address"),
		   *mac = json_str(config, "MacAddress");
	_cleanup_(endpoint_row_done) struct endpoint_row p = {
		.container = strdup(container),
		.position = position,
		.address4 = strdup(address4 ? address4 : ""),
		.address6 = strdup(address6 ? address6 : ""),
		.aliases = json_dumps(
			json_is_array(json_object_get(config, "Aliases")) ? json_object_get(config, "Aliases") : NULL,
			JSON_COMPACT),
		.closed = closed || n->isolated,
	};

	if (!p.aliases)
		p.aliases = strdup("[]");
	if (!p.container || !p.address4 || !p.address6 || !p.aliases)
		return err_nomem(e);
	memcpy(p.network, n->id, sizeof(p.network));
	if (!str_empty(mac) && snprintf(p.mac, sizeof(p.mac), "%s", mac) >= (int)sizeof(p.mac))
		return err_set(e, EINVAL, "invalid MAC address: %s", mac);
	int r = ipam_endpoint(db, n, &p, e);
	if (r == 0)
		r = endpoints_insert(db, &p, e);
	if (r == -EEXIST)
		r = err_set(e, EEXIST,
			"the hardware address %s is in use on network %s, or on another one of the container", p.mac,
			n->name);
	return r;
}

int endpoints_create(
	struct engine *g, struct db *db, const char *id, const json_t *hc, const json_t *wanted, struct err *e)
{
	bool closed = json_str(hc, "NetworkPolicy") && !strcmp(json_str(hc, "NetworkPolicy"), "closed");
	int position = 0, r = 0;
	const char *name;
	json_t *config;

	json_object_foreach((json_t *)wanted, name, config) {
		_cleanup_(network_row_done) struct network_row n = {0};
		r = network_find_or_default(g, db, name, &n, e);
		if (r == 0)
			r = endpoint_insert(db, &n, id, position++, config, closed, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the plan ---- */

struct planning {
	struct db *db;
	struct plan *plan;
};

static int add_address(struct plan_interface *f, const struct network_row *n, const char *address, const char *subnet,
	const char *gateway)
{
	if (str_empty(address))
		return 0;
	int r = strv_pushf(&f->addresses, "%s%s", address, strchr(subnet, '/') ? strchr(subnet, '/') : "");
	return r == 0 && !n->internal ? strv_push(&f->gateways, gateway) : r;
}

static int fill_interface(struct plan_interface *f, const struct network_row *n, const struct endpoint_row *p)
{
	f->name = str_fmt("eth%d", p->position);
	f->port = strdup(p->port);
	f->bridge = strdup(n->bridge);
	f->mac = strdup(p->mac);
	f->nameserver = strdup(n->gateway4);
	f->mtu = n->mtu;
	f->metric = (uint32_t)p->position * 100;
	if (!f->name || !f->port || !f->bridge || !f->mac || !f->nameserver ||
		add_address(f, n, p->address4, n->subnet4, n->gateway4) < 0 ||
		add_address(f, n, p->address6, n->subnet6, n->gateway6) < 0)
		return -ENOMEM;
	return 0;
}

static int on_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	struct planning *g = data;
	_cleanup_(network_row_done) struct network_row n = {0};

	int r = networks_find(g->db, p->network, &n, e);
	if (r < 0)
		return r;
	struct plan_interface *f = plan_add_interface(g->plan);
	return !f || fill_interface(f, &n, p) < 0 ? err_nomem(e) : 0;
}

int endpoints_plan_one(const struct network_row *n, const struct endpoint_row *p, struct plan *plan, struct err *e)
{
	struct plan_interface *f = plan_add_interface(plan);

	return !f || fill_interface(f, n, p) < 0 ? err_nomem(e) : 0;
}

/* The network namespace of another container, by its PID 1. */
static int join_container(struct engine *g, const char *other, struct plan *p, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct stat st;

	int r = container_find(g, other, &f, e);
	if (r < 0)
		return r;
	if (!f.running || f.live.pid <= 0)
		return err_set(e, EBUSY, "cannot join network of a non running container: %s", f.row.id);
	if (record_isolation(f.record) == ISOLATION_HYPERV)
		return err_set(e, ENOTSUP,
			"cannot join network of container %s: it has its own kernel (--isolation=hyperv), and so its "
			"own network",
			f.row.name);
	p->netns = str_fmt("/proc/%d/ns/net", (int)f.live.pid);
	if (!p->netns)
		return err_nomem(e);
	if (stat(p->netns, &st) < 0)
		return err_set(e, EBUSY, "cannot join network of a non running container: %s", f.row.id);
	p->netns_id = st.st_ino;
	return 0;
}

int endpoints_plan(struct engine *g, const json_t *record, struct plan *p, struct err *e)
{
	const json_t *hc = json_object_get(record, "HostConfig");
	const char *other = network_mode_container(hc);
	struct planning planning = {.plan = p};

	if (other)
		return join_container(g, other, p, e);
	if (network_mode_foreign(hc))
		return 0;
	int r = engine_db(g, &planning.db, e);
	return r < 0 ? r : endpoints_of_container(planning.db, json_str(record, "Id"), on_endpoint, &planning, e);
}

static int note_first(void *data, const struct endpoint_row *p, struct err *e)
{
	(void)e;
	if (!*(char *)data)
		memcpy(data, p->network, sizeof(p->network));
	return 0;
}

int endpoints_gateway(struct engine *g, const json_t *record, char **ret4, char **ret6, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	const char *other = network_mode_container(json_object_get(record, "HostConfig"));
	const char *id = other ? other : json_str(record, "Id");
	char network[65] = "";
	struct db *db;

	*ret4 = *ret6 = NULL;
	int r = engine_db(g, &db, e);
	if (r == 0)
		r = endpoints_of_container(db, id ? id : "", note_first, network, e);
	if (r == 0 && *network)
		r = networks_find(db, network, &n, e);
	if (r < 0 || !*network)
		return r;
	*ret4 = steal_ptr(n.gateway4);
	*ret6 = steal_ptr(n.gateway6);
	return 0;
}
