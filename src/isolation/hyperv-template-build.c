/* Building a template: a VM is booted, told to load what any container may need, and saved. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "isolation/hyperv-template.h"
#include "proto/agent.h"

enum { BUILD_MS = 180000, TICK_MS = 1000, REST_MS = 10000, TRIES = 3, SETTLE_MS = 300, STATE_MAX = 16 << 20 };

struct build {
	struct isolate isolate; /* of no container: what vm_start needs */
	struct plan plan;
	struct vm vm;
	char release[96];
	int state_fd; /* our end of the pipe that QEMU writes the devices' state to */
	struct source *state_watch, *tick;
	uint64_t began_ms;
	struct vm_rest rest;
	struct buf state;
	bool saved, with_image;
	struct err *e;
};

static void stop(struct build *b, int code, const char *why)
{
	if (code && !b->e->code)
		err_set(b->e, code, "build the template: %s", why);
	loop_stop(b->isolate.loop);
}

/* ---- a card's other end ---- */

/* In the child: a tap in a network namespace that has nothing else; its descriptor keeps the namespace. */
static int send_tap(int sock)
{
	struct ifreq q = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	_cleanup_close_ int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &q) < 0)
		return -errno;
	return fd_send(sock, "t", 1, &tap, 1);
}

/* What a card may offload depends on what is behind it, so that must be a tap here as it is in a clone. */
static int open_tap(int *ret, struct err *e)
{
	int s[2], tap = -1;
	size_t nfds = 1;
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0)
		return err_errno(e, errno, "socketpair");
	pid_t pid = fork();
	if (pid == 0)
		_exit(send_tap(s[1]) < 0);
	close(s[1]);
	ssize_t n = pid < 0 ? -errno : fd_recv(s[0], &byte, 1, &tap, &nfds);
	close(s[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (n != 1 || nfds != 1)
		return err_set(e, ENODEV, "/dev/net/tun, which --isolation=hyperv needs for a network, cannot be used");
	*ret = tap;
	return 0;
}

/* ---- saving ---- */

/* Its end tells that all is written. */
static void on_state(void *data, int fd, uint32_t events)
{
	struct build *b = data;
	char block[65536];
	ssize_t n = read(fd, block, sizeof(block));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		if (b->state.len + (size_t)n > STATE_MAX || buf_add(&b->state, block, (size_t)n) < 0)
			stop(b, EFBIG, "the state of the devices is too long");
		return;
	}
	source_remove(&b->state_watch);
	b->saved = b->state.len > 0;
	stop(b, b->saved ? 0 : EIO, "QEMU saved nothing");
}

static void on_migrating(void *data, const struct err *e)
{
	if (e)
		stop(data, e->code, e->msg);
}

static void save(void *data)
{
	struct build *b = data;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0) {
		stop(b, errno, "pipe");
		return;
	}
	b->state_fd = p[0];
	b->state_watch = loop_add_fd(b->isolate.loop, p[0], EPOLLIN, on_state, b);
	int r = vm_save(&b->vm, p[1], on_migrating, b);
	close(p[1]);
	if (r < 0 || !b->state_watch)
		stop(b, EIO, "tell QEMU to save");
}

/* A guest that has just loaded modules still tidies up; all that is done before is not done in every clone. */
static void on_prepared(void *data, struct wire *w, const struct err *e)
{
	struct build *b = data;

	(void)w;
	if (e)
		stop(b, e->code, e->msg);
	else if (!loop_add_timer(b->isolate.loop, SETTLE_MS, save, b))
		stop(b, ENOMEM, "out of memory");
}

/* ---- what the VM does ---- */

static void on_hello(void *data, const char *release)
{
	struct build *b = data;
	const struct isolation_host *h = b->isolate.host;
	_cleanup_buf_ struct buf args = {0};
	_cleanup_free_ char *filter = NULL;
	struct err e = ERR_INIT;
	size_t len = 0;

	snprintf(b->release, sizeof(b->release), "%s", release);
	int r = h->usual_filter ? h->usual_filter(h->usual_filter_data, &filter, &len, &e) : 0;
	if (r == 0 &&
		(wire_add_bytes(&args, filter, len) < 0 ||
			wire_add_u32(&args, b->with_image ? AGENT_HAS_IMAGE : 0) < 0))
		r = err_nomem(&e);
	if (r == 0)
		r = peer_request(b->vm.peer, AGENT_PREPARE, args.data, args.len, on_prepared, b, &e);
	if (r < 0)
		stop(b, e.code, e.msg);
}

static void on_lost(void *data, const char *reason)
{
	struct build *b = data;

	if (!b->saved)
		stop(b, EIO, reason ? reason : "the VM has closed its port");
}

static void on_ended(void *data)
{
	stop(data, EIO, "the VM has ended");
}

static void on_tick(void *data)
{
	struct build *b = data;

	b->tick = loop_add_timer(b->isolate.loop, TICK_MS, on_tick, b);
	if (clock_mono_ms() - b->began_ms > BUILD_MS || vm_rests(&b->vm, &b->rest, REST_MS))
		stop(b, ETIMEDOUT, "the guest hangs");
}

/* No process was asked for, so none of these comes: the peer refuses them. */
static void on_nothing(void *data)
{
	(void)data;
}

static void on_no_start(void *data, int proc, struct isolate_io *io)
{
	(void)data;
	(void)proc;
	(void)io;
}

static void on_no_failure(void *data, int proc, const struct err *e)
{
	(void)data;
	(void)proc;
	(void)e;
}

static void on_no_exit(void *data, int proc, int status, bool oom)
{
	(void)data;
	(void)proc;
	(void)status;
	(void)oom;
}

static const struct vm_events events = {
	.ended = on_ended,
	.peer = {.hello = on_hello,
		.committed = on_nothing,
		.started = on_no_start,
		.failed = on_no_failure,
		.exited = on_no_exit,
		.lost = on_lost},
};

/* ---- all of it ---- */

static int run(struct build *b, const struct vm_parts *parts, struct err *e)
{
	int r = vm_start(&b->vm, &b->isolate, parts, &events, b, e);

	if (r < 0)
		return r;
	b->began_ms = clock_mono_ms();
	b->tick = loop_add_timer(b->isolate.loop, TICK_MS, on_tick, b);
	r = loop_run(b->isolate.loop);
	peer_free(steal_ptr(b->vm.peer));
	vm_stop(&b->vm, NULL, 0);
	source_remove(&b->state_watch);
	source_remove(&b->tick);
	close_fd(&b->state_fd);
	if (r < 0)
		err_errno(e, r, "build the template");
	return e->code ? -e->code : b->saved ? 0 : err_set(e, EIO, "build the template: nothing was saved");
}

static int boot_and_save(const struct isolation_host *h, struct vm_parts *parts, const char *path,
	const struct template_name *n, int dir, struct err *e)
{
	_cleanup_close_ int ram = memfd_create("template", MFD_CLOEXEC), disk = -1;
	_cleanup_free_ char *disk_path = str_fmt("%s.build/disk", path);
	struct build b = {.isolate = {.host = h, .container_dir = dir},
		.plan = {.name = (char *)"template"},
		.state_fd = -1,
		.with_image = parts->config.image >= 0,
		.e = e};
	struct template_footer f = {.memory_len = parts->config.memory_mib << 20,
		.tsc_khz = parts->config.tsc_khz,
		.image = b.with_image ? template_image_hash(parts->config.image) : 0,
		.built = (uint64_t)time(NULL)};

	b.isolate.plan = &b.plan;
	if (ram < 0 || ftruncate(ram, (off_t)f.memory_len) < 0)
		return err_errno(e, errno, "make the template's memory");
	int r = loop_new(&b.isolate.loop);
	if (r < 0)
		return err_errno(e, r, "epoll");
	r = disk_path ? hyperv_disk_create(h, disk_path, 0, e) : err_nomem(e);
	if (r == 0 && (disk = open(disk_path, O_RDWR | O_CLOEXEC)) < 0)
		r = err_errno(e, errno, "open %s", disk_path);
	parts->config.ram = ram;
	parts->config.scratch = disk;
	if (r == 0)
		r = run(&b, parts, e);
	loop_free(b.isolate.loop);
	if (r == 0) {
		f.state_len = b.state.len;
		snprintf(f.name, sizeof(f.name), "%s", n->text);
		snprintf(f.release, sizeof(f.release), "%s", b.release);
		r = template_write(path, ram, b.state.data, disk, &f, e);
	}
	buf_done(&b.state);
	return r;
}

/* The parts of a VM that is nobody's. */
static int build_locked(const struct isolation_host *h, const struct template_name *n, const struct vm_config *c,
	const char *path, int dir, struct err *e)
{
	struct vm_parts parts = {.config = *c};
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int uid_lock = -1;
	struct card card = {.tap = -1};
	char qemu[1024];
	int r = qemu_find(h, qemu, sizeof(qemu), e);

	if (r == 0)
		r = vmm_root(h, qemu, &root, e);
	if (r == 0)
		r = confine_uid(h, n->text, &parts.uid, &uid_lock, e);
	if (r == 0 && c->cards_len)
		r = open_tap(&card.tap, e);
	if (r < 0)
		return r;
	snprintf(card.mac, sizeof(card.mac), AGENT_CARD_MAC);
	parts.root = root;
	parts.config.name = "template";
	parts.config.clone = false;
	parts.config.disk = parts.config.share = -1;
	parts.config.cards = &card;
	parts.config.cards_len = c->cards_len > 0;
	r = boot_and_save(h, &parts, path, n, dir, e);
	close_fd(&card.tap);
	return r;
}

/* A guest that hangs once boots the next time. */
static int build_with_patience(const struct isolation_host *h, const struct template_name *n, const struct vm_config *c,
	const char *path, int dir, struct err *e)
{
	int r = build_locked(h, n, c, path, dir, e);

	for (int i = 1; r == -ETIMEDOUT && i < TRIES; i++) {
		log_trace("vm", "%s: once more", e->msg);
		*e = ERR_INIT;
		unlinkat(dir, "disk", 0);
		r = build_locked(h, n, c, path, dir, e);
	}
	return r;
}

int template_build(const struct isolation_host *h, const struct template_name *n, const struct vm_config *c, bool wait,
	struct err *e)
{
	_cleanup_free_ char *all = template_path(h, ""), *path = template_path(h, n->text);
	_cleanup_free_ char *lock_path = str_fmt("%s.lock", path), *work = str_fmt("%s.build", path);
	_cleanup_close_ int lock = -1, dir = -1;

	if (!all || !path || !lock_path || !work)
		return err_nomem(e);
	int r = mkdir_p(AT_FDCWD, all, 0700);
	if (r == 0)
		r = lock = fd_lock_file(AT_FDCWD, lock_path, true, wait);
	if (r == -EWOULDBLOCK)
		return err_set(e, EBUSY, "the template %s is being built", n->text);
	if (r < 0)
		return err_errno(e, r, "lock %s", lock_path);
	if (access(path, F_OK) == 0)
		return 0;
	rm_rf(AT_FDCWD, work); /* of a builder that was killed */
	r = mkdir_p(AT_FDCWD, work, 0700);
	if (r == 0 && (dir = open(work, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = -errno;
	r = r < 0 ? err_errno(e, r, "make %s", work) : build_with_patience(h, n, c, path, dir, e);
	rm_rf(AT_FDCWD, work);
	if (r < 0) {
		template_build_failed(h, n->text, e->msg);
		return r;
	}
	template_build_worked(h, n->text);
	template_prune(h, n->generation);
	return 0;
}

/* ---- beside what runs ---- */

/* When others have nothing to do. It holds nothing of the container's, and is not seen as its monitor. */
static _Noreturn void build_and_exit(const struct isolation_host *h, const struct kernel *k,
	const struct template_name *n, const struct vm_config *like, const char *image)
{
	struct vm_config c = *like;
	struct err e = ERR_INIT;
	sigset_t none;

	close_range(3, ~0U, 0);
	setsid();
	proc_set_title("caisson-builder", n->text);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpriority(PRIO_PROCESS, 0, 19);
	c.kernel = open(k->path, O_RDONLY | O_CLOEXEC);
	int r = c.kernel < 0 ? err_errno(&e, errno, "guest kernel %s", k->path) : initrd_open(h, k, &e);
	c.initrd = r;
	c.image = r < 0 || !image ? -1 : open(image, O_RDONLY | O_CLOEXEC);
	if (image && r >= 0 && c.image < 0)
		r = err_errno(&e, errno, "image %s", image);
	if (r < 0)
		template_build_failed(h, n->text, e.msg);
	if (r >= 0)
		r = template_build(h, n, &c, false, &e);
	if (r == 0 && image && access(image, F_OK) < 0) /* it was removed meanwhile */
		template_remove(h, n->text, &e);
	_exit(r < 0);
}

void template_build_aside(const struct isolation_host *h, const struct kernel *k, const struct template_name *n,
	const struct vm_config *c, const char *image)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (fork() == 0)
			build_and_exit(h, k, n, c, image);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}
