/*
 * The hyperv backend: a utility VM per container.
 *
 *    monitor (this process)                                   QEMU (confined: hyperv-confine.c)
 *   +--------------------------------------------+           +------------------------------------------+
 *   | pipes, sockets <--> stream <--> peer ------|- socket --|-- virtio-serial --> agent (PID 1)         |
 *   |                                            |           |                        |                 |
 *   | qmp ---------------------------------------|- socket --|-- QMP (pause)          v                 |
 *   | console.log <-- console -------------------|- socket --|-- serial port     sandbox/: the plan       |
 *   |                                            |           |                        |                 |
 *   | kernel, initramfs, image (ro), disk (rw) --|- fds -----|-- virtio-blk        overlay of EROFS, ext4|
 *   +--------------------------------------------+           +--------- virtiofs --> virtiofsd: -v ------+
 *
 * BOOT   QEMU runs; waiting for the agent's HELLO. A deadline in QEMU's own CPU time (a busy host only makes it later) and a generous one in real time.
 *        Missed, or QEMU ended: once more from the beginning.
 * START  the plan is sent; waiting for STARTED or FAILED.
 * RUN    streams flow; PING every 2 s. An agent that lets 5 s of the VM's CPU time go by without a PONG is dead.
 * END    the workload has ended, or the VM: reported. The agent is told to shut down, so that the disk is clean; destroy waits for that.
 *
 * Whatever happens, QEMU's end comes through on_vm_ended, which tells why. Nothing the guest can do ends with more than its VM's death.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"
#include "proto/agent.h"
#include "proto/look.h"

enum {
	TRIES = 2,
	TICK_MS = 1000,
	BOOT_CPU_MS = 12000, /* times the number of the try: emulated, a boot takes about 4 s of CPU time */
	BOOT_WALL_MS = 180000,
	START_CPU_MS = 60000, /* may fill a volume with the image's files */
	SILENT_CPU_MS = 5000,
	SHUTDOWN_MS = 10000,
	STATUS_VM_DIED = 255,
	STATUS_KILLED = 137,
};

enum phase { PHASE_BOOT, PHASE_START, PHASE_RUN, PHASE_END };

struct hyperv {
	struct isolate *isolate;
	enum phase phase;
	unsigned tries;
	struct vm vm;
	struct vm_parts parts;
	struct cards cards;
	char *root;
	int uid_lock;
	struct source *tick;
	unsigned ticks;
	uint64_t began_ms;    /* of this boot */
	uint64_t ping_cpu_ms; /* QEMU's CPU time at the last PING */
	bool paused, killed;
	char reason[200]; /* why we ended the VM; empty: we did not */
};

static int boot(struct hyperv *h, struct err *e);

/* ---- the end of a VM ---- */

static void give_up(struct hyperv *h, const char *reason)
{
	if (!*h->reason)
		snprintf(h->reason, sizeof(h->reason), "%.199s", reason);
	vm_kill(&h->vm);
}

static void report_not_started(struct hyperv *h, const struct err *e)
{
	h->phase = PHASE_END;
	source_remove(&h->tick);
	isolate_report_started(h->isolate, NULL, e);
}

static void retry_or_fail(struct hyperv *h, const char *why)
{
	struct err e = ERR_INIT;

	if (!h->killed && h->phase == PHASE_BOOT && h->tries < TRIES) {
		log_trace("vm", "boot failed (%s): once more", why);
		peer_free(steal_ptr(h->vm.peer));
		*h->reason = 0;
		if (boot(h, &e) == 0)
			return;
	} else if (h->killed) {
		err_set(&e, EINTR, "container %s was killed before it started", h->isolate->plan->name);
	} else {
		err_set(&e, EIO, "start the VM: %s", why);
	}
	report_not_started(h, &e);
}

static void on_vm_ended(void *data)
{
	struct hyperv *h = data;
	struct isolate_exit x = {.status = h->killed ? STATUS_KILLED : STATUS_VM_DIED};
	char why[200] = "";

	peer_drain(h->vm.peer); /* the end of the workload may be in it */
	vm_stop(&h->vm, why, sizeof(why));
	log_trace("vm", "ended: %s %s", why, h->reason);
	/* a panic tells more than what we found: that it went silent */
	const char *told = *h->reason && !str_starts(why, "guest kernel panic") ? h->reason : why;
	if (h->phase == PHASE_BOOT || h->phase == PHASE_START) {
		retry_or_fail(h, told);
		return;
	}
	source_remove(&h->tick);
	if (h->phase != PHASE_RUN || peer_ending(h->vm.peer, ISOLATE_MAIN))
		return;
	h->phase = PHASE_END;
	if (!h->killed)
		snprintf(x.reason, sizeof(x.reason), "%s", told);
	isolate_report_exited(h->isolate, ISOLATE_MAIN, &x);
}

/* ---- what the agent says ---- */

static void on_hello(void *data, const char *release)
{
	struct hyperv *h = data;
	struct guest_plan g;
	struct err e = ERR_INIT;

	log_trace("vm", "guest kernel %s after %llu ms", release, (unsigned long long)(clock_mono_ms() - h->began_ms));
	int r = guest_plan_make(h->isolate->plan, &g, &e);
	if (r == 0)
		r = peer_start(h->vm.peer, &g.plan, share_needed(h->isolate->plan), &e);
	guest_plan_done(&g);
	h->phase = PHASE_START;
	proc_cpu_ms(h->vm.qemu, &h->ping_cpu_ms);
	if (r < 0)
		give_up(h, e.msg);
}

static void on_started(void *data, int proc, struct isolate_io *io)
{
	struct hyperv *h = data;

	if (proc != ISOLATE_MAIN) {
		h->isolate->events.exec_started(h->isolate->events_data, proc, io, NULL);
		return;
	}
	h->phase = PHASE_RUN;
	log_trace("vm", "started after %llu ms", (unsigned long long)(clock_mono_ms() - h->began_ms));
	isolate_report_started(h->isolate, io, NULL);
}

static void on_failed(void *data, int proc, const struct err *e)
{
	struct hyperv *h = data;
	struct isolate_io none = ISOLATE_IO_INIT;

	if (proc != ISOLATE_MAIN) {
		h->isolate->events.exec_started(h->isolate->events_data, proc, &none, e);
		return;
	}
	peer_shutdown(h->vm.peer);
	report_not_started(h, e);
}

static void on_exited(void *data, int proc, int status, bool oom)
{
	struct hyperv *h = data;
	struct isolate_exit x = {.status = status, .oom = oom};

	if (proc == ISOLATE_MAIN) {
		h->phase = PHASE_END;
		source_remove(&h->tick);
		peer_shutdown(h->vm.peer);
	}
	isolate_report_exited(h->isolate, proc, &x);
}

/* A closed port is QEMU's end, which is told by its own descriptor; if QEMU lives on, the next tick ends it. */
static void on_lost(void *data, const char *reason)
{
	struct hyperv *h = data;
	char text[160];

	if (!reason)
		return;
	snprintf(text, sizeof(text), "the VM was ended: %s", reason);
	give_up(h, text);
}

static const struct vm_events vm_events = {
	.ended = on_vm_ended,
	.peer = {.hello = on_hello, .started = on_started, .failed = on_failed, .exited = on_exited, .lost = on_lost},
};

/* ---- deadlines ---- */

static void check_boot(struct hyperv *h, uint64_t cpu)
{
	if (cpu > BOOT_CPU_MS * h->tries || clock_mono_ms() - h->began_ms > BOOT_WALL_MS)
		give_up(h, "the guest does not boot");
}

static void check_silent(struct hyperv *h, uint64_t cpu)
{
	uint64_t limit = h->phase == PHASE_START ? START_CPU_MS : SILENT_CPU_MS;

	if (!peer_answered(h->vm.peer)) {
		if (cpu - h->ping_cpu_ms > limit)
			give_up(h, "the guest's agent does not answer");
	} else if (h->ticks % 2 == 0) {
		h->ping_cpu_ms = cpu;
		peer_ping(h->vm.peer);
	}
}

static void on_tick(void *data)
{
	struct hyperv *h = data;
	uint64_t cpu;

	h->tick = loop_add_timer(h->isolate->loop, TICK_MS, on_tick, h);
	h->ticks++;
	if (h->paused || h->vm.qemu <= 0 || proc_cpu_ms(h->vm.qemu, &cpu) < 0)
		return;
	if (h->phase == PHASE_BOOT)
		check_boot(h, cpu);
	else if (h->phase != PHASE_END)
		check_silent(h, cpu);
}

/* ---- start ---- */

static int boot(struct hyperv *h, struct err *e)
{
	h->tries++;
	h->phase = PHASE_BOOT;
	h->began_ms = clock_mono_ms();
	int r = vm_start(&h->vm, h->isolate, &h->parts, &vm_events, h, e);
	if (r == 0 && !h->tick)
		h->tick = loop_add_timer(h->isolate->loop, TICK_MS, on_tick, h);
	return r;
}

static int open_file(const char *path, int flags, const char *what, int *ret, struct err *e)
{
	*ret = open(path ? path : "", flags | O_CLOEXEC);
	return *ret < 0 ? err_errno(e, errno, "%s %s", what, path ? path : "") : 0;
}

static unsigned host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static int prepare_config(struct hyperv *h, const struct kernel *k, struct err *e)
{
	const struct isolate *i = h->isolate;
	struct vm_config *c = &h->parts.config;
	const char *notice;

	int r = accel_choose(i->host, k, &c->accel, &notice, e);
	if (r < 0)
		return r;
	if (notice)
		isolate_report_notice(h->isolate, "%s", notice);
	c->name = i->plan->name;
	c->memory_mib = vm_memory_mib(i->plan->memory);
	c->cpus = vm_cpus(i->plan->nanocpus, host_cpus());
	c->tsc_khz = accel_tsc_khz(i->host);
	r = open_file(k->path, O_RDONLY, "guest kernel", &c->kernel, e);
	if (r == 0)
		r = open_file(i->plan->image_erofs, O_RDONLY, "image", &c->image, e);
	if (r == 0)
		r = open_file(i->plan->disk, O_RDWR, "disk", &c->disk, e);
	if (r < 0)
		return r;
	c->initrd = initrd_open(i->host, k, e);
	return c->initrd < 0 ? c->initrd : 0;
}

static int hyperv_start(struct isolate *i, struct err *e)
{
	struct hyperv *h = calloc(1, sizeof(*h));
	char qemu[1024];
	struct kernel k;

	if (!h)
		return err_nomem(e);
	i->backend = h;
	h->isolate = i;
	h->uid_lock = -1;
	h->vm = (struct vm){.qemu_fd = -1, .virtiofsd_fd = -1, .console_fd = -1, .output_fd = -1, .console.file = -1};
	h->parts.config = (struct vm_config){.kernel = -1, .initrd = -1, .image = -1, .disk = -1, .share = -1};
	int r = kernel_find(i->host, &k, e);
	if (r == 0)
		r = qemu_find(i->host, qemu, sizeof(qemu), e);
	if (r == 0)
		r = vmm_root(i->host, qemu, &h->root, e);
	if (r == 0)
		r = confine_uid(i->host, i->plan->id, &h->parts.uid, &h->uid_lock, e);
	if (r == 0)
		r = prepare_config(h, &k, e);
	if (r < 0)
		return r;
	h->parts.root = h->root;
	r = cards_open(&h->cards, i, e);
	if (r < 0)
		return r;
	h->parts.config.cards = h->cards.all;
	h->parts.config.cards_len = h->cards.len;
	return boot(h, e);
}

static int hyperv_probe(const struct isolation_host *host, struct err *e)
{
	char program[1024];
	const char *accel, *notice;
	struct kernel k;

	if (geteuid() != 0)
		return err_set(e, EPERM, "hyperv isolation needs root: run caisson as root or with sudo");
	int r = qemu_find(host, program, sizeof(program), e);
	if (r == 0)
		r = kernel_find(host, &k, e);
	if (r == 0 && !proc_find_program("mkfs.ext4", program, sizeof(program)))
		r = err_set(e, ENOENT, "mkfs.ext4 not found: apt-get install e2fsprogs");
	if (r == 0 && !proc_find_program("mkfs.erofs", program, sizeof(program)))
		r = err_set(e, ENOENT, "mkfs.erofs not found: apt-get install erofs-utils");
	if (r == 0)
		r = accel_check(host, e);
	/* who insists on KVM is told before anything is made that it does not work; this boots a guest once */
	return r == 0 && host->accel && !strcmp(host->accel, "kvm") ? accel_choose(host, &k, &accel, &notice, e) : r;
}

static int hyperv_check(const struct isolation_host *host, const struct plan *p, struct err *e)
{
	char program[1024];

	int r = guest_plan_check(p, e);
	if (r == 0 && share_needed(p))
		r = virtiofsd_find(host, program, sizeof(program), e);
	return r;
}

/* ---- requests ---- */

static int hyperv_exec(struct isolate *i, int proc, const struct plan_process *process, struct err *e)
{
	struct hyperv *h = i->backend;

	return peer_exec(h->vm.peer, proc, process, e);
}

static int hyperv_signal(struct isolate *i, int proc, int sig, struct err *e)
{
	struct hyperv *h = i->backend;
	int r = peer_signal(h->vm.peer, proc, sig);

	return r < 0 ? err_errno(e, r, "signal process %d of the container", proc) : 0;
}

static int hyperv_resize(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e)
{
	struct hyperv *h = i->backend;
	int r = peer_resize(h->vm.peer, proc, rows, cols);

	return r < 0 ? err_errno(e, r, "resize the terminal of process %d", proc) : 0;
}

static int hyperv_kill(struct isolate *i, struct err *e)
{
	struct hyperv *h = i->backend;

	(void)e;
	h->killed = true;
	vm_kill(&h->vm);
	return 0;
}

/* By QEMU rather than the guest's freezer: a paused VM then costs no time at all, whatever its kernel does by itself. */
static int hyperv_pause(struct isolate *i, bool on, struct err *e)
{
	struct hyperv *h = i->backend;
	int r = qmp_run(h->vm.qmp, on ? "stop" : "cont", NULL, -1, NULL, NULL);

	if (r < 0)
		return err_errno(e, r, "%s the VM", on ? "pause" : "unpause");
	h->paused = on;
	return 0;
}

struct asked {
	struct hyperv *hyperv;
	isolate_stats_fn *stats;
	isolate_ps_fn *ps;
	isolate_look_fn *look;
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

/* Resident memory of a process in bytes; 0 if it is gone. */
static uint64_t resident(pid_t pid)
{
	char path[64], line[128];
	unsigned long long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (pid > 0 && file_read_line(AT_FDCWD, path, line, sizeof(line)) >= 0)
		sscanf(line, "%*u %llu", &pages);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void on_stats(void *data, struct wire *w, const struct err *e)
{
	struct asked *a = data;
	struct err bad = ERR_INIT;
	struct isolate_stats s = {0};
	const pid_t pids[] = {a->hyperv->vm.qemu, a->hyperv->vm.virtiofsd};

	if (w) {
		s.memory = wire_u64(w);
		s.memory_limit = wire_u64(w);
		s.cpu_ns = wire_u64(w);
		s.pids = wire_u64(w);
		for (size_t k = 0; k < 2; k++) {
			uint64_t ms = 0;
			s.host_memory += resident(pids[k]);
			if (pids[k] > 0 && proc_cpu_ms(pids[k], &ms) == 0)
				s.host_cpu_ns += ms * 1000000;
		}
		if (w->bad) {
			err_set(&bad, EBADMSG, "the agent's figures make no sense");
			e = &bad;
		}
	}
	a->stats(a->data, e ? NULL : &s, e);
	free(a);
}

static int hyperv_stats(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e)
{
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

static int hyperv_ps(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e)
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

static int hyperv_look(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e)
{
	return ask(i, AGENT_LOOK, on_look, (struct asked){.look = fn, .data = data}, e);
}

static void on_updated(void *data, struct wire *w, const struct err *e)
{
	struct hyperv *h = data;

	(void)w;
	if (e)
		isolate_report_notice(h->isolate, "update the limits in the VM: %s", e->msg);
}

static int hyperv_update(struct isolate *i, const struct plan *p, struct err *e)
{
	struct hyperv *h = i->backend;
	_cleanup_buf_ struct buf encoded = {0}, b = {0};
	struct guest_plan g;

	if (p->memory && vm_memory_mib(p->memory) > h->parts.config.memory_mib)
		return err_set(e, EINVAL, "the VM of container %s has %llu MiB: a higher memory limit needs a restart",
			i->plan->name, (unsigned long long)h->parts.config.memory_mib);
	int r = guest_plan_make(p, &g, e);
	if (r == 0 && (plan_encode(&g.plan, &encoded) < 0 || wire_add_bytes(&b, encoded.data, encoded.len) < 0))
		r = err_nomem(e);
	guest_plan_done(&g);
	return r < 0 ? r : peer_request(h->vm.peer, AGENT_UPDATE, b.data, b.len, on_updated, h, e);
}

static int hyperv_connect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	struct hyperv *h = i->backend;

	if (h->paused)
		return err_set(e, EBUSY, "container %s is paused", i->plan->name);
	return cards_connect(&h->cards, h->vm.qmp, h->vm.peer, f, fn, data, e);
}

static int hyperv_disconnect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	struct hyperv *h = i->backend;

	if (h->paused)
		return err_set(e, EBUSY, "container %s is paused", i->plan->name);
	return cards_disconnect(&h->cards, h->vm.peer, f, fn, data, e);
}

static pid_t hyperv_pid(const struct isolate *i)
{
	const struct hyperv *h = i->backend;

	return h->vm.qemu;
}

static const char *hyperv_accel(const struct isolate *i)
{
	const struct hyperv *h = i->backend;

	return h->parts.config.accel ? h->parts.config.accel : "";
}

/* The disk is clean once the agent has shut the guest down. */
static void wait_for_shutdown(struct hyperv *h)
{
	uint64_t end = clock_mono_ms() + SHUTDOWN_MS;

	if (h->paused)
		qmp_run(h->vm.qmp, "cont", NULL, -1, NULL, NULL);
	while (clock_mono_ms() < end) {
		peer_flush(h->vm.peer);
		peer_drain(h->vm.peer); /* a guest that waits for us to read would not end */
		if (vm_wait(&h->vm, 20))
			return;
	}
}

static void hyperv_destroy(struct isolate *i)
{
	struct hyperv *h = i->backend;

	if (!h)
		return;
	source_remove(&h->tick);
	if (h->vm.qemu > 0 && h->phase == PHASE_END && !h->killed && !*h->reason)
		wait_for_shutdown(h);
	peer_free(steal_ptr(h->vm.peer));
	vm_stop(&h->vm, NULL, 0);
	close_fd(&h->parts.config.kernel);
	close_fd(&h->parts.config.initrd);
	close_fd(&h->parts.config.image);
	close_fd(&h->parts.config.disk);
	cards_close(&h->cards);
	close_fd(&h->uid_lock);
	free(h->root);
	free(h);
	i->backend = NULL;
}

static int hyperv_sweep(const struct isolation_host *host, const char *id, const char *cgroup_parent, int container_dir)
{
	(void)host;
	(void)id;
	(void)cgroup_parent;
	vm_sweep(container_dir);
	return 0;
}

const struct isolation_ops isolation_hyperv_ops = {
	.name = "hyperv",
	.probe = hyperv_probe,
	.check = hyperv_check,
	.start = hyperv_start,
	.exec = hyperv_exec,
	.signal = hyperv_signal,
	.resize = hyperv_resize,
	.kill = hyperv_kill,
	.pause = hyperv_pause,
	.update = hyperv_update,
	.stats = hyperv_stats,
	.ps = hyperv_ps,
	.connect = hyperv_connect,
	.disconnect = hyperv_disconnect,
	.look = hyperv_look,
	.pid = hyperv_pid,
	.accel = hyperv_accel,
	.destroy = hyperv_destroy,
	.sweep = hyperv_sweep,
};
