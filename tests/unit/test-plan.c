/* Plans as bytes: every field comes back, and nothing else is accepted. */
#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan/plan.h"

static char *text(const char *s)
{
	char *p = strdup(s);

	assert_non_null(p);
	return p;
}

static char **list(const char *name)
{
	char **v = NULL;

	for (int i = 0; i < 3; i++)
		assert_int_equal(strv_pushf(&v, "%s=%d", name, i), 0);
	assert_int_equal(strv_push(&v, ""), 0);
	return v;
}

static void fill_process(struct plan_process *p)
{
	static const struct sock_filter filter[3] = {{6, 0, 0, 0x7fff0000}, {6, 1, 2, 3}, {0}};

	*p = (struct plan_process){
		.argv = list("argv"),
		.env = list("env"),
		.cwd = text("/cwd"),
		.user = text("user:group"),
		.groups = list("groups"),
		.tty = true,
		.open_stdin = true,
		.no_new_privs = true,
		.caps = 0x8123456789abcdefULL,
		.seccomp = malloc(sizeof(filter)),
		.seccomp_len = sizeof(filter),
		.rlimits = list("nofile"),
		.rows = 25,
		.cols = 4000000000u,
		.files = strdup("request"),
		.files_len = strlen("request"),
	};
	memcpy(p->seccomp, filter, sizeof(filter));
}

static void fill_mounts(struct plan *p)
{
	struct plan_mount *m = plan_add_mount(p);

	*m = (struct plan_mount){
		.type = PLAN_MOUNT_TMPFS,
		.source = text("source"),
		.target = text("target"),
		.options = text("size=1"),
		.readonly = true,
		.nosuid = true,
		.nodev = true,
		.noexec = true,
		.propagation = text("rslave"),
		.recursive = true,
		.copy_up = true,
		.share = text("share"),
	};
	plan_add_mount(p); /* all zero */
	plan_add_mount(p)->target = text("/third");
}

static void fill(struct plan *p)
{
	*p = (struct plan){
		.id = text("id"),
		.name = text("name"),
		.hostname = text("hostname"),
		.domainname = text(""),
		.init = true,
		.privileged = true,
		.readonly_root = true,
		.host_network = true,
		.host_pid = true,
		.host_ipc = true,
		.host_uts = true,
		.host_cgroupns = true,
		.own_kernel = true,
		.fresh_boot = true,
		.disposable = true,
		.lower = list("lower"),
		.upper = text("upper"),
		.work = text("work"),
		.rootfs = text("rootfs"),
		.image_erofs = text("image"),
		.disk = text("disk"),
		.masked = list("masked"),
		.readonly_paths = list("readonly"),
		.sysctls = list("sysctl"),
		.resolv_conf = text("resolv\nconf\n"),
		.hosts = text("hosts"),
		.hostname_file = text("hostname_file"),
		.shm_size = 1,
		.memory = 2,
		.memory_swap = UINT64_MAX,
		.memory_reservation = 3,
		.nanocpus = 4,
		.cpu_shares = 5,
		.cpu_quota = UINT64_MAX,
		.cpu_period = 50000,
		.cpuset_cpus = text("0-1"),
		.cpuset_mems = text("0"),
		.swappiness = 61,
		.blkio_weight = 500,
		.pids = 6,
		.oom_score_adj = -1000,
		.oom_kill_disable = true,
		.cgroup_parent = text("parent"),
		.stop_signal = 64,
		.netns = text("/proc/7/ns/net"),
		.netns_id = 4026531840,
		.pidns = text("/proc/7/ns/pid"),
		.pidns_id = 8,
		.ipcns = text("/proc/7/ns/ipc"),
		.ipcns_id = 9,
		.shmns = text("/proc/7/ns/mnt"),
		.shmns_id = 10,
		.no_shm = true,
		.kernel = text("/boot/vmlinuz"),
	};
	fill_process(&p->process);
	fill_mounts(p);
	*plan_add_device(p) = (struct plan_device){text("/dev/host"), text("/dev/inside"), text("rwm")};
	plan_add_device(p);
	*plan_add_io(p) = (struct plan_io){PLAN_IO_WEIGHT, text("/dev/x"), 300};
	*plan_add_interface(p) = (struct plan_interface){
		.name = text("eth0"),
		.port = text("csp0123456789ab"),
		.bridge = text("caisson0"),
		.mac = text("02:42:ac:11:00:02"),
		.addresses = list("172.17.0.2/16"),
		.gateways = list("172.17.0.1"),
		.mtu = 1500,
		.nameserver = text("172.17.0.1"),
		.metric = 100,
	};
}

static void same_str(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void same_strv(char *const *a, char *const *b)
{
	assert_int_equal(strv_len(a), strv_len(b));
	for (size_t i = 0; i < strv_len(a); i++)
		assert_string_equal(a[i], b[i]);
}

#define SAME(check, field) check(a->field, b->field)

static void same_process(const struct plan_process *a, const struct plan_process *b)
{
	SAME(same_strv, argv);
	SAME(same_strv, env);
	SAME(same_str, cwd);
	SAME(same_str, user);
	SAME(same_strv, groups);
	SAME(assert_int_equal, tty);
	SAME(assert_int_equal, open_stdin);
	SAME(assert_int_equal, no_new_privs);
	SAME(assert_int_equal, caps);
	SAME(assert_int_equal, seccomp_len);
	if (a->seccomp_len)
		assert_memory_equal(a->seccomp, b->seccomp, a->seccomp_len);
	SAME(same_strv, rlimits);
	SAME(assert_int_equal, rows);
	SAME(assert_int_equal, cols);
	SAME(assert_int_equal, files_len);
	if (a->files_len)
		assert_memory_equal(a->files, b->files, a->files_len);
}

static void same_mount(const struct plan_mount *a, const struct plan_mount *b)
{
	SAME(assert_int_equal, type);
	SAME(same_str, source);
	SAME(same_str, target);
	SAME(same_str, options);
	SAME(assert_int_equal, readonly);
	SAME(assert_int_equal, nosuid);
	SAME(assert_int_equal, nodev);
	SAME(assert_int_equal, noexec);
	SAME(same_str, propagation);
	SAME(assert_int_equal, recursive);
	SAME(assert_int_equal, copy_up);
	SAME(same_str, share);
}

static void same_device(const struct plan_device *a, const struct plan_device *b)
{
	SAME(same_str, host_path);
	SAME(same_str, path);
	SAME(same_str, access);
}

static void same_texts(const struct plan *a, const struct plan *b)
{
	SAME(same_str, id);
	SAME(same_str, name);
	SAME(same_str, hostname);
	SAME(same_str, domainname);
	SAME(same_strv, lower);
	SAME(same_str, upper);
	SAME(same_str, work);
	SAME(same_str, rootfs);
	SAME(same_str, image_erofs);
	SAME(same_str, disk);
	SAME(same_strv, masked);
	SAME(same_strv, readonly_paths);
	SAME(same_strv, sysctls);
	SAME(same_str, resolv_conf);
	SAME(same_str, hosts);
	SAME(same_str, hostname_file);
	SAME(same_str, cpuset_cpus);
	SAME(same_str, cpuset_mems);
	SAME(same_str, cgroup_parent);
	SAME(same_str, netns);
	SAME(same_str, pidns);
	SAME(same_str, ipcns);
	SAME(same_str, shmns);
	SAME(same_str, kernel);
}

static void same_interface(const struct plan_interface *a, const struct plan_interface *b)
{
	SAME(same_str, name);
	SAME(same_str, port);
	SAME(same_str, bridge);
	SAME(same_str, mac);
	SAME(same_strv, addresses);
	SAME(same_strv, gateways);
	SAME(assert_int_equal, mtu);
	SAME(same_str, nameserver);
	SAME(assert_int_equal, metric);
}

static void same_numbers(const struct plan *a, const struct plan *b)
{
	SAME(assert_int_equal, init);
	SAME(assert_int_equal, privileged);
	SAME(assert_int_equal, readonly_root);
	SAME(assert_int_equal, host_network);
	SAME(assert_int_equal, host_pid);
	SAME(assert_int_equal, host_ipc);
	SAME(assert_int_equal, host_uts);
	SAME(assert_int_equal, host_cgroupns);
	SAME(assert_int_equal, own_kernel);
	SAME(assert_int_equal, fresh_boot);
	SAME(assert_int_equal, disposable);
	SAME(assert_int_equal, shm_size);
	SAME(assert_int_equal, memory);
	SAME(assert_int_equal, memory_swap);
	SAME(assert_int_equal, memory_reservation);
	SAME(assert_int_equal, nanocpus);
	SAME(assert_int_equal, cpu_shares);
	SAME(assert_int_equal, cpu_quota);
	SAME(assert_int_equal, cpu_period);
	SAME(assert_int_equal, swappiness);
	SAME(assert_int_equal, blkio_weight);
	SAME(assert_int_equal, pids);
	SAME(assert_int_equal, oom_score_adj);
	SAME(assert_int_equal, oom_kill_disable);
	SAME(assert_int_equal, stop_signal);
	SAME(assert_int_equal, netns_id);
	SAME(assert_int_equal, pidns_id);
	SAME(assert_int_equal, ipcns_id);
	SAME(assert_int_equal, shmns_id);
	SAME(assert_int_equal, no_shm);
}

static void same(const struct plan *a, const struct plan *b)
{
	same_process(&a->process, &b->process);
	same_texts(a, b);
	same_numbers(a, b);
	SAME(assert_int_equal, mounts_len);
	for (size_t i = 0; i < a->mounts_len; i++)
		same_mount(&a->mounts[i], &b->mounts[i]);
	SAME(assert_int_equal, devices_len);
	for (size_t i = 0; i < a->devices_len; i++)
		same_device(&a->devices[i], &b->devices[i]);
	SAME(assert_int_equal, io_len);
	for (size_t i = 0; i < a->io_len; i++) {
		assert_int_equal(a->io[i].kind, b->io[i].kind);
		same_str(a->io[i].path, b->io[i].path);
		assert_int_equal(a->io[i].value, b->io[i].value);
	}
	SAME(assert_int_equal, interfaces_len);
	for (size_t i = 0; i < a->interfaces_len; i++)
		same_interface(&a->interfaces[i], &b->interfaces[i]);
}

static void encode_full(struct buf *b)
{
	struct plan p;

	fill(&p);
	assert_int_equal(plan_encode(&p, b), 0);
	plan_done(&p);
}

static void test_round_trip(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct plan p, back;
	struct err e;

	(void)state;
	fill(&p);
	buf_adds(&b, "before");
	assert_int_equal(plan_encode(&p, &b), 0);
	assert_memory_equal(b.data, "before", 6);
	assert_int_equal(plan_decode(&back, b.data + 6, b.len - 6, &e), 0);
	same(&p, &back);
	plan_done(&p);
	plan_done(&back);
	for (size_t i = 0; i < sizeof(back); i++)
		assert_int_equal(((const char *)&back)[i], 0);
}

/* No member of struct plan is forgotten by the table or by fill(): once all are set, no pointer-sized word of
 * it is zero, and none after a round trip. (Bytes between the flags are padding; the flags themselves are
 * compared above.) */
static void test_no_field_forgotten(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct plan back;
	struct err e;

	(void)state;
	encode_full(&b);
	assert_int_equal(plan_decode(&back, b.data, b.len, &e), 0);
	for (size_t i = 0; i < sizeof(back); i += 8) {
		uint64_t word;
		memcpy(&word, (const char *)&back + i, sizeof(word));
		if (!word)
			fail_msg("the word at %zu of struct plan is not encoded", i);
	}
	plan_done(&back);
}

static void test_process(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct plan_process p, back;
	struct err e;

	(void)state;
	fill_process(&p);
	assert_int_equal(plan_process_encode(&p, &b), 0);
	assert_int_equal(plan_process_decode(&back, b.data, b.len, &e), 0);
	same_process(&p, &back);
	plan_process_done(&p);
	plan_process_done(&back);
}

static void test_empty(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct plan p = {0}, back;
	struct err e;

	(void)state;
	assert_int_equal(plan_encode(&p, &b), 0);
	assert_int_equal(plan_decode(&back, b.data, b.len, &e), 0);
	same(&p, &back);
	assert_int_equal(plan_decode(&back, NULL, 0, &e), 0);
	same(&p, &back);
}

/* A plan cut at any byte fails or, at a border between fields, is the plan without the later ones; never a
 * crash, leak or other error. */
static void test_cut(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	size_t accepted = 0;

	(void)state;
	encode_full(&b);
	for (size_t n = 0; n < b.len; n++) {
		_cleanup_free_ char *copy = malloc(n ? n : 1);
		struct plan p;
		struct err e = ERR_INIT;
		memcpy(copy, b.data, n);
		int r = plan_decode(&p, copy, n, &e);
		assert_true(r == 0 || (r == -EBADMSG && e.code == EBADMSG && e.msg[0]));
		accepted += r == 0;
		plan_done(&p);
	}
	assert_int_equal(accepted, 59); /* before each of the fields */
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

/* What a mutated plan decodes to encodes and decodes to the same again. */
static void test_mutations(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	uint64_t x = 88172645463325252ULL;
	size_t accepted = 0;

	(void)state;
	encode_full(&b);
	for (int i = 0; i < 20000; i++) {
		_cleanup_free_ char *copy = malloc(b.len);
		_cleanup_buf_ struct buf again = {0};
		struct plan p, back;
		struct err e;
		memcpy(copy, b.data, b.len);
		for (uint64_t k = next_random(&x) % 4; k < 4; k++)
			copy[next_random(&x) % b.len] = (char)next_random(&x);
		if (plan_decode(&p, copy, b.len, &e) == 0) {
			accepted++;
			assert_int_equal(plan_encode(&p, &again), 0);
			assert_int_equal(plan_decode(&back, again.data, again.len, &e), 0);
			same(&p, &back);
			plan_done(&back);
		}
		plan_done(&p);
	}
	assert_true(accepted > 0);
}

static void record(struct buf *b, uint16_t tag, const void *p, uint32_t n)
{
	uint16_t t = htole16(tag);
	uint32_t len = htole32(n);

	buf_add(b, &t, sizeof(t));
	buf_add(b, &len, sizeof(len));
	buf_add(b, p, n);
}

static void expect_bad(uint16_t tag, const void *p, uint32_t n, const char *text)
{
	_cleanup_buf_ struct buf b = {0};
	struct plan plan;
	struct err e = ERR_INIT;

	record(&b, tag, p, n);
	assert_int_equal(plan_decode(&plan, b.data, b.len, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, text));
	plan_done(&plan);
}

enum { TAG_ID = 1, TAG_PROCESS = 5, TAG_INIT = 6, TAG_LOWER = 15, TAG_MOUNTS = 21, TAG_SHM_SIZE = 29 };

static void test_hostile_values(void **state)
{
	(void)state;
	expect_bad(TAG_ID, "a\0b", 3, "plan: field 1 ");
	expect_bad(TAG_INIT, "\2", 1, "plan: field 6 ");
	expect_bad(TAG_INIT, "\1\0", 2, "plan: field 6 ");
	expect_bad(TAG_INIT, "", 0, "plan: field 6 ");
	expect_bad(TAG_SHM_SIZE, "\1\0\0\0", 4, "plan: field 29 ");
	expect_bad(TAG_LOWER, "\0\0\0\0", 4, "plan: field 15 ");            /* no elements is no field */
	expect_bad(TAG_LOWER, "\xff\xff\xff\x7f", 4, "plan: field 15 ");    /* more than the bytes hold */
	expect_bad(TAG_LOWER, "\1\0\0\0\5\0\0\0a", 9, "plan: field 15 ");   /* element cut short */
	expect_bad(TAG_LOWER, "\1\0\0\0\1\0\0\0ab", 10, "plan: field 15 "); /* bytes behind the last */
	expect_bad(TAG_MOUNTS, "\2\0\0\0\0\0\0\0", 8, "plan: field 21 ");   /* one of two */
	expect_bad(TAG_MOUNTS, "\1\0\0\0\x0a\0\0\0\1\0\4\0\0\0\2\0\0\0", 18, "mount: field 1 "); /* type 2 */
	expect_bad(TAG_PROCESS, "\x0a\0\7\0\0\0abcdefg", 13, "process: field 10 "); /* not whole instructions */
	expect_bad(TAG_PROCESS, "\x0a\0\0\0\0\0", 6, "process: field 10 ");
	expect_bad(TAG_PROCESS, "\x0b", 1, "process: a field is cut short");
	expect_bad(0, "", 0, "plan: field 0 is unknown");
	expect_bad(60000, "", 0, "plan: field 60000 is unknown");
}

static void test_too_many(void **state)
{
	_cleanup_buf_ struct buf b = {0}, out = {0};
	uint32_t count = htole32(4097), empty = 0;
	struct plan p = {0};

	(void)state;
	buf_add(&b, &count, sizeof(count));
	for (int i = 0; i < 4097; i++)
		buf_add(&b, &empty, sizeof(empty));
	expect_bad(TAG_LOWER, b.data, (uint32_t)b.len, "plan: field 15 ");
	expect_bad(TAG_MOUNTS, b.data, (uint32_t)b.len, "plan: field 21 ");
	for (int i = 0; i < 4097; i++)
		plan_add_device(&p);
	buf_adds(&out, "x");
	assert_int_equal(plan_encode(&p, &out), -E2BIG);
	assert_int_equal(out.len, 1);
	plan_done(&p);
}

static void test_too_long(void **state)
{
	_cleanup_buf_ struct buf b = {0};
	struct plan p = {.hosts = calloc(1, (1 << 20) + 1)}, back;
	struct err e;

	(void)state;
	memset(p.hosts, 'x', 1 << 20);
	assert_int_equal(plan_encode(&p, &b), -EMSGSIZE);
	record(&b, 27, p.hosts, 1 << 20);
	assert_int_equal(plan_decode(&back, b.data, b.len, &e), -EBADMSG);
	plan_done(&p);
}

static void test_order(void **state)
{
	_cleanup_buf_ struct buf twice = {0}, swapped = {0};
	struct plan p;
	struct err e;

	(void)state;
	record(&twice, TAG_ID, "a", 1);
	record(&twice, TAG_ID, "b", 1);
	assert_int_equal(plan_decode(&p, twice.data, twice.len, &e), -EBADMSG);
	plan_done(&p);
	record(&swapped, 2, "a", 1);
	record(&swapped, TAG_ID, "b", 1);
	assert_int_equal(plan_decode(&p, swapped.data, swapped.len, &e), -EBADMSG);
	plan_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_field_forgotten),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_hostile_values),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
