/* The plan's arrays, one element at a time. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

static void *grow(void *array, size_t *len, size_t size, void **ret_array)
{
	char *p = reallocarray(array, *len + 1, size);

	if (!p)
		return NULL;
	*ret_array = p;
	return memset(p + (*len)++ * size, 0, size);
}

struct plan_mount *plan_add_mount(struct plan *p)
{
	void *array = p->mounts;
	struct plan_mount *m = grow(p->mounts, &p->mounts_len, sizeof(*m), &array);

	p->mounts = array;
	return m;
}

struct plan_device *plan_add_device(struct plan *p)
{
	void *array = p->devices;
	struct plan_device *d = grow(p->devices, &p->devices_len, sizeof(*d), &array);

	p->devices = array;
	return d;
}

struct plan_io *plan_add_io(struct plan *p)
{
	void *array = p->io;
	struct plan_io *io = grow(p->io, &p->io_len, sizeof(*io), &array);

	p->io = array;
	return io;
}

struct plan_interface *plan_add_interface(struct plan *p)
{
	void *array = p->interfaces;
	struct plan_interface *i = grow(p->interfaces, &p->interfaces_len, sizeof(*i), &array);

	p->interfaces = array;
	return i;
}
