/* What is asked of a VM that runs: execs, signals, figures, cards, limits. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "isolation/hyperv-life.h"
#include "proto/agent.h"
#include "proto/look.h"

static void on_freezer(void *data, struct wire *w, const struct err *e)
{
	struct hyperv *h = data;

	(void)w;
	if (e)
		isolate_report_notice(h->isolate, "let the container in the VM stand still: %s", e->msg);
}

static int freeze_inside(struct hyperv *h, bool on, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};

	if (h->frozen == on)
		return 0;
	if (wire_add_u32(&b, on) < 0)
		return err_nomem(e);
	int r = peer_request(h->vm.peer, AGENT_FREEZE, b.data, b.len, on_freezer, h, e);
	h->frozen = r < 0 ? h->frozen : on;
	return r;
}

/* One that is paused goes on for the time of it, with the container frozen by the VM's kernel: the first that the agent reads. */
static int wake_for_files(struct hyperv *h, int proc, struct err *e)
{
	int r = freeze_inside(h, true, e);

	if (r == 0 && !h->awake && (r = qmp_run(h->vm.qmp, "cont", NULL, -1, NULL, NULL)) < 0)
		return err_errno(e, r, "let the paused VM work on its files");
	if (r < 0)
		return r;
	if (!h->awake)
		peer_tell_time(h->vm.peer);
	h->awake = true;
	h->works[proc / 64] |= 1ULL << (proc % 64);
	return 0;
}

int hyperv_exec(struct isolate *i, int proc, const struct plan_process *process, struct err *e)
{
	struct hyperv *h = i->backend;
	bool files = process->files_len;

	if (h->paused && !files)
		return err_set(e, EBUSY, "container %s is paused", i->plan->name);
	int r = h->paused ? wake_for_files(h, proc, e) : 0;
	if (r == 0)
		r = peer_exec(h->vm.peer, proc, process, e);
	if (r < 0)
		hyperv_exec_ended(h, proc);
	return r;
}

void hyperv_exec_ended(struct hyperv *h, int proc)
{
	uint64_t left = 0;

	h->works[proc / 64] &= ~(1ULL << (proc % 64));
	for (size_t i = 0; i < sizeof(h->works) / sizeof(*h->works); i++)
		left |= h->works[i];
	if (!h->awake || left)
		return;
	h->awake = false;
	qmp_run(h->vm.qmp, "stop", NULL, -1, NULL, NULL);
}

int hyperv_signal(struct isolate *i, int proc, int sig, struct err *e)
{
	struct hyperv *h = i->backend;
	int r = peer_signal(h->vm.peer, proc, sig);

	return r < 0 ? err_errno(e, r, "signal process %d of the container", proc) : 0;
}

int hyperv_resize(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e)
{
	struct hyperv *h = i->backend;
	int r = peer_resize(h->vm.peer, proc, rows, cols);

	return r < 0 ? err_errno(e, r, "resize the terminal of process %d", proc) : 0;
}

static void on_late_update(void *data, struct wire *w, const struct err *e)
{
	struct hyperv *h = data;

	(void)w;
	if (e)
		isolate_report_notice(h->isolate, "update the limits in the VM: %s", e->msg);
}

/* By QEMU rather than the guest's freezer: a paused VM then costs no time at all, whatever its kernel does by itself. */
int hyperv_pause(struct isolate *i, bool on, struct err *e)
{
	struct hyperv *h = i->backend;
	int r = qmp_run(h->vm.qmp, on ? "stop" : "cont", NULL, -1, NULL, NULL);

	if (r < 0)
		return err_errno(e, r, "%s the VM", on ? "pause" : "unpause");
	h->paused = on;
	if (on)
		return 0;
	h->awake = false;
	peer_tell_time(h->vm.peer);
	r = freeze_inside(h, false, e);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf update = h->update;
	h->update = (struct buf){0};
	return update.len ? peer_request(h->vm.peer, AGENT_UPDATE, update.data, update.len, on_late_update, h, e) : 0;
}

struct asked {
	struct hyperv *hyperv;
	isolate_stats_fn *stats;
	isolate_ps_fn *ps;
	isolate_look_fn *look;
	isolate_done_fn *done;
	void *data;
};

static int ask(struct isolate *i, uint8_t op, peer_reply_fn *fn, struct asked init, struct err *e)
{
	struct hyperv *h = i->backend;
	struct asked *a = malloc(sizeof(*a));

	if (!a)
		return err_nomem(e);
	*a = init;
	a->hyperv = h;
	int r = h->paused ? err_set(e, EBUSY, "container %s is paused", i->plan->name)
			  : peer_request(h->vm.peer, op, NULL, 0, fn, a, e);
	if (r < 0)
		free(a);
	return r;
}

static void on_stats(void *data, struct wire *w, const struct err *e)
{
	struct asked *a = data;
	struct err bad = ERR_INIT;
	struct isolate_stats s = {0};

	if (w) {
		s.memory = wire_u64(w);
		s.memory_limit = wire_u64(w);
		s.cpu_ns = wire_u64(w);
		s.pids = wire_u64(w);
		s.disk = wire_u64(w);
		s.net_received = wire_u64(w);
		s.net_sent = wire_u64(w);
		s.io_read = wire_u64(w);
		s.io_written = wire_u64(w);
		vm_cost(&a->hyperv->vm, a->hyperv->parts.config.clone, &s.host_memory, &s.host_cpu_ns);
		if (w->bad) {
			err_set(&bad, EBADMSG, "the agent's figures make no sense");
			e = &bad;
		} else {
			a->hyperv->stats = s;
		}
	}
	a->stats(a->data, e ? NULL : &s, e);
	free(a);
}

int hyperv_stats(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e)
{
	struct hyperv *h = i->backend;

	/* nothing has changed since the last answer but what it costs */
	if (h->paused) {
		vm_cost(&h->vm, h->parts.config.clone, &h->stats.host_memory, &h->stats.host_cpu_ns);
		fn(data, &h->stats, NULL);
		return 0;
	}
	return ask(i, AGENT_STATS, on_stats, (struct asked){.stats = fn, .data = data}, e);
}

/* The lines go to a terminal: control characters of a hostile guest, but for the tabs between fields, become '?'. */
static void on_ps(void *data, struct wire *w, const struct err *e)
{
	struct asked *a = data;
	_cleanup_strv_ char **lines = NULL;
	struct err bad = ERR_INIT;
	uint32_t n = w ? wire_u32(w) : 0;

	for (uint32_t k = 0; k < n && !w->bad; k++) {
		_cleanup_free_ char *line = wire_str(w);
		for (char *c = line; c && *c; c++)
			if (((unsigned char)*c < ' ' && *c != '\t') || *c == 127)
				*c = '?';
		if (line && strv_push(&lines, line) < 0)
			w->bad = true;
	}
	if (w && w->bad) {
		err_set(&bad, EBADMSG, "the agent's list of processes makes no sense");
		e = &bad;
	}
	a->ps(a->data, e ? NULL : lines, e);
	free(a);
}

int hyperv_ps(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e)
{
	return ask(i, AGENT_PS, on_ps, (struct asked){.ps = fn, .data = data}, e);
}

static void on_look(void *data, struct wire *w, const struct err *e)
{
	struct asked *a = data;
	struct err bad = ERR_INIT;
	struct look l = {0};

	if (w && look_decode(&l, w, &bad) < 0)
		e = &bad;
	a->look(a->data, e ? NULL : &l, e);
	look_done(&l);
	free(a);
}

int hyperv_look(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e)
{
	return ask(i, AGENT_LOOK, on_look, (struct asked){.look = fn, .data = data}, e);
}

static void on_updated(void *data, struct wire *w, const struct err *e)
{
	struct asked *a = data;

	(void)w;
	a->done(a->data, e);
	free(a);
}

/* A VM is as large as it was made. */
static int fits_vm(const struct hyperv *h, const struct plan *p, struct err *e)
{
	const struct vm_config *c = &h->parts.config;
	static const char remedy[] = "stop the container, update it, and start it again";

	if (p->memory && vm_memory_mib(p->memory) > c->memory_mib)
		return err_set(e, EINVAL,
			"a memory limit of %llu MiB needs a virtual machine of %llu MiB, and it has %llu MiB: %s",
			(unsigned long long)(p->memory >> 20), (unsigned long long)vm_memory_mib(p->memory),
			(unsigned long long)c->memory_mib, remedy);
	if (p->nanocpus && vm_cpus(p->nanocpus, UINT_MAX) > c->cpus)
		return err_set(e, EINVAL, "%.9g CPUs need a virtual machine of %u, and it has %u: %s",
			(double)p->nanocpus / 1e9, vm_cpus(p->nanocpus, UINT_MAX), c->cpus, remedy);
	return 0;
}

/* The host's processes of the VM. Once they were pinned, all CPUs are a list as well. */
static int pin(struct hyperv *h, const struct plan *p, struct err *e)
{
	const pid_t pids[] = {0, h->vm.qemu, h->vm.virtiofsd};
	char all[4096] = "0";
	const char *list = p->cpuset_cpus;
	int r = 0;

	if (str_empty(list) && !h->pinned)
		return 0;
	if (str_empty(list)) {
		file_read_line(AT_FDCWD, "/sys/devices/system/cpu/online", all, sizeof(all));
		list = all;
	}
	for (size_t i = 0; r == 0 && i < sizeof(pids) / sizeof(*pids); i++)
		if (!i || pids[i] > 0)
			r = cpuset_pin(pids[i], list, e);
	h->pinned = r == 0;
	return r;
}

int hyperv_update(struct isolate *i, const struct plan *p, isolate_done_fn *fn, void *data, struct err *e)
{
	struct hyperv *h = i->backend;
	_cleanup_buf_ struct buf encoded = {0}, b = {0};
	struct guest_plan g;
	int r = fits_vm(h, p, e);

	if (r == 0)
		r = guest_plan_check(p, e);
	if (r == 0)
		r = pin(h, p, e);
	if (r < 0)
		return r;
	r = guest_plan_make(p, h->parts.config.cpus, &g, e);
	if (r == 0 && (plan_encode(&g.plan, &encoded) < 0 || wire_add_bytes(&b, encoded.data, encoded.len) < 0))
		r = err_nomem(e);
	guest_plan_done(&g);
	if (r < 0)
		return r;
	if (h->paused) {
		buf_done(&h->update);
		h->update = b;
		b = (struct buf){0};
		fn(data, NULL);
		return 0;
	}
	struct asked *a = malloc(sizeof(*a));
	if (!a)
		return err_nomem(e);
	*a = (struct asked){.hyperv = h, .done = fn, .data = data};
	r = peer_request(h->vm.peer, AGENT_UPDATE, b.data, b.len, on_updated, a, e);
	if (r < 0)
		free(a);
	return r;
}

int hyperv_connect(struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	struct hyperv *h = i->backend;

	if (h->paused)
		return err_set(e, EBUSY, "container %s is paused", i->plan->name);
	return cards_connect(&h->cards, h->vm.qmp, h->vm.peer, f, fn, data, e);
}

int hyperv_disconnect(struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	struct hyperv *h = i->backend;

	if (h->paused)
		return err_set(e, EBUSY, "container %s is paused", i->plan->name);
	return cards_disconnect(&h->cards, h->vm.peer, f, fn, data, e);
}

pid_t hyperv_pid(const struct isolate *i)
{
	const struct hyperv *h = i->backend;

	return h->vm.qemu;
}

const char *hyperv_accel(const struct isolate *i)
{
	const struct hyperv *h = i->backend;

	return h->parts.config.accel ? h->parts.config.accel : "";
}
