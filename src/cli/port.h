/* Ports: the specifications of --publish and --expose, and how lists of containers show them. */
#pragma once

#include <jansson.h>

#include "base/err.h"

/*
 * One --publish, in all forms that docker's client takes: [[ip:][host port]:]port[/protocol], where ports may be ranges and an IPv6 address stands in
 * brackets, or target=,published=,protocol=. Fills the fields PortBindings ({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}) and ExposedPorts
 * ({"80/tcp": {}}) of docker's API. A range of host ports for one port stays one: the engine takes a free one of them. -EINVAL.
 */
int port_publish(const char *spec, json_t *bindings, json_t *exposed, struct err *e);
/* One --expose: port[-port][/protocol]. */
int port_expose(const char *spec, json_t *exposed, struct err *e);

/* The column PORTS of [{"IP", "PrivatePort", "PublicPort", "Type"}]: "0.0.0.0:8080->80/tcp, 443/tcp". The caller frees; NULL: no memory. */
char *port_column(const json_t *ports);

/*
 * The published ports of a container, its NetworkSettings.Ports, as lines of text: "80/tcp -> 0.0.0.0:8080" of all, or "0.0.0.0:8080" of one, `wanted`
 * ("80", "80/udp"; NULL or "": all). ref names the container in the error when that one is not published. The caller frees the vector, which is NULL for
 * no ports.
 */
int port_lines(const json_t *ports, const char *wanted, const char *ref, char ***ret, struct err *e);
