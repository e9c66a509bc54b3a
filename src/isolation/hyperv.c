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
 * RESTORE  a clone of a template (hyperv-template.c): QEMU reads the state of a machine that has booted.
 * BOOT     where there is none: waiting for the agent's HELLO.
 * START    shares and cards are plugged in (hyperv-plug.c), the plan is sent; waiting for STARTED or FAILED. COMMITTED comes before the workload can
 *          have done anything.
 * RUN      streams flow; PING every 2 s. An agent that lets 5 s of the VM's CPU time go by without a PONG is dead.
 * END      the workload has ended, or the VM: reported. The agent is told to shut down, so that the disk is clean; destroy waits for that.
 *
 * Deadlines are in QEMU's own CPU time (a busy host only makes them later), and generous ones in real time, one of them for a guest that sleeps. One that
 * is missed before COMMITTED, or an end of QEMU: once more, by a boot.
 *
 * Whatever happens, QEMU's end comes through on_vm_ended, which tells why. Nothing the guest can do ends with more than its VM's death.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "isolation/hyperv-life.h"
#include "proto/agent.h"

enum {
	TRIES = 2,
	TICK_MS = 1000,
	RESTORE_CPU_MS = 5000,
	BOOT_CPU_MS = 12000, /* times the number of the try: emulated, a boot takes about 4 s of CPU time */
	BOOT_WALL_MS = 180000,
	START_CPU_MS = 15000,
	FILL_CPU_MS = 60000, /* a volume is filled with the image's files */
	REST_MS = 30000,
	SILENT_CPU_MS = 5000,
	SHUTDOWN_MS = 10000,
	STATUS_VM_DIED = 255,
	STATUS_KILLED = 137,
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

static void leave_template(struct hyperv *h, bool broken)
{
	struct vm_config *c = &h->parts.config;
	struct err none;

	if (h->template.memory >= 0 && broken)
		template_remove(h->isolate->host, h->template_name.text, &none);
	template_close(&h->template);
	if (!h->disk_due && c->scratch >= 0)
		c->disk = steal_fd(&c->scratch);
	close_fd(&c->scratch);
	h->disk_due = false;
	c->ram = -1;
	c->clone = false;
}

static void retry_or_fail(struct hyperv *h, const char *why)
{
	struct err e = ERR_INIT;

	if (!h->killed && !h->committed && h->tries < TRIES) {
		log_trace("vm", "start failed (%s): once more", why);
		/* one that could not even be restored is no use to others either */
		leave_template(h, h->phase == PHASE_RESTORE && !h->vm.share_lost);
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
	if (h->phase <= PHASE_START) {
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

static uint32_t start_flags(const struct hyperv *h)
{
	const struct vm_config *c = &h->parts.config;
	uint32_t flags = share_needed(h->isolate->plan) ? AGENT_HAS_SHARE : 0;

	return !c->clone ? flags : flags | (c->scratch >= 0 ? AGENT_DISK_MOUNTED : AGENT_DISK_SECOND);
}

static void send_start(struct hyperv *h)
{
	struct guest_plan g;
	struct err e = ERR_INIT;

	int r = guest_plan_make(h->isolate->plan, h->parts.config.cpus, &g, &e);
	if (r == 0)
		r = peer_start(h->vm.peer, &g.plan, start_flags(h), &e);
	guest_plan_done(&g);
	if (r < 0)
		give_up(h, e.msg);
}

static void on_plugged(void *data, const struct err *e)
{
	struct hyperv *h = data;

	if (!e)
		send_start(h);
	else if (e->code != EPIPE) /* that is QEMU's end, which is told by its own descriptor */
		give_up(h, e->msg);
}

static void on_alive(struct hyperv *h, const char *release)
{
	log_trace("vm", "guest kernel %s after %llu ms", release, (unsigned long long)(clock_mono_ms() - h->began_ms));
	h->phase = PHASE_START;
	h->rest = (struct vm_rest){0};
	proc_cpu_ms(h->vm.qemu, &h->ping_cpu_ms);
	if (plug_all(&h->plug, h->vm.qmp, &h->cards, share_needed(h->isolate->plan), on_plugged, h) < 0)
		give_up(h, "QEMU cannot be asked for devices");
}

static void on_hello(void *data, const char *release)
{
	struct hyperv *h = data;

	isolate_report_phase(h->isolate, TIMING_BOOT);
	on_alive(h, release);
}

static void on_resumed(void *data)
{
	struct hyperv *h = data;

	isolate_report_phase(h->isolate, TIMING_RESTORE);
	peer_greeted(h->vm.peer);
	on_alive(h, h->template.footer.release);
}

static void on_committed(void *data)
{
	struct hyperv *h = data;

	h->committed = true;
	isolate_report_phase(h->isolate, TIMING_AGENT);
}

static void on_started(void *data, int proc, struct isolate_io *io)
{
	struct hyperv *h = data;

	if (proc != ISOLATE_MAIN) {
		isolate_report_exec_started(h->isolate, proc, io, NULL);
		return;
	}
	h->phase = PHASE_RUN;
	isolate_report_phase(h->isolate, TIMING_EXEC);
	log_trace("vm", "started after %llu ms", (unsigned long long)(clock_mono_ms() - h->began_ms));
	isolate_report_started(h->isolate, io, NULL);
	hyperv_build_missing(h);
}

static void on_failed(void *data, int proc, const struct err *e)
{
	struct hyperv *h = data;
	struct isolate_io none = ISOLATE_IO_INIT;

	if (proc != ISOLATE_MAIN) {
		hyperv_exec_ended(h, proc);
		isolate_report_exec_started(h->isolate, proc, &none, e);
		return;
	}
	isolate_report_phase(h->isolate, h->committed ? TIMING_EXEC : TIMING_AGENT);
	peer_shutdown(h->vm.peer);
	report_not_started(h, e);
}

/* A disk that is about to be removed need not be clean; a share has all that was written to it before EXITED came. */
static void end_vm(struct hyperv *h)
{
	if (h->isolate->plan->disposable)
		vm_kill(&h->vm);
	else
		peer_shutdown(h->vm.peer);
}

static void on_exited(void *data, int proc, int status, bool oom)
{
	struct hyperv *h = data;
	struct isolate_exit x = {.status = status, .oom = oom};

	if (proc == ISOLATE_MAIN) {
		h->phase = PHASE_END;
		source_remove(&h->tick);
		end_vm(h);
	} else {
		hyperv_exec_ended(h, proc);
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
	.peer = {.hello = on_hello,
		.committed = on_committed,
		.started = on_started,
		.failed = on_failed,
		.exited = on_exited,
		.lost = on_lost},
};

/* ---- deadlines ---- */

static void check_boot(struct hyperv *h, uint64_t cpu)
{
	if (cpu > (h->phase == PHASE_RESTORE ? RESTORE_CPU_MS : BOOT_CPU_MS * h->tries) ||
		clock_mono_ms() - h->began_ms > BOOT_WALL_MS)
		give_up(h, "the guest does not boot");
}

static bool fills_volume(const struct plan *p)
{
	for (size_t i = 0; i < p->mounts_len; i++)
		if (p->mounts[i].copy_up)
			return true;
	return false;
}

static void check_silent(struct hyperv *h, uint64_t cpu)
{
	uint64_t limit = h->phase != PHASE_START ? SILENT_CPU_MS
		: fills_volume(h->isolate->plan) ? FILL_CPU_MS
						 : START_CPU_MS;

	if (!peer_answered(h->vm.peer)) {
		if (cpu - h->ping_cpu_ms > limit || (h->phase == PHASE_START && vm_rests(&h->vm, &h->rest, REST_MS)))
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
	if (h->phase <= PHASE_BOOT)
		check_boot(h, cpu);
	else if (h->phase != PHASE_END)
		check_silent(h, cpu);
}

/* ---- start ---- */

/* While QEMU starts, which looks at its memory only when it reads the state, and at its disks only when the guest does. */
static int fill(struct hyperv *h, struct err *e)
{
	int r = template_fill_copy(&h->template);

	h->parts.config.ram = -1;
	if (r < 0)
		return err_errno(e, r, "copy the template's memory");
	if (h->disk_due)
		r = template_finish_disk(
			h->isolate->host, &h->template, h->parts.config.scratch, h->isolate->plan->disk, e);
	if (r == 0)
		h->disk_due = false;
	return r;
}

static int restore(struct hyperv *h, struct err *e)
{
	int r = fill(h, e);
	_cleanup_close_ int state = r < 0 ? -1 : template_open_state(&h->template);

	if (r < 0)
		return r;
	r = state < 0 ? state : vm_restore(&h->vm, state, on_resumed, h);
	return r < 0 ? err_errno(e, r, "restore the VM from its template") : 0;
}

static int start_vm(struct hyperv *h, struct err *e)
{
	h->began_ms = clock_mono_ms();
	int r = vm_start(&h->vm, h->isolate, &h->parts, &vm_events, h, e);
	if (r == 0 && !h->tick)
		h->tick = loop_add_timer(h->isolate->loop, TICK_MS, on_tick, h);
	return r;
}

/* Of a container that has none yet: a clone would have brought it. */
static int make_disk(struct hyperv *h, struct err *e)
{
	struct vm_config *c = &h->parts.config;
	const char *path = h->isolate->plan->disk;
	int r = c->disk < 0 ? hyperv_open_file(path, O_RDWR, "disk", &c->disk, e) : 0;

	if (r < 0 || !hyperv_disk_is_new(c->disk))
		return r;
	close_fd(&c->disk);
	r = hyperv_disk_create(h->isolate->host, path, 0, e);
	return r == 0 ? hyperv_open_file(path, O_RDWR, "disk", &c->disk, e) : r;
}

static int boot(struct hyperv *h, struct err *e)
{
	h->tries++;
	h->phase = PHASE_BOOT;
	int r = make_disk(h, e);
	return r == 0 ? start_vm(h, e) : r;
}

/* A clone that cannot be made of its template boots. */
static int clone(struct hyperv *h, struct err *e)
{
	h->phase = PHASE_RESTORE;
	int r = start_vm(h, e);
	if (r < 0)
		return r;
	r = restore(h, e);
	if (r == 0)
		return 0;
	log_trace("vm", "%s: booting", e->msg);
	peer_free(steal_ptr(h->vm.peer));
	vm_stop(&h->vm, NULL, 0);
	leave_template(h, r == -EBADMSG);
	*e = ERR_INIT;
	return boot(h, e);
}

int hyperv_open_file(const char *path, int flags, const char *what, int *ret, struct err *e)
{
	*ret = open(path ? path : "", flags | O_CLOEXEC);
	return *ret < 0 ? err_errno(e, errno, "%s %s", what, path ? path : "") : 0;
}

static int prepare_config(struct hyperv *h, const struct kernel *k, struct err *e)
{
	const struct plan *p = h->isolate->plan;
	struct vm_config *c = &h->parts.config;
	const char *notice;

	int r = vm_prepare(h->isolate->host, k, p->memory, p->nanocpus, c, &notice, e);
	if (r < 0)
		return r;
	if (notice)
		isolate_report_notice(h->isolate, "%s", notice);
	c->name = p->name;
	r = hyperv_open_file(p->image_erofs, O_RDONLY, "image", &c->image, e);
	return r == 0 ? hyperv_open_file(p->disk, O_RDWR, "disk", &c->disk, e) : r;
}

static int hyperv_start(struct isolate *i, struct err *e)
{
	struct hyperv *h = calloc(1, sizeof(*h));
	char qemu[1024];

	if (!h)
		return err_nomem(e);
	i->backend = h;
	h->isolate = i;
	h->uid_lock = -1;
	memset(&h->stats, 0xff, sizeof(h->stats)); /* all unknown */
	h->vm = (struct vm){.qemu_fd = -1, .virtiofsd_fd = -1, .console_fd = -1, .output_fd = -1, .console.file = -1};
	h->parts.config = (struct vm_config){
		.kernel = -1, .initrd = -1, .image = -1, .disk = -1, .ram = -1, .scratch = -1, .share = -1};
	h->template = TEMPLATE_NONE;
	int r = kernel_find(i->host, &h->kernel, e);
	if (r == 0 && !str_empty(i->plan->cpuset_cpus))
		r = cpuset_pin(0, i->plan->cpuset_cpus, e);
	h->pinned = !str_empty(i->plan->cpuset_cpus);
	if (r == 0)
		r = qemu_find(i->host, qemu, sizeof(qemu), e);
	if (r == 0)
		r = vmm_root(i->host, qemu, &h->root, e);
	if (r == 0)
		r = confine_uid(i->host, i->plan->id, &h->parts.uid, &h->uid_lock, e);
	if (r == 0)
		r = prepare_config(h, &h->kernel, e);
	if (r < 0)
		return r;
	h->parts.root = h->root;
	isolate_report_phase(i, TIMING_MACHINE);
	r = cards_open(&h->cards, i, e);
	if (r < 0)
		return r;
	if (h->cards.len)
		isolate_report_phase(i, TIMING_NETWORK);
	h->parts.config.cards = h->cards.all;
	h->parts.config.cards_len = h->cards.len;
	hyperv_choose_template(h);
	return h->parts.config.clone ? clone(h, e) : boot(h, e);
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

/* ---- the end ---- */

static int hyperv_kill(struct isolate *i, struct err *e)
{
	struct hyperv *h = i->backend;

	(void)e;
	h->killed = true;
	vm_kill(&h->vm);
	return 0;
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
	buf_done(&h->update);
	source_remove(&h->tick);
	if (h->vm.qemu > 0 && h->phase == PHASE_END && !h->killed && !*h->reason)
		wait_for_shutdown(h);
	peer_free(steal_ptr(h->vm.peer));
	vm_stop(&h->vm, NULL, 0);
	close_fd(&h->parts.config.kernel);
	close_fd(&h->parts.config.initrd);
	close_fd(&h->parts.config.image);
	close_fd(&h->parts.config.disk);
	close_fd(&h->parts.config.scratch);
	template_close(&h->template);
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
