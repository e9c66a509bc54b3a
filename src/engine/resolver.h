/*
 * The name server of a container that is on several networks, and so sees the names of all of them: one more caisson-dns, in RUN/networks/CONTAINER-ID like
 * that of a network, with copies of the networks' hosts files. `of` in there names the networks. Private to src/engine; the caller has the networks' lock.
 */
#pragma once

#include "engine/engine-private.h"

/*
 * Makes it for the container's networks but `except` (may be NULL), if there are at least two; an old one goes first. *elements gets what sends the
 * container's questions there.
 */
int resolver_make(struct engine *g, const struct found *f, const char *except, struct buf *elements, struct err *e);
void resolver_drop(struct engine *g, const char *container);

char **resolvers_list(struct engine *g); /* the containers that have one; the caller's */

/* A container of a network has these names now (NULL: none any more). */
void resolvers_note(struct engine *g, const char *network, const char *container, const char *text);
