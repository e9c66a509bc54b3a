/*
 * What a VM gets when it runs: the share, and every network card but the first. A template has none of them (QEMU does not save a virtiofs device), so a
 * clone gets them by QMP before its plan is sent, and a VM that has booted in the same way.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "isolation/hyperv-private.h"

static void on_added(void *data, const struct err *e)
{
	struct plug *p = data;

	p->waiting--;
	if (p->failed)
		return;
	p->failed = e != NULL;
	if (e || !p->waiting)
		p->done(p->data, e);
}

static int add(struct plug *p, struct qmp *q, char *arguments)
{
	_cleanup_free_ char *owned = arguments;
	int r = owned ? qmp_run(q, "device_add", owned, -1, on_added, p) : -ENOMEM;

	p->waiting += r == 0;
	return r;
}

int plug_all(struct plug *p, struct qmp *q, const struct cards *c, bool share, qmp_fn *done, void *data)
{
	int r = 0;

	*p = (struct plug){.done = done, .data = data};
	if (share)
		r = add(p, q, vm_share_arguments());
	for (unsigned i = 1; r == 0 && i < c->len; i++)
		r = add(p, q, vm_card_arguments(i - 1, i, c->all[i].mac));
	if (r == 0 && !p->waiting)
		done(data, NULL);
	return r;
}
