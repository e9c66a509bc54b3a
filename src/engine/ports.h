/* Published ports of a container: from PortBindings and PublishAllPorts to sockets, elements of the rules, and arguments for its monitor. Private to src/engine. */
#pragma once

#include <netinet/in.h>

#include "engine/engine-private.h"
#include "net/port-sockets.h"

struct ports {
	struct port_socket *sockets;
	size_t len;
};

/* Config.ExposedPorts, HostConfig.PortBindings; what docker only warns of goes into `warnings`. */
int ports_check(const json_t *config, const json_t *hc, json_t *warnings, struct err *e);

int ports_open(const struct found *f, struct ports *ret, struct err *e);
void ports_done(struct ports *p);
/* Lines for firewall_add. The plan has the container's addresses. */
int ports_elements(const struct ports *p, const struct plan *plan, struct buf *b);
/* One --publish=PROTO,ADDRESS,PORT for each socket, in their order. */
int ports_args(const struct ports *p, const struct plan *plan, char ***args);
/* Keeps what was bound in the run directory, for ports_json. */
int ports_record(struct engine *g, const char *id, const struct ports *p, struct err *e);
