/* What the options about networks become in the bodies of docker's API. */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "cli/opt.h"

/*
 * The value of --network: a name, or name=NAME,alias=A,ip=ADDRESS,ip6=ADDRESS,mac-address=MAC, where alias may be repeated:
 * {"Target": name, "Endpoint": {"Aliases", "IPAMConfig": {"IPv4Address", "IPv6Address"}, "MacAddress"}}, Endpoint only if it has something. Addresses are
 * the engine's to check. -EINVAL with docker's text.
 */
int network_spec_parse(const char *value, json_t **ret, struct err *e);

/*
 * run and create: completes o->body from --network, --ip, --ip6, --mac-address, --network-alias, --publish and --expose: HostConfig.NetworkMode (the first
 * network, "default" if there is none), NetworkingConfig.EndpointsConfig (in the order of the command line; a single network without settings is left out),
 * HostConfig.PortBindings and ExposedPorts. -EINVAL with docker's text.
 */
int network_options_apply(struct opts *o, struct err *e);

/*
 * network create: the lists of --subnet, --ip-range and --gateway (each may be NULL), every range and gateway with the subnet that it is in, as IPAM.Config:
 * [{"Subnet", "IPRange", "Gateway"}]. -EINVAL with docker's text.
 */
int network_ipam_config(
	const json_t *subnets, const json_t *ranges, const json_t *gateways, json_t **ret, struct err *e);
