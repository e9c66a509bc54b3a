/*
 * The command's stdio against a container's: what run, start -a, attach and exec do once a client socket of
 * the engine's is theirs.
 *
 * The terminal is put into raw mode for the time of a call and restored on every way out, signals that end
 * the command included.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "engine/engine.h"

struct stream {
	struct engine *engine;
	const char *ref;         /* of the container */
	int sock;                /* closed by the caller */
	bool tty;                /* the process has a terminal: ours goes raw if it is one */
	bool send_stdin;         /* our stdin is its stdin */
	bool until_started;      /* return as soon as the process runs */
	bool proxy;              /* signals go to the workload */
	const char *detach_keys; /* NULL: the default */
	int refused;             /* exit status if the process cannot run for a reason without a status of its own */
	struct timing *timing;   /* gets what the monitor tells; NULL: nothing does */
};

/* Until the process has ended (*ret_status is its exit status) or the user has detached (0). -Exxx: it failed
 * to start, or its monitor has gone. */
int stream_run(const struct stream *s, int *ret_status, struct err *e);
