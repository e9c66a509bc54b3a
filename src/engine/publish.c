/* Published ports: HostConfig.PortBindings checked, the sockets opened at a start, and what came of them told. */
#include "engine/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "engine/engine-private.h"
#include "net/firewall.h"

#define PORTS_FILE "ports" /* in the run directory: NetworkSettings.Ports of this run */

enum { FILE_MAX = 1 << 20 };

/* ---- what is asked for ---- */

/* "80/tcp", or without a protocol tcp. */
static int parse_port(const char *key, uint16_t *ret_port, int *ret_proto)
{
	_cleanup_free_ char *copy = strdup(key);
	char *slash = copy ? strchr(copy, '/') : NULL;
	uint32_t port;

	if (slash)
		*slash++ = 0;
	if (!copy || parse_u32(copy, &port) < 0 || !port || port > UINT16_MAX)
		return -EINVAL;
	if (slash && strcmp(slash, "tcp") != 0 && strcmp(slash, "udp") != 0)
		return -EPROTONOSUPPORT;
	*ret_port = (uint16_t)port;
	*ret_proto = slash && *slash == 'u' ? IPPROTO_UDP : IPPROTO_TCP;
	return 0;
}

/* "", "8080" or "8000-8010" */
static int parse_host_port(const char *s, struct port_binding *b)
{
	_cleanup_free_ char *copy = strdup(s ? s : "");
	uint32_t first = 0, last;

	if (!copy)
		return -ENOMEM;
	char *dash = strchr(copy, '-');
	if (dash)
		*dash++ = 0;
	if (*copy && parse_u32(copy, &first) < 0)
		return -EINVAL;
	last = first;
	if (dash && parse_u32(dash, &last) < 0)
		return -EINVAL;
	if (first > UINT16_MAX || last > UINT16_MAX || first > last)
		return -EINVAL;
	b->first = (uint16_t)first;
	b->last = (uint16_t)last;
	return 0;
}

struct bindings {
	struct port_binding *all;
	size_t len;
};

static int add_binding(struct bindings *p, const struct port_binding *b)
{
	struct port_binding *more = reallocarray(p->all, p->len + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	p->all = more;
	more[p->len++] = *b;
	return 0;
}

static int add_bindings(struct bindings *p, const char *key, const json_t *list, struct err *e)
{
	struct port_binding b = {0};
	size_t i;
	json_t *v;

	int r = parse_port(key, &b.container_port, &b.proto);
	if (r == -EPROTONOSUPPORT)
		return err_set(e, ENOTSUP, "port %s: only tcp and udp can be published", key);
	if (r < 0 || (!json_is_array(list) && !json_is_null(list)))
		return err_set(e, EINVAL, "invalid port specification: \"%s\"", key);
	json_array_foreach((json_t *)list, i, v) {
		uint8_t address[16];
		b.host = json_str(v, "HostIp");
		if (!str_empty(b.host) && inet_pton(strchr(b.host, ':') ? AF_INET6 : AF_INET, b.host, address) != 1)
			return err_set(e, EINVAL, "invalid IP address: %s", b.host);
		if (parse_host_port(json_str(v, "HostPort"), &b) < 0)
			return err_set(e, EINVAL, "invalid port specification: \"%s\"", json_str(v, "HostPort"));
		if (add_binding(p, &b) < 0)
			return err_nomem(e);
	}
	return 0;
}

/* -P: whatever is exposed and has no binding of its own. */
static int add_exposed(struct bindings *p, const json_t *exposed, const json_t *bound, struct err *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)exposed, key, v) {
		struct port_binding b = {0};
		if (json_array_size(json_object_get(bound, key)) || parse_port(key, &b.container_port, &b.proto) < 0)
			continue;
		if (add_binding(p, &b) < 0)
			return err_nomem(e);
	}
	return 0;
}

static int read_bindings(const json_t *config, const json_t *hc, struct bindings *p, struct err *e)
{
	const json_t *bound = json_object_get(hc, "PortBindings");
	const char *key;
	json_t *list;
	int r = 0;

	json_object_foreach((json_t *)bound, key, list) {
		if (r == 0)
			r = add_bindings(p, key, list, e);
	}
	if (r == 0 && json_flag(hc, "PublishAllPorts"))
		r = add_exposed(p, json_object_get(config, "ExposedPorts"), bound, e);
	return r;
}

int publish_check(const json_t *config, const json_t *hc, json_t *warnings, struct err *e)
{
	struct bindings p = {0};
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(config, "ExposedPorts"), key, v) {
		uint16_t port;
		int proto;
		if (parse_port(key, &port, &proto) == -EINVAL)
			return err_set(e, EINVAL, "invalid port specification: \"%s\"", key);
	}
	int r = read_bindings(config, hc, &p, e);
	bool any = p.len;
	free(p.all);
	if (r == 0 && any && network_mode_container(hc))
		r = err_set(e, EINVAL, "conflicting options: port publishing and the container type network mode");
	if (r == 0 && any && network_mode_is(hc, "host"))
		json_array_append_new(
			warnings, json_string("Published ports are discarded when using host network mode"));
	return r;
}

/* ---- a start ---- */

int publish_open(const struct found *f, struct published *ret, struct err *e)
{
	const json_t *config = json_object_get(f->record, "Config"), *hc = json_object_get(f->record, "HostConfig");
	struct bindings p = {0};

	*ret = (struct published){0};
	int r = read_bindings(config, hc, &p, e);
	if (r == 0 && p.len) {
		r = port_sockets_open(p.all, p.len, &ret->sockets, &ret->len, e);
		if (r < 0)
			err_wrap(e, "driver failed programming external connectivity on endpoint %s", f->row.name);
	}
	free(p.all);
	return r;
}

void publish_done(struct published *p)
{
	port_sockets_free(p->sockets, p->len);
	*p = (struct published){0};
}

static const char *proto_name(int proto)
{
	return proto == IPPROTO_UDP ? "udp" : "tcp";
}

const char *publish_address(const struct plan *p, int family, char ret[INET6_ADDRSTRLEN])
{
	*ret = 0;
	if (!p->interfaces_len)
		return ret;
	strv_foreach(a, p->interfaces[0].addresses) {
		size_t n = strcspn(a, "/");
		if (!*ret && !!strchr(a, ':') == (family == AF_INET6) && n < INET6_ADDRSTRLEN) {
			memcpy(ret, a, n);
			ret[n] = 0;
		}
	}
	return ret;
}

/* Where the monitor carries what comes to a socket: an address of the same family if the container has one. */
static bool port_target(const struct port_socket *s, const struct plan *p, char ret[INET6_ADDRSTRLEN])
{
	return *publish_address(p, s->family, ret) ||
		*publish_address(p, s->family == AF_INET ? AF_INET6 : AF_INET, ret);
}

/* A line that is there already is not added: what is in the sets twice cannot be taken out twice. */
static int add_once(struct buf *b, const struct buf *lines)
{
	_cleanup_strv_ char **v = strv_split(lines->data ? lines->data : "", "\n");
	_cleanup_strv_ char **have = strv_split(b->data ? b->data : "", "\n");

	strv_foreach(line, v) {
		if (!strv_has(have, line) && buf_addf(b, "%s\n", line) < 0)
			return -ENOMEM;
	}
	return 0;
}

int publish_elements(const struct published *p, const struct plan *plan, struct buf *b)
{
	for (size_t i = 0; i < p->len; i++) {
		const struct port_socket *s = &p->sockets[i];
		_cleanup_buf_ struct buf lines = {0};
		char address[INET6_ADDRSTRLEN];
		bool any = !strcmp(s->host, "0.0.0.0") || !strcmp(s->host, "::");
		if (!port_target(s, plan, address))
			continue;
		bool same_family = !!strchr(address, ':') == (s->family == AF_INET6);
		bool loopback = !strcmp(s->host, "::1") || str_starts(s->host, "127.");
		if (firewall_publish_elements(proto_name(s->proto), any ? "" : s->host,
			    same_family && !loopback ? s->host_port : 0, address, s->container_port, &lines) < 0 ||
			add_once(b, &lines) < 0)
			return -ENOMEM;
	}
	return 0;
}

int publish_args(const struct published *p, const struct plan *plan, char ***args)
{
	for (size_t i = 0; i < p->len; i++) {
		char address[INET6_ADDRSTRLEN] = "";
		port_target(&p->sockets[i], plan, address);
		if (strv_pushf(args, "--publish=%s,%s,%u", proto_name(p->sockets[i].proto), address,
			    p->sockets[i].container_port) < 0)
			return -ENOMEM;
	}
	return 0;
}

int publish_record(struct engine *g, const char *id, const struct published *p, struct err *e)
{
	_cleanup_json_ json_t *o = json_object();
	_cleanup_free_ char *path = str_fmt("containers/%s/" PORTS_FILE, id);

	for (size_t i = 0; i < p->len; i++) {
		const struct port_socket *s = &p->sockets[i];
		_cleanup_free_ char *key = str_fmt("%u/%s", s->container_port, proto_name(s->proto));
		json_t *list = key ? json_object_get(o, key) : NULL;
		if (key && !list)
			json_object_set_new(o, key, list = json_array());
		json_array_append_new(
			list, json_pack("{s:s, s:o}", "HostIp", s->host, "HostPort", json_sprintf("%u", s->host_port)));
	}
	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);
	if (!path || !text)
		return err_nomem(e);
	int r = file_replace(g->run_fd, path, text, strlen(text), 0600);
	return r < 0 ? err_errno(e, r, "write the run directory of container %.12s", id) : 0;
}

static int add_recorded(struct published *p, const char *key, const json_t *v)
{
	struct port_socket *more = reallocarray(p->sockets, p->len + 1, sizeof(*more));
	const char *host = json_str(v, "HostIp"), *port = json_str(v, "HostPort");
	uint32_t number;

	if (!more)
		return -ENOMEM;
	p->sockets = more;
	struct port_socket *s = &more[p->len];
	*s = (struct port_socket){.fd = -1, .family = host && strchr(host, ':') ? AF_INET6 : AF_INET};
	if (!host || strlen(host) >= sizeof(s->host) || !port || parse_u32(port, &number) < 0 || number > UINT16_MAX ||
		parse_port(key, &s->container_port, &s->proto) < 0)
		return -EBADMSG;
	strcpy(s->host, host);
	s->host_port = (uint16_t)number;
	p->len++;
	return 0;
}

int publish_read(struct engine *g, const char *id, struct published *ret, struct err *e)
{
	_cleanup_free_ char *path = str_fmt("containers/%s/" PORTS_FILE, id);
	struct err none;
	const char *key;
	json_t *list, *v;
	size_t i;
	int r = 0;

	*ret = (struct published){0};
	if (!path)
		return err_nomem(e);
	_cleanup_json_ json_t *o = json_parse_file(g->run_fd, path, FILE_MAX, &none);
	json_object_foreach(o, key, list) {
		json_array_foreach(list, i, v) {
			if (r == 0)
				r = add_recorded(ret, key, v);
		}
	}
	if (r < 0) {
		publish_done(ret);
		return err_errno(e, r, "the published ports of container %.12s", id);
	}
	return 0;
}

/* ---- told ---- */

json_t *publish_json(struct engine *g, const struct found *f)
{
	_cleanup_free_ char *path = str_fmt("containers/%s/" PORTS_FILE, f->row.id);
	struct err none;
	const char *key;
	json_t *v;

	if (!f->running || !path)
		return json_object();
	json_t *o = json_parse_file(g->run_fd, path, FILE_MAX, &none);
	if (!o)
		o = json_object();
	json_object_foreach(json_object_get(json_object_get(f->record, "Config"), "ExposedPorts"), key, v) {
		if (!json_object_get(o, key))
			json_object_set_new(o, key, json_null());
	}
	return o;
}

json_t *publish_list(struct engine *g, const struct found *f)
{
	_cleanup_json_ json_t *all = publish_json(g, f);
	json_t *list = json_array();
	const char *key;
	json_t *bound;

	json_object_foreach(all, key, bound) {
		uint16_t port;
		int proto;
		size_t i;
		json_t *v;
		if (parse_port(key, &port, &proto) < 0)
			continue;
		if (!json_array_size(bound))
			json_array_append_new(
				list, json_pack("{s:i, s:s}", "PrivatePort", (int)port, "Type", proto_name(proto)));
		json_array_foreach(bound, i, v)
			json_array_append_new(list,
				json_pack("{s:s, s:i, s:i, s:s}", "IP", json_str(v, "HostIp"), "PrivatePort", (int)port,
					"PublicPort", atoi(json_str(v, "HostPort") ? json_str(v, "HostPort") : "0"),
					"Type", proto_name(proto)));
	}
	return list;
}
