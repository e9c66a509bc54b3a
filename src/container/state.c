/* What a container's monitor says of itself: a line of text in the run directory. */
#include "container/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

#define FORMAT "phase=%d monitor=%d pid=%d started=%lld finished=%lld status=%d restarts=%u accel=%s boot=%s"

int state_write(int run_dir, const struct state *s)
{
	char line[256];
	int n = snprintf(line, sizeof(line), FORMAT "\n", (int)s->phase, s->monitor, s->pid, (long long)s->started_ns,
		(long long)s->finished_ns, s->status, s->restarts, *s->accel ? s->accel : "-", s->boot_id);

	return file_replace(run_dir, STATE_FILE, line, (size_t)n, 0600);
}

int state_read(int run_dir, struct state *ret)
{
	char line[256];
	struct state s = {0};
	int phase;
	long long started, finished;
	int r = file_read_line(run_dir, STATE_FILE, line, sizeof(line));

	if (r < 0)
		return r == -ENOSPC ? -EBADMSG : r;
	if (sscanf(line,
		    "phase=%d monitor=%d pid=%d started=%lld finished=%lld status=%d restarts=%u accel=%7s boot=%36s",
		    &phase, &s.monitor, &s.pid, &started, &finished, &s.status, &s.restarts, s.accel, s.boot_id) != 9 ||
		phase < STATE_STARTING || phase > STATE_RESTARTING)
		return -EBADMSG;
	s.phase = (enum state_phase)phase;
	s.started_ns = started;
	s.finished_ns = finished;
	if (!strcmp(s.accel, "-"))
		*s.accel = 0;
	*ret = s;
	return 0;
}
