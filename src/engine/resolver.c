/* The name server of a container that is on several networks. */
#include "engine/resolver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/fd.h"
#include "net/dns.h"
#include "net/firewall.h"

#define NETWORKS_FILE "of"

enum { FILE_MAX = 64 * 1024 };

struct making {
	struct db *db;
	const char *except;
	size_t len;
	char **networks; /* ids */
	char **bridges, **listen;
	char **addresses, **gateways; /* the container's and the host's, IPv4, in pairs */
	bool internal;                /* all of them are */
};

static void making_done(struct making *m)
{
	strv_free(m->networks);
	strv_free(m->bridges);
	strv_free(m->listen);
	strv_free(m->addresses);
	strv_free(m->gateways);
}

static int on_endpoint(void *data, const struct endpoint_row *p, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	struct making *m = data;

	if (m->except && !strcmp(p->network, m->except))
		return 0;
	int r = networks_find(m->db, p->network, &n, e);
	if (r < 0)
		return r;
	m->internal = n.internal && (m->internal || !m->len);
	m->len++;
	const char *slash = strchr(n.subnet4, '/');
	if (strv_push(&m->networks, n.id) < 0 || strv_push(&m->bridges, n.bridge) < 0 ||
		strv_pushf(&m->listen, "%s%s", n.gateway4, slash ? slash : "") < 0 ||
		strv_push(&m->addresses, p->address4) < 0 || strv_push(&m->gateways, n.gateway4) < 0)
		return err_nomem(e);
	return 0;
}

/* A port that is free on the first network's address; whoever takes it in the next moment makes dnsmasq say so. */
static int free_port(const char *gateway, uint16_t *ret, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof(a);
	struct address parsed;

	if (fd < 0 || address_parse(gateway, &parsed) < 0)
		return err_set(e, EINVAL, "the container's name server: no address");
	memcpy(&a.sin_addr, parsed.bytes, sizeof(a.sin_addr));
	if (bind(fd, (struct sockaddr *)&a, n) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return err_errno(e, errno, "find a port for the container's name server");
	*ret = ntohs(a.sin_port);
	return 0;
}

/* Files of two networks may be of the same container. */
static char *copy_name(const char *network, const char *container)
{
	return str_fmt("%.12s-%s", network, container);
}

static int copy_hosts(struct engine *g, const struct dns_place *to, const char *network, struct err *e)
{
	_cleanup_free_ char *path = str_fmt("networks/%s/hosts", network);
	_cleanup_closedir_ DIR *d = path ? dir_open(g->run_fd, path) : NULL;
	struct dirent *entry;
	int r = 0;

	while (r == 0 && d && (entry = readdir(d))) {
		_cleanup_free_ char *name = copy_name(network, entry->d_name);
		_cleanup_buf_ struct buf b = {0};
		if (*entry->d_name == '.' || file_read(dirfd(d), entry->d_name, FILE_MAX, &b) < 0)
			continue;
		r = name ? dns_write(to, name, b.data ? b.data : "", e) : err_nomem(e);
	}
	return r;
}

static int write_networks(struct engine *g, const char *container, char *const *networks, struct err *e)
{
	_cleanup_free_ char *path = str_fmt("networks/%s/" NETWORKS_FILE, container);
	_cleanup_buf_ struct buf b = {0};
	int r = path ? 0 : -ENOMEM;

	strv_foreach(n, networks) {
		if (r == 0)
			r = buf_addf(&b, "%s\n", n);
	}
	if (r == 0)
		r = file_replace(g->run_fd, path, b.data ? b.data : "", b.len, 0600);
	return r < 0 ? err_errno(e, r, "names of container %.12s", container) : 0;
}

int resolver_make(struct engine *g, const struct found *f, const char *except, struct buf *elements, struct err *e)
{
	_cleanup_(making_done) struct making m = {.except = except};
	struct dns_place place = {.libexec_dir = g->libexec_dir,
		.run_fd = g->run_fd,
		.run = g->run,
		.id = f->row.id,
		.name = f->row.name};

	resolver_drop(g, f->row.id);
	int r = engine_db(g, &m.db, e);
	if (r == 0)
		r = endpoints_of_container(m.db, f->row.id, on_endpoint, &m, e);
	if (r < 0 || m.len < 2)
		return r;
	place.bridges = m.bridges;
	place.listen = m.listen;
	place.internal = m.internal;
	r = free_port(m.gateways[0], &place.port, e);
	strv_foreach(network, m.networks) {
		if (r == 0)
			r = copy_hosts(g, &place, network, e);
	}
	if (r == 0)
		r = write_networks(g, f->row.id, m.networks, e);
	for (size_t i = 0; r == 0 && i < m.len; i++)
		if (firewall_resolver_element(m.addresses[i], m.gateways[i], place.port, elements) < 0)
			r = err_nomem(e);
	return r < 0 ? r : dns_start(&place, e);
}

void resolver_drop(struct engine *g, const char *container)
{
	struct dns_place place = {.run_fd = g->run_fd, .run = g->run, .id = container};

	dns_stop(&place);
}

static bool is_of(struct engine *g, const char *resolver, const char *network)
{
	_cleanup_free_ char *path = str_fmt("networks/%s/" NETWORKS_FILE, resolver);
	_cleanup_buf_ struct buf b = {0};

	return path && file_read(g->run_fd, path, FILE_MAX, &b) == 0 && b.data && strstr(b.data, network);
}

void resolvers_note(struct engine *g, const char *network, const char *container, const char *text)
{
	_cleanup_closedir_ DIR *d = dir_open(g->run_fd, "networks");
	_cleanup_free_ char *name = copy_name(network, container);
	struct dirent *entry;
	struct err none;

	while (name && d && (entry = readdir(d))) {
		struct dns_place place = {
			.run_fd = g->run_fd, .run = g->run, .id = entry->d_name, .name = entry->d_name};
		if (*entry->d_name == '.' || !is_of(g, entry->d_name, network))
			continue;
		if (text)
			dns_write(&place, name, text, &none);
		else
			dns_remove(&place, name);
	}
}

char **resolvers_list(struct engine *g)
{
	_cleanup_closedir_ DIR *d = dir_open(g->run_fd, "networks");
	struct dirent *entry;
	char **v = NULL;

	while (d && (entry = readdir(d))) {
		_cleanup_free_ char *path = str_fmt("%s/" NETWORKS_FILE, entry->d_name);
		if (*entry->d_name != '.' && path && faccessat(dirfd(d), path, F_OK, 0) == 0)
			strv_push(&v, entry->d_name);
	}
	return v;
}
