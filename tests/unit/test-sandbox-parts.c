/* The parts of the sandbox that are pure: users, capabilities' names, limits, device rules and their program,
 * cgroup numbers. */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "sandbox/caps.h"
#include "sandbox/cgroup.h"
#include "sandbox/devices.h"
#include "sandbox/namespace.h"
#include "sandbox/rlimit.h"
#include "sandbox/sandbox.h"
#include "sandbox/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "bad:x:-1:zz:::\n"
			     "bob:x:1000:1001:Bob:/home/bob:/bin/sh\n"
			     "1234:x:55:55::/n:/bin/sh\n"
			     "nohome:x:7:7::\n";
static const char group[] = "root:x:0:\nwheel:x:10:bob,alice\nbob:x:1001:\naudio:x:29:alice\nvideo:x:44:bob\nbroken\n";

static void expect_user(const char *spec, char **extra, uid_t uid, gid_t gid, const char *home, const char *groups)
{
	struct user u;
	struct err e = ERR_INIT;
	char text[128] = "";

	if (user_from_files(passwd, group, spec, extra, &u, &e) < 0)
		fail_msg("%s: %s", spec, e.msg);
	for (size_t i = 0; i < u.groups_len; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u", i ? " " : "", u.groups[i]);
	assert_int_equal(u.uid, uid);
	assert_int_equal(u.gid, gid);
	assert_string_equal(u.home, home);
	assert_string_equal(text, groups);
	user_done(&u);
}

static void expect_no_user(const char *spec, const char *message)
{
	struct user u;
	struct err e = ERR_INIT;

	assert_true(user_from_files(passwd, group, spec, NULL, &u, &e) < 0);
	assert_string_equal(e.msg, message);
}

static void test_users(void **state)
{
	char *extra[] = {"audio", "99", NULL};
	struct user u;
	struct err e = ERR_INIT;

	(void)state;
	expect_user("", NULL, 0, 0, "/root", "0");
	expect_user("bob", NULL, 1000, 1001, "/home/bob", "1001 10 44");
	expect_user("1000", NULL, 1000, 1001, "/home/bob", "1001 10 44");
	expect_user("bob:audio", NULL, 1000, 29, "/home/bob", "29");
	expect_user("bob:5", extra, 1000, 5, "/home/bob", "5 29 99");
	expect_user("4242", NULL, 4242, 0, "/", "0");
	expect_user("4242:4243", NULL, 4242, 4243, "/", "4243");
	/* a number is a uid, even where a name looks like it */
	expect_user("1234", NULL, 1234, 0, "/", "0");
	expect_user("nohome", NULL, 7, 7, "/", "7");
	expect_no_user("alice", "unable to find user alice: no matching entries in passwd file");
	expect_no_user("bad", "unable to find user bad: no matching entries in passwd file");
	expect_no_user("bob:nobody", "unable to find group nobody: no matching entries in group file");
	expect_no_user("4294967296", "uids and gids must be in range 0-2147483647");
	expect_no_user("0:2147483648", "uids and gids must be in range 0-2147483647");
	/* an image without the files */
	assert_int_equal(user_from_files(NULL, NULL, "12:13", NULL, &u, &e), 0);
	assert_int_equal(u.gid, 13);
	user_done(&u);
}

static uint64_t caps_of(char **add, char **drop, bool privileged)
{
	struct err e = ERR_INIT;
	uint64_t caps;

	if (caps_from_names(add, drop, privileged, &caps, &e) < 0)
		fail_msg("%s", e.msg);
	return caps;
}

static void test_caps(void **state)
{
	char *all[] = {"all", NULL}, *admin[] = {"SYS_ADMIN", NULL}, *lower[] = {"cap_sys_admin", NULL},
	     *chown[] = {"Chown", NULL};
	char *wrong[] = {"FLY", NULL};
	struct err e = ERR_INIT;
	uint64_t caps, defaults = caps_of(NULL, NULL, false);

	(void)state;
	assert_int_equal(__builtin_popcountll(defaults), 14);
	assert_true(caps_of(admin, NULL, false) == (defaults | 1ULL << CAP_SYS_ADMIN));
	assert_true(caps_of(lower, NULL, false) == caps_of(admin, NULL, false));
	assert_true(caps_of(NULL, chown, false) == (defaults & ~(1ULL << CAP_CHOWN)));
	assert_true(caps_of(NULL, all, false) == 0);
	assert_true(caps_of(admin, all, false) == 1ULL << CAP_SYS_ADMIN);
	assert_true(caps_of(all, NULL, false) & CAPS_WHAT_THERE_IS);
	assert_false(caps_of(all, chown, false) & 1ULL << CAP_CHOWN);
	assert_true(caps_of(NULL, NULL, true) == caps_of(all, NULL, false));
	assert_true(caps_from_names(wrong, NULL, false, &caps, &e) < 0);
	assert_string_equal(e.msg, "invalid CapAdd: unknown capability: \"CAP_FLY\"");
	assert_true(caps_from_names(NULL, wrong, false, &caps, &e) < 0);
	assert_string_equal(e.msg, "invalid CapDrop: unknown capability: \"CAP_FLY\"");
	for (unsigned i = 0; caps_name(i); i++)
		assert_int_equal(caps_number(caps_name(i)), i);
	/* what nobody has cannot be given, unless "all there is" was asked for */
	assert_true(caps_check(1ULL << 62, &e) < 0);
	assert_int_equal(caps_check(1ULL << 62 | CAPS_WHAT_THERE_IS, &e), 0);
}

static void test_rlimits(void **state)
{
	char *good[] = {"nofile=16:32", "core=0", NULL}, *raise[] = {"nofile=unlimited", NULL};
	static const char *const wrong[] = {
		"nofile", "nofile=", "nofile=a", "nofile=5:4", "files=1", "nofile=1:2:3", "nofile=unlimited:5"};
	struct err e = ERR_INIT;
	struct rlimit now;

	(void)state;
	assert_int_equal(rlimit_check(good, &e), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char *v[] = {(char *)wrong[i], NULL};
		if (rlimit_check(v, &e) >= 0)
			fail_msg("accepted: %s", wrong[i]);
	}
	getrlimit(RLIMIT_NOFILE, &now);
	if (caps_bounding() >> CAP_SYS_RESOURCE & 1 || now.rlim_max == RLIM_INFINITY)
		return;
	char want[160];
	snprintf(want, sizeof(want),
		"cannot raise nofile to unlimited: the hard limit is %llu and this process lacks "
		"CAP_SYS_RESOURCE",
		(unsigned long long)now.rlim_max);
	assert_true(rlimit_check(raise, &e) < 0);
	assert_string_equal(e.msg, want);
}

/* Runs the program as the kernel would: enough of eBPF for what devices.c emits. */
static int run_program(const struct bpf_insn *insn, size_t n, const uint32_t ctx[3])
{
	uint64_t r[11] = {0};

	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &insn[pc];
		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			r[i->dst_reg] = ctx[i->off / 4];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] & (uint32_t)i->imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] >> i->imm;
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			r[i->dst_reg] = (uint32_t)r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = (uint64_t)(int64_t)i->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			if (r[i->dst_reg] != (uint64_t)(int64_t)i->imm)
				pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			fail_msg("instruction %zu: code %02x", pc, i->code);
		}
	}
	fail_msg("ran off the end");
	return -1;
}

static int asks(const struct device_rules *rules, char type, unsigned maj, unsigned min, unsigned access)
{
	struct bpf_insn *insn = calloc(DEVICE_INSNS_MAX, sizeof(*insn));
	uint32_t ctx[3] = {access << 16 | (type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK), maj, min};
	size_t n = device_program(rules, insn);
	int r = run_program(insn, n, ctx);

	free(insn);
	return r;
}

static void test_devices(void **state)
{
	struct plan p = {0};
	struct device_rules rules;
	struct err e = ERR_INIT;
	char text[48];

	(void)state;
	struct plan_device *d = plan_add_device(&p);
	d->host_path = strdup("/dev/kmsg"); /* 1:11 */
	d->path = strdup("/dev/kmsg");
	d->access = strdup("r");
	int have = access("/dev/kmsg", F_OK) == 0;
	if (!have)
		p.devices_len = 0;
	assert_int_equal(device_rules_make(&p, &rules, &e), 0);
	assert_int_equal(asks(&rules, 'c', 1, 3, DEVICE_READ | DEVICE_WRITE), 1);
	assert_int_equal(asks(&rules, 'b', 1, 3, DEVICE_READ), 0);
	assert_int_equal(asks(&rules, 'c', 136, 12, DEVICE_READ), 1);
	assert_int_equal(asks(&rules, 'b', 8, 0, DEVICE_MKNOD), 1);
	assert_int_equal(asks(&rules, 'b', 8, 0, DEVICE_MKNOD | DEVICE_READ), 0);
	assert_int_equal(asks(&rules, 'b', 8, 0, DEVICE_READ), 0);
	assert_int_equal(asks(&rules, 'c', 10, 229, DEVICE_WRITE), 0);
	assert_int_equal(asks(&rules, 'c', 1, 11, DEVICE_READ), have);
	assert_int_equal(asks(&rules, 'c', 1, 11, DEVICE_WRITE), 0);
	device_rule_format(&rules.rule[0], text);
	assert_string_equal(text, "c *:* m");
	device_rule_format(&rules.rule[2], text);
	assert_string_equal(text, "c 1:3 rwm");
	p.devices_len = 1;
	free(p.devices[0].host_path);
	p.devices[0].host_path = strdup("/etc/passwd");
	assert_true(device_rules_make(&p, &rules, &e) < 0);
	plan_done(&p);
}

static void test_device_program_loads(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (geteuid() || device_program_check(&e) == -EPERM || device_program_check(&e) == -ENOSYS) {
		print_message("# SKIP the kernel or the user has no BPF: %s\n", e.msg);
		skip();
	}
	assert_int_equal(device_program_check(&e), 0);
}

static void expect_cpu(const struct plan *p, bool again, uint64_t quota, uint64_t period)
{
	uint64_t q, t;

	cgroup_cpu_time(p, again, &q, &t);
	assert_true(q == quota);
	assert_true(t == period);
}

static void test_cgroup_cpu(void **state)
{
	(void)state;
	expect_cpu(&(struct plan){0}, false, 0, 0);
	expect_cpu(&(struct plan){0}, true, UINT64_MAX, 100000);
	expect_cpu(&(struct plan){.nanocpus = 1500000000}, false, 150000, 100000);
	expect_cpu(&(struct plan){.cpu_quota = 20000}, false, 20000, 100000);
	expect_cpu(&(struct plan){.cpu_quota = 20000, .cpu_period = 50000}, true, 20000, 50000);
	expect_cpu(&(struct plan){.cpu_period = 50000}, false, 0, 50000);
	expect_cpu(&(struct plan){.cpu_quota = UINT64_MAX, .cpu_period = 50000}, false, UINT64_MAX, 50000);
}

static void expect_io(const char *text, bool v2, uint64_t read, uint64_t written)
{
	_cleanup_free_ char *copy = strdup(text);
	uint64_t r, w;

	assert_non_null(copy);
	cgroup_io_sum(copy, v2, &r, &w);
	assert_true(r == read);
	assert_true(w == written);
}

static void test_cgroup_io(void **state)
{
	(void)state;
	assert_int_equal(cgroup_io_weight(10), 1);
	assert_int_equal(cgroup_io_weight(1000), 10000);
	assert_int_equal(cgroup_io_weight(0), 1);
	expect_io("", false, 0, 0);
	expect_io("8:0 Read 4096\n8:0 Write 10\n8:0 Sync 5\n8:0 Total 4106\n7:1 Read 1\nTotal 4107\n", false, 4097, 10);
	expect_io("8:0 rbytes=4096 wbytes=10 rios=1 wios=2 dbytes=0\n254:0 rbytes=4 wbytes=1\n", true, 4100, 11);
	expect_io("8:0 rbytes=18446744073709551615 wbytes=x\n8:1 rbytes=9\n", true, UINT64_MAX, 0);
	expect_io("8:0 rbytes=\n8:0 Read\nRead Write 7", false, 0, 7);
}

static void expect_traffic(const char *text, uint64_t received, uint64_t sent)
{
	_cleanup_free_ char *copy = strdup(text);
	uint64_t r, s;

	assert_non_null(copy);
	sandbox_traffic_sum(copy, &r, &s);
	assert_true(r == received);
	assert_true(s == sent);
}

static void test_traffic(void **state)
{
	static const char titles[] =
		"Inter-|   Receive                            |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n";
	_cleanup_free_ char *text =
		str_fmt("%s    lo:  500       5    0    0    0     0          0         0      500       5\n"
			"  eth0:    1446      19    0    0    0     0          0         0     3060      28\n"
			"  eth1:10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n",
			titles);

	(void)state;
	expect_traffic(text, 1456, 3080);
	expect_traffic(titles, 0, 0);
	expect_traffic("", 0, 0);
	expect_traffic("e: 18446744073709551615 0 0 0 0 0 0 0 x\nf: 1 0 0 0 0 0 0 0 7", UINT64_MAX, 7);
	expect_traffic("e:", 0, 0);
}

static void test_cgroup_numbers(void **state)
{
	struct plan p = {.memory = 100};
	char path[256];

	(void)state;
	assert_int_equal(cgroup_swap_total(&p), 200);
	p.memory_swap = 150;
	assert_int_equal(cgroup_swap_total(&p), 150);
	p.memory_swap = UINT64_MAX;
	assert_true(cgroup_swap_total(&p) == UINT64_MAX);
	assert_int_equal(cgroup_cpu_quota(1500000000), 150000);
	assert_int_equal(cgroup_cpu_quota(1), 1000);
	assert_int_equal(cgroup_weight(0), 0);
	assert_int_equal(cgroup_weight(2), 1);
	assert_int_equal(cgroup_weight(1024), 39);
	assert_int_equal(cgroup_weight(262144), 10000);
	assert_int_equal(cgroup_weight(UINT64_MAX), 10000);
	cgroup_path(NULL, "x", path);
	assert_string_equal(path, "caisson/x");
	cgroup_path("/a/b", "x", path);
	assert_string_equal(path, "a/b/x");
}

static void test_sysctls(void **state)
{
	static const char *const good[] = {"net.ipv4.ip_forward=1", "kernel.shmmax=1", "fs.mqueue.msg_max=5"};
	static const char *const wrong[] = {"kernel.panic=1", "net.ipv4.ip_forward", "=1", "vm.swappiness=1",
		"net/../kernel/panic=1", "net..panic=1", "kernel.shmmaxx=1"};
	struct plan p = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		char *v[] = {(char *)good[i], NULL};
		p.sysctls = v;
		assert_int_equal(namespace_check_sysctls(&p, &e), 0);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char *v[] = {(char *)wrong[i], NULL};
		p.sysctls = v;
		if (namespace_check_sysctls(&p, &e) >= 0)
			fail_msg("accepted: %s", wrong[i]);
	}
	char *v[] = {"net.ipv4.ip_forward=1", NULL};
	p.sysctls = v;
	p.host_network = true;
	assert_true(namespace_check_sysctls(&p, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_device_program_loads),
		cmocka_unit_test(test_cgroup_cpu),
		cmocka_unit_test(test_cgroup_io),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_cgroup_numbers),
		cmocka_unit_test(test_sysctls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
