/*
 * The plan as bytes, and its memory.
 *
 * A structure is a row of records, one per field that is not zero, tags strictly ascending:
 *
 *   0     2        6          6+len
 *   +-----+--------+----------+
 *   | tag | len    | value    |     little-endian
 *   +-----+--------+----------+
 *
 * Encode, decode and free walk the same tables, so a field of struct plan exists exactly when it has a line
 * here. Both ends are built from the same source: a tag that is unknown is an error, not the future.
 */
#include "plan/plan.h"

#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

enum {
	PLAN_MAX = 1 << 20, /* bytes of a whole plan */
	COUNT_MAX = 4096,   /* elements of a vector or array */
};

enum type {
	T_STR,   /* char *, may be NULL; bytes without NUL */
	T_STRV,  /* char **; u32 count, then u32 len and bytes of each */
	T_BYTES, /* char * and a size_t; a multiple of `limit` bytes */
	T_BOOL,  /* u8, 0 or 1 */
	T_32,    /* uint32_t or int32_t */
	T_ENUM,  /* u32, at most `limit` */
	T_64,
	T_STRUCT, /* records of `sub` */
	T_ARRAY,  /* pointer to structures and a size_t; u32 count, then u32 len and the records of each */
};

struct table;

struct field {
	uint16_t tag;
	enum type type;
	size_t offset;
	size_t count_offset; /* of the size_t of T_BYTES and T_ARRAY */
	uint32_t limit;
	const struct table *sub;
};

struct table {
	const char *name;
	size_t size;
	size_t len;
	const struct field *fields;
};

#define TABLE(n, type, f)                                                                           \
	{                                                                                           \
		.name = (n), .size = sizeof(type), .len = sizeof(f) / sizeof((f)[0]), .fields = (f) \
	}

#define FIELD(of, n, kind, member, ...)                                                    \
	{                                                                                  \
		.tag = n, .type = kind, .offset = offsetof(struct of, member), __VA_ARGS__ \
	}

static const struct field process_fields[] = {
	FIELD(plan_process, 1, T_STRV, argv),
	FIELD(plan_process, 2, T_STRV, env),
	FIELD(plan_process, 3, T_STR, cwd),
	FIELD(plan_process, 4, T_STR, user),
	FIELD(plan_process, 5, T_STRV, groups),
	FIELD(plan_process, 6, T_BOOL, tty),
	FIELD(plan_process, 7, T_BOOL, open_stdin),
	FIELD(plan_process, 8, T_BOOL, no_new_privs),
	FIELD(plan_process, 9, T_64, caps),
	FIELD(plan_process, 10, T_BYTES, seccomp, .count_offset = offsetof(struct plan_process, seccomp_len),
		.limit = sizeof(struct sock_filter)),
	FIELD(plan_process, 11, T_STRV, rlimits),
	FIELD(plan_process, 12, T_32, rows),
	FIELD(plan_process, 13, T_32, cols),
	FIELD(plan_process, 14, T_BYTES, files, .count_offset = offsetof(struct plan_process, files_len), .limit = 1),
};
static const struct table process_table = TABLE("process", struct plan_process, process_fields);

static const struct field mount_fields[] = {
	FIELD(plan_mount, 1, T_ENUM, type, .limit = PLAN_MOUNT_TMPFS),
	FIELD(plan_mount, 2, T_STR, source),
	FIELD(plan_mount, 3, T_STR, target),
	FIELD(plan_mount, 4, T_STR, options),
	FIELD(plan_mount, 5, T_BOOL, readonly),
	FIELD(plan_mount, 6, T_BOOL, nosuid),
	FIELD(plan_mount, 7, T_BOOL, nodev),
	FIELD(plan_mount, 8, T_BOOL, noexec),
	FIELD(plan_mount, 9, T_STR, propagation),
	FIELD(plan_mount, 10, T_BOOL, recursive),
	FIELD(plan_mount, 11, T_BOOL, copy_up),
	FIELD(plan_mount, 12, T_STR, share),
};
static const struct table mount_table = TABLE("mount", struct plan_mount, mount_fields);

static const struct field device_fields[] = {
	FIELD(plan_device, 1, T_STR, host_path),
	FIELD(plan_device, 2, T_STR, path),
	FIELD(plan_device, 3, T_STR, access),
};
static const struct table device_table = TABLE("device", struct plan_device, device_fields);

static const struct field io_fields[] = {
	FIELD(plan_io, 1, T_ENUM, kind, .limit = PLAN_IO_WEIGHT),
	FIELD(plan_io, 2, T_STR, path),
	FIELD(plan_io, 3, T_64, value),
};
static const struct table io_table = TABLE("io", struct plan_io, io_fields);

static const struct field interface_fields[] = {
	FIELD(plan_interface, 1, T_STR, name),
	FIELD(plan_interface, 2, T_STR, port),
	FIELD(plan_interface, 3, T_STR, bridge),
	FIELD(plan_interface, 4, T_STR, mac),
	FIELD(plan_interface, 5, T_STRV, addresses),
	FIELD(plan_interface, 6, T_STRV, gateways),
	FIELD(plan_interface, 7, T_32, mtu),
	FIELD(plan_interface, 8, T_STR, nameserver),
	FIELD(plan_interface, 9, T_32, metric),
};
static const struct table interface_table = TABLE("interface", struct plan_interface, interface_fields);

static const struct field plan_fields[] = {
	FIELD(plan, 1, T_STR, id),
	FIELD(plan, 2, T_STR, name),
	FIELD(plan, 3, T_STR, hostname),
	FIELD(plan, 4, T_STR, domainname),
	FIELD(plan, 5, T_STRUCT, process, .sub = &process_table),
	FIELD(plan, 6, T_BOOL, init),
	FIELD(plan, 7, T_BOOL, privileged),
	FIELD(plan, 8, T_BOOL, readonly_root),
	FIELD(plan, 9, T_BOOL, host_network),
	FIELD(plan, 10, T_BOOL, host_pid),
	FIELD(plan, 11, T_BOOL, host_ipc),
	FIELD(plan, 12, T_BOOL, host_uts),
	FIELD(plan, 13, T_BOOL, host_cgroupns),
	FIELD(plan, 14, T_BOOL, own_kernel),
	FIELD(plan, 15, T_STRV, lower),
	FIELD(plan, 16, T_STR, upper),
	FIELD(plan, 17, T_STR, work),
	FIELD(plan, 18, T_STR, rootfs),
	FIELD(plan, 19, T_STR, image_erofs),
	FIELD(plan, 20, T_STR, disk),
	FIELD(plan, 21, T_ARRAY, mounts, .count_offset = offsetof(struct plan, mounts_len), .sub = &mount_table),
	FIELD(plan, 22, T_ARRAY, devices, .count_offset = offsetof(struct plan, devices_len), .sub = &device_table),
	FIELD(plan, 23, T_STRV, masked),
	FIELD(plan, 24, T_STRV, readonly_paths),
	FIELD(plan, 25, T_STRV, sysctls),
	FIELD(plan, 26, T_STR, resolv_conf),
	FIELD(plan, 27, T_STR, hosts),
	FIELD(plan, 28, T_STR, hostname_file),
	FIELD(plan, 29, T_64, shm_size),
	FIELD(plan, 30, T_64, memory),
	FIELD(plan, 31, T_64, memory_swap),
	FIELD(plan, 32, T_64, memory_reservation),
	FIELD(plan, 33, T_64, nanocpus),
	FIELD(plan, 34, T_64, cpu_shares),
	FIELD(plan, 35, T_STR, cpuset_cpus),
	FIELD(plan, 36, T_64, pids),
	FIELD(plan, 37, T_32, oom_score_adj),
	FIELD(plan, 38, T_BOOL, oom_kill_disable),
	FIELD(plan, 39, T_STR, cgroup_parent),
	FIELD(plan, 40, T_32, stop_signal),
	FIELD(plan, 41, T_ARRAY, interfaces, .count_offset = offsetof(struct plan, interfaces_len),
		.sub = &interface_table),
	FIELD(plan, 42, T_STR, netns),
	FIELD(plan, 43, T_64, netns_id),
	FIELD(plan, 44, T_BOOL, fresh_boot),
	FIELD(plan, 45, T_BOOL, disposable),
	FIELD(plan, 46, T_STR, pidns),
	FIELD(plan, 47, T_64, pidns_id),
	FIELD(plan, 48, T_STR, ipcns),
	FIELD(plan, 49, T_64, ipcns_id),
	FIELD(plan, 50, T_STR, shmns),
	FIELD(plan, 51, T_64, shmns_id),
	FIELD(plan, 52, T_BOOL, no_shm),
	FIELD(plan, 53, T_STR, kernel),
	FIELD(plan, 54, T_64, cpu_quota),
	FIELD(plan, 55, T_64, cpu_period),
	FIELD(plan, 56, T_STR, cpuset_mems),
	FIELD(plan, 57, T_32, swappiness),
	FIELD(plan, 58, T_32, blkio_weight),
	FIELD(plan, 59, T_ARRAY, io, .count_offset = offsetof(struct plan, io_len), .sub = &io_table),
};
static const struct table plan_table = TABLE("plan", struct plan, plan_fields);

/* The member of a structure, whatever the structure's constness: each caller knows its own. */
static void *member(const void *base, size_t offset)
{
	return (char *)(uintptr_t)base + offset;
}

/* -- memory -- */

static void free_table(const struct table *t, void *base);

static void free_field(const struct field *f, void *base)
{
	void *p = member(base, f->offset);

	switch (f->type) {
	case T_STR:
	case T_BYTES:
		free(*(char **)p);
		break;
	case T_STRV:
		strv_free(*(char ***)p);
		break;
	case T_STRUCT:
		free_table(f->sub, p);
		break;
	case T_ARRAY: {
		size_t n = *(size_t *)member(base, f->count_offset);
		for (size_t i = 0; i < n; i++)
			free_table(f->sub, *(char **)p + i * f->sub->size);
		free(*(void **)p);
		break;
	}
	case T_BOOL:
	case T_32:
	case T_ENUM:
	case T_64:
		break;
	}
}

/* Frees what the fields point to and zeroes the structure. */
static void free_table(const struct table *t, void *base)
{
	for (size_t i = 0; i < t->len; i++)
		free_field(&t->fields[i], base);
	memset(base, 0, t->size);
}

void plan_done(struct plan *p)
{
	free_table(&plan_table, p);
}

void plan_process_done(struct plan_process *p)
{
	free_table(&process_table, p);
}

/* -- encoding -- */

static int add_u32(struct buf *b, size_t v)
{
	uint32_t le = htole32((uint32_t)v);

	return v > UINT32_MAX ? -EMSGSIZE : buf_add(b, &le, sizeof(le));
}

/* Writes the distance from behind the u32 at `at` to the end of *b into it. */
static void patch_u32(struct buf *b, size_t at)
{
	uint32_t le = htole32((uint32_t)(b->len - at - sizeof(le)));

	memcpy(b->data + at, &le, sizeof(le));
}

static bool is_zero(const struct field *f, const void *base)
{
	const void *p = member(base, f->offset);

	switch (f->type) {
	case T_STR:
		return !*(char *const *)p;
	case T_STRV:
		return !strv_len(*(char **const *)p);
	case T_BYTES:
	case T_ARRAY:
		return !*(const size_t *)member(base, f->count_offset);
	case T_BOOL:
		return !*(const bool *)p;
	case T_32:
	case T_ENUM:
		return !*(const uint32_t *)p;
	case T_64:
		return !*(const uint64_t *)p;
	case T_STRUCT:
		break;
	}
	return false;
}

static int encode_table(const struct table *t, const void *base, struct buf *b);

static int encode_strv(char *const *v, struct buf *b)
{
	size_t n = strv_len(v);
	int r = n > COUNT_MAX ? -E2BIG : add_u32(b, n);

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = add_u32(b, strlen(v[i]));
		if (r >= 0)
			r = buf_adds(b, v[i]);
	}
	return r;
}

static int encode_array(const struct field *f, const void *base, struct buf *b)
{
	const char *array = *(char *const *)member(base, f->offset);
	size_t n = *(const size_t *)member(base, f->count_offset);
	int r = n > COUNT_MAX ? -E2BIG : add_u32(b, n);

	for (size_t i = 0; i < n && r >= 0; i++) {
		size_t at = b->len;
		r = add_u32(b, 0);
		if (r >= 0)
			r = encode_table(f->sub, array + i * f->sub->size, b);
		if (r >= 0)
			patch_u32(b, at);
	}
	return r;
}

static int encode_value(const struct field *f, const void *base, struct buf *b)
{
	const void *p = member(base, f->offset);
	uint64_t le;

	switch (f->type) {
	case T_STR:
		return buf_adds(b, *(char *const *)p);
	case T_STRV:
		return encode_strv(*(char **const *)p, b);
	case T_BYTES:
		return buf_add(b, *(char *const *)p, *(const size_t *)member(base, f->count_offset));
	case T_BOOL:
		return buf_add(b, "\1", 1);
	case T_32:
	case T_ENUM:
		return add_u32(b, *(const uint32_t *)p);
	case T_64:
		le = htole64(*(const uint64_t *)p);
		return buf_add(b, &le, sizeof(le));
	case T_STRUCT:
		return encode_table(f->sub, p, b);
	case T_ARRAY:
		return encode_array(f, base, b);
	}
	return -EINVAL;
}

static int encode_table(const struct table *t, const void *base, struct buf *b)
{
	for (size_t i = 0; i < t->len; i++) {
		const struct field *f = &t->fields[i];
		uint16_t tag = htole16(f->tag);
		if (is_zero(f, base))
			continue;
		int r = buf_add(b, &tag, sizeof(tag));
		size_t at = b->len;
		if (r >= 0)
			r = add_u32(b, 0);
		if (r >= 0)
			r = encode_value(f, base, b);
		if (r < 0)
			return r;
		patch_u32(b, at);
	}
	return 0;
}

/* Encodes behind what *b holds; *b keeps its length on failure. */
static int encode(const struct table *t, const void *base, struct buf *b)
{
	size_t start = b->len;
	int r = encode_table(t, base, b);

	if (r >= 0 && b->len - start > PLAN_MAX)
		r = -EMSGSIZE;
	if (r < 0 && b->data)
		b->data[b->len = start] = 0;
	return r;
}

int plan_encode(const struct plan *p, struct buf *b)
{
	return encode(&plan_table, p, b);
}

int plan_process_encode(const struct plan_process *p, struct buf *b)
{
	return encode(&process_table, p, b);
}

/* -- decoding -- */

/* What is left of a value. */
struct bytes {
	const char *p;
	size_t left;
};

static const char *take(struct bytes *in, size_t n)
{
	const char *p = in->p;

	if (n > in->left)
		return NULL;
	in->p += n;
	in->left -= n;
	return p;
}

static int take_u32(struct bytes *in, uint32_t *ret)
{
	const char *p = take(in, sizeof(*ret));

	if (!p)
		return -EBADMSG;
	memcpy(ret, p, sizeof(*ret));
	*ret = le32toh(*ret);
	return 0;
}

/* u32 length and as many bytes. */
static int take_sized(struct bytes *in, struct bytes *ret)
{
	uint32_t n;

	if (take_u32(in, &n) < 0 || !(ret->p = take(in, n)))
		return -EBADMSG;
	ret->left = n;
	return 0;
}

static int decode_str(struct bytes in, char **ret)
{
	if (in.left && memchr(in.p, 0, in.left))
		return -EBADMSG;
	char *s = malloc(in.left + 1);
	if (!s)
		return -ENOMEM;
	if (in.left)
		memcpy(s, in.p, in.left);
	s[in.left] = 0;
	*ret = s;
	return 0;
}

static int take_count(struct bytes *in, uint32_t *ret)
{
	/* every element has at least its length, so a count that the bytes cannot hold allocates nothing */
	if (take_u32(in, ret) < 0 || !*ret || *ret > COUNT_MAX || *ret > in->left / sizeof(*ret))
		return -EBADMSG;
	return 0;
}

static int decode_strv(struct bytes in, char ***ret)
{
	uint32_t n;

	if (take_count(&in, &n) < 0)
		return -EBADMSG;
	char **v = *ret = calloc(n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct bytes s;
		int r = take_sized(&in, &s);
		if (r >= 0)
			r = decode_str(s, &v[i]);
		if (r < 0)
			return r;
	}
	return in.left ? -EBADMSG : 0;
}

static int decode_bytes(struct bytes in, uint32_t unit, char **ret, size_t *ret_len)
{
	if (!in.left || in.left % unit)
		return -EBADMSG;
	*ret = malloc(in.left);
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, in.p, in.left);
	*ret_len = in.left;
	return 0;
}

static int decode_table(const struct table *t, struct bytes in, void *base, struct err *e);

static int decode_array(const struct field *f, struct bytes in, void *base, struct err *e)
{
	size_t *len = member(base, f->count_offset);
	uint32_t n;

	if (take_count(&in, &n) < 0)
		return -EBADMSG;
	char *array = calloc(n, f->sub->size);
	if (!array)
		return -ENOMEM;
	*(char **)member(base, f->offset) = array;
	*len = n;
	for (uint32_t i = 0; i < n; i++) {
		struct bytes one;
		int r = take_sized(&in, &one);
		if (r >= 0)
			r = decode_table(f->sub, one, array + i * f->sub->size, e);
		if (r < 0)
			return r;
	}
	return in.left ? -EBADMSG : 0;
}

static int decode_number(const struct field *f, struct bytes in, void *p)
{
	uint64_t v = 0;
	size_t size = f->type == T_BOOL ? 1 : f->type == T_64 ? 8 : 4;

	if (in.left != size)
		return -EBADMSG;
	memcpy(&v, in.p, size);
	v = le64toh(v);
	if ((f->type == T_BOOL && v > 1) || (f->type == T_ENUM && v > f->limit))
		return -EBADMSG;
	if (f->type == T_BOOL)
		*(bool *)p = v;
	else if (f->type == T_64)
		*(uint64_t *)p = v;
	else
		*(uint32_t *)p = (uint32_t)v;
	return 0;
}

static int decode_value(const struct field *f, struct bytes in, void *base, struct err *e)
{
	void *p = member(base, f->offset);

	switch (f->type) {
	case T_STR:
		return decode_str(in, p);
	case T_STRV:
		return decode_strv(in, p);
	case T_BYTES:
		return decode_bytes(in, f->limit, p, member(base, f->count_offset));
	case T_STRUCT:
		return decode_table(f->sub, in, p, e);
	case T_ARRAY:
		return decode_array(f, in, base, e);
	case T_BOOL:
	case T_32:
	case T_ENUM:
	case T_64:
		return decode_number(f, in, p);
	}
	return -EBADMSG;
}

/* Sets *e at the innermost record that is wrong. */
static int decode_table(const struct table *t, struct bytes in, void *base, struct err *e)
{
	size_t next = 0; /* tags ascend: nothing comes twice */

	while (in.left) {
		const char *p = take(&in, sizeof(uint16_t));
		struct bytes value;
		uint16_t tag;
		if (!p || take_sized(&in, &value) < 0)
			return err_set(e, EBADMSG, "%s: a field is cut short", t->name);
		memcpy(&tag, p, sizeof(tag));
		tag = le16toh(tag);
		while (next < t->len && t->fields[next].tag != tag)
			next++;
		if (next == t->len)
			return err_set(e, EBADMSG, "%s: field %u is unknown or out of order", t->name, tag);
		struct err inner = ERR_INIT;
		int r = decode_value(&t->fields[next++], value, base, &inner);
		if (r < 0 && inner.code && e)
			*e = inner;
		else if (r < 0)
			r = err_set(e, -r,
				r == -ENOMEM ? "%s: field %u: out of memory" : "%s: field %u has a bad value", t->name,
				tag);
		if (r < 0)
			return r;
	}
	return 0;
}

static int decode(const struct table *t, void *base, const void *p, size_t n, struct err *e)
{
	memset(base, 0, t->size);
	if (n > PLAN_MAX)
		return err_set(e, EBADMSG, "%s: %zu bytes are too many", t->name, n);
	return decode_table(t, (struct bytes){p, n}, base, e);
}

int plan_decode(struct plan *ret, const void *p, size_t n, struct err *e)
{
	return decode(&plan_table, ret, p, n, e);
}

int plan_process_decode(struct plan_process *ret, const void *p, size_t n, struct err *e)
{
	return decode(&process_table, ret, p, n, e);
}
