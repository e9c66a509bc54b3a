/* Questions of the host that get a REPLY: figures, the process list, freezing, limits. */
#include "agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/look.h"
#include "sandbox/look.h"
#include "sandbox/ps.h"

enum { TIMER_US = 1000 };

/* What the files on the container's disk take there. */
static uint64_t disk_used(void)
{
	struct statfs s;

	return statfs(AGENT_DISK, &s) < 0 || s.f_bfree > s.f_blocks ? UINT64_MAX
								    : (s.f_blocks - s.f_bfree) * (uint64_t)s.f_bsize;
}

static int answer_stats(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	struct sandbox_stats s;
	int r = sandbox_stats(&a->sandbox, &s);

	(void)w;
	if (r < 0)
		return err_errno(e, r, "read the container's cgroup");
	uint64_t received, sent;
	sandbox_traffic(&a->sandbox, &received, &sent);
	const uint64_t v[] = {
		s.memory, s.memory_limit, s.cpu_ns, s.pids, disk_used(), received, sent, s.io_read, s.io_written};
	for (size_t i = 0; r == 0 && i < sizeof(v) / sizeof(*v); i++)
		r = wire_add_u64(b, v[i]);
	return r < 0 ? err_nomem(e) : 0;
}

/* Lines are cut so that all processes fit one frame. */
static int answer_ps(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	_cleanup_strv_ char **lines = NULL;
	int r = sandbox_ps(&a->sandbox, &lines);

	(void)w;
	if (r < 0)
		return err_errno(e, r, "list the container's processes");
	size_t count = strv_len(lines), room = (FRAME_MAX - b->len - 4) / (count ? count : 1);
	if (room <= 4)
		return err_set(e, E2BIG, "list the container's processes: %zu are too many", count);
	r = wire_add_u32(b, (uint32_t)count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = wire_add_bytes(b, lines[i], strnlen(lines[i], room - 4));
	return r < 0 ? err_nomem(e) : 0;
}

static int answer_prepare(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	static const char *const lists[] = {"net", "share", "plug"};
	struct sandbox_ahead ahead = {.init_path = a->machine->init_path, .root = AGENT_ROOT};
	int r = 0;

	(void)b;
	ahead.filter = wire_bytes(w, &ahead.filter_len);
	a->root_made = wire_u32(w) & AGENT_HAS_IMAGE;
	if (w->bad)
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof(lists) / sizeof(*lists); i++)
		r = a->machine->load(lists[i], e);
	/* a machine whose timer does not run must not become a template: it hangs here, and the builder notices */
	usleep(TIMER_US);
	if (r == 0)
		r = a->machine->ahead(e);
	if (r == 0 && a->root_made)
		r = a->machine->image(e);
	if (r == 0)
		r = card_prepare(a, e);
	a->prepared = r == 0;
	a->memory_guard = a->machine->memory();
	if (r < 0 || a->spare)
		return r;
	r = ahead_prepare(a, e);
	ahead.root_fd = a->root_helper;
	ahead.mounted = a->root_made;
	ahead.memory = a->memory_guard;
	if (r == 0)
		r = process_prepare(a, &ahead, e);
	return r == 0 ? sandbox_prepare(&ahead, &a->spare, e) : r;
}

static int answer_freeze(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	bool on = wire_u32(w);

	(void)b;
	if (w->bad)
		return 0;
	int r = sandbox_freeze(&a->sandbox, on, e);
	if (r == 0)
		a->frozen = on;
	return r;
}

static int answer_update(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	struct plan p;
	size_t n;
	const char *bytes = wire_bytes(w, &n);

	(void)b;
	if (!bytes)
		return 0;
	int r = plan_decode(&p, bytes, n, e);
	if (!p.memory)
		p.memory = a->memory_guard;
	if (r == 0)
		r = sandbox_update(&a->sandbox, &p, e);
	plan_done(&p);
	return r;
}

static int answer_connect(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	(void)b;
	return card_connect(a, w, e);
}

static int answer_disconnect(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	(void)b;
	return card_disconnect(a, w, e);
}

static int answer_look(struct agent *a, struct wire *w, struct buf *b, struct err *e)
{
	struct look l;
	int r = sandbox_look(&a->sandbox, &l, e);

	(void)w;
	if (r < 0)
		return r;
	r = look_encode(&l, b);
	look_done(&l);
	return r < 0 ? err_nomem(e) : 0;
}

typedef int answer_fn(struct agent *a, struct wire *w, struct buf *b, struct err *e);

static answer_fn *find_answer(uint8_t op)
{
	static const struct {
		uint8_t op;
		answer_fn *fn;
	} table[] = {
		{AGENT_STATS, answer_stats},
		{AGENT_PS, answer_ps},
		{AGENT_FREEZE, answer_freeze},
		{AGENT_UPDATE, answer_update},
		{AGENT_CONNECT, answer_connect},
		{AGENT_DISCONNECT, answer_disconnect},
		{AGENT_LOOK, answer_look},
		{AGENT_PREPARE, answer_prepare},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].op == op)
			return table[i].fn;
	return NULL;
}

int request_answer(struct agent *a, const struct frame *f)
{
	_cleanup_buf_ struct buf b = {0};
	struct wire w = {f->payload, f->len, false};
	struct err e = ERR_INIT;
	answer_fn *fn = find_answer(f->type);
	uint32_t request = wire_u32(&w);
	int r = -ESRCH;

	if (wire_add_u32(&b, request) < 0 || wire_add_u32(&b, 0) < 0)
		return -ENOMEM;
	if (a->sandbox.pid > 0 || f->type == AGENT_PREPARE)
		r = fn(a, &w, &b, &e);
	else
		err_set(&e, ESRCH, "the container does not run");
	if (w.bad || (r == 0 && w.left))
		return -EBADMSG;
	if (r < 0) {
		b.len = 0;
		if (wire_add_u32(&b, request) < 0 || wire_add_u32(&b, (uint32_t)e.code) < 0 ||
			wire_add_str(&b, e.msg) < 0)
			return -ENOMEM;
	}
	agent_send(a, AGENT_REPLY, &b);
	return 0;
}
