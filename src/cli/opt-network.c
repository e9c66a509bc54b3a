/* Values of options about networks and names, put into the form of docker's API. Only the syntax is checked
 * here; what the values mean is the engine's. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "cli/network-options.h"

enum { DOMAIN_MAX = 254 };

/* Cuts the white space off both ends. */
static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	for (n = strlen(s); n && strchr(" \t\r\n", s[n - 1]); n--)
		;
	s[n] = 0;
	return s;
}

/* docker's rule: a value that has name=value in it, of letters, digits and '_' next to the '=', is the long form. */
static bool is_long_form(const char *value)
{
	for (const char *c = strchr(value, '='); c; c = strchr(c + 1, '='))
		if (c > value && (isalnum((unsigned char)c[-1]) || c[-1] == '_') &&
			(isalnum((unsigned char)c[1]) || c[1] == '_'))
			return true;
	return false;
}

static const struct network_key {
	const char *name, *path;
	bool list;
} network_keys[] = {
	{"name", "Target", false},
	{"alias", "Endpoint.Aliases", true},
	{"ip", "Endpoint.IPAMConfig.IPv4Address", false},
	{"ip6", "Endpoint.IPAMConfig.IPv6Address", false},
	{"mac-address", "Endpoint.MacAddress", false},
	{0},
};

static int put_key(json_t *network, const struct network_key *k, const char *value)
{
	json_t *list = k->list ? json_path(network, k->path) : NULL;

	if (list)
		return json_array_append_new(list, json_from_str(value));
	return json_put_path(network, k->path, k->list ? json_pack("[o]", json_from_str(value)) : json_from_str(value));
}

static int put_field(json_t *network, char *field, struct err *e)
{
	static const char *const unsupported[] = {"driver-opt", "gw-priority", "link-local-ip", NULL};
	const struct network_key *k = network_keys;
	char *value = strchr(field, '=');

	if (!value || value == field)
		return err_set(e, EINVAL, "invalid field %s", field);
	*value++ = 0;
	field = str_lower(trim(field));
	if (str_in(field, unsupported))
		return err_set(e, ENOTSUP, "%s is not supported", field);
	while (k->name && strcmp(field, k->name) != 0)
		k++;
	if (!k->name)
		return err_set(e, EINVAL, "invalid field key %s", field);
	return put_key(network, k, trim(value)) < 0 ? err_nomem(e) : 0;
}

int network_spec_parse(const char *value, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *network = json_object();
	const char *s = is_long_form(value) ? value : NULL;
	int r = 0;

	if (!network || (!s && json_set(network, "Target", json_from_str(value)) < 0))
		return err_nomem(e);
	while (r == 0 && s) {
		_cleanup_free_ char *field = NULL;
		r = opt_field(&s, &field, e);
		if (r == 0)
			r = put_field(network, field, e);
	}
	if (r < 0)
		return r;
	if (is_long_form(value) && str_empty(json_str(network, "Target")))
		return err_set(e, EINVAL, "network name/id is not specified");
	*ret = steal_ptr(network);
	return 0;
}

/* The old names --net and --net-alias add to the lists of the new ones. */
static int set_network(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const struct opt list = {.name = "network"};
	json_t *network;
	int r = network_spec_parse(value, &network, e);

	(void)o;
	return r < 0 ? r : opts_append(p, &list, network, e);
}
const struct opt_type opt_network = {"network", set_network};

static int set_network_alias(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	static const struct opt list = {.name = "network-alias"};

	(void)o;
	return opts_append(p, &list, json_from_str(value), e);
}
const struct opt_type opt_network_alias = {"list", set_network_alias};

static int set_network_policy(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	if (strcmp(value, "open") != 0 && strcmp(value, "closed") != 0)
		return err_set(e, EINVAL, "must be \"open\" or \"closed\"");
	return opts_put(p, o, json_from_str(value), e);
}
const struct opt_type opt_network_policy = {"string", set_network_policy};

static int set_dns(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_free_ char *copy = strdup(value);
	char text[INET6_ADDRSTRLEN];
	struct address a;

	if (!copy)
		return err_nomem(e);
	if (address_parse(trim(copy), &a) < 0)
		return err_set(e, EINVAL, "IP address is not correctly formatted: %s", value);
	inet_ntop(a.family, a.bytes, text, sizeof(text));
	return opts_append(p, o, json_from_str(text), e);
}
const struct opt_type opt_dns = {"list", set_dns};

/* Labels of letters, digits and inner hyphens with dots between them, a letter among them. */
static bool domain_valid(const char *s)
{
	bool letter = false;

	if (strlen(s) > DOMAIN_MAX)
		return false;
	for (;; s++) {
		const char *end = s + strcspn(s, ".");
		if (s == end || *s == '-' || end[-1] == '-')
			return false;
		for (; s < end; s++) {
			if (!isalnum((unsigned char)*s) && *s != '-')
				return false;
			letter |= isalpha((unsigned char)*s) != 0;
		}
		if (!*s)
			return letter;
	}
}

static int set_dns_search(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_free_ char *copy = strdup(value);
	char *domain = copy ? trim(copy) : NULL;
	size_t n = domain ? strlen(domain) : 0;

	if (!domain)
		return err_nomem(e);
	if (strcmp(domain, ".") != 0) {
		if (n && domain[n - 1] == '.')
			domain[n - 1] = 0;
		if (!domain_valid(domain))
			return err_set(e, EINVAL, "%s is not a valid domain", value);
	}
	return opts_append(p, o, json_from_str(domain), e);
}
const struct opt_type opt_dns_search = {"list", set_dns_search};

/* host:ip or host=ip, where ip may be the word host-gateway; an IPv6 address may stand in brackets. */
static int set_add_host(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_free_ char *host = strdup(value);
	struct address a;

	if (!host)
		return err_nomem(e);
	char *ip = strchr(host, '=');
	if (!ip)
		ip = strchr(host, ':');
	if (!ip || ip == host || strcspn(host, ":") < (size_t)(ip - host))
		return err_set(e, EINVAL, "bad format for add-host: \"%s\"", value);
	*ip++ = 0;
	size_t n = strlen(ip);
	if (n > 2 && *ip == '[' && ip[n - 1] == ']') {
		ip[n - 1] = 0;
		ip++;
	}
	if (strcmp(ip, "host-gateway") != 0 && address_parse(ip, &a) < 0)
		return err_set(e, EINVAL, "invalid IP address in add-host: \"%s\"", ip);
	_cleanup_free_ char *line = str_fmt("%s:%s", host, ip);
	return line ? opts_append(p, o, json_from_str(line), e) : err_nomem(e);
}
const struct opt_type opt_add_host = {"list", set_add_host};
