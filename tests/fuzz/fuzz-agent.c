/* Frames of a guest that has taken over its agent, against the peer that holds a running process and an exec. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "isolation/hyperv-private.h"
#include "proto/agent.h"
#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
	struct isolate_io io[2];
	unsigned exits, lost;
};

static void on_hello(void *data, const char *release)
{
	(void)data;
	(void)release;
}

static void on_committed(void *data)
{
	(void)data;
}

static void on_started(void *data, int proc, struct isolate_io *io)
{
	((struct owner *)data)->io[proc] = *io;
}

static void on_failed(void *data, int proc, const struct err *e)
{
	(void)data;
	(void)proc;
	(void)e;
}

static void on_exited(void *data, int proc, int status, bool oom)
{
	(void)oom;
	if (proc < 0 || proc > 1 || status < 0 || status > 255 || ++((struct owner *)data)->exits > 2)
		abort();
}

static void on_lost(void *data, const char *reason)
{
	(void)reason;
	if (++((struct owner *)data)->lost > 1)
		abort();
}

static void on_reply(void *data, struct wire *w, const struct err *e)
{
	(void)data;
	(void)e;
	if (w)
		free(wire_str(w));
}

static void greet(int guest)
{
	_cleanup_buf_ struct buf hello = {0}, out = {0};

	wire_add_u32(&hello, AGENT_VERSION);
	wire_add_str(&hello, "6.1");
	frame_add(&out, AGENT_HELLO, 0, hello.data, hello.len);
	fd_write_all(guest, out.data, out.len);
}

static void feed(struct loop *l, int guest, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = send(guest, data, size < 4096 ? size : 4096, MSG_DONTWAIT | MSG_NOSIGNAL);
		char block[4096];
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		for (int i = 0; i < 4; i++)
			loop_once(l, 0);
		ssize_t back = recv(guest, block, sizeof(block), MSG_DONTWAIT);
		if (n <= 0 && back <= 0)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct peer_events ev = {.hello = on_hello,
		.committed = on_committed,
		.started = on_started,
		.failed = on_failed,
		.exited = on_exited,
		.lost = on_lost};
	struct owner o = {.io = {ISOLATE_IO_INIT, ISOLATE_IO_INIT}};
	struct plan plan = {.process.open_stdin = true};
	struct plan_process terminal = {.tty = true};
	struct loop *l;
	struct peer *p;
	int s[2];

	if (loop_new(&l) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0 ||
		peer_new(l, s[0], &ev, &o, &p) < 0)
		abort();
	greet(s[1]);
	loop_once(l, 0);
	peer_start(p, &plan, false, NULL);
	peer_exec(p, 1, &terminal, NULL);
	peer_request(p, AGENT_STATS, NULL, 0, on_reply, NULL, NULL);
	feed(l, s[1], data, size);
	peer_free(p);
	loop_free(l);
	close(s[1]);
	for (int i = 0; i < 2; i++) {
		close_fd(&o.io[i].in);
		close_fd(&o.io[i].out);
		close_fd(&o.io[i].err);
	}
	return 0;
}
