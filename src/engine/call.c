/* Requests to a container's monitor. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "engine/engine-private.h"
#include "proto/agent.h"
#include "proto/frame.h"
#include "proto/monitor.h"

/* A monitor that has just ended must not end us with SIGPIPE. */
static int send_all(int sock, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(sock, p, n, MSG_NOSIGNAL);
		if (k < 0 && errno != EINTR)
			return -errno;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

int monitor_call(const struct found *f, uint8_t op, const void *p, size_t n, int *ret_sock, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	_cleanup_close_ int sock = -1;

	if (!f->running)
		return err_set(e, ESRCH, "container %s is not running", f->row.name);
	/* the monitor makes its socket a moment after it took the lock */
	for (int tries = 0; tries < 200; tries++) {
		sock = unix_connect(f->run_dir, MONITOR_SOCKET);
		if (sock != -ENOENT && sock != -ECONNREFUSED)
			break;
		if (f->live.monitor > 0 && kill(f->live.monitor, 0) < 0)
			break;
		usleep(5000);
	}
	if (sock == -ENOENT || sock == -ECONNREFUSED)
		return err_set(e, ESRCH, "container %s is not running", f->row.id);
	if (sock < 0)
		return err_errno(e, sock, "container %s: cannot reach its monitor", f->row.name);
	int r = frame_add(&b, op, 0, p, n);
	if (r == 0)
		r = send_all(sock, b.data, b.len);
	if (r == -EPIPE || r == -ECONNRESET)
		return err_set(e, ESRCH, "container %s is not running", f->row.id);
	if (r < 0)
		return err_errno(e, r, "container %s: cannot ask its monitor", f->row.name);
	*ret_sock = steal_fd(&sock);
	return 0;
}

int monitor_answer(int sock, struct buf *b, struct frame *ret, struct err *e)
{
	unsigned char h[FRAME_HEADER];
	ssize_t n = fd_read_full(sock, h, sizeof(h));
	struct wire w = {.p = h, .left = sizeof(h)};
	uint32_t len = wire_u32(&w);

	if (n != sizeof(h))
		return err_set(e, ECONNRESET, "the container's monitor has gone");
	buf_done(b);
	if (len > FRAME_MAX || buf_reserve(b, len) < 0)
		return err_set(e, EBADMSG, "damaged answer of the container's monitor");
	if (fd_read_full(sock, b->data, len) != (ssize_t)len)
		return err_set(e, ECONNRESET, "the container's monitor has gone");
	b->len = len;
	b->data[len] = 0;
	*ret = (struct frame){
		.type = h[4], .stream = (uint16_t)(h[6] | h[7] << 8), .len = len, .payload = (const uint8_t *)b->data};
	if (ret->type != MONITOR_FAILED)
		return 0;
	w = (struct wire){.p = ret->payload, .left = len};
	struct err theirs = ERR_INIT;
	if (agent_err_decode(&w, &theirs) < 0 || !theirs.code)
		return err_set(e, EBADMSG, "damaged answer of the container's monitor");
	*e = theirs;
	return -theirs.code;
}

int monitor_simple(const struct found *f, uint8_t op, const void *p, size_t n, struct err *e)
{
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	struct frame a;
	int r = monitor_call(f, op, p, n, &sock, e);

	return r < 0 ? r : monitor_answer(sock, &b, &a, e);
}

int monitor_wait(const struct found *f, uint8_t op, const void *p, size_t n, int *ret_status, struct err *e)
{
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	struct frame a;
	int r = monitor_call(f, op, p, n, &sock, e);

	if (r == 0)
		r = monitor_answer(sock, &b, &a, e);
	if (r < 0)
		return r == -ECONNRESET ? -ESRCH : r;
	struct wire w = {.p = a.payload, .left = a.len};
	if (a.type != MONITOR_EXITED)
		return err_set(e, EBADMSG, "damaged answer of the container's monitor");
	*ret_status = (int)wire_u32(&w);
	return 0;
}
