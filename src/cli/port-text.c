/* Ports as `ps` and `port` show them, in the form and the order that docker's client has. */
#include "cli/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

struct port {
	const char *ip, *type; /* ip: "" for a port that is not published */
	long long inner, outer;
};

/* Consecutive ports of one address and protocol, published under their own numbers or not at all. */
struct group {
	const char *ip, *type;
	long long first, last;
};

struct column {
	struct group *groups;
	size_t groups_len;
	struct buf closed, mapped; /* of groups with a gap behind them; of ports published under another number */
};

static int compare_ports(const void *a, const void *b)
{
	const struct port *x = a, *y = b;
	int ip = strcmp(x->ip, y->ip);

	if (x->inner != y->inner)
		return x->inner < y->inner ? -1 : 1;
	if (ip)
		return ip;
	if (x->outer != y->outer)
		return x->outer < y->outer ? -1 : 1;
	return strcmp(x->type, y->type);
}

/* "0.0.0.0:", "[::]:" */
static int add_host(struct buf *b, const char *ip)
{
	return buf_addf(b, strchr(ip, ':') ? "[%s]:" : "%s:", ip);
}

static int add_numbers(struct buf *b, const struct group *g)
{
	return g->first == g->last ? buf_addf(b, "%lld", g->first) : buf_addf(b, "%lld-%lld", g->first, g->last);
}

static int add_separator(struct buf *b)
{
	return buf_adds(b, b->len ? ", " : "");
}

/* "80-82/tcp", "0.0.0.0:80->80/tcp" */
static int add_group(struct buf *b, const struct group *g)
{
	int r = add_separator(b);

	if (r == 0 && *g->ip) {
		r = add_host(b, g->ip);
		if (r == 0)
			r = add_numbers(b, g);
		if (r == 0)
			r = buf_adds(b, "->");
	}
	if (r == 0)
		r = add_numbers(b, g);
	return r < 0 ? r : buf_addf(b, "/%s", g->type);
}

static int add_mapped(struct buf *b, const struct port *p)
{
	int r = add_separator(b);

	if (r == 0)
		r = add_host(b, p->ip);
	return r < 0 ? r : buf_addf(b, "%lld->%lld/%s", p->outer, p->inner, p->type);
}

/* Joins the group of its address and protocol; a gap closes that group and begins it anew, in its place. */
static int add_port(struct column *c, const struct port *p)
{
	struct group *g = c->groups, *end = c->groups + c->groups_len;
	int r = 0;

	if (*p->ip && p->outer != p->inner)
		return add_mapped(&c->mapped, p);
	while (g < end && (strcmp(g->ip, p->ip) != 0 || strcmp(g->type, p->type) != 0))
		g++;
	if (g < end && p->inner == g->last + 1) {
		g->last = p->inner;
		return 0;
	}
	if (g < end)
		r = add_group(&c->closed, g);
	else
		c->groups_len++;
	*g = (struct group){p->ip, p->type, p->inner, p->inner};
	return r;
}

static size_t read_ports(const json_t *list, struct port *ret)
{
	size_t i;
	json_t *o;

	json_array_foreach(list, i, o) {
		const char *ip = json_str(o, "IP"), *type = json_str(o, "Type");
		ret[i] = (struct port){.ip = ip ? ip : "",
			.type = type ? type : "tcp",
			.inner = json_int(o, "PrivatePort", 0),
			.outer = json_int(o, "PublicPort", 0)};
	}
	return json_array_size(list);
}

char *port_column(const json_t *list)
{
	_cleanup_free_ struct port *ports = calloc(json_array_size(list) + 1, sizeof(*ports));
	_cleanup_free_ struct group *groups = calloc(json_array_size(list) + 1, sizeof(*groups));
	struct column c = {.groups = groups};
	int r = ports && groups ? buf_adds(&c.closed, "") : -ENOMEM;
	size_t n = r == 0 ? read_ports(list, ports) : 0;

	if (n)
		qsort(ports, n, sizeof(*ports), compare_ports);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_port(&c, &ports[i]);
	for (size_t i = 0; r == 0 && i < c.groups_len; i++)
		r = add_group(&c.closed, &groups[i]);
	if (r == 0 && c.mapped.len)
		r = add_separator(&c.closed) < 0 ? -ENOMEM : buf_adds(&c.closed, c.mapped.data);
	buf_done(&c.mapped);
	if (r < 0)
		buf_done(&c.closed);
	return c.closed.data;
}

/* "80" or "80/tcp" as the key of NetworkSettings.Ports. */
static int port_key(const char *wanted, char **ret, struct err *e)
{
	size_t n = strcspn(wanted, "/");
	_cleanup_free_ char *number = strndup(wanted, n);
	uint32_t port;

	if (!number)
		return err_nomem(e);
	int r = parse_u32(number, &port);
	if (r < 0 || port > 65535)
		return err_set(e, EINVAL, "invalid port (%s): strconv.ParseUint: parsing \"%s\": %s", number, number,
			r == -EINVAL ? "invalid syntax" : "value out of range");
	*ret = str_fmt("%s/%s", number, wanted[n] && wanted[n + 1] ? wanted + n + 1 : "tcp");
	return *ret ? 0 : err_nomem(e);
}

static int add_lines(const json_t *bindings, const char *prefix, char ***ret)
{
	size_t i;
	json_t *binding;
	int r = 0;

	json_array_foreach(bindings, i, binding) {
		_cleanup_buf_ struct buf line = {0};
		const char *ip = json_str(binding, "HostIp"), *port = json_str(binding, "HostPort");
		if (r == 0)
			r = buf_adds(&line, prefix);
		if (r == 0)
			r = add_host(&line, ip ? ip : "");
		if (r == 0)
			r = buf_adds(&line, port ? port : "");
		if (r == 0)
			r = strv_push(ret, line.data);
	}
	return r;
}

static int compare_lines(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

int port_lines(const json_t *ports, const char *wanted, const char *ref, char ***ret, struct err *e)
{
	_cleanup_strv_ char **lines = NULL;
	_cleanup_free_ char *key = NULL;
	const char *port;
	json_t *bindings;
	int r = str_empty(wanted) ? 0 : port_key(wanted, &key, e);

	if (r < 0)
		return r;
	json_object_foreach((json_t *)ports, port, bindings) {
		_cleanup_free_ char *prefix = key ? strdup("") : str_fmt("%s -> ", port);
		if (r == 0 && (!key || !strcmp(key, port)))
			r = prefix ? add_lines(bindings, prefix, &lines) : -ENOMEM;
	}
	if (r < 0)
		return err_nomem(e);
	if (key && !lines)
		return err_set(e, ENOENT, "No public port '%s' published for %s", wanted, ref);
	if (lines)
		qsort(lines, strv_len(lines), sizeof(*lines), compare_lines);
	*ret = steal_ptr(lines);
	return 0;
}
