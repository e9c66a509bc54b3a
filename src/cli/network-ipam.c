/* The subnets of a network from the options of network create: each range and gateway goes with the subnet that it is in. */
#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "base/json.h"
#include "cli/network-options.h"

static int check_subnet(const json_t *config, const char *subnet, struct err *e)
{
	struct subnet a, b;
	size_t i;
	json_t *other;

	if (subnet_parse(subnet, &a) < 0)
		return err_set(e, EINVAL, "invalid subnet: invalid CIDR address: %s", subnet);
	json_array_foreach(config, i, other) {
		if (subnet_parse(json_str(other, "Subnet"), &b) == 0 && subnet_overlaps(&a, &b))
			return err_set(e, EINVAL, "multiple overlapping subnet configuration is not supported");
	}
	return 0;
}

static json_t *subnet_of(const json_t *config, const struct address *a)
{
	struct subnet subnet;
	size_t i;
	json_t *entry;

	json_array_foreach(config, i, entry) {
		if (subnet_parse(json_str(entry, "Subnet"), &subnet) == 0 && subnet_contains(&subnet, a))
			return entry;
	}
	return NULL;
}

static int add_range(const json_t *config, const char *range, struct err *e)
{
	struct subnet a;

	if (subnet_parse(range, &a) < 0)
		return err_set(e, EINVAL, "invalid CIDR address: %s", range);
	json_t *entry = subnet_of(config, &a.base);
	if (!entry)
		return err_set(e, EINVAL, "no matching subnet for range %s", range);
	if (json_object_get(entry, "IPRange"))
		return err_set(e, EINVAL, "cannot configure multiple ranges (%s, %s) on the same subnet (%s)", range,
			json_str(entry, "IPRange"), json_str(entry, "Subnet"));
	return json_set(entry, "IPRange", json_from_str(range)) < 0 ? err_nomem(e) : 0;
}

static int add_gateway(const json_t *config, const char *gateway, struct err *e)
{
	struct address a;
	json_t *entry = address_parse(gateway, &a) == 0 ? subnet_of(config, &a) : NULL;

	if (!entry)
		return err_set(e, EINVAL, "no matching subnet for gateway %s", gateway);
	if (json_object_get(entry, "Gateway"))
		return err_set(e, EINVAL, "cannot configure multiple gateways (%s, %s) for the same subnet (%s)",
			gateway, json_str(entry, "Gateway"), json_str(entry, "Subnet"));
	return json_set(entry, "Gateway", json_from_str(gateway)) < 0 ? err_nomem(e) : 0;
}

int network_ipam_config(
	const json_t *subnets, const json_t *ranges, const json_t *gateways, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *config = json_array();
	size_t i, n = json_array_size(subnets);
	json_t *v;
	int r = config ? 0 : err_nomem(e);

	if (n < json_array_size(ranges) || n < json_array_size(gateways))
		return err_set(e, EINVAL, "every ip-range or gateway must have a corresponding subnet");
	json_array_foreach(subnets, i, v) {
		if (r == 0)
			r = check_subnet(config, json_string_value(v), e);
		if (r == 0 && json_array_append_new(config, json_pack("{s:O}", "Subnet", v)) < 0)
			r = err_nomem(e);
	}
	json_array_foreach(ranges, i, v) {
		if (r == 0)
			r = add_range(config, json_string_value(v), e);
	}
	json_array_foreach(gateways, i, v) {
		if (r == 0)
			r = add_gateway(config, json_string_value(v), e);
	}
	if (r == 0)
		*ret = steal_ptr(config);
	return r;
}
