/* A look as bytes: see look.h. */
#include "proto/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_UP = 1, FLAG_LOOPBACK = 2 };

/* ---- encode ---- */

struct out {
	struct buf *b;
	int r;
};

static void put_u32(struct out *o, uint32_t v)
{
	o->r = o->r < 0 ? o->r : wire_add_u32(o->b, v);
}

static void put_u64(struct out *o, uint64_t v)
{
	o->r = o->r < 0 ? o->r : wire_add_u64(o->b, v);
}

static void put_bytes(struct out *o, const void *p, size_t n)
{
	o->r = o->r < 0 ? o->r : wire_add_bytes(o->b, p, n);
}

static void put_str(struct out *o, const char *s)
{
	put_bytes(o, s, strlen(s));
}

static void put_interface(struct out *o, const struct look_interface *i)
{
	put_str(o, i->name);
	put_bytes(o, i->mac, i->has_mac ? sizeof(i->mac) : 0);
	put_u32(o, (i->up ? FLAG_UP : 0) | (i->loopback ? FLAG_LOOPBACK : 0));
	put_u32(o, i->addresses_len);
	for (uint32_t k = 0; k < i->addresses_len; k++) {
		put_bytes(o, i->addresses[k].bytes, i->addresses[k].len);
		put_u32(o, i->addresses[k].prefix);
	}
}

int look_encode(const struct look *l, struct buf *b)
{
	struct out o = {.b = b};

	put_str(&o, l->kernel);
	put_str(&o, l->boot_id);
	put_u32(&o, l->mounts);
	put_u32(&o, l->processes_total);
	put_u32(&o, l->processes_len);
	for (uint32_t i = 0; i < l->processes_len; i++) {
		const struct look_process *p = &l->processes[i];
		put_u32(&o, p->pid);
		put_u32(&o, p->session);
		put_u64(&o, p->start);
		put_u64(&o, p->digest);
		put_str(&o, p->comm);
	}
	put_u32(&o, l->sockets_total);
	put_u32(&o, l->sockets_len);
	for (uint32_t i = 0; i < l->sockets_len; i++) {
		const struct look_socket *s = &l->sockets[i];
		put_u32(&o, s->udp);
		put_bytes(&o, s->address.bytes, s->address.len);
		put_u32(&o, s->port);
	}
	put_u32(&o, l->interfaces_len);
	for (uint32_t i = 0; i < l->interfaces_len; i++)
		put_interface(&o, &l->interfaces[i]);
	return o.r;
}

/* ---- decode: a value out of bounds makes the reader fail as a missing one does ---- */

static uint32_t take_u32(struct wire *w, uint32_t max)
{
	uint32_t v = wire_u32(w);

	if (v > max)
		w->bad = true;
	return w->bad ? 0 : v;
}

static void take_str(struct wire *w, char *ret, size_t size)
{
	size_t n;
	const char *p = wire_bytes(w, &n);

	if (!p || n >= size || memchr(p, 0, n)) {
		w->bad = true;
		return;
	}
	memcpy(ret, p, n);
	ret[n] = 0;
}

static void take_address(struct wire *w, struct look_address *ret)
{
	size_t n;
	const char *p = wire_bytes(w, &n);

	if (!p || (n != 4 && n != 16)) {
		w->bad = true;
		return;
	}
	ret->len = (uint8_t)n;
	memcpy(ret->bytes, p, n);
}

/* The number of elements, and memory for them; `least` bytes of the wire are left for each. */
static void *take_array(struct wire *w, uint32_t max, size_t least, size_t size, uint32_t *ret_len)
{
	uint32_t n = take_u32(w, max);

	if (w->bad || n > w->left / least) {
		w->bad = true;
		return NULL;
	}
	void *p = calloc(n ? n : 1, size);
	if (p)
		*ret_len = n;
	else
		w->bad = true;
	return p;
}

static void take_process(struct wire *w, struct look_process *ret)
{
	ret->pid = wire_u32(w);
	ret->session = wire_u32(w);
	ret->start = wire_u64(w);
	ret->digest = wire_u64(w);
	take_str(w, ret->comm, sizeof(ret->comm));
}

static void take_socket(struct wire *w, struct look_socket *ret)
{
	ret->udp = take_u32(w, 1);
	take_address(w, &ret->address);
	ret->port = (uint16_t)take_u32(w, UINT16_MAX);
}

static void take_interface(struct wire *w, struct look_interface *ret)
{
	size_t n;

	take_str(w, ret->name, sizeof(ret->name));
	const char *mac = wire_bytes(w, &n);
	uint32_t flags = take_u32(w, FLAG_UP | FLAG_LOOPBACK), count = take_u32(w, LOOK_ADDRESSES_MAX);
	if (w->bad || (n && n != sizeof(ret->mac))) {
		w->bad = true;
		return;
	}
	ret->has_mac = n;
	memcpy(ret->mac, mac, n);
	ret->up = flags & FLAG_UP;
	ret->loopback = flags & FLAG_LOOPBACK;
	for (uint32_t i = 0; i < count && !w->bad; i++) {
		struct look_address *a = &ret->addresses[i];
		take_address(w, a);
		a->prefix = (uint8_t)take_u32(w, a->len * 8);
	}
	ret->addresses_len = w->bad ? 0 : count;
}

static bool boot_id_valid(const char *s)
{
	return strlen(s) == 36 && strspn(s, "0123456789abcdef-") == 36;
}

int look_decode(struct look *ret, struct wire *w, struct err *e)
{
	*ret = (struct look){0};
	take_str(w, ret->kernel, sizeof(ret->kernel));
	take_str(w, ret->boot_id, sizeof(ret->boot_id));
	ret->mounts = wire_u32(w);
	ret->processes_total = wire_u32(w);
	ret->processes = take_array(w, LOOK_PROCESSES_MAX, 28, sizeof(*ret->processes), &ret->processes_len);
	for (uint32_t i = 0; i < ret->processes_len && !w->bad; i++)
		take_process(w, &ret->processes[i]);
	ret->sockets_total = wire_u32(w);
	ret->sockets = take_array(w, LOOK_SOCKETS_MAX, 16, sizeof(*ret->sockets), &ret->sockets_len);
	for (uint32_t i = 0; i < ret->sockets_len && !w->bad; i++)
		take_socket(w, &ret->sockets[i]);
	ret->interfaces = take_array(w, LOOK_INTERFACES_MAX, 16, sizeof(*ret->interfaces), &ret->interfaces_len);
	for (uint32_t i = 0; i < ret->interfaces_len && !w->bad; i++)
		take_interface(w, &ret->interfaces[i]);
	if (w->bad || w->left || !boot_id_valid(ret->boot_id) || ret->processes_total < ret->processes_len ||
		ret->sockets_total < ret->sockets_len)
		return err_set(e, EBADMSG, "what the container's kernel says of itself makes no sense");
	return 0;
}
