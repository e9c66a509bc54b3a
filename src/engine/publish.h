/*
 * Published ports of a container: from PortBindings and PublishAllPorts to sockets, elements of the rules, and arguments for its monitor.
 * Private to src/engine.
 */
#pragma once

#include <netinet/in.h>

#include "engine/engine-private.h"
#include "net/port-sockets.h"

struct published {
	struct port_socket *sockets;
	size_t len;
};

/* Config.ExposedPorts, HostConfig.PortBindings; what docker only warns of goes into `warnings`. */
int publish_check(const json_t *config, const json_t *hc, json_t *warnings, struct err *e);

int publish_open(const struct found *f, struct published *ret, struct err *e);
void publish_done(struct published *p);
/* Lines for firewall_add. The plan has the container's addresses. */
int publish_elements(const struct published *p, const struct plan *plan, struct buf *b);
/* One --publish=PROTO,ADDRESS,PORT for each socket, in their order. */
int publish_args(const struct published *p, const struct plan *plan, char ***args);
/* Keeps what was bound in the run directory, for publish_json. */
int publish_record(struct engine *g, const char *id, const struct published *p, struct err *e);
/* What publish_record kept, without descriptors; nothing for a container that published nothing. */
int publish_read(struct engine *g, const char *id, struct published *ret, struct err *e);
/* The address that ports lead to, "" for none. */
const char *publish_address(const struct plan *p, int family, char ret[INET6_ADDRSTRLEN]);
