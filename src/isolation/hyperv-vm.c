/* One boot of a utility VM: QEMU and virtiofsd started, watched and ended; why it ended. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "isolation/hyperv-private.h"

#define PIDS_FILE "vm.pids"

enum { OUTPUT_MAX = 4096, SWEEP_MS = 5000, REST_CPU_MS = 30 };

/* Everything that is there to be read. false: the other end is closed. */
static bool read_console(struct vm *vm)
{
	char block[4096];
	ssize_t n;

	while ((n = read(vm->console_fd, block, sizeof(block))) > 0)
		console_add(&vm->console, block, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool read_output(struct vm *vm)
{
	char block[1024];
	ssize_t n;

	while ((n = read(vm->output_fd, block, sizeof(block))) > 0)
		if (vm->output.len < OUTPUT_MAX)
			buf_add(&vm->output, block, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_console(void *data, int fd, uint32_t events)
{
	struct vm *vm = data;

	(void)fd;
	(void)events;
	if (!read_console(vm))
		source_remove(&vm->console_watch);
}

static void on_output(void *data, int fd, uint32_t events)
{
	struct vm *vm = data;

	(void)fd;
	(void)events;
	if (!read_output(vm))
		source_remove(&vm->output_watch);
}

/* Pids with their start times, for the sweep after a crash of the monitor. */
static void record(const struct vm *vm, int dir)
{
	const struct {
		const char *what;
		pid_t pid;
	} all[] = {{"qemu", vm->qemu}, {"virtiofsd", vm->virtiofsd}};
	_cleanup_buf_ struct buf b = {0};
	uint64_t start;

	for (size_t i = 0; i < 2; i++)
		if (all[i].pid > 0 && proc_start_time(all[i].pid, &start) == 0)
			buf_addf(&b, "%s %d %llu\n", all[i].what, all[i].pid, (unsigned long long)start);
	file_replace(dir, PIDS_FILE, b.data ? b.data : "", b.len, 0600);
}

void vm_sweep(int container_dir)
{
	_cleanup_buf_ struct buf b = {0};

	if (file_read(container_dir, PIDS_FILE, 4096, &b) < 0 || !b.data)
		return;
	_cleanup_strv_ char **lines = strv_split(b.data, "\n");
	strv_foreach(line, lines) {
		unsigned long long want;
		uint64_t start;
		int pid;

		if (sscanf(line, "%*31s %d %llu", &pid, &want) != 2 || pid <= 1)
			continue;
		_cleanup_close_ int fd = proc_pidfd(pid);
		if (fd < 0 || proc_start_time(pid, &start) < 0 || start != want)
			continue;
		pidfd_signal(fd, SIGKILL);
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, SWEEP_MS);
	}
	unlinkat(container_dir, PIDS_FILE, 0);
}

/* ---- what it is made of ---- */

static unsigned host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int vm_prepare(const struct isolation_host *h, const struct kernel *k, uint64_t memory, uint64_t nanocpus,
	struct vm_config *c, const char **ret_notice, struct err *e)
{
	int r = accel_choose(h, k, &c->accel, ret_notice, e);

	if (r < 0)
		return r;
	c->memory_mib = vm_memory_mib(memory);
	c->cpus = vm_cpus(nanocpus, host_cpus());
	c->tsc_khz = accel_tsc_khz(h);
	c->kernel = open(k->path, O_RDONLY | O_CLOEXEC);
	if (c->kernel < 0)
		return err_errno(e, errno, "guest kernel %s", k->path);
	c->initrd = initrd_open(h, k, e);
	return c->initrd < 0 ? c->initrd : 0;
}

/* ---- start ---- */

/* The ends that QEMU gets. */
struct ends {
	int agent, qmp, console, output;
	struct share share;
};

static int make_pair(int *ours, int *theirs)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return -errno;
	*ours = s[0];
	*theirs = s[1];
	return 0;
}

static void on_qemu_up(void *data, const struct err *e)
{
	struct vm *vm = data;

	if (!e)
		isolate_report_phase(vm->isolate, TIMING_VMM_START);
}

static int open_ends(struct vm *vm, struct ends *q, const struct vm_events *ev, void *data)
{
	int agent = -1, qmp = -1, p[2];

	int r = make_pair(&agent, &q->agent);
	if (r == 0)
		r = peer_new(vm->isolate->loop, agent, &ev->peer, data, &vm->peer);
	if (r < 0) {
		close_fd(&agent);
		return r;
	}
	r = make_pair(&qmp, &q->qmp);
	if (r == 0)
		r = qmp_new(vm->isolate->loop, qmp, on_qemu_up, vm, &vm->qmp);
	if (r < 0) {
		if (!vm->qmp)
			close_fd(&qmp);
		return r;
	}
	r = make_pair(&vm->console_fd, &q->console);
	if (r < 0)
		return r;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	vm->output_fd = p[0];
	q->output = p[1];
	fd_nonblock(vm->console_fd, true);
	fd_nonblock(vm->output_fd, true);
	return 0;
}

static int spawn_qemu(struct vm *vm, const struct vm_parts *parts, const struct ends *q, struct err *e)
{
	struct vm_config c = parts->config;
	int fds[VM_FDS_MAX];
	struct confine place = {
		.root = parts->root,
		.program = VMM_PROGRAM,
		.uid = parts->uid,
		.fds = fds,
		.output = q->output,
		.kvm = c.accel[0] == 'k',
		.oom_score_adj = vm->isolate->plan->oom_score_adj,
	};
	_cleanup_strv_ char **argv = NULL;

	c.agent = q->agent;
	c.qmp = q->qmp;
	c.console = q->console;
	c.share = q->share.sock;
	place.keep_ram = c.clone && c.share < 0;
	if (vm_argv(&c, &argv, fds, &place.nfds) < 0)
		return err_nomem(e);
	place.argv = argv;
	return confine_spawn(&place, &vm->qemu, &vm->qemu_fd, e);
}

static void on_end(void *data, int fd, uint32_t events)
{
	struct vm *vm = data;

	(void)events;
	vm->share_lost |= fd == vm->virtiofsd_fd;
	/* once: the owner collects it, perhaps later */
	source_remove(&vm->qemu_watch);
	source_remove(&vm->virtiofsd_watch);
	vm->ended(vm->ended_data);
}

static int watch(struct vm *vm)
{
	struct loop *l = vm->isolate->loop;

	vm->console_watch = loop_add_fd(l, vm->console_fd, EPOLLIN, on_console, vm);
	vm->output_watch = loop_add_fd(l, vm->output_fd, EPOLLIN, on_output, vm);
	vm->qemu_watch = loop_add_fd(l, vm->qemu_fd, EPOLLIN, on_end, vm);
	if (vm->virtiofsd > 0)
		vm->virtiofsd_watch = loop_add_fd(l, vm->virtiofsd_fd, EPOLLIN, on_end, vm);
	return vm->console_watch && vm->output_watch && vm->qemu_watch && (vm->virtiofsd <= 0 || vm->virtiofsd_watch)
		? 0
		: -ENOMEM;
}

int vm_start(struct vm *vm, struct isolate *i, const struct vm_parts *parts, const struct vm_events *ev, void *data,
	struct err *e)
{
	struct ends q = {-1, -1, -1, -1, {.pidfd = -1, .sock = -1, .status = -1}};

	*vm = (struct vm){.isolate = i,
		.qemu_fd = -1,
		.virtiofsd_fd = -1,
		.console_fd = -1,
		.output_fd = -1,
		.ended = ev->ended,
		.ended_data = data};
	console_open(&vm->console, i->container_dir);
	int r = open_ends(vm, &q, ev, data);
	if (r < 0)
		err_errno(e, r, "make the VM's sockets");
	if (r == 0 && share_needed(i->plan))
		r = share_start(i->host, i->plan, i->container_dir, q.output, &q.share, e);
	vm->virtiofsd = q.share.pid;
	vm->virtiofsd_fd = q.share.pidfd;
	if (r == 0)
		r = spawn_qemu(vm, parts, &q, e);
	if (r == 0 && q.share.status >= 0)
		r = share_started(q.share.status, e);
	if (r == 0) {
		record(vm, i->container_dir);
		r = watch(vm);
		if (r < 0)
			err_nomem(e);
	}
	close_fd(&q.agent);
	close_fd(&q.qmp);
	close_fd(&q.console);
	close_fd(&q.share.sock);
	close_fd(&q.share.status);
	close_fd(&q.output);
	if (r < 0) {
		vm_stop(vm, NULL, 0);
		peer_free(steal_ptr(vm->peer));
	}
	return r;
}

/* ---- saving and restoring: the guest's memory stays in its file ---- */

static int ignore_memory(struct qmp *q)
{
	return qmp_run(q, "migrate-set-capabilities",
		"\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":true}]", -1, NULL, NULL);
}

int vm_save(struct vm *vm, int to, qmp_fn *done, void *data)
{
	int r = ignore_memory(vm->qmp);

	if (r == 0)
		r = qmp_run(vm->qmp, "getfd", "\"fdname\":\"state\"", to, NULL, NULL);
	return r < 0 ? r : qmp_run(vm->qmp, "migrate", "\"uri\":\"fd:state\"", -1, done, data);
}

static void on_event(void *data, const char *event)
{
	struct vm *vm = data;

	if (vm->resumed && !strcmp(event, "RESUME")) {
		void (*fn)(void *) = steal_ptr(vm->resumed);
		fn(vm->resumed_data);
	}
}

int vm_restore(struct vm *vm, int from, void (*resumed)(void *data), void *data)
{
	vm->resumed = resumed;
	vm->resumed_data = data;
	qmp_on_event(vm->qmp, on_event, vm);
	int r = ignore_memory(vm->qmp);
	/* it has not moved here from elsewhere, and the hardware address that QEMU would announce is the template's */
	if (r == 0)
		r = qmp_run(vm->qmp, "migrate-set-parameters", "\"announce-rounds\":0", -1, NULL, NULL);
	if (r == 0)
		r = qmp_run(vm->qmp, "getfd", "\"fdname\":\"state\"", from, NULL, NULL);
	return r < 0 ? r : qmp_run(vm->qmp, "migrate-incoming", "\"uri\":\"fd:state\"", -1, NULL, NULL);
}

/* ---- end ---- */

bool vm_rests(const struct vm *vm, struct vm_rest *r, uint64_t ms)
{
	uint64_t cpu, now = clock_mono_ms();

	if (vm->qemu <= 0 || proc_cpu_ms(vm->qemu, &cpu) < 0)
		return false;
	if (!r->since_ms || cpu - r->cpu_ms > REST_CPU_MS)
		*r = (struct vm_rest){now, cpu};
	return now - r->since_ms > ms;
}

void vm_kill(struct vm *vm)
{
	if (vm->qemu_fd >= 0)
		pidfd_signal(vm->qemu_fd, SIGKILL);
}

bool vm_wait(struct vm *vm, int ms)
{
	struct pollfd p = {.fd = vm->qemu_fd, .events = POLLIN};

	return vm->qemu_fd < 0 || poll(&p, 1, ms) > 0;
}

/* Waits for a process that has ended or is about to; -1: there is none. */
static int collect(pid_t pid, int *fd, bool *killed_here)
{
	int status = 0;

	if (pid <= 0)
		return -1;
	*killed_here = poll(&(struct pollfd){.fd = *fd, .events = POLLIN}, 1, 0) <= 0;
	if (*killed_here)
		pidfd_signal(*fd, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close_fd(fd);
	return status;
}

/* What QEMU said last, on one line. */
static void last_words(const struct vm *vm, char *ret, size_t size)
{
	size_t end = vm->output.len, n = 0;

	while (end && vm->output.data[end - 1] == '\n')
		end--;
	size_t at = end;
	while (at && vm->output.data[at - 1] != '\n')
		at--;
	for (; at < end && n + 1 < size; at++)
		ret[n++] = (unsigned char)vm->output.data[at] < ' ' ? '?' : vm->output.data[at];
	ret[n] = 0;
}

static void reason(const struct vm *vm, int qemu, bool qemu_killed, bool virtiofsd_ended, char *ret, size_t size)
{
	char text[160];

	*ret = 0;
	if (console_panic(&vm->console, text, sizeof(text))) {
		snprintf(ret, size, "guest kernel panic: %s", text);
	} else if (qemu_killed || qemu < 0) {
		last_words(vm, text, sizeof(text));
		if (virtiofsd_ended)
			snprintf(ret, size, "virtiofsd, which shares the host's directories, has ended: %s", text);
	} else if (WIFSIGNALED(qemu)) {
		snprintf(ret, size, "QEMU was killed by signal %d (%s)", WTERMSIG(qemu), signal_name(WTERMSIG(qemu)));
	} else if (WEXITSTATUS(qemu)) {
		last_words(vm, text, sizeof(text));
		snprintf(ret, size, "QEMU ended with exit status %d: %s", WEXITSTATUS(qemu), text);
	} else {
		snprintf(ret, size, "the guest has shut down");
	}
}

void vm_stop(struct vm *vm, char *ret, size_t size)
{
	bool qemu_killed = false, virtiofsd_killed = true;

	source_remove(&vm->qemu_watch);
	source_remove(&vm->virtiofsd_watch);
	source_remove(&vm->console_watch);
	source_remove(&vm->output_watch);
	int qemu = collect(vm->qemu, &vm->qemu_fd, &qemu_killed);
	collect(vm->virtiofsd, &vm->virtiofsd_fd, &virtiofsd_killed);
	if (vm->console_fd >= 0)
		read_console(vm);
	if (vm->output_fd >= 0)
		read_output(vm);
	if (vm->output.len)
		log_trace("vm", "QEMU and virtiofsd said: %s", vm->output.data);
	if (ret)
		reason(vm, qemu, qemu_killed, !virtiofsd_killed, ret, size);
	if (vm->isolate)
		unlinkat(vm->isolate->container_dir, PIDS_FILE, 0);
	close_fd(&vm->console_fd);
	close_fd(&vm->output_fd);
	console_done(&vm->console);
	buf_done(&vm->output);
	qmp_free(steal_ptr(vm->qmp));
	vm->qemu = vm->virtiofsd = 0;
}
