/* The parts of the hyperv backend that need no VM: command lines, sizes, QMP, and an agent that lies. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "isolation/hyperv-private.h"
#include "isolation/isolation-ops.h"
#include "proto/agent.h"

static void test_memory(void **state)
{
	(void)state;
	assert_int_equal(vm_memory_mib(0), 1024);
	assert_int_equal(vm_memory_mib(64 << 20), 256);
	assert_int_equal(vm_memory_mib(256 << 20), 512);
	assert_true(vm_memory_mib((64 << 20) + 1) >= vm_memory_mib(64 << 20));
	assert_true(vm_memory_mib(UINT64_MAX) > 0); /* no overflow to a tiny VM */
	assert_true(vm_memory_mib((uint64_t)8 << 30) > 8192 + 128);
}

static void test_cpus(void **state)
{
	(void)state;
	assert_int_equal(vm_cpus(0, 8), 2);
	assert_int_equal(vm_cpus(0, 1), 1);
	assert_int_equal(vm_cpus(1, 8), 1);
	assert_int_equal(vm_cpus(1500000000, 8), 2);
	assert_int_equal(vm_cpus(UINT64_MAX, 4), 4);
	assert_int_equal(vm_cpus(0, 0), 1);
}

static bool has_pair(char *const *v, const char *a, const char *b)
{
	for (; *v && v[1]; v++)
		if (!strcmp(v[0], a) && strstr(v[1], b))
			return true;
	return false;
}

static void test_argv(void **state)
{
	struct card cards[VM_CARDS_MAX];
	struct vm_config c = {.name = "web",
		.accel = "tcg",
		.memory_mib = 512,
		.cpus = 2,
		.tsc_khz = 2000000,
		.kernel = 30,
		.initrd = 31,
		.image = 32,
		.disk = 33,
		.ram = -1,
		.scratch = -1,
		.agent = 34,
		.qmp = 35,
		.console = 36,
		.share = 37,
		.cards = cards,
		.cards_len = VM_CARDS_MAX};
	_cleanup_strv_ char **v = NULL, **kvm = NULL;
	int fds[VM_FDS_MAX];
	size_t n;

	(void)state;
	for (int i = 0; i < VM_CARDS_MAX; i++)
		cards[i] = (struct card){.mac = "02:42:0a:c8:00:02", .tap = 38 + i};
	assert_int_equal(vm_argv(&c, &v, fds, &n), 0);
	assert_int_equal(n, VM_FDS_MAX - 2);
	for (int fd = 30; fd < 38 + VM_CARDS_MAX; fd++) {
		size_t k;
		for (k = 0; k < n && fds[k] != fd; k++)
			;
		assert_true(k < n);
	}
	assert_true(has_pair(v, "-name", "guest=caisson-web"));
	assert_true(has_pair(v, "-sandbox", "spawn=deny"));
	assert_true(has_pair(v, "-object", "size=512M,share=on"));
	assert_true(has_pair(v, "-append", "mitigations=off tsc_early_khz=2000000 lpj=4000000 tsc=reliable"));
	assert_true(has_pair(v, "-cpu", "max,-erms"));
	assert_true(has_pair(v, "-blockdev", "node-name=image,read-only=on"));
	assert_true(has_pair(v, "-chardev", "socket,id=share,fd="));
	assert_true(has_pair(v, "-netdev", "tap,id=net7,fd="));
	assert_true(has_pair(v, "-device", "virtio-net-device,netdev=net0,mac=02:42:0a:c8:00:02,ctrl_vq=off"));
	assert_false(has_pair(v, "-device", "netdev=net1")); /* plugged, as the share is */
	assert_true(has_pair(v, "-device", "id=port8") && !has_pair(v, "-device", "id=port9"));
	assert_true(has_pair(v, "-device", "virtio-balloon-device,free-page-reporting=on"));
	assert_true(has_pair(v, "-accel", "tcg,tb-size="));
	assert_true(strv_has(v, "-no-reboot"));
	c.accel = "kvm", c.share = -1;
	assert_int_equal(vm_argv(&c, &kvm, fds, &n), 0);
	assert_int_equal(n, VM_FDS_MAX - 3);
	assert_true(has_pair(kvm, "-cpu", "host"));
	assert_false(has_pair(kvm, "-append", "tsc_early_khz") || has_pair(kvm, "-accel", "tb-size"));
	assert_false(has_pair(kvm, "-chardev", "socket,id=share"));
	assert_true(has_pair(kvm, "-object", "share=off"));
}

static void add_devices(struct buf *b, char **argv)
{
	for (char **v = argv; v[0] && v[1]; v++)
		if (!strcmp(v[0], "-device"))
			buf_addf(b, "%s\n", v[1]);
}

/* What a VM gets once it runs: the share and every card but the first, each behind a port of its own. */
static void test_plugged_arguments(void **state)
{
	_cleanup_free_ char *share = vm_share_arguments(), *card = vm_card_arguments(0, 1, "02:42:0a:c8:00:02");

	(void)state;
	assert_non_null(strstr(share, "\"bus\":\"port1\""));
	assert_non_null(strstr(share, "\"tag\":\"" VM_SHARE_TAG "\""));
	assert_non_null(strstr(card, "\"bus\":\"port2\""));
	assert_non_null(strstr(card, "\"netdev\":\"net1\""));
}

/* The commands of a template's life have the same devices in the same order; what stands behind them differs. */
static void test_template_argv(void **state)
{
	struct card cards[] = {{.mac = AGENT_CARD_MAC, .tap = 40}, {.mac = "02:42:0a:c8:00:02", .tap = 41}};
	struct vm_config c = {.name = "x",
		.accel = "tcg",
		.memory_mib = 1024,
		.cpus = 2,
		.kernel = 30,
		.initrd = 31,
		.image = -1,
		.disk = -1,
		.scratch = 33,
		.ram = 37,
		.share = -1,
		.cards = cards,
		.cards_len = 1};
	_cleanup_strv_ char **built = NULL, **clone = NULL, **sharing = NULL;
	_cleanup_buf_ struct buf a = {0}, b = {0};
	int fds[VM_FDS_MAX];
	size_t n;

	(void)state;
	assert_int_equal(vm_argv(&c, &built, fds, &n), 0);
	assert_true(has_pair(built, "-object", "share=on,mem-path=/proc/self/fd/"));
	assert_true(has_pair(built, "-blockdev", "driver=null-co,node-name=image,read-only=on"));
	assert_false(strv_has(built, "-incoming"));
	c.image = 32;
	c.clone = true;
	assert_int_equal(vm_argv(&c, &clone, fds, &n), 0);
	assert_true(has_pair(clone, "-object", "share=off,mem-path=/proc/self/fd/"));
	assert_true(has_pair(clone, "-incoming", "defer"));
	assert_true(has_pair(clone, "-blockdev", "driver=raw,node-name=image,read-only=on"));
	add_devices(&a, built);
	add_devices(&b, clone);
	assert_string_equal(a.data, b.data);
	/* with a share the memory is a copy, which virtiofsd maps too; the share and further cards come when it runs */
	c.share = 38;
	c.cards_len = 2;
	assert_int_equal(vm_argv(&c, &sharing, fds, &n), 0);
	assert_true(has_pair(sharing, "-object", "share=on,mem-path=/proc/self/fd/"));
	assert_true(has_pair(sharing, "-netdev", "tap,id=net1,fd="));
	b.len = 0;
	add_devices(&b, sharing);
	assert_string_equal(a.data, b.data);
}

static void test_virtiofsd_versions(void **state)
{
	_cleanup_strv_ char **old = NULL, **new = NULL;

	(void)state;
	assert_int_equal(share_argv("/v", "usage: -o source=PATH", "/s", 5, &old), 0);
	assert_true(has_pair(old, "-o", "source=/s,"));
	assert_true(strv_has(old, "--fd=5"));
	assert_int_equal(share_argv("/v", "--shared-dir <SHARED_DIR>", "/s", 5, &new), 0);
	assert_true(strv_has(new, "--shared-dir=/s"));
	assert_false(strv_has(new, "-o"));
}

static int parse(const char *line, struct err *e)
{
	char event[32];

	return qmp_parse(line, strlen(line), event, e);
}

static void test_qmp(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse("{\"return\": {}}", &e), 1);
	assert_int_equal(e.code, 0);
	assert_int_equal(parse("{\"event\": \"STOP\"}", &e), 0);
	assert_int_equal(parse("{\"QMP\": {}}", &e), 0);
	assert_int_equal(parse("{\"error\": {\"class\": \"x\", \"desc\": \"no such thing\"}}", &e), 1);
	assert_string_equal(e.msg, "QEMU: no such thing");
	assert_int_equal(parse("{\"error\": 3}", &e), 1);
	assert_int_equal(parse("[]", &e), -EBADMSG);
	assert_int_equal(parse("{", &e), -EBADMSG);
}

/* ---- an agent that lies ---- */

struct fake {
	struct loop *loop;
	struct peer *peer;
	int guest; /* the agent's end */
	char lost[160];
	struct isolate_io io;
	int exits, status;
	bool hello;
};

static void on_hello(void *data, const char *release)
{
	(void)release;
	((struct fake *)data)->hello = true;
}

static void on_committed(void *data)
{
	(void)data;
}

static void on_started(void *data, int proc, struct isolate_io *io)
{
	(void)proc;
	((struct fake *)data)->io = *io;
}

static void on_failed(void *data, int proc, const struct err *e)
{
	(void)data;
	(void)proc;
	(void)e;
}

static void on_exited(void *data, int proc, int status, bool oom)
{
	struct fake *f = data;

	(void)proc;
	(void)oom;
	f->exits++;
	f->status = status;
}

static void on_lost(void *data, const char *reason)
{
	struct fake *f = data;

	strncpy(f->lost, reason ? reason : "closed", sizeof(f->lost) - 1);
}

static void guest_sends(struct fake *f, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	_cleanup_buf_ struct buf b = {0};

	frame_add(&b, type, stream, p, n);
	fd_write_all(f->guest, b.data, b.len);
	for (int k = 0; k < 4; k++)
		loop_once(f->loop, 0);
}

static void guest_sends_u32(struct fake *f, uint8_t type, uint16_t stream, unsigned count, const uint32_t *v)
{
	_cleanup_buf_ struct buf b = {0};

	for (unsigned k = 0; k < count; k++)
		wire_add_u32(&b, v[k]);
	guest_sends(f, type, stream, b.data, b.len);
}
#define SEND(f, type, stream, ...) \
	guest_sends_u32(f, type, stream, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

static void greet(struct fake *f)
{
	_cleanup_buf_ struct buf b = {0};

	wire_add_u32(&b, AGENT_VERSION);
	wire_add_str(&b, "6.1");
	guest_sends(f, AGENT_HELLO, 0, b.data, b.len);
	assert_true(f->hello);
}

static struct fake *fake_new(bool running)
{
	static const struct peer_events ev = {.hello = on_hello,
		.committed = on_committed,
		.started = on_started,
		.failed = on_failed,
		.exited = on_exited,
		.lost = on_lost};
	struct fake *f = calloc(1, sizeof(*f));
	struct plan plan = {.process.open_stdin = true};
	int s[2];

	f->io = ISOLATE_IO_INIT;
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	f->guest = s[1];
	assert_int_equal(peer_new(f->loop, s[0], &ev, f, &f->peer), 0);
	if (running) {
		greet(f);
		assert_int_equal(peer_start(f->peer, &plan, false, NULL), 0);
		SEND(f, AGENT_STARTED, 0, 0, 1);
		assert_true(f->io.out >= 0);
	}
	return f;
}

static void fake_free(struct fake *f)
{
	peer_free(f->peer);
	loop_free(f->loop);
	close_fd(&f->guest);
	close_fd(&f->io.in);
	close_fd(&f->io.out);
	close_fd(&f->io.err);
	free(f);
}

static void test_lies(void **state)
{
	static const struct {
		bool running;
		uint8_t type;
		uint16_t stream;
		uint32_t v[3];
	} lies[] = {
		{false, AGENT_STARTED, 0, {0, 1}}, /* before the greeting */
		{true, AGENT_STARTED, 0, {0, 1}},  /* twice */
		{true, AGENT_STARTED, 0, {7, 1}},  /* not asked for */
		{true, AGENT_EXITED, 0, {9, 0, 0}},
		{true, AGENT_EXITED, 0, {0, 256, 0}},
		{true, AGENT_REPLY, 0, {1, 0}},
		{true, AGENT_PONG, 0, {1, 0}},
		{true, AGENT_EOF, AGENT_STREAM(0, 0), {0}}, /* of what we write */
		{true, AGENT_CLOSE, AGENT_STREAM(0, 1), {0}},
		{true, AGENT_DATA, AGENT_STREAM(0, 0), {0}},
		{true, AGENT_DATA, AGENT_STREAM(0, 3), {0}},
		{true, AGENT_DATA, AGENT_STREAM(4096, 1), {0}},
		{true, AGENT_CREDIT, AGENT_STREAM(0, 0), {1}}, /* beyond the window */
		{true, AGENT_CREDIT, AGENT_STREAM(0, 0), {UINT32_MAX}},
		{true, AGENT_START, 0, {0}},
		{true, AGENT_TIME, 0, {0}},
		{true, AGENT_COMMITTED, 0, {0}},
		{true, 255, 0, {0}},
		{true, AGENT_HELLO, 0, {AGENT_VERSION, 0, 0}},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(lies) / sizeof(*lies); k++) {
		struct fake *f = fake_new(lies[k].running);
		guest_sends_u32(f, lies[k].type, lies[k].stream, 3, lies[k].v);
		if (!*f->lost)
			fail_msg("lie %zu went through", k);
		fake_free(f);
	}
}

/* Nobody reads: the guest may send its window and not a byte more. */
static void test_beyond_credit(void **state)
{
	struct fake *f = fake_new(true);
	static uint8_t block[AGENT_DATA_MAX];
	size_t sum = 0;

	(void)state;
	while (!*f->lost && sum < 16 << 20) {
		guest_sends(f, AGENT_DATA, AGENT_STREAM(0, 1), block, sizeof(block));
		sum += sizeof(block);
	}
	assert_string_equal(f->lost, "the agent sends more data than was granted");
	assert_true(sum <= 2 * AGENT_WINDOW + 65536 + sizeof(block)); /* what the pipe took was granted anew */
	fake_free(f);
}

/* What was sent before the end arrives, even if its reader looks late. */
static void test_output_and_end(void **state)
{
	struct fake *f = fake_new(true);
	static uint8_t block[AGENT_DATA_MAX];
	char in[AGENT_DATA_MAX];
	size_t sum = 0;
	ssize_t n;

	(void)state;
	for (int k = 0; k < 4; k++)
		guest_sends(f, AGENT_DATA, AGENT_STREAM(0, 1), block, sizeof(block));
	SEND(f, AGENT_EXITED, 0, 0, 42, 0);
	guest_sends(f, AGENT_EOF, AGENT_STREAM(0, 1), NULL, 0);
	guest_sends(f, AGENT_EOF, AGENT_STREAM(0, 2), NULL, 0);
	for (int k = 0; k < 20 && !f->exits; k++)
		loop_once(f->loop, 50);
	assert_int_equal(f->exits, 1);
	assert_int_equal(f->status, 42);
	while ((n = read(f->io.out, in, sizeof(in))) > 0)
		sum += (size_t)n;
	assert_int_equal(sum, 4 * sizeof(block));
	assert_string_equal(f->lost, "");
	fake_free(f);
}

/* Input waits for credit; a control frame does not. */
static void test_input_credit(void **state)
{
	struct fake *f = fake_new(true);
	struct frame_reader in = {0};
	struct frame got;
	static char block[65536];
	size_t sum = 0;
	bool pinged = false;
	int r;

	(void)state;
	fd_nonblock(f->io.in, true);
	fd_nonblock(f->guest, true);
	for (int k = 0; k < 40; k++) {
		(void)!write(f->io.in, block, sizeof(block));
		if (k == 30)
			peer_ping(f->peer);
		loop_once(f->loop, 0);
		while (frame_fill(&in, f->guest) > 0)
			;
		while ((r = frame_next(&in, &got)) > 0) {
			sum += got.type == AGENT_DATA ? got.len : 0;
			pinged = pinged || got.type == AGENT_PING;
		}
		assert_int_equal(r, 0);
	}
	assert_int_equal(sum, AGENT_WINDOW);
	assert_true(pinged);
	frame_reader_done(&in);
	fake_free(f);
}

static void test_uids(void **state)
{
	char dir[] = "/tmp/caisson-test-XXXXXX", path[64];
	struct isolation_host h = {.uid_base = 5000, .uid_count = 2};
	struct err e = ERR_INIT;
	uid_t a, b, c;
	int la, lb, lc;

	(void)state;
	assert_non_null(mkdtemp(dir));
	h.run_dir = dir;
	assert_int_equal(confine_uid(&h, "x", &a, &la, &e), 0);
	assert_int_equal(confine_uid(&h, "x", &b, &lb, &e), 0);
	assert_int_equal(a + b, 10001);
	assert_int_equal(confine_uid(&h, "x", &c, &lc, &e), -EAGAIN);
	close(la);
	assert_int_equal(confine_uid(&h, "y", &c, &lc, &e), 0);
	assert_int_equal(c, a);
	close(lb);
	close(lc);
	snprintf(path, sizeof(path), "%s/vm-uids", dir);
	unlink(path);
	rmdir(dir);
}

static void test_check(void **state)
{
	struct plan_mount m = {.target = (char *)"/x", .source = (char *)"/dev/null"};
	struct plan p = {.host_network = true};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(guest_plan_check(&p, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "--network=host is not possible with --isolation=hyperv: "));
	p = (struct plan){.mounts = &m, .mounts_len = 1};
	assert_int_equal(guest_plan_check(&p, &e), -ENOTSUP);
	m.source = (char *)"/tmp";
	assert_int_equal(guest_plan_check(&p, &e), 0);
	m.propagation = (char *)"rshared";
	assert_int_equal(guest_plan_check(&p, &e), -ENOTSUP);
}

/* The guest's plan names nothing of the host. */
static void test_guest_plan(void **state)
{
	struct plan_mount m[2] = {{.type = PLAN_MOUNT_TMPFS, .target = (char *)"/t"},
		{.target = (char *)"/x", .source = (char *)"/home/secret"}};
	struct plan p = {
		.image_erofs = (char *)"/var/image", .disk = (char *)"/var/disk", .mounts = m, .mounts_len = 2};
	struct guest_plan g;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(guest_plan_make(&p, 2, &g, &e), 0);
	assert_null(g.plan.image_erofs);
	assert_null(g.plan.disk);
	assert_string_equal(g.plan.lower[0], AGENT_IMAGE);
	assert_string_equal(g.plan.mounts[1].source, AGENT_SHARE "/0");
	assert_string_equal(m[1].source, "/home/secret");
	assert_null(g.plan.cpuset_cpus);
	guest_plan_done(&g);
}

/* Of the host's CPUs only their number reaches the guest, if it has more; what is about the host's devices is refused by the option's name. */
static void test_guest_limits(void **state)
{
	struct plan_io io = {.kind = PLAN_IO_WRITE_IOPS, .path = (char *)"/dev/x", .value = 1};
	struct plan p = {.cpuset_cpus = (char *)"4,6-7", .blkio_weight = 100, .cgroup_parent = NULL};
	struct guest_plan g;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(guest_plan_check(&p, &e), 0);
	assert_int_equal(guest_plan_make(&p, 4, &g, &e), 0);
	assert_string_equal(g.plan.cpuset_cpus, "0-2");
	assert_int_equal(g.plan.blkio_weight, 0);
	guest_plan_done(&g);
	assert_int_equal(guest_plan_make(&p, 3, &g, &e), 0);
	assert_null(g.plan.cpuset_cpus);
	guest_plan_done(&g);
	assert_int_equal(cpuset_count("x"), 0);
	p.cpuset_mems = (char *)"0";
	assert_int_equal(guest_plan_check(&p, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "--cpuset-mems is not possible"));
	p.cpuset_mems = NULL;
	p.cgroup_parent = (char *)"x";
	assert_int_equal(guest_plan_check(&p, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "--cgroup-parent is not possible"));
	p.cgroup_parent = NULL;
	p.io = &io;
	p.io_len = 1;
	assert_int_equal(guest_plan_check(&p, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "--device-write-iops is not possible"));
}

static void test_console(void **state)
{
	struct console c;
	char text[64];
	static char line[1000];

	(void)state;
	console_open(&c, -1);
	assert_false(console_panic(&c, text, sizeof(text)));
	memset(line, 'x', sizeof(line));
	for (int k = 0; k < 1000; k++)
		console_add(&c, line, sizeof(line));
	assert_true(c.ring.len <= CONSOLE_MAX);
	console_add(&c, "Kernel panic - not syncing: no \033[31mroot\r\n", 42);
	assert_true(console_panic(&c, text, sizeof(text)));
	assert_string_equal(text, "no ?[31mroot");
	console_done(&c);
}

/* Health checks run execs for as long as a container lives: a number is free again when its process has ended, and never two have one. */
static void test_numbers(void **state)
{
	static struct plan p = {.name = (char *)"box"};
	struct isolate i = {.plan = &p};
	struct err e;

	(void)state;
	for (int n = 0; n < 3 * AGENT_PROC_MAX; n++) {
		int proc = isolate_take_number(&i, &e);
		assert_int_equal(proc, n % AGENT_PROC_MAX + 1);
		isolate_free_number(&i, proc);
	}
	for (int n = 1; n <= AGENT_PROC_MAX; n++)
		assert_int_equal(isolate_take_number(&i, &e), n);
	assert_int_equal(isolate_take_number(&i, &e), -EAGAIN);
	isolate_free_number(&i, 64);
	isolate_free_number(&i, AGENT_PROC_MAX);
	assert_int_equal(isolate_take_number(&i, &e), 64);
	assert_int_equal(isolate_take_number(&i, &e), AGENT_PROC_MAX);
	assert_int_equal(isolate_take_number(&i, &e), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_argv),
		cmocka_unit_test(test_template_argv),
		cmocka_unit_test(test_plugged_arguments),
		cmocka_unit_test(test_virtiofsd_versions),
		cmocka_unit_test(test_qmp),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_beyond_credit),
		cmocka_unit_test(test_output_and_end),
		cmocka_unit_test(test_input_credit),
		cmocka_unit_test(test_uids),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_guest_plan),
		cmocka_unit_test(test_guest_limits),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
