/* What the owner asks the agent for: requests, as frames. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/proc.h"
#include "isolation/hyperv-peer.h"
#include "proto/agent.h"

static int send_now(struct peer *p, uint8_t type, const struct buf *b)
{
	if (p->dead)
		return -EPIPE;
	int r = frame_add(&p->control, type, 0, b->data, b->len);
	if (r >= 0)
		peer_flush(p);
	return r;
}

static int add_process(struct peer *p, int proc, const struct plan_process *process, struct err *e)
{
	struct process *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(e);
	*c = (struct process){
		.peer = p, .proc = proc, .tty = process->tty, .open_stdin = process->open_stdin, .next = p->processes};
	p->processes = c;
	return 0;
}

int peer_start(struct peer *p, const struct plan *plan, uint32_t flags, struct err *e)
{
	_cleanup_buf_ struct buf b = {0}, encoded = {0};
	uint8_t entropy[64];

	int r = random_bytes(entropy, sizeof(entropy));
	if (r < 0)
		return err_errno(e, r, "get random numbers for the VM");
	r = plan_encode(plan, &encoded);
	if (r >= 0)
		r = wire_add_u64(&b, (uint64_t)clock_real_ns());
	if (r >= 0)
		r = wire_add_bytes(&b, entropy, sizeof(entropy));
	if (r >= 0)
		r = wire_add_u32(&b, flags);
	if (r >= 0)
		r = wire_add_str(&b, flags & AGENT_HAS_SHARE ? VM_SHARE_TAG : "");
	if (r >= 0)
		r = wire_add_bytes(&b, encoded.data, encoded.len);
	if (r < 0)
		return err_errno(e, r, "encode the plan for the VM");
	r = add_process(p, ISOLATE_MAIN, &plan->process, e);
	if (r < 0)
		return r;
	r = send_now(p, AGENT_START, &b);
	return r < 0 ? err_errno(e, r, "send the plan to the VM") : 0;
}

int peer_exec(struct peer *p, int proc, const struct plan_process *process, struct err *e)
{
	_cleanup_buf_ struct buf b = {0}, encoded = {0};

	int r = plan_process_encode(process, &encoded);
	if (r >= 0)
		r = wire_add_u32(&b, (uint32_t)proc);
	if (r >= 0)
		r = wire_add_bytes(&b, encoded.data, encoded.len);
	if (r < 0)
		return err_errno(e, r, "encode the process for the VM");
	r = add_process(p, proc, process, e);
	if (r < 0)
		return r;
	r = send_now(p, AGENT_EXEC, &b);
	return r < 0 ? err_errno(e, r, "send the process to the VM") : 0;
}

int peer_signal(struct peer *p, int proc, int sig)
{
	_cleanup_buf_ struct buf b = {0};
	struct process *c = peer_find(p, (uint32_t)proc);

	if (!c || c->ended)
		return -ESRCH;
	int r = wire_add_u32(&b, (uint32_t)proc);
	if (r >= 0)
		r = wire_add_u32(&b, (uint32_t)sig);
	return r < 0 ? r : send_now(p, AGENT_SIGNAL, &b);
}

int peer_resize(struct peer *p, int proc, unsigned rows, unsigned cols)
{
	_cleanup_buf_ struct buf b = {0};
	struct process *c = peer_find(p, (uint32_t)proc);

	if (!c || !c->tty)
		return -ENOTTY;
	int r = wire_add_u32(&b, (uint32_t)proc);
	if (r >= 0)
		r = wire_add_u32(&b, rows);
	if (r >= 0)
		r = wire_add_u32(&b, cols);
	return r < 0 ? r : send_now(p, AGENT_RESIZE, &b);
}

int peer_request(
	struct peer *p, uint8_t op, const void *payload, size_t n, peer_reply_fn *fn, void *data, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		return err_nomem(e);
	*q = (struct request){.number = ++p->next_request, .fn = fn, .data = data, .next = p->requests};
	int r = wire_add_u32(&b, q->number);
	if (r >= 0 && n)
		r = buf_add(&b, payload, n);
	if (r >= 0)
		r = send_now(p, op, &b);
	if (r < 0) {
		free(q);
		return err_errno(e, r, "ask the VM");
	}
	p->requests = q;
	return 0;
}

void peer_ping(struct peer *p)
{
	_cleanup_buf_ struct buf b = {0};

	if (wire_add_u64(&b, ++p->pings) >= 0)
		send_now(p, AGENT_PING, &b);
}

bool peer_answered(struct peer *p)
{
	for (int i = 0; i < 64 && p->pongs < p->pings && peer_read_some(p); i++)
		;
	return p->pongs == p->pings;
}

void peer_drain(struct peer *p)
{
	while (!p->dead && peer_read_some(p))
		;
}

bool peer_ending(struct peer *p, int proc)
{
	struct process *c = peer_find(p, (uint32_t)proc);

	return c && c->ended;
}

void peer_shutdown(struct peer *p)
{
	struct buf none = {0};

	send_now(p, AGENT_SHUTDOWN, &none);
}
