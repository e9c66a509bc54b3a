/* Device rules, and the BPF program that enforces them on cgroup v2. */
#include "sandbox/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { ALL_ACCESS = DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE };

static const struct device_rule defaults[] = {
	{'c', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD},                          /* nodes may be made, if not opened */
	{'b', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD}, {'c', 1, 3, ALL_ACCESS}, /* null */
	{'c', 1, 5, ALL_ACCESS},                                              /* zero */
	{'c', 1, 7, ALL_ACCESS},                                              /* full */
	{'c', 1, 8, ALL_ACCESS},                                              /* random */
	{'c', 1, 9, ALL_ACCESS},                                              /* urandom */
	{'c', 5, 0, ALL_ACCESS},                                              /* tty */
	{'c', 5, 1, ALL_ACCESS},                                              /* console */
	{'c', 5, 2, ALL_ACCESS},                                              /* ptmx */
	{'c', 136, DEVICE_ANY, ALL_ACCESS},                                   /* pts */
};

static int parse_access(const char *s, unsigned *ret)
{
	unsigned access = 0;

	for (; *s; s++) {
		if (*s == 'r')
			access |= DEVICE_READ;
		else if (*s == 'w')
			access |= DEVICE_WRITE;
		else if (*s == 'm')
			access |= DEVICE_MKNOD;
		else
			return -EINVAL;
	}
	*ret = access;
	return 0;
}

int device_rules_make(const struct plan *p, struct device_rules *ret, struct err *e)
{
	memcpy(ret->rule, defaults, sizeof(defaults));
	ret->len = sizeof(defaults) / sizeof(*defaults);
	for (size_t i = 0; i < p->devices_len; i++) {
		const struct plan_device *d = &p->devices[i];
		struct device_rule *r = &ret->rule[ret->len];
		struct stat st;
		if (ret->len == DEVICE_RULES_MAX)
			return err_set(e, E2BIG, "too many devices: at most %d",
				DEVICE_RULES_MAX - (int)(sizeof(defaults) / sizeof(*defaults)));
		if (stat(d->host_path, &st) < 0)
			return err_errno(e, errno,
				"error gathering device information while adding custom device \"%s\"", d->host_path);
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			return err_set(e, EINVAL,
				"error gathering device information while adding custom device \"%s\": not a "
				"device node",
				d->host_path);
		r->type = S_ISCHR(st.st_mode) ? 'c' : 'b';
		r->major = (int32_t)major(st.st_rdev);
		r->minor = (int32_t)minor(st.st_rdev);
		if (parse_access(d->access && *d->access ? d->access : "rwm", &r->access) < 0)
			return err_set(e, EINVAL, "device %s: invalid access \"%s\"", d->host_path, d->access);
		ret->len++;
	}
	return 0;
}

static void format_number(int32_t n, char ret[12])
{
	if (n == DEVICE_ANY)
		strcpy(ret, "*");
	else
		snprintf(ret, 12, "%d", n);
}

void device_rule_format(const struct device_rule *r, char ret[48])
{
	char maj[12], min[12];

	format_number(r->major, maj);
	format_number(r->minor, min);
	snprintf(ret, 48, "%c %s:%s %s%s%s", r->type, maj, min, r->access & DEVICE_READ ? "r" : "",
		r->access & DEVICE_WRITE ? "w" : "", r->access & DEVICE_MKNOD ? "m" : "");
}

/* Registers of the program: r2 type, r3 wanted access, r4 major, r5 minor. */
static struct bpf_insn load(int dst, short off)
{
	return (struct bpf_insn){
		.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (uint8_t)(dst & 15), .src_reg = BPF_REG_1, .off = off};
}

static struct bpf_insn alu(int op, int dst, int32_t imm)
{
	return (struct bpf_insn){.code = (uint8_t)(BPF_ALU | op | BPF_K), .dst_reg = (uint8_t)(dst & 15), .imm = imm};
}

static struct bpf_insn mov64(int dst, int32_t imm)
{
	return (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (uint8_t)(dst & 15), .imm = imm};
}

static struct bpf_insn copy32(int dst, int src)
{
	return (struct bpf_insn){
		.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = (uint8_t)(dst & 15), .src_reg = (uint8_t)(src & 15)};
}

/* Skips `off` instructions if dst is not imm. */
static struct bpf_insn jump_if_not(int dst, int32_t imm, size_t off)
{
	return (struct bpf_insn){
		.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (uint8_t)(dst & 15), .off = (short)off, .imm = imm};
}

static const struct bpf_insn leave = {.code = BPF_JMP | BPF_EXIT};

/* One rule: every test that fails skips to the next rule; if all hold, the answer is 1. */
static size_t emit_rule(const struct device_rule *r, struct bpf_insn *out)
{
	size_t tests = 1 + (r->access != ALL_ACCESS ? 3 : 0) + (r->major != DEVICE_ANY) + (r->minor != DEVICE_ANY);
	size_t end = tests + 2, n = 0;

	out[n] = jump_if_not(BPF_REG_2, r->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK, end - n - 1);
	n++;
	if (r->access != ALL_ACCESS) {
		out[n++] = copy32(BPF_REG_1, BPF_REG_3);
		out[n++] = alu(BPF_AND, BPF_REG_1, (int32_t)(ALL_ACCESS & ~r->access));
		out[n] = jump_if_not(BPF_REG_1, 0, end - n - 1);
		n++;
	}
	if (r->major != DEVICE_ANY) {
		out[n] = jump_if_not(BPF_REG_4, r->major, end - n - 1);
		n++;
	}
	if (r->minor != DEVICE_ANY) {
		out[n] = jump_if_not(BPF_REG_5, r->minor, end - n - 1);
		n++;
	}
	out[n++] = mov64(BPF_REG_0, 1);
	out[n++] = leave;
	return n;
}

size_t device_program(const struct device_rules *rules, struct bpf_insn *ret)
{
	size_t n = 0;

	/* struct bpf_cgroup_dev_ctx: access_type (type in the low half, access in the high one), major, minor
	 */
	ret[n++] = load(BPF_REG_2, 0);
	ret[n++] = alu(BPF_AND, BPF_REG_2, 0xffff);
	ret[n++] = load(BPF_REG_3, 0);
	ret[n++] = alu(BPF_RSH, BPF_REG_3, 16);
	ret[n++] = load(BPF_REG_4, 4);
	ret[n++] = load(BPF_REG_5, 8);
	for (size_t i = 0; i < rules->len; i++)
		n += emit_rule(&rules->rule[i], ret + n);
	ret[n++] = mov64(BPF_REG_0, 0);
	ret[n++] = leave;
	return n;
}

enum { LOAD_TRIES = 10 };

static int program_load(const struct device_rules *rules, struct err *e)
{
	_cleanup_free_ struct bpf_insn *insns = calloc(DEVICE_INSNS_MAX, sizeof(*insns));
	union bpf_attr a;

	if (!insns)
		return err_nomem(e);
	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	a.insn_cnt = (uint32_t)device_program(rules, insns);
	a.insns = (uint64_t)(uintptr_t)insns;
	a.license = (uint64_t)(uintptr_t) "Apache-2.0";
	long fd;
	/* the kernel gives up its check of the program when a signal comes, such as that of a child that ends */
	for (int i = 0; (fd = syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a))) < 0 && errno == EAGAIN && i < LOAD_TRIES;
		i++)
		;
	return fd < 0 ? err_errno(e, errno, "load the device rules into the kernel (BPF)") : (int)fd;
}

int device_program_attach(const struct device_rules *rules, int cgroup, struct err *e)
{
	_cleanup_close_ int prog = program_load(rules, e);
	union bpf_attr a;

	if (prog < 0)
		return prog;
	memset(&a, 0, sizeof(a));
	a.target_fd = (uint32_t)cgroup;
	a.attach_bpf_fd = (uint32_t)prog;
	a.attach_type = BPF_CGROUP_DEVICE;
	a.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &a, sizeof(a)) < 0)
		return err_errno(e, errno, "attach the device rules to the cgroup (BPF)");
	return 0;
}

int device_program_check(struct err *e)
{
	static const struct plan nothing;
	_cleanup_free_ struct device_rules *rules = calloc(1, sizeof(*rules));

	if (!rules)
		return err_nomem(e);
	int r = device_rules_make(&nothing, rules, e);
	_cleanup_close_ int prog = r < 0 ? r : program_load(rules, e);
	return prog < 0 ? prog : 0;
}
