/* The options of run and create about networks and ports, put into the API's body by docker's rules. */
#include "cli/network-options.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/port.h"

static const char default_network[] = "default";

static bool user_defined(const char *network)
{
	static const char *const builtin[] = {"default", "bridge", "host", "none", NULL};

	return !str_in(network, builtin) && !str_starts(network, "container:");
}

/* --ip and the like are settings of the first network. */
static int add_plain_options(const struct opts *o, json_t *network, struct err *e)
{
	static const struct {
		const char *option, *path, *what;
	} plain[] = {
		{"network-alias", "Endpoint.Aliases", "alias"},
		{"ip", "Endpoint.IPAMConfig.IPv4Address", "IPv4 address"},
		{"ip6", "Endpoint.IPAMConfig.IPv6Address", "IPv6 address"},
		{"mac-address", "Endpoint.MacAddress", "MAC address"},
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		json_t *value = opts_get(o, plain[i].option);
		if (!value || (json_is_string(value) && !json_string_length(value)))
			continue;
		if (json_path(network, plain[i].path))
			return err_set(e, EINVAL, "conflicting options: cannot specify both --%s and per-network %s",
				plain[i].option, plain[i].what);
		if (json_put_path(network, plain[i].path, json_incref(value)) < 0)
			return err_nomem(e);
	}
	return 0;
}

/* Every x of shape is a hexadecimal digit in s, all else is the same. */
static bool has_shape(const char *s, const char *shape)
{
	for (; *s && *shape; s++, shape++)
		if (*shape == 'x' ? !isxdigit((unsigned char)*s) : *s != *shape)
			return false;
	return !*s && !*shape;
}

/* The forms that docker takes, written as 02:42:ac:11:00:02. */
static bool mac_read(const char *s, char ret[18])
{
	size_t n = 0;

	if (!has_shape(s, "xx:xx:xx:xx:xx:xx") && !has_shape(s, "xx-xx-xx-xx-xx-xx") && !has_shape(s, "xxxx.xxxx.xxxx"))
		return false;
	for (; *s; s++) {
		if (!isxdigit((unsigned char)*s))
			continue;
		if (n % 3 == 2)
			ret[n++] = ':';
		ret[n++] = (char)tolower((unsigned char)*s);
	}
	ret[n] = 0;
	return true;
}

static int check_endpoint(json_t *endpoint, const char *name, struct err *e)
{
	const char *mac = json_str(endpoint, "MacAddress");
	char text[18];

	if (strspn(name, " \t\r\n") == strlen(name))
		return err_set(e, EINVAL, "no name set for network");
	if (json_object_get(endpoint, "Aliases") && !user_defined(name))
		return err_set(e, EINVAL, "network-scoped aliases are only supported for user-defined networks");
	if (str_empty(mac))
		return 0;
	if (!mac_read(mac, text))
		return err_set(e, EINVAL, "%s is not a valid mac address", mac);
	return json_set(endpoint, "MacAddress", json_from_str(text)) < 0 ? err_nomem(e) : 0;
}

static int add_endpoint(const json_t *network, json_t *endpoints, struct err *e)
{
	const char *name = json_str(network, "Target");
	_cleanup_json_ json_t *endpoint = json_incref(json_object_get(network, "Endpoint"));

	if (!endpoint)
		endpoint = json_object();
	int r = endpoint ? check_endpoint(endpoint, name, e) : err_nomem(e);
	if (r < 0)
		return r;
	if (json_object_get(endpoints, name))
		return err_set(e, EINVAL, "network \"%s\" is specified multiple times", name);
	return json_object_set(endpoints, name, endpoint) < 0 ? err_nomem(e) : 0;
}

static int apply_networks(struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *networks = json_incref(opts_get(o, "network")), *endpoints = json_object();
	bool own = false, builtin = false;
	size_t i;
	json_t *network;

	if (!networks)
		networks = json_pack("[{s:s}]", "Target", default_network);
	if (!networks || !endpoints)
		return err_nomem(e);
	json_array_foreach(networks, i, network) {
		int r = i ? 0 : add_plain_options(o, network, e);
		if (r == 0)
			r = add_endpoint(network, endpoints, e);
		if (r < 0)
			return r;
		own |= user_defined(json_str(network, "Target"));
		builtin |= !user_defined(json_str(network, "Target"));
	}
	if (own && builtin)
		return err_set(e, EINVAL,
			"conflicting options: cannot attach both user-defined and non-user-defined network-modes");
	const char *first = json_str(json_array_get(networks, 0), "Target");
	if (json_put_path(o->body, "HostConfig.NetworkMode", json_from_str(first)) < 0)
		return err_nomem(e);
	if (i == 1 && !json_object_size(json_object_get(endpoints, first)))
		return 0;
	return json_put_path(o->body, "NetworkingConfig.EndpointsConfig", steal_ptr(endpoints)) < 0 ? err_nomem(e) : 0;
}

static int apply_ports(struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *bindings = json_object(), *exposed = json_object();
	size_t i;
	json_t *spec;
	int r = bindings && exposed ? 0 : err_nomem(e);

	json_array_foreach(opts_get(o, "publish"), i, spec) {
		if (r == 0)
			r = port_publish(json_string_value(spec), bindings, exposed, e);
	}
	json_array_foreach(opts_get(o, "expose"), i, spec) {
		if (r == 0)
			r = port_expose(json_string_value(spec), exposed, e);
	}
	if (r < 0)
		return r;
	if (json_object_size(exposed) && json_put_path(o->body, "ExposedPorts", steal_ptr(exposed)) < 0)
		return err_nomem(e);
	if (json_object_size(bindings) && json_put_path(o->body, "HostConfig.PortBindings", steal_ptr(bindings)) < 0)
		return err_nomem(e);
	return 0;
}

int network_options_apply(struct opts *o, struct err *e)
{
	int r = apply_ports(o, e);

	return r < 0 ? r : apply_networks(o, e);
}
