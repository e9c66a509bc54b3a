/* Seccomp profiles: JSON to BPF, by libseccomp. */
#include "oci/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"

enum { PROFILE_MAX = 1 << 20, FILTER_MAX = BPF_MAXINSNS * sizeof(struct sock_filter), ARGS_MAX = 6 };

/* Younger than the libseccomp of today's distributions. From 424 on the numbers are the same on all
 * architectures. */
static const struct {
	const char *name;
	uint32_t nr;
} newer[] = {
	{"cachestat", 451},
	{"fchmodat2", 452},
	{"map_shadow_stack", 453},
	{"futex_wake", 454},
	{"futex_wait", 455},
	{"futex_requeue", 456},
	{"statmount", 457},
	{"listmount", 458},
	{"lsm_get_self_attr", 459},
	{"lsm_set_self_attr", 460},
	{"lsm_list_modules", 461},
	{"mseal", 462},
	{"setxattrat", 463},
	{"getxattrat", 464},
	{"listxattrat", 465},
	{"removexattrat", 466},
	{"open_tree_attr", 467},
};
enum { NEWER = sizeof(newer) / sizeof(*newer), LAST_KNOWN = 467, X32_BIT = 0x40000000 };

struct profile {
	scmp_filter_ctx ctx;
	uint64_t caps;
	uint32_t action;       /* the default one */
	uint32_t early[NEWER]; /* the answers for `newer`; the default one if not named */
	const char *arch;      /* Go's name for the machine's, as docker's profiles have it */
	struct err *e;
};

static void cleanup_ctx(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* Only these fields may be there. */
static int check_fields(const json_t *o, const char *const *known, const char *what, struct err *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(o))
		return err_set(e, EINVAL, "seccomp profile: %s is not an object", what);
	json_object_foreach((json_t *)o, key, value) {
		if (!str_in(key, known))
			return err_set(e, EINVAL, "seccomp profile: unknown field \"%s\" in %s", key, what);
	}
	return 0;
}

/* A field that must be an array if it is there; NULL in *ret if not. */
static int get_array(const json_t *o, const char *key, json_t **ret, struct err *e)
{
	json_t *v = json_object_get(o, key);

	*ret = !v || json_is_null(v) ? NULL : v;
	if (*ret && !json_is_array(*ret))
		return err_set(e, EINVAL, "seccomp profile: \"%s\" is not an array", key);
	return 0;
}

static int get_u64(const json_t *o, const char *key, uint64_t max, uint64_t dflt, uint64_t *ret, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	*ret = dflt;
	if (!v || json_is_null(v))
		return 0;
	/* values beyond 2^63 come as reals, of which only whole ones below 2^64 are exact enough */
	if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 18446744073709551615.0 &&
		(double)(uint64_t)json_real_value(v) == json_real_value(v))
		*ret = (uint64_t)json_real_value(v);
	else if (json_is_integer(v) && json_integer_value(v) >= 0)
		*ret = (uint64_t)json_integer_value(v);
	else
		return err_set(e, EINVAL, "seccomp profile: \"%s\" is not a number in range", key);
	if (*ret > max)
		return err_set(e, EINVAL, "seccomp profile: \"%s\" is out of range", key);
	return 0;
}

static int parse_action(const json_t *v, uint64_t errno_ret, uint32_t *ret, struct err *e)
{
	static const struct {
		const char *name;
		uint32_t action;
	} table[] = {
		{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
		{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
		{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
		{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
		{"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
		{"SCMP_ACT_LOG", SCMP_ACT_LOG},
	};
	const char *name = json_string_value(v);

	if (!name)
		return err_set(e, EINVAL, "seccomp profile: an action is missing");
	if (!strcmp(name, "SCMP_ACT_ERRNO")) {
		*ret = SCMP_ACT_ERRNO(errno_ret);
		return 0;
	}
	if (!strcmp(name, "SCMP_ACT_TRACE")) {
		*ret = SCMP_ACT_TRACE(errno_ret);
		return 0;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (!strcmp(table[i].name, name)) {
			*ret = table[i].action;
			return 0;
		}
	}
	return err_set(e, EINVAL, "seccomp profile: unknown action \"%s\"", name);
}

static int parse_op(const char *name, enum scmp_compare *ret, struct err *e)
{
	static const char *const names[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE",
		"SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(names[i], name)) {
			*ret = (enum scmp_compare)(SCMP_CMP_NE + (int)i);
			return 0;
		}
	}
	return err_set(e, EINVAL, "seccomp profile: unknown operator \"%s\"", name ? name : "");
}

static int parse_arg(const json_t *o, struct scmp_arg_cmp *ret, struct err *e)
{
	static const char *const known[] = {"index", "value", "valueTwo", "op", NULL};
	uint64_t index, a, b;
	int r = check_fields(o, known, "args", e);

	if (r == 0)
		r = get_u64(o, "index", ARGS_MAX - 1, 0, &index, e);
	if (r == 0)
		r = get_u64(o, "value", UINT64_MAX, 0, &a, e);
	if (r == 0)
		r = get_u64(o, "valueTwo", UINT64_MAX, 0, &b, e);
	if (r == 0)
		r = parse_op(json_str(o, "op"), &ret->op, e);
	if (r < 0)
		return r;
	ret->arg = (unsigned)index;
	ret->datum_a = a;
	ret->datum_b = b;
	return 0;
}

static int has_cap(const struct profile *p, const json_t *name, bool *ret)
{
	cap_value_t cap;
	const char *s = json_string_value(name);

	if (!s || cap_from_name(s, &cap) < 0)
		return err_set(p->e, EINVAL, "seccomp profile: unknown capability \"%s\"", s ? s : "");
	*ret = p->caps >> cap & 1;
	return 0;
}

static int kernel_at_least(const char *version, bool *ret, struct err *e)
{
	struct utsname u;
	unsigned want[2], have[2];

	if (sscanf(version, "%u.%u", &want[0], &want[1]) != 2)
		return err_set(e, EINVAL, "seccomp profile: minKernel \"%s\" is no version", version);
	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &have[0], &have[1]) != 2)
		return err_set(e, EINVAL, "the kernel's release is no version");
	*ret = have[0] > want[0] || (have[0] == want[0] && have[1] >= want[1]);
	return 0;
}

/* Whether `includes` (all of it must hold) or `excludes` (nothing of it may hold) lets the rule take part. */
static int check_filter(const struct profile *p, const json_t *o, bool include, bool *ret)
{
	static const char *const known[] = {"caps", "arches", "minKernel", NULL};
	json_t *caps, *arches, *v;
	size_t i;
	bool found = false, is;

	*ret = true;
	if (!o || json_is_null(o))
		return 0;
	int r = check_fields(o, known, include ? "includes" : "excludes", p->e);
	if (r == 0)
		r = get_array(o, "caps", &caps, p->e);
	if (r == 0)
		r = get_array(o, "arches", &arches, p->e);
	if (r < 0)
		return r;
	json_array_foreach(caps, i, v) {
		r = has_cap(p, v, &is);
		if (r < 0)
			return r;
		if (is != include)
			*ret = false;
	}
	json_array_foreach(arches, i, v) {
		if (!json_is_string(v))
			return err_set(p->e, EINVAL, "seccomp profile: an architecture is no text");
		found |= !strcmp(json_string_value(v), p->arch);
	}
	if (json_array_size(arches) && found != include)
		*ret = false;
	if (json_str(o, "minKernel")) {
		r = kernel_at_least(json_str(o, "minKernel"), &is, p->e);
		if (r == 0 && is != include)
			*ret = false;
	}
	return r;
}

static int add_rule(
	struct profile *p, uint32_t action, int nr, const struct scmp_arg_cmp *args, unsigned n, const char *name)
{
	int r = seccomp_rule_add_array(p->ctx, action, nr, n, args);

	/* -EDOM, -EEXIST: an architecture that has not got it, a rule that is there already */
	if (r < 0 && r != -EEXIST && r != -EDOM)
		return err_errno(p->e, r, "seccomp profile: rule for %s", name);
	return 0;
}

static int add_newer(struct profile *p, const char *name, uint32_t action, unsigned nargs)
{
	for (size_t i = 0; i < NEWER; i++)
		/* with conditions it cannot be had: then the default holds */
		if (!strcmp(newer[i].name, name) && !nargs)
			p->early[i] = action;
	return 0;
}

static int add_name(struct profile *p, const json_t *v, uint32_t action, const struct scmp_arg_cmp *args, unsigned n)
{
	const char *name = json_string_value(v);
	bool repeated = false;

	if (!name)
		return err_set(p->e, EINVAL, "seccomp profile: a system call's name is no text");
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR)
		return add_newer(p, name, action, n);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			repeated |= args[i].arg == args[k].arg;
	if (!repeated)
		return add_rule(p, action, nr, args, n, name);
	/* libseccomp has one condition per argument: as in runc, several are rules of their own */
	int r = 0;
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = add_rule(p, action, nr, &args[i], 1, name);
	return r;
}

static int parse_args(const json_t *rule, struct scmp_arg_cmp args[ARGS_MAX], unsigned *ret_n, struct err *e)
{
	json_t *list;
	int r = get_array(rule, "args", &list, e);

	*ret_n = (unsigned)json_array_size(list);
	if (r == 0 && *ret_n > ARGS_MAX)
		return err_set(e, EINVAL, "seccomp profile: more than %d args", ARGS_MAX);
	for (unsigned i = 0; r == 0 && i < *ret_n; i++)
		r = parse_arg(json_array_get(list, i), &args[i], e);
	return r;
}

static int parse_syscall(struct profile *p, const json_t *rule)
{
	static const char *const known[] = {
		"names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes", NULL};
	struct scmp_arg_cmp args[ARGS_MAX];
	unsigned nargs = 0;
	uint64_t errno_ret = EPERM;
	uint32_t action = 0;
	bool in = false, ex = false;
	json_t *names = NULL, *v;
	size_t i;

	int r = check_fields(rule, known, "syscalls", p->e);
	if (r == 0)
		r = get_u64(rule, "errnoRet", 0xfff, EPERM, &errno_ret, p->e);
	if (r == 0)
		r = parse_action(json_object_get(rule, "action"), errno_ret, &action, p->e);
	if (r == 0)
		r = parse_args(rule, args, &nargs, p->e);
	if (r == 0)
		r = check_filter(p, json_object_get(rule, "includes"), true, &in);
	if (r == 0)
		r = check_filter(p, json_object_get(rule, "excludes"), false, &ex);
	if (r == 0)
		r = get_array(rule, "names", &names, p->e);
	/* the default action needs no rule, and libseccomp takes none */
	if (r < 0 || !in || !ex || action == p->action)
		return r;
	json_array_foreach(names, i, v) {
		r = add_name(p, v, action, args, nargs);
		if (r < 0)
			return r;
	}
	return json_object_get(rule, "name") ? add_name(p, json_object_get(rule, "name"), action, args, nargs) : 0;
}

static int add_arch(struct profile *p, const json_t *v)
{
	const char *name = json_string_value(v);
	char lower[32];

	if (!name || !str_starts(name, "SCMP_ARCH_") || strlen(name) >= sizeof(lower))
		return err_set(p->e, EINVAL, "seccomp profile: unknown architecture \"%s\"", name ? name : "");
	strcpy(lower, name + strlen("SCMP_ARCH_"));
	uint32_t token = seccomp_arch_resolve_name(str_lower(lower));
	if (!token)
		return err_set(p->e, EINVAL, "seccomp profile: unknown architecture \"%s\"", name);
	int r = seccomp_arch_add(p->ctx, token);
	return r < 0 && r != -EEXIST ? err_errno(p->e, r, "seccomp profile: architecture %s", name) : 0;
}

/* archMap: only the entry of this machine counts. architectures: all. */
static int parse_arches(struct profile *p, const json_t *top)
{
	char native[48];
	json_t *list, *map, *v, *sub, *s;
	size_t i, k;
	int r = get_array(top, "architectures", &list, p->e);

	if (r == 0)
		r = get_array(top, "archMap", &map, p->e);
	if (r < 0)
		return r;
	json_array_foreach(list, i, v) {
		r = add_arch(p, v);
		if (r < 0)
			return r;
	}
	snprintf(native, sizeof(native), "SCMP_ARCH_%s",
		!strcmp(p->arch, "amd64")           ? "X86_64"
			: !strcmp(p->arch, "arm64") ? "AARCH64"
						    : "");
	json_array_foreach(map, i, v) {
		const char *name = json_str(v, "architecture");
		if (!name)
			return err_set(p->e, EINVAL, "seccomp profile: an archMap entry has no architecture");
		if (strcmp(name, native) != 0)
			continue;
		r = get_array(v, "subArchitectures", &sub, p->e);
		if (r < 0)
			return r;
		json_array_foreach(sub, k, s) {
			r = add_arch(p, s);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int check_flags(const json_t *top, struct err *e)
{
	/* the first is set always; the second says nothing for a process with one thread */
	static const char *const known[] = {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC", NULL};
	json_t *list, *v;
	size_t i;
	int r = get_array(top, "flags", &list, e);

	if (r < 0)
		return r;
	json_array_foreach(list, i, v) {
		if (!json_is_string(v) || !str_in(json_string_value(v), known))
			return err_set(e, ENOTSUP, "seccomp profile: flag \"%s\" is not supported",
				json_is_string(v) ? json_string_value(v) : "");
	}
	return 0;
}

static int parse_profile(struct profile *p, const json_t *top)
{
	static const char *const known[] = {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures",
		"archMap", "flags", "syscalls", "comment", NULL};
	uint64_t errno_ret = EPERM;
	json_t *rules = NULL, *v;
	size_t i;
	int r = check_fields(top, known, "the profile", p->e);

	if (r == 0)
		r = check_flags(top, p->e);
	if (r == 0)
		r = get_u64(top, "defaultErrnoRet", 0xfff, EPERM, &errno_ret, p->e);
	if (r == 0)
		r = parse_action(json_object_get(top, "defaultAction"), errno_ret, &p->action, p->e);
	if (r == 0)
		r = get_array(top, "syscalls", &rules, p->e);
	if (r < 0)
		return r;
	p->ctx = seccomp_init(p->action);
	if (!p->ctx)
		return err_nomem(p->e);
	for (i = 0; i < NEWER; i++)
		p->early[i] = p->action;
	/* optimisation 2: a binary tree over the numbers instead of a list */
	seccomp_attr_set(p->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(p->ctx, SCMP_FLTATR_CTL_NNP, 0);
	r = parse_arches(p, top);
	if (r < 0)
		return r;
	json_array_foreach(rules, i, v) {
		r = parse_syscall(p, v);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What comes before libseccomp's filter: the system calls that it does not know by name, and those that
 * nobody here knows. */
static int add_head(const struct profile *p, struct buf *b)
{
	struct sock_filter f[2 * NEWER + 8];
	size_t n = 0, at;

	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	at = n++;
	for (size_t i = 0; i < NEWER; i++) {
		if (p->early[i] == p->action)
			continue;
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, newer[i].nr, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, p->early[i]);
	}
	if ((p->action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	/* x32 counts from its bit, and -1 is a debugger's */
	f[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, (uint8_t)(n - at - 1), 0);
	return buf_add(b, f, n * sizeof(*f));
}

static int export(const struct profile *p, char **ret_bpf, size_t *ret_len)
{
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	_cleanup_buf_ struct buf b = {0};

	if (fd < 0)
		return err_errno(p->e, errno, "memfd");
	int r = seccomp_export_bpf(p->ctx, fd);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(p->e, r < 0 ? r : errno, "compile the seccomp profile");
	r = add_head(p, &b);
	if (r == 0)
		r = fd_read_to_end(fd, FILTER_MAX, &b);
	if (r == 0 && b.len > FILTER_MAX)
		r = -EFBIG;
	if (r < 0)
		return err_errno(p->e, r, "compile the seccomp profile");
	*ret_len = b.len;
	*ret_bpf = steal_ptr(b.data);
	return 0;
}

static const char *machine(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#else
	return "unknown";
#endif
}

int seccomp_compile(const char *json, size_t n, uint64_t caps, char **ret_bpf, size_t *ret_len, struct err *e)
{
	struct profile p = {.caps = caps, .arch = machine(), .e = e};

	if (n > PROFILE_MAX)
		return err_set(e, EFBIG, "the seccomp profile has more than %d bytes", PROFILE_MAX);
	_cleanup_json_ json_t *top = json_parse(json, n, "seccomp profile", e);
	if (!top)
		return -EINVAL;
	int r = parse_profile(&p, top);
	if (r == 0)
		r = export(&p, ret_bpf, ret_len);
	cleanup_ctx(&p.ctx);
	return r;
}
