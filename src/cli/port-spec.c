/* The specifications of ports, with the error texts of docker's client. */
#include "cli/port.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/address.h"

enum { PORT_MAX = 65535 };

struct ports {
	uint32_t first, last;
};

static int parse_port(const char *s, uint32_t *ret, struct err *e)
{
	int r = parse_u32(s, ret);

	if (r == -ERANGE || (r == 0 && *ret > PORT_MAX))
		return err_set(e, EINVAL, "strconv.ParseUint: parsing \"%s\": value out of range", s);
	if (r < 0)
		return err_set(e, EINVAL, "strconv.ParseUint: parsing \"%s\": invalid syntax", s);
	return 0;
}

/* "80" or "80-90" */
static int parse_range(const char *s, struct ports *ret, struct err *e)
{
	_cleanup_free_ char *first = strndup(s, strcspn(s, "-"));
	const char *dash = strchr(s, '-');

	if (!first)
		return err_nomem(e);
	if (!*s)
		return err_set(e, EINVAL, "empty string specified for ports");
	int r = parse_port(first, &ret->first, e);
	ret->last = ret->first;
	if (r == 0 && dash)
		r = parse_port(dash + 1, &ret->last, e);
	if (r == 0 && ret->last < ret->first)
		r = err_set(e, EINVAL, "invalid range specified for port: %s", s);
	return r;
}

/* Ports of a container: there is no port 0 to listen on. */
static int parse_inner_range(const char *s, struct ports *ret, struct err *e)
{
	int r = parse_range(s, ret, e);

	return r == 0 && !ret->first ? err_set(e, EINVAL, "invalid range specified for port: %s", s) : r;
}

/* Cuts "80/tcp" at the slash; tcp if it says none. */
static const char *split_protocol(char *port)
{
	char *slash = strchr(port, '/');

	if (!slash)
		return "tcp";
	*slash = 0;
	return slash[1] ? str_lower(slash + 1) : "tcp";
}

static int check_protocol(const char *protocol, struct err *e)
{
	if (!strcmp(protocol, "sctp"))
		return err_set(e, ENOTSUP, "sctp is not supported: the protocol of a port is tcp or udp");
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return err_set(e, EINVAL, "invalid proto: %s", protocol);
	return 0;
}

/* Cuts s at its last c and returns what is behind it, or NULL. */
static char *cut_last(char *s, char c)
{
	char *at = strrchr(s, c);

	if (!at)
		return NULL;
	*at = 0;
	return at + 1;
}

/* "[::1]" becomes "::1". */
static int check_ip(char *ip, struct err *e)
{
	struct address a;
	size_t n = strlen(ip);

	if (n > 2 && *ip == '[' && ip[n - 1] == ']') {
		memmove(ip, ip + 1, n - 2);
		ip[n - 2] = 0;
	}
	return *ip && address_parse(ip, &a) < 0 ? err_set(e, EINVAL, "invalid IP address: %s", ip) : 0;
}

static int add_binding(json_t *bindings, const char *key, const char *ip, const char *host_port)
{
	json_t *list = json_object_get(bindings, key);

	if (!list && json_set(bindings, key, list = json_array()) < 0)
		return -ENOMEM;
	return json_array_append_new(list, json_pack("{s:s, s:s}", "HostIp", ip, "HostPort", host_port)) < 0 ? -ENOMEM
													     : 0;
}

/* The bindings of inner ports; host is NULL where the engine chooses. */
static int add_ports(const struct ports *inner, const struct ports *host, const char *protocol, const char *ip,
	json_t *bindings, json_t *exposed)
{
	for (uint32_t i = 0; i <= inner->last - inner->first; i++) {
		char key[32], host_port[32] = "";
		snprintf(key, sizeof(key), "%u/%s", inner->first + i, protocol);
		if (host && inner->first == inner->last && host->first != host->last)
			snprintf(host_port, sizeof(host_port), "%u-%u", host->first, host->last);
		else if (host)
			snprintf(host_port, sizeof(host_port), "%u", host->first + i);
		if (json_set(exposed, key, json_object()) < 0 || add_binding(bindings, key, ip, host_port) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* spec is cut to pieces; `given` is what the user wrote, for errors. */
static int publish(char *spec, const char *given, json_t *bindings, json_t *exposed, struct err *e)
{
	struct ports inner, host;
	char *port = cut_last(spec, ':'), *host_port = port ? cut_last(spec, ':') : NULL;
	char none[] = "", *ip = host_port ? spec : none;

	if (!host_port)
		host_port = port ? spec : none;
	if (!port)
		port = spec;
	const char *protocol = split_protocol(port);
	if (!*port)
		return err_set(e, EINVAL, "no port specified: %s<empty>", given);
	int r = check_protocol(protocol, e);
	if (r == 0)
		r = check_ip(ip, e);
	if (r < 0)
		return r;
	if (parse_inner_range(port, &inner, e) < 0)
		return err_set(e, EINVAL, "invalid containerPort: %s", port);
	if (*host_port && parse_range(host_port, &host, e) < 0)
		return err_set(e, EINVAL, "invalid hostPort: %s", host_port);
	if (*host_port && inner.first != inner.last && inner.last - inner.first != host.last - host.first)
		return err_set(
			e, EINVAL, "invalid ranges specified for container and host Ports: %s and %s", port, host_port);
	return add_ports(&inner, *host_port ? &host : NULL, protocol, ip, bindings, exposed) < 0 ? err_nomem(e) : 0;
}

/* target=80,published=8080,protocol=udp as "8080:80/udp". */
static int short_form(const char *spec, char **ret, struct err *e)
{
	static const char *const names[] = {"published", "target", "protocol", "mode"};
	const char *values[] = {"", "", "tcp", ""};
	_cleanup_strv_ char **fields = strv_split(spec, ",");

	strv_foreach(field, fields) {
		char *value = strchr(field, '=');
		size_t i = 0;
		if (!value)
			return err_set(
				e, EINVAL, "invalid publish opts format (should be name=value but got '%s')", field);
		*value++ = 0;
		while (i < 4 && strcmp(field, names[i]) != 0)
			i++;
		if (i == 4)
			return err_set(e, EINVAL, "invalid publish opts format (unknown name '%s')", field);
		values[i] = value;
	}
	*ret = str_fmt("%s:%s/%s", values[0], values[1], values[2]);
	return *ret ? 0 : err_nomem(e);
}

int port_publish(const char *spec, json_t *bindings, json_t *exposed, struct err *e)
{
	_cleanup_free_ char *text = NULL, *given = NULL;
	int r = 0;

	if (strchr(spec, '='))
		r = short_form(spec, &text, e);
	else
		text = strdup(spec);
	if (r < 0)
		return r;
	given = text ? strdup(text) : NULL;
	return given ? publish(text, given, bindings, exposed, e) : err_nomem(e);
}

int port_expose(const char *spec, json_t *exposed, struct err *e)
{
	_cleanup_free_ char *port = strdup(spec);
	struct ports ports;
	struct err why = ERR_INIT;

	if (!port)
		return err_nomem(e);
	if (strchr(spec, ':'))
		return err_set(e, EINVAL, "invalid port format for --expose: %s", spec);
	const char *protocol = split_protocol(port);
	if (parse_inner_range(port, &ports, &why) < 0)
		return err_set(e, EINVAL, "invalid range format for --expose: %s, error: %s", spec, why.msg);
	int r = check_protocol(protocol, e);
	for (uint32_t i = ports.first; r == 0 && i <= ports.last; i++) {
		char key[32];
		snprintf(key, sizeof(key), "%u/%s", i, protocol);
		if (json_set(exposed, key, json_object()) < 0)
			return err_nomem(e);
	}
	return r;
}
