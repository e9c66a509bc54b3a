/* docker's client configuration, of which the keys that detach from a terminal are taken: $DOCKER_CONFIG/config.json or ~/.docker/config.json. */
#pragma once

#include "cli/opt.h"

/* What --detach-keys says, else "detachKeys" of the configuration; NULL: neither. A file that cannot be read is warned of and not used, as docker does
 * it. The caller frees. */
char *client_detach_keys(const struct opts *o);
