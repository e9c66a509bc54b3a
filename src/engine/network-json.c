/* Networks and a container's endpoints as docker's API shows them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine-private.h"
#include "engine/netup.h"

static json_t *parsed(const char *text)
{
	json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	return v ? v : json_object();
}

static json_t *pool(const char *subnet, const char *gateway, const char *range)
{
	json_t *o = json_pack("{s:s, s:s}", "Subnet", subnet, "Gateway", gateway);

	if (o && !str_empty(range))
		json_object_set_new(o, "IPRange", json_string(range));
	return o;
}

static json_t *network_json(const struct network_row *n)
{
	json_t *pools = json_array();
	char time[40];

	if (*n->subnet4)
		json_array_append_new(pools, pool(n->subnet4, n->gateway4, n->range4));
	if (*n->subnet6)
		json_array_append_new(pools, pool(n->subnet6, n->gateway6, n->range6));
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{s:s, s:{}, s:o}, s:b, s:b, s:b, s:b, s:{}, s:o, s:o, s:s}",
		"Name", n->name, "Id", n->id, "Created", clock_rfc3339(n->created_ns, time), "Scope", "local", "Driver",
		"bridge", "EnableIPv4", *n->subnet4 != 0, "EnableIPv6", *n->subnet6 != 0, "IPAM", "Driver", "default",
		"Options", "Config", pools, "Internal", n->internal, "Isolated", n->isolated, "Attachable", 0,
		"Ingress", 0, "Containers", "Options", parsed(n->options), "Labels", parsed(n->labels), "Bridge",
		n->bridge);
}

/* Those that have no row. */
static json_t *builtin_json(const char *name, const char *driver)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{s:s, s:{}, s:[]}, s:b, s:b, s:b, s:b, s:{}, s:{}, s:{}}",
		"Name", name, "Id", name, "Created", "0001-01-01T00:00:00Z", "Scope", "local", "Driver", driver,
		"EnableIPv4", 1, "EnableIPv6", 0, "IPAM", "Driver", "default", "Options", "Config", "Internal", 0,
		"Isolated", 0, "Attachable", 0, "Ingress", 0, "Containers", "Options", "Labels");
}

/* ---- filters ---- */

int network_filters_check(const json_t *filters, struct err *e)
{
	static const char *const known[] = {"name", "id", "driver", "label", "type", "scope", "dangling", NULL};
	const char *key;
	json_t *values;

	json_object_foreach((json_t *)filters, key, values) {
		if (!str_in(key, known))
			return err_set(e, EINVAL, "invalid filter '%s'", key);
	}
	return 0;
}

static bool on_filter(const void *data, const char *key, const char *value)
{
	const struct network_row *n = data;
	bool builtin = !strcmp(n->name, DEFAULT_NETWORK);

	if (!strcmp(key, "name"))
		return filter_text(value, n->name);
	if (!strcmp(key, "id"))
		return filter_text(value, n->id);
	if (!strcmp(key, "driver"))
		return !strcmp(value, "bridge");
	if (!strcmp(key, "scope"))
		return !strcmp(value, "local");
	if (!strcmp(key, "type"))
		return !strcmp(value, builtin ? "builtin" : "custom");
	_cleanup_json_ json_t *labels = parsed(n->labels);
	return strcmp(key, "label") != 0 || label_matches(labels, value); /* dangling is the caller's */
}

bool network_matches(const struct network_row *n, const json_t *filters)
{
	return filters_match(filters, on_filter, n);
}

/* ---- list ---- */

static int note_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	(void)p;
	(void)e;
	*(bool *)data = true;
	return 0;
}

struct listing {
	struct db *db;
	const json_t *filters;
	json_t *array;
};

static int add_network(void *data, const struct network_row *n, struct err *e)
{
	struct listing *l = data;
	const char *dangling = json_string_value(json_array_get(json_object_get(l->filters, "dangling"), 0));
	bool wanted, used = !strcmp(n->name, DEFAULT_NETWORK);

	if (!network_matches(n, l->filters))
		return 0;
	if (dangling) {
		if (parse_bool(dangling, &wanted) < 0)
			return err_set(e, EINVAL, "invalid filter 'dangling=%s'", dangling);
		int r = endpoints_of_network(l->db, n->id, note_endpoint, &used, e);
		if (r < 0 || used == wanted)
			return r;
	}
	return json_array_append_new(l->array, network_json(n)) < 0 ? err_nomem(e) : 0;
}

/* host and none, as rows that are only compared. */
static int add_builtin(struct listing *l, const char *name, const char *driver, struct err *e)
{
	struct network_row n = {.name = (char *)name};
	json_t *only = json_copy((json_t *)l->filters);
	const char *want = json_string_value(json_array_get(json_object_get(only, "driver"), 0));
	const char *type = json_string_value(json_array_get(json_object_get(only, "type"), 0));

	bool match = (!want || !strcmp(want, driver)) && (!type || !strcmp(type, "builtin")) &&
		!json_object_get(only, "dangling") && !json_object_get(only, "label");
	json_object_del(only, "driver");
	json_object_del(only, "type");
	snprintf(n.id, sizeof(n.id), "%s", name);
	match = match && network_matches(&n, only);
	json_decref(only);
	return match && json_array_append_new(l->array, builtin_json(name, driver)) < 0 ? err_nomem(e) : 0;
}

int engine_network_list(struct engine *g, const json_t *filters, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *array = json_array();
	_cleanup_(network_row_done) struct network_row bridge = {0};
	struct listing l = {.filters = filters, .array = array};

	int r = network_filters_check(filters, e);
	if (r == 0)
		r = engine_db(g, &l.db, e);
	if (r == 0)
		r = networks_check(g, e);
	/* listed as docker has it; it gets its bridge at first use */
	if (r == 0)
		r = network_find_or_default(g, l.db, DEFAULT_NETWORK, &bridge, e);
	if (r == 0)
		r = networks_each(l.db, add_network, &l, e);
	if (r == 0)
		r = add_builtin(&l, "host", "host", e);
	if (r == 0)
		r = add_builtin(&l, "none", "null", e);
	if (r == 0)
		*ret = json_incref(array);
	return r;
}

/* ---- one network, with its containers ---- */

struct inspecting {
	struct engine *engine;
	const struct network_row *network;
	struct endpoint_row *rows; /* copied first: settling a container changes the table */
	size_t len;
};

static int copy_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	struct inspecting *i = data;
	struct endpoint_row *rows = reallocarray(i->rows, i->len + 1, sizeof(*rows));

	if (!rows)
		return err_nomem(e);
	i->rows = rows;
	rows[i->len] = *p;
	rows[i->len].container = strdup(p->container);
	rows[i->len].address4 = strdup(p->address4);
	rows[i->len].address6 = strdup(p->address6);
	rows[i->len].aliases = strdup(p->aliases);
	i->len++;
	return 0;
}

static json_t *with_prefix(const char *address, const char *subnet)
{
	const char *slash = strchr(subnet, '/');

	return str_empty(address) ? json_string("") : json_sprintf("%s%s", address, slash ? slash : "");
}

static void add_container(struct inspecting *i, const struct endpoint_row *p, json_t *containers)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct err none;

	/* docker names those that run */
	if (container_find(i->engine, p->container, &f, &none) < 0 || !f.running)
		return;
	json_object_set_new(containers, p->container,
		json_pack("{s:s, s:s, s:s, s:o, s:o}", "Name", f.row.name, "EndpointID", p->port, "MacAddress", p->mac,
			"IPv4Address", with_prefix(p->address4, i->network->subnet4), "IPv6Address",
			with_prefix(p->address6, i->network->subnet6)));
}

int engine_network_inspect(struct engine *g, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	struct inspecting i = {.engine = g, .network = &n};
	struct db *db;

	if (!strcmp(ref, "host") || !strcmp(ref, "none")) {
		*ret = builtin_json(ref, strcmp(ref, "none") ? "host" : "null");
		return *ret ? 0 : err_nomem(e);
	}
	int r = networks_check(g, e);
	if (r == 0)
		r = engine_db(g, &db, e);
	if (r == 0)
		r = network_find_or_default(g, db, ref, &n, e);
	if (r == 0)
		r = endpoints_of_network(db, n.id, copy_endpoint, &i, e);
	json_t *o = r < 0 ? NULL : network_json(&n);
	if (r == 0 && !o)
		r = err_nomem(e);
	for (size_t k = 0; k < i.len; k++) {
		if (o)
			add_container(&i, &i.rows[k], json_object_get(o, "Containers"));
		endpoint_row_done(&i.rows[k]);
	}
	free(i.rows);
	if (r == 0)
		*ret = o;
	return r;
}

/* ---- NetworkSettings of a container ---- */

struct settings {
	struct engine *engine;
	struct db *db;
	const struct found *found;
	json_t *networks;
};

/* What containers of the network can call it. */
static json_t *dns_names(const struct found *f, const json_t *aliases)
{
	json_t *names = json_pack("[s, s#]", f->row.name, f->row.id, 12);
	const char *hostname = json_str(json_object_get(f->record, "Config"), "Hostname");

	json_array_extend(names, (json_t *)aliases);
	if (!str_empty(hostname) && strncmp(hostname, f->row.id, 12) != 0)
		json_array_append_new(names, json_string(hostname));
	return names;
}

static int prefix_of(const char *subnet)
{
	const char *slash = strchr(subnet, '/');

	return slash ? atoi(slash + 1) : 0;
}

static int add_settings(void *data, const struct endpoint_row *p, struct err *e)
{
	struct settings *s = data;
	_cleanup_(network_row_done) struct network_row n = {0};
	bool up = s->found->running && netup_has(s->engine, s->found->row.id, p->port);

	int r = networks_find(s->db, p->network, &n, e);
	if (r < 0)
		return r;
	json_t *aliases = parsed(p->aliases);
	json_t *o = json_pack("{s:n, s:n, s:o, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:b, s:o}", "IPAMConfig",
		"Links", "Aliases", aliases, "MacAddress", up ? p->mac : "", "NetworkID", n.id, "EndpointID",
		up ? p->port : "", "Gateway", up ? n.gateway4 : "", "IPAddress", up ? p->address4 : "", "IPPrefixLen",
		up ? prefix_of(n.subnet4) : 0, "IPv6Gateway", up ? n.gateway6 : "", "GlobalIPv6Address",
		up ? p->address6 : "", "GlobalIPv6PrefixLen", up ? prefix_of(n.subnet6) : 0, "Closed", p->closed,
		"DNSNames", dns_names(s->found, aliases));
	return json_object_set_new(s->networks, n.name, o) < 0 ? err_nomem(e) : 0;
}

json_t *network_settings_json(struct engine *g, const struct found *f)
{
	const json_t *hc = json_object_get(f->record, "HostConfig");
	struct settings s = {.engine = g, .found = f, .networks = json_object()};
	struct err none;

	if (engine_db(g, &s.db, &none) == 0)
		endpoints_of_container(s.db, f->row.id, add_settings, &s, &none);
	if (network_mode_is(hc, "host") || network_mode_is(hc, "none"))
		json_object_set_new(s.networks, json_str(hc, "NetworkMode"),
			json_pack("{s:s, s:s, s:s}", "IPAddress", "", "Gateway", "", "MacAddress", ""));
	/* the top level is the default network's, as docker has it for old clients */
	const json_t *first = json_object_get(s.networks, DEFAULT_NETWORK);
	const char *address = json_str(first, "IPAddress"), *gateway = json_str(first, "Gateway"),
		   *mac = json_str(first, "MacAddress"), *v6 = json_str(first, "GlobalIPv6Address");
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "IPAddress", address ? address : "",
		"GlobalIPv6Address", v6 ? v6 : "", "Gateway", gateway ? gateway : "", "MacAddress", mac ? mac : "",
		"Ports", publish_json(g, f), "Networks", s.networks, "FirewallElements",
		netup_elements_json(g, f->row.id));
}
