/*
 * Events as docker has them (events.Message), for all who do something worth one: written to the journal (journal.h). A command never fails for want of
 * an event: what cannot be written is dropped (CAISSON_DEBUG=events tells).
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "store/containers.h"
#include "store/networks.h"

/*
 * root_fd: the state directory (engine.root_fd, db_root_fd). type: "container", "image", "network", "volume"; action: "start", "exec_create: sh -c ..."; id: a
 * container's or network's id, an image's id or reference, a volume's name. attributes: an object of texts, borrowed; NULL: none.
 */
void event_write(int root_fd, const char *type, const char *action, const char *id, const json_t *attributes);
/* Of a container: with its image, name and labels. `extra` (stolen; may be NULL) are further attributes. */
void event_container(int root_fd, const char *id, const json_t *actor, const char *action, json_t *extra);
/* The actor of a container's events: {"isolation": "process", "attributes": {...}}; new reference, NULL: no memory. */
json_t *event_actor(const char *name, const json_t *record);
/* id: of the image, or the reference of a pull or push; name: what it is called ("busybox:latest", or the id). */
void event_image(int root_fd, const char *action, const char *id, const char *name);
/* container: whom it is about (connect, disconnect), or NULL. */
void event_network(int root_fd, const char *action, const char *id, const char *name, const char *container);
void event_volume(int root_fd, const char *action, const char *name);

/* One event of the journal as docker's API has it, with status, id and from; NULL for what makes no sense. `isolation` is beside them. */
json_t *event_message(int64_t ns, const char *text);
