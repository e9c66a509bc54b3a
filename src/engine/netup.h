/* What is up of networks and of containers on them: netup.c. Private to src/engine. */
#pragma once

#include "engine/engine-private.h"
#include "engine/publish.h"
#include "store/networks.h"

/* ---- under the lock of network_lock, which the caller closes ---- */
int network_raise(struct engine *g, const struct network_row *n, struct err *e); /* bridge and elements */
void network_lower(struct engine *g, const struct network_row *n);
int networks_rebuild(struct engine *g, struct err *e);

/* ---- these take the lock ---- */
int network_lock(struct engine *g, struct err *e);
/* Everything but the interfaces themselves, before the container's monitor is spawned. */
int netup_start(
	struct engine *g, const struct found *f, const struct plan *plan, const struct published *ports, struct err *e);
/* The same for one network of a running container. */
int netup_bridge(struct engine *g, const struct network_row *n, struct err *e); /* its bridge is there */
bool netup_has(struct engine *g, const char *id, const char *port);             /* the port has its elements */
int netup_join(struct engine *g, const struct found *f, const struct network_row *n, const struct endpoint_row *p,
	struct err *e);
int netup_leave(struct engine *g, const struct found *f, const struct network_row *n, const struct endpoint_row *p);
/* Elements for a probe, whose row is there; *ret gets its one interface. */
int netup_probe(struct engine *g, const char *name, const struct network_row *n, struct plan *ret, struct err *e);
int netup_rename(struct engine *g, const struct found *f, struct err *e); /* f has the new name */
/* Puts right what has gone from under running containers: the tables, a name server. For commands that only look. */
int networks_check(struct engine *g, struct err *e);
json_t *netup_elements_json(
	struct engine *g, const char *id); /* ["FAMILY SET ELEMENT"...]: what the rules have of a container */
int netup_sweep(
	struct engine *g, const char *id); /* the same, and the interfaces, for a container whose monitor was killed */
int netup_stop(struct engine *g, const char *id); /* also for a container that has nothing up */
