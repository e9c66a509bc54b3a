/* What a running container uses, as its monitor says. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "engine/engine-private.h"
#include "proto/frame.h"
#include "proto/monitor.h"

enum { PATIENCE_S = 2 };

int engine_stats(struct engine *g, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	static const char *const keys[] = {"Memory", "MemoryLimit", "CpuNs", "Pids", "HostMemory", "HostCpuNs", "Disk",
		"NetReceived", "NetSent", "BlockRead", "BlockWritten"};
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	struct frame a;

	int r = container_find_running(g, ref, &f, e);
	if (r == 0)
		r = monitor_call(&f, MONITOR_STATS, NULL, 0, &sock, e);
	/* a machine that does not answer must not hold up the others */
	if (r == 0 &&
		setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = PATIENCE_S},
			sizeof(struct timeval)) < 0)
		r = err_errno(e, errno, "wait for the container's monitor");
	if (r == 0)
		r = monitor_answer(sock, &b, &a, e);
	if (r < 0)
		return r;
	struct wire w = {.p = a.payload, .left = a.len};
	*ret = json_pack("{s:s, s:s, s:I}", "Id", f.row.id, "Name", f.row.name, "AtMs", (json_int_t)clock_mono_ms());
	for (size_t i = 0; *ret && i < sizeof(keys) / sizeof(*keys); i++) {
		uint64_t v = wire_u64(&w);
		json_object_set_new(*ret, keys[i], w.bad || v > INT64_MAX ? json_null() : json_integer((json_int_t)v));
	}
	return *ret ? 0 : err_nomem(e);
}
