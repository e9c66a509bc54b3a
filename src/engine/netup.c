/*
 * What is up of networks and of containers on them, on the host: bridges, rules, elements, names.
 *
 * Everything here is done by whoever needs it, under one lock (RUN/network.lock), and in an order that leaves word before it acts:
 *
 *   start   the container's elements are written to RUN/containers/ID/net, then put into the tables; then the name server gets its names
 *   end     the elements are taken out, then the file goes; whoever finds the run directory of a killed monitor does the same
 *
 * A port without elements can send nothing, so what is not finished is closed. Tables that are missing (nft flush ruleset), and elements that
 * are not there to be removed, are made right by building everything anew from the database and those files (networks_rebuild).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "engine/netup.h"
#include "engine/resolver.h"
#include "net/dns.h"
#include "net/docker.h"
#include "net/elements.h"
#include "net/firewall.h"
#include "net/link.h"
#include "proto/frame.h"
#include "proto/monitor.h"

int network_lock(struct engine *g, struct err *e)
{
	int fd = fd_lock_file(g->run_fd, "network.lock", true, true);

	return fd < 0 ? err_errno(e, fd, "lock %s/network.lock", g->run) : fd;
}

static struct firewall firewall_of(const struct engine *g, char **ret_path)
{
	*ret_path = path_join(g->data_dir, "ruleset.nft");
	return (struct firewall){.ruleset = *ret_path ? *ret_path : "", .run_fd = g->run_fd};
}

/* ---- networks ---- */

/* How the network's name server is found. The strings are the row's or of `own`. */
struct dns_strings {
	char **listen;
	char *bridges[2];
};

static void dns_strings_done(struct dns_strings *s)
{
	strv_free(s->listen);
}

static struct dns_place dns_of(const struct engine *g, const struct network_row *n, struct dns_strings *own)
{
	const char *slash4 = strchr(n->subnet4, '/'), *slash6 = strchr(n->subnet6, '/');

	if (slash4)
		strv_pushf(&own->listen, "%s%s", n->gateway4, slash4);
	if (slash6)
		strv_pushf(&own->listen, "%s%s", n->gateway6, slash6);
	own->bridges[0] = (char *)n->bridge;
	return (struct dns_place){.libexec_dir = g->libexec_dir,
		.run_fd = g->run_fd,
		.run = g->run,
		.id = n->id,
		.name = n->name,
		.bridges = own->bridges,
		.listen = own->listen,
		.internal = n->internal};
}

struct rebuilding {
	struct engine *engine;
	struct db *db;
	const struct network_row *network;
	struct buf elements;
};

static int rejoin(void *data, const struct endpoint_row *p, struct err *e)
{
	const struct rebuilding *b = data;

	return link_port_join(p->port, b->network->bridge, e);
}

/* Bridge, ports, name server; its elements are collected. */
static int raise_one(void *data, const struct network_row *n, struct err *e)
{
	_cleanup_(dns_strings_done) struct dns_strings own = {0};
	struct rebuilding *b = data;
	struct dns_place dns = dns_of(b->engine, n, &own);

	b->network = n;
	int r = link_bridge_ensure(n, true, e);
	if (r == 0 && firewall_network_elements(n, &b->elements) < 0)
		r = err_nomem(e);
	if (r == 0)
		r = endpoints_of_network(b->db, n->id, rejoin, b, e);
	return r < 0 ? r : dns_start(&dns, e);
}

int networks_rebuild(struct engine *g, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	struct firewall fw = firewall_of(g, &path);
	struct rebuilding b = {.engine = g};
	struct err none;

	log_trace("net", "building bridges and rules anew");
	int r = firewall_check_program(e);
	if (r == 0)
		r = engine_db(g, &b.db, e);
	if (r == 0)
		r = networks_each(b.db, raise_one, &b, e);
	if (r == 0)
		r = firewall_rebuild(&fw, &b.elements, e);
	buf_done(&b.elements);
	if (r == 0)
		docker_rules_ensure(&none);
	return r;
}

/* Somebody's container is up. */
static bool any_up(const struct engine *g)
{
	_cleanup_closedir_ DIR *d = dir_open(g->run_fd, "containers");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char path[300];
		snprintf(path, sizeof(path), "%s/" FIREWALL_FILE, entry->d_name);
		if (*entry->d_name != '.' && faccessat(dirfd(d), path, F_OK, 0) == 0)
			return true;
	}
	return false;
}

static int restart_dns(void *data, const struct network_row *n, struct err *e)
{
	_cleanup_(dns_strings_done) struct dns_strings own = {0};
	struct dns_place dns = dns_of(data, n, &own);

	return dns_start(&dns, e);
}

int network_raise(struct engine *g, const struct network_row *n, struct err *e)
{
	_cleanup_buf_ struct buf elements = {0};
	struct err none;

	int r = link_bridge_ensure(n, false, e);
	if (r == 0 && firewall_network_elements(n, &elements) < 0)
		r = err_nomem(e);
	if (r == 0)
		r = firewall_add(elements.data, e);
	if (r == 0)
		docker_rules_ensure(&none);
	return r == -ENOENT ? networks_rebuild(g, e) : r;
}

void network_lower(struct engine *g, const struct network_row *n)
{
	_cleanup_(dns_strings_done) struct dns_strings own = {0};
	_cleanup_buf_ struct buf elements = {0};
	struct dns_place dns = dns_of(g, n, &own);
	struct err none;

	dns_stop(&dns);
	link_bridge_remove(n->bridge, &none);
	if (!link_any_bridge()) { /* the last one: the host is as it was */
		docker_rules_remove();
		firewall_drop(&none);
		return;
	}
	if (firewall_network_elements(n, &elements) < 0 || firewall_remove(elements.data, &none) == -ENOENT)
		networks_rebuild(g, &none);
}

/* ---- a container ---- */

/* Puts elements into the tables, and before that into the file of whoever has them. */
static int add_elements(struct engine *g, const char *id, const struct buf *elements, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf all = {0};
	struct firewall fw = firewall_of(g, &path);

	firewall_file_read(&fw, id, &all);
	if (buf_add(&all, elements->data, elements->len) < 0)
		return err_nomem(e);
	int r = firewall_file_write(&fw, id, &all, e);
	if (r == 0)
		r = elements_add(elements->data, e);
	return r == -ENOENT ? networks_rebuild(g, e) : r;
}

struct member {
	struct engine *engine;
	struct db *db;
	const struct found *found;
	struct buf elements;
	bool names; /* second round: the elements are in, now the names */
};

/* Takes elements out of the file of whoever has them, and out of the tables. */
static int take_elements(struct engine *g, const char *id, const char *elements, struct err *e)
{
	_cleanup_buf_ struct buf all = {0}, left = {0};
	_cleanup_free_ char *path = NULL;
	struct firewall fw = firewall_of(g, &path);

	int r = firewall_file_read(&fw, id, &all);
	if (r < 0)
		return r;
	_cleanup_strv_ char **have = strv_split(all.data ? all.data : "", "\n");
	_cleanup_strv_ char **gone = strv_split(elements, "\n");
	strv_foreach(line, have) {
		if (!strv_has(gone, line) && buf_addf(&left, "%s\n", line) < 0)
			return err_nomem(e);
	}
	r = elements_remove(&g->elements_sock, elements, e);
	int k = firewall_file_write(&fw, id, &left, e);
	return r == -ENOENT ? networks_rebuild(g, e) : r < 0 ? r : k;
}

/* The lines of the file that begin with `prefix`. */
static int elements_like(struct engine *g, const char *id, const char *prefix, struct buf *b)
{
	_cleanup_buf_ struct buf all = {0};
	_cleanup_free_ char *path = NULL;
	struct firewall fw = firewall_of(g, &path);

	firewall_file_read(&fw, id, &all);
	_cleanup_strv_ char **lines = strv_split(all.data ? all.data : "", "\n");
	strv_foreach(line, lines) {
		if (str_starts(line, prefix) && buf_addf(b, "%s\n", line) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A name server of its own for a container with several networks, anew whenever they change. */
static int remake_resolver(struct engine *g, const struct found *f, const char *except, struct err *e)
{
	_cleanup_buf_ struct buf old = {0}, new = {0};

	int r = elements_like(g, f->row.id, FIREWALL_RESOLVERS " ", &old) < 0 ? err_nomem(e) : 0;
	if (r == 0 && old.len)
		r = take_elements(g, f->row.id, old.data, e);
	if (r == 0)
		r = resolver_make(g, f, except, &new, e);
	return r == 0 && new.len ? add_elements(g, f->row.id, &new, e) : r;
}

/* "10.200.0.2 web 0123456789ab alias" for each address. */
static int names_of(const struct member *m, const struct endpoint_row *p, struct buf *b)
{
	const char *hostname = json_str(json_object_get(m->found->record, "Config"), "Hostname");
	_cleanup_json_ json_t *aliases = json_loads(p->aliases, 0, NULL);
	const char *const addresses[] = {p->address4, p->address6};
	size_t k;
	json_t *v;

	for (size_t i = 0; i < 2; i++) {
		if (str_empty(addresses[i]))
			continue;
		int r = buf_addf(b, "%s %s %.12s", addresses[i], m->found->row.name, m->found->row.id);
		if (r == 0 && !str_empty(hostname) && strncmp(hostname, m->found->row.id, 12) != 0)
			r = buf_addf(b, " %s", hostname);
		json_array_foreach(aliases, k, v) {
			if (r == 0 && json_is_string(v) && name_valid(json_string_value(v)))
				r = buf_addf(b, " %s", json_string_value(v));
		}
		if (r < 0 || buf_adds(b, "\n") < 0)
			return -ENOMEM;
	}
	return 0;
}

static int on_member_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	struct member *m = data;
	_cleanup_(network_row_done) struct network_row n = {0};
	_cleanup_(dns_strings_done) struct dns_strings own = {0};
	_cleanup_buf_ struct buf names = {0};

	if (!m->names && firewall_endpoint_elements(p, &m->elements) < 0)
		return err_nomem(e);
	int r = networks_find(m->db, p->network, &n, e);
	if (r < 0)
		return r;
	if (!m->names)
		return link_bridge_exists(n.bridge) ? 0 : networks_rebuild(m->engine, e);
	if (names_of(m, p, &names) < 0)
		return err_nomem(e);
	resolvers_note(m->engine, n.id, p->container, names.data);
	struct dns_place dns = dns_of(m->engine, &n, &own);
	return dns_add(&dns, p->container, names.data, e);
}

/* A container's own name server that was killed. Not under the lock: a container that is found may have to be put right. */
static int restart_resolver(struct engine *g, const char *container, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	struct dns_place place = {.run_fd = g->run_fd, .run = g->run, .id = container};
	struct dns_pids pids;
	struct err none;

	dns_pids(&place, &pids);
	if (pids.supervisor || container_find(g, container, &f, &none) < 0 || !f.running)
		return 0;
	_cleanup_close_ int lock = network_lock(g, e);
	return lock < 0 ? lock : remake_resolver(g, &f, NULL, e);
}

static int restart_resolvers(struct engine *g, struct err *e)
{
	_cleanup_strv_ char **containers = resolvers_list(g);
	int r = 0;

	strv_foreach(id, containers) {
		if (r == 0)
			r = restart_resolver(g, id, e);
	}
	return r;
}

int networks_check(struct engine *g, struct err *e)
{
	struct db *db;
	struct err none;

	if (!any_up(g))
		return 0;
	_cleanup_close_ int lock = network_lock(g, e);
	if (lock < 0)
		return lock;
	int r = 0;
	if (!firewall_present()) {
		r = networks_rebuild(g, e);
	} else {
		docker_rules_ensure(&none);
		r = engine_db(g, &db, e);
		if (r == 0)
			r = networks_each(db, restart_dns, g, e);
	}
	close_fd(&lock);
	return r < 0 ? r : restart_resolvers(g, e);
}

int engine_network_reload(struct engine *g, struct err *e)
{
	_cleanup_close_ int lock = network_lock(g, e);
	int r = lock < 0 ? lock : networks_rebuild(g, e);

	close_fd(&lock);
	return r < 0 ? r : restart_resolvers(g, e);
}

int netup_start(
	struct engine *g, const struct found *f, const struct plan *plan, const struct published *ports, struct err *e)
{
	struct member m = {.engine = g, .found = f};
	struct err none;

	if (!plan->interfaces_len)
		return 0;
	_cleanup_close_ int lock = network_lock(g, e);
	int r = lock < 0 ? lock : engine_db(g, &m.db, e);
	if (r == 0)
		r = endpoints_of_container(m.db, f->row.id, on_member_endpoint, &m, e);
	if (r == 0 && publish_elements(ports, plan, &m.elements) < 0)
		r = err_nomem(e);
	if (r == 0)
		r = add_elements(g, f->row.id, &m.elements, e);
	if (r == 0 && ports->len)
		r = publish_record(g, f->row.id, ports, e);
	docker_rules_ensure(&none); /* docker may have come, or been flushed, since the last start */
	m.names = true;
	if (r == 0)
		r = endpoints_of_container(m.db, f->row.id, on_member_endpoint, &m, e);
	if (r == 0 && plan->interfaces_len > 1)
		r = remake_resolver(g, f, NULL, e);
	buf_done(&m.elements);
	close_fd(&lock);
	if (r < 0)
		netup_stop(g, f->row.id);
	return r;
}

int netup_rename(struct engine *g, const struct found *f, struct err *e)
{
	struct member m = {.engine = g, .found = f, .names = true};
	_cleanup_buf_ struct buf elements = {0};
	_cleanup_free_ char *path = NULL;
	struct firewall fw = firewall_of(g, &path);

	_cleanup_close_ int lock = network_lock(g, e);
	if (lock < 0)
		return lock;
	/* it may have ended, or been removed, since it was found: its names have gone with its elements */
	if (firewall_file_read(&fw, f->row.id, &elements) == -ENOENT)
		return 0;
	int r = engine_db(g, &m.db, e);
	return r < 0 ? r : endpoints_of_container(m.db, f->row.id, on_member_endpoint, &m, e);
}

/* From every network's names: the run directory tells even when the database does not any more. */
static void forget_names(struct engine *g, const char *id)
{
	_cleanup_closedir_ DIR *d = dir_open(g->run_fd, "networks");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		struct dns_place dns = {.run_fd = g->run_fd, .run = g->run, .id = entry->d_name};
		if (*entry->d_name == '.')
			continue;
		dns_remove(&dns, id);
		resolvers_note(g, entry->d_name, id, NULL);
	}
}

int netup_stop(struct engine *g, const char *id)
{
	_cleanup_buf_ struct buf elements = {0};
	_cleanup_free_ char *path = NULL;
	struct firewall fw = firewall_of(g, &path);
	struct err e = ERR_INIT;

	if (firewall_file_read(&fw, id, &elements) == -ENOENT)
		return 0;
	_cleanup_close_ int lock = network_lock(g, &e);
	if (lock < 0)
		return lock;
	int r = elements.data ? elements_remove(&g->elements_sock, elements.data, &e) : 0;
	firewall_file_remove(&fw, id);
	if (r == -ENOENT)
		r = networks_rebuild(g, &e);
	if (r < 0)
		log_trace("net", "container %.12s: %s", id, e.msg);
	resolver_drop(g, id);
	forget_names(g, id);
	return r;
}

int netup_sweep(struct engine *g, const char *id)
{
	_cleanup_buf_ struct buf elements = {0};
	struct err none;

	if (elements_like(g, id, FIREWALL_PORTS " ", &elements) < 0)
		return -ENOMEM;
	int r = netup_stop(g, id);
	_cleanup_strv_ char **words = strv_split(elements.data ? elements.data : "", " \n\"");
	strv_foreach(word, words) {
		if (str_starts(word, NET_PORT_PREFIX))
			link_port_remove(word, &none);
	}
	return r;
}

/* ---- one network of a running container, and a probe ---- */

struct probing {
	const struct network_row *network;
	struct plan *plan;
	struct buf elements;
};

static int on_probe_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	struct probing *b = data;

	int r = endpoints_plan_one(b->network, p, b->plan, e);
	return r == 0 && firewall_endpoint_elements(p, &b->elements) < 0 ? err_nomem(e) : r;
}

int netup_probe(struct engine *g, const char *name, const struct network_row *n, struct plan *ret, struct err *e)
{
	struct probing b = {.network = n, .plan = ret};
	struct db *db;

	_cleanup_close_ int lock = network_lock(g, e);
	int r = lock < 0 ? lock : engine_db(g, &db, e);
	if (r == 0 && !link_bridge_exists(n->bridge))
		r = networks_rebuild(g, e);
	if (r == 0)
		r = endpoints_of_container(db, name, on_probe_endpoint, &b, e);
	if (r == 0)
		r = add_elements(g, name, &b.elements, e);
	buf_done(&b.elements);
	return r;
}

int netup_bridge(struct engine *g, const struct network_row *n, struct err *e)
{
	_cleanup_close_ int lock = network_lock(g, e);

	if (lock < 0)
		return lock;
	return link_bridge_exists(n->bridge) ? 0 : networks_rebuild(g, e);
}

bool netup_has(struct engine *g, const char *id, const char *port)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf elements = {0};
	struct firewall fw = firewall_of(g, &path);

	return firewall_file_read(&fw, id, &elements) == 0 && elements.data && strstr(elements.data, port);
}

/* The first network of a container, but for `except`. */
struct leading {
	const char *except;
	struct db *db;
	struct plan plan;
	int position; /* -1: none */
};

static int on_leading(void *data, const struct endpoint_row *p, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	struct leading *l = data;

	if (l->position >= 0 || (l->except && !strcmp(p->network, l->except)))
		return 0;
	l->position = p->position;
	int r = networks_find(l->db, p->network, &n, e);
	return r < 0 ? r : endpoints_plan_one(&n, p, &l->plan, e);
}

static int tell_ports(const struct found *f, const struct plan *p, struct err *e)
{
	char address[INET6_ADDRSTRLEN];
	_cleanup_buf_ struct buf b = {0};

	if (wire_add_str(&b, publish_address(p, AF_INET, address)) < 0 ||
		wire_add_str(&b, publish_address(p, AF_INET6, address)) < 0)
		return err_nomem(e);
	return monitor_simple(f, MONITOR_PORTS, b.data, b.len, e);
}

/*
 * Published ports lead to the container's address on its first network. When that changes, by one at `position` that comes or goes, they follow: an
 * address that is given back may be another container's a moment later.
 */
static int lead_ports(struct engine *g, const struct found *f, const char *except, int position, struct err *e)
{
	struct leading l = {.except = except, .position = -1};
	_cleanup_buf_ struct buf old = {0}, new = {0};
	struct published ports = {0};

	int r = publish_read(g, f->row.id, &ports, e);
	if (r == 0 && ports.len)
		r = engine_db(g, &l.db, e);
	if (r == 0 && ports.len)
		r = endpoints_of_container(l.db, f->row.id, on_leading, &l, e);
	if (r == 0 && ports.len && (l.position < 0 || position <= l.position)) {
		if (elements_like(g, f->row.id, "inet publish", &old) < 0 ||
			elements_like(g, f->row.id, "inet open", &old) < 0 ||
			publish_elements(&ports, &l.plan, &new) < 0)
			r = err_nomem(e);
		if (r == 0 && old.len)
			r = take_elements(g, f->row.id, old.data, e);
		if (r == 0 && new.len)
			r = add_elements(g, f->row.id, &new, e);
		if (r == 0)
			r = tell_ports(f, &l.plan, e);
	}
	publish_done(&ports);
	plan_done(&l.plan);
	return r;
}

int netup_join(struct engine *g, const struct found *f, const struct network_row *n, const struct endpoint_row *p,
	struct err *e)
{
	_cleanup_buf_ struct buf own = {0}, names = {0};
	_cleanup_(dns_strings_done) struct dns_strings listen = {0};
	struct member m = {.engine = g, .found = f};

	_cleanup_close_ int lock = network_lock(g, e);
	int r = lock < 0 ? lock : link_bridge_exists(n->bridge) ? 0 : networks_rebuild(g, e);
	if (r < 0)
		return r;
	if (firewall_endpoint_elements(p, &own) < 0 || names_of(&m, p, &names) < 0)
		return err_nomem(e);
	r = add_elements(g, f->row.id, &own, e);
	if (r < 0)
		return r;
	resolvers_note(g, n->id, f->row.id, names.data);
	struct dns_place dns = dns_of(g, n, &listen);
	r = dns_add(&dns, f->row.id, names.data, e);
	if (r == 0)
		r = remake_resolver(g, f, NULL, e);
	return r < 0 ? r : lead_ports(g, f, NULL, p->position, e);
}

int netup_leave(struct engine *g, const struct found *f, const struct network_row *n, const struct endpoint_row *p)
{
	_cleanup_buf_ struct buf own = {0};
	struct dns_place dns = {.run_fd = g->run_fd, .run = g->run, .id = n->id};
	struct err e = ERR_INIT;

	_cleanup_close_ int lock = network_lock(g, &e);
	if (lock < 0)
		return lock;
	dns_remove(&dns, f->row.id);
	resolvers_note(g, n->id, f->row.id, NULL);
	int r = remake_resolver(g, f, n->id, &e), k = lead_ports(g, f, n->id, p->position, &e);
	if (firewall_endpoint_elements(p, &own) < 0)
		return -ENOMEM;
	/* the last: while they are there the endpoint counts as one that is up */
	int l = take_elements(g, f->row.id, own.data, &e);
	return r < 0 ? r : k < 0 ? k : l;
}

json_t *netup_elements_json(struct engine *g, const char *id)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf elements = {0};
	struct firewall fw = firewall_of(g, &path);

	firewall_file_read(&fw, id, &elements);
	_cleanup_strv_ char **lines = strv_split(elements.data ? elements.data : "", "\n");
	return json_from_strv(lines);
}
