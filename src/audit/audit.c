/* The statements in the order of the rows, and how they are measured one after the other. */
#include "audit/audit.h"

#include <errno.h>
#include <stdlib.h>

#include "audit/audit-private.h"

static const struct {
	const char *key, *title;
	measure_fn *measure;
} statements[] = {
	{"own-kernel", "Kernel inside", measure_kernel},
	{"no-host-processes", "Its processes in the host's /proc", measure_processes},
	{"no-host-sessions", "Its sessions in the host's /proc", measure_sessions},
	{"no-host-mounts", "Its mounts on the host's kernel", measure_mounts},
	{"no-host-files", "Its files reachable from the host", measure_files},
	{"confined-vmm", "Host processes that carry it", measure_vmm},
	{"hardware-boundary", "What the boundary is made of", measure_boundary},
	{"no-inbound-rules", "Firewall rules of its own", measure_inbound},
	{"closed-network", "Who can connect to its ports", measure_closed},
	{"ping", "Who can ping it", measure_ping},
	{"no-spoofing", "Sending as another", measure_spoofing},
	{"hidden-from-vm-managers", "Shown by the host's VM managers", measure_managers},
	{"no-shared-memory", "Memory shared with other containers", measure_memory},
	{"no-host-paths", "Host paths shared into it", measure_paths},
	{"no-host-devices", "Host devices given to it", measure_devices},
};

enum { STATEMENTS = sizeof(statements) / sizeof(*statements) };

/* The row about pings only tells what there is. */
const char *audit_key(size_t i)
{
	for (size_t k = 0; k < STATEMENTS; k++)
		if (statements[k].measure != measure_ping && i-- == 0)
			return statements[k].key;
	return NULL;
}

static void audit_done(struct audit *a)
{
	free(a->how);
	tables_done(&a->tables);
	reaching_free(a->reaching);
	snapshot_done(&a->snap);
}

int audit_measure(const struct audit_host *h, const struct audit_target *t, json_t **ret, struct err *e)
{
	_cleanup_(audit_done) struct audit a = {.host = h, .target = t, .snap = {.proc = -1}};
	json_t *rows = json_array();
	int r = snapshot_take(h->proc, &a.snap);

	if (r < 0) {
		json_decref(rows);
		return err_errno(e, r, "read %s", h->proc);
	}
	r = rows ? members_find(&a) : -ENOMEM;
	if (r == 0 && !a.monitor) {
		json_decref(rows);
		return err_set(e, ESRCH, "container %s is not running", t->name);
	}
	for (size_t i = 0; r == 0 && i < STATEMENTS; i++) {
		struct finding f = {0};
		statements[i].measure(&a, &f);
		json_t *row = finding_json(&f, statements[i].key, statements[i].title);
		if (!row || json_array_append_new(rows, row) < 0)
			r = -ENOMEM;
	}
	if (r < 0) {
		json_decref(rows);
		return err_nomem(e);
	}
	*ret = rows;
	return 0;
}
