/*
 * What a container's monitor says of itself in the container's run directory, and who holds the container.
 *
 *   RUN/containers/ID/lock          locked (flock) by the monitor, from before the start until the record of the end is written
 *   RUN/containers/ID/state         this struct, replaced by rename; exists from the start to the end
 *   RUN/containers/ID/monitor.sock  requests
 *
 * Whoever finds a state whose lock is free looks at a container whose monitor was killed (docs/state.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define STATE_LOCK "lock"
#define STATE_FILE "state"

enum state_phase {
	STATE_STARTING = 1,
	STATE_RUNNING = 2,
	STATE_PAUSED = 3,
	STATE_ENDED = 4, /* and that could not be recorded */
	STATE_RESTARTING =
		5 /* it has ended, and is started again after a while (restart.h), or is being started again */
};

struct state {
	enum state_phase phase;
	pid_t monitor, pid;
	int64_t started_ns;
	int64_t finished_ns; /* STATE_ENDED, STATE_RESTARTING */
	int status;          /* the same: 0..255 */
	uint32_t restarts;   /* since somebody started it */
	char accel[8];
	char boot_id[37];
};

int state_write(int run_dir, const struct state *s);
int state_read(int run_dir, struct state *ret); /* -ENOENT: none; -EBADMSG: damaged */
