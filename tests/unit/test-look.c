/* A look: what the sandbox finds of a container, and its bytes, also those of a guest that lies. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/proc.h"
#include "base/str.h"
#include "proto/look.h"
#include "sandbox-box.h"
#include "sandbox/look.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"

/* ---- bytes ---- */

static void fill(struct look *l)
{
	*l = (struct look){.kernel = "6.1.0-test", .boot_id = BOOT_ID, .mounts = 21, .processes_total = 2000};
	l->processes = calloc(2, sizeof(*l->processes));
	l->processes_len = 2;
	l->processes[0] =
		(struct look_process){.pid = 1, .session = 1, .start = 99, .digest = UINT64_MAX, .comm = "sh"};
	l->processes[1] = (struct look_process){.pid = 7, .comm = "\x1b[31m"};
	l->sockets = calloc(1, sizeof(*l->sockets));
	l->sockets_len = l->sockets_total = 1;
	l->sockets[0] = (struct look_socket){.udp = true, .address = {.len = 16, .bytes = {[15] = 1}}, .port = 65535};
	l->interfaces = calloc(1, sizeof(*l->interfaces));
	l->interfaces_len = 1;
	l->interfaces[0] = (struct look_interface){.name = "eth0",
		.up = true,
		.has_mac = true,
		.mac = {2, 66, 1, 2, 3, 4},
		.addresses_len = 2,
		.addresses = {{.len = 4, .bytes = {10, 0, 0, 2}, .prefix = 24},
			{.len = 16, .bytes = {0xfd, [15] = 2}, .prefix = 64}}};
}

static void encode(const struct look *l, struct buf *b)
{
	b->len = 0;
	assert_int_equal(look_encode(l, b), 0);
}

static int decode(struct look *l, const void *p, size_t n)
{
	_cleanup_free_ uint8_t *copy = malloc(n ? n : 1);
	struct wire w = {copy, n, false};
	struct err e = ERR_INIT;

	memcpy(copy, p, n);
	int r = look_decode(l, &w, &e);
	assert_int_equal(-e.code, r);
	return r;
}

static void test_round_trip(void **state)
{
	struct look l, back;
	_cleanup_buf_ struct buf b = {0}, again = {0};
	char text[64];

	(void)state;
	fill(&l);
	encode(&l, &b);
	assert_int_equal(decode(&back, b.data, b.len), 0);
	assert_string_equal(back.kernel, "6.1.0-test");
	assert_int_equal(back.processes_total, 2000);
	assert_true(back.processes[0].digest == UINT64_MAX);
	assert_string_equal(back.processes[1].comm, "\x1b[31m");
	assert_string_equal(look_address_format(&back.sockets[0].address, false, text), "::1");
	assert_true(back.sockets[0].udp);
	assert_string_equal(look_address_format(&back.interfaces[0].addresses[0], true, text), "10.0.0.2/24");
	assert_string_equal(look_address_format(&back.interfaces[0].addresses[1], true, text), "fd00::2/64");
	encode(&back, &again);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.data, b.data, b.len);
	look_done(&l);
	look_done(&back);
}

/* Every length of a look but the whole one is refused. */
static void test_cut(void **state)
{
	struct look l, back;
	_cleanup_buf_ struct buf b = {0};

	(void)state;
	fill(&l);
	encode(&l, &b);
	for (size_t n = 0; n < b.len; n++) {
		assert_int_equal(decode(&back, b.data, n), -EBADMSG);
		look_done(&back);
	}
	buf_add(&b, "", 1);
	assert_int_equal(decode(&back, b.data, b.len), -EBADMSG);
	look_done(&back);
	look_done(&l);
}

static void refuse(const struct look *l)
{
	_cleanup_buf_ struct buf b = {0};
	struct look back;

	encode(l, &b);
	assert_int_equal(decode(&back, b.data, b.len), -EBADMSG);
	look_done(&back);
}

static void test_out_of_bounds(void **state)
{
	struct look l;

	(void)state;
	fill(&l);
	strcpy(l.boot_id, "not a boot id");
	refuse(&l);
	strcpy(l.boot_id, BOOT_ID);
	l.processes_total = 1; /* fewer than are named */
	refuse(&l);
	l.processes_total = 2;
	l.interfaces[0].addresses[0].prefix = 33;
	refuse(&l);
	l.interfaces[0].addresses[0].prefix = 32;
	l.interfaces[0].addresses[1].len = 5;
	refuse(&l);
	look_done(&l);
}

/* Counts that would need more memory than the message has bytes, or more than is allowed, get none. */
static void test_counts(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct look back;

	(void)state;
	wire_add_str(&b, "6.1");
	wire_add_str(&b, BOOT_ID);
	wire_add_u32(&b, 1);
	size_t at = b.len;
	for (size_t i = 0; i < 2; i++) {
		b.len = at;
		wire_add_u32(&b, i ? LOOK_PROCESSES_MAX : UINT32_MAX);
		wire_add_u32(&b, i ? LOOK_PROCESSES_MAX : UINT32_MAX);
		assert_int_equal(decode(&back, b.data, b.len), -EBADMSG);
		assert_null(back.processes);
		look_done(&back);
	}
}

/* As much as a look may hold goes through one frame. */
static void test_largest(void **state)
{
	struct look l = {.boot_id = BOOT_ID,
			    .processes_len = LOOK_PROCESSES_MAX,
			    .processes_total = UINT32_MAX,
			    .sockets_len = LOOK_SOCKETS_MAX,
			    .sockets_total = LOOK_SOCKETS_MAX,
			    .interfaces_len = LOOK_INTERFACES_MAX},
		    back;
	_cleanup_buf_ struct buf b = {0};

	(void)state;
	memset(l.kernel, 'k', sizeof(l.kernel) - 1);
	l.processes = calloc(LOOK_PROCESSES_MAX, sizeof(*l.processes));
	for (size_t i = 0; i < LOOK_PROCESSES_MAX; i++)
		memset(l.processes[i].comm, 'c', LOOK_COMM_MAX - 1);
	l.sockets = calloc(LOOK_SOCKETS_MAX, sizeof(*l.sockets));
	for (size_t i = 0; i < LOOK_SOCKETS_MAX; i++)
		l.sockets[i].address.len = 16;
	l.interfaces = calloc(LOOK_INTERFACES_MAX, sizeof(*l.interfaces));
	for (size_t i = 0; i < LOOK_INTERFACES_MAX; i++) {
		memset(l.interfaces[i].name, 'n', 15);
		l.interfaces[i].has_mac = true;
		l.interfaces[i].addresses_len = LOOK_ADDRESSES_MAX;
		for (size_t k = 0; k < LOOK_ADDRESSES_MAX; k++)
			l.interfaces[i].addresses[k].len = 16;
	}
	encode(&l, &b);
	assert_true(b.len + 64 < FRAME_MAX);
	assert_int_equal(decode(&back, b.data, b.len), 0);
	look_done(&back);
	look_done(&l);
}

/* ---- the sandbox's ---- */

static const struct look_process *find(const struct look *l, const char *comm)
{
	for (uint32_t i = 0; i < l->processes_len; i++)
		if (!strcmp(l->processes[i].comm, comm))
			return &l->processes[i];
	return NULL;
}

/* Looks until there is a process of that name: a fork that has not come to its exec yet is called "sh". */
static const struct look_process *look_for(const struct sandbox *s, struct look *l, const char *comm)
{
	const struct look_process *p = NULL;
	struct err e = ERR_INIT;

	for (int tries = 0; !p && tries < 200; tries++) {
		if (tries) {
			look_done(l);
			usleep(10000);
		}
		if (sandbox_look(s, l, &e) < 0)
			fail_msg("%s", e.msg);
		p = find(l, comm);
	}
	assert_non_null(p);
	return p;
}

static void test_sandbox_look(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	char boot_id[37], text[64];
	struct utsname u;
	struct look l;

	start(b,
		"setsid sleep 4321 & nc -l -p 135 & n=0; "
		"while ! grep -q ' 0A ' /proc/net/tcp /proc/net/tcp6 && [ $n -lt 500 ]; do n=$((n + 1)); sleep 0.01; "
		"done; "
		"echo go; wait",
		&s);
	const struct look_process *sleeper = look_for(&s, &l, "sleep"), *init = find(&l, "sh");
	uname(&u);
	proc_boot_id(boot_id);
	assert_string_equal(l.kernel, u.release);
	assert_string_equal(l.boot_id, boot_id);
	assert_true(l.mounts > 5);
	assert_int_equal(l.processes_total, 3); /* with nc */
	assert_non_null(init);
	assert_int_equal(init->pid, 1);
	assert_true(sleeper->pid > 1);
	assert_int_equal(sleeper->session, sleeper->pid);
	assert_true(sleeper->digest && sleeper->digest != init->digest);
	assert_int_equal(l.sockets_len, 1);
	assert_int_equal(l.sockets[0].port, 135);
	assert_int_equal(l.interfaces_len, 1);
	assert_string_equal(l.interfaces[0].name, "lo");
	assert_true(l.interfaces[0].loopback && l.interfaces[0].up && !l.interfaces[0].has_mac);
	assert_string_equal(look_address_format(&l.interfaces[0].addresses[0], true, text), "127.0.0.1/8");
	look_done(&l);
	sandbox_done(&s);
}

/* The same digest from the host as from inside; and a process that was moved out of the cgroup is still one of the container's. */
static void test_moved_out(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	uint64_t digest;
	struct look l;

	start(b, "sleep 4321 & echo go; wait", &s);
	shell("for p in $(cat /proc/%d/task/%d/children); do echo $p > %s/sleeper; "
	      "for c in /sys/fs/cgroup /sys/fs/cgroup/*; do [ ! -e $c/cgroup.procs ] || echo $p > $c/cgroup.procs; "
	      "done; done",
		s.pid, s.pid, b->dir);
	shell("! grep -q caisson /proc/$(cat %s/sleeper)/cgroup", b->dir);
	const struct look_process *sleeper = look_for(&s, &l, "sleep");
	_cleanup_buf_ struct buf pid = {0};
	_cleanup_free_ char *file = in_dir(b, "sleeper");
	assert_int_equal(proc_run((char *[]){"cat", file, NULL}, &pid, NULL), 0);
	snprintf(b->out, sizeof(b->out), "/proc/%d", atoi(pid.data));
	_cleanup_close_ int dir = open(b->out, O_PATH | O_CLOEXEC);
	assert_int_equal(proc_digest(dir, &digest), 0);
	assert_true(digest == sleeper->digest);
	look_done(&l);
	kill(atoi(pid.data), SIGKILL);
	sandbox_done(&s);
}

/* What a container that shares the host's PID namespace runs is told by its cgroup alone. */
static void test_host_pid(void **state)
{
	struct box *b = need_root(state);
	struct sandbox s = SANDBOX_INIT;
	struct look l;

	b->plan.host_pid = true;
	start(b, "sleep 4321 & echo go; wait", &s);
	look_for(&s, &l, "sleep");
	assert_int_equal(l.processes_total, 2);
	assert_true(find(&l, "sh")->pid == (uint32_t)s.pid);
	look_done(&l);
	sandbox_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_out_of_bounds),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_largest),
		box_test(test_sandbox_look),
		box_test(test_moved_out),
		box_test(test_host_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
