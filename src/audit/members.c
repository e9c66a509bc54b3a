/* Which processes of the host are the container's, by several ways that do not depend on each other, and which are its virtual machine's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit-private.h"
#include "base/fd.h"

/* What the monitor wrote down when it started them: "qemu PID START". */
#define VM_RECORD "vm.pids"

enum { RECORD_MAX = 4096 };

bool is_vm_process(const struct audit *a, const struct host_process *p)
{
	for (size_t i = 0; i < a->shares_len; i++)
		if (p == a->shares[i])
			return true;
	return p == a->vmm;
}

static void add_share(struct audit *a, const struct host_process *p)
{
	if (a->shares_len < VM_SHARES_MAX)
		a->shares[a->shares_len++] = p;
}

/* virtiofsd moves into namespaces of its own by way of a child that is the same program. */
static void add_children_of_shares(struct audit *a)
{
	for (size_t i = 0; i < a->shares_len; i++) {
		const struct host_process *parent = a->shares[i];
		for (size_t k = 0; k < a->snap.len; k++) {
			const struct host_process *p = &a->snap.v[k];
			if (p->ppid == parent->pid && p->exe && parent->exe && !strcmp(p->exe, parent->exe) &&
				!is_vm_process(a, p))
				add_share(a, p);
		}
	}
}

/* Only a child of the monitor's that started when the record says so. */
static void find_vm(struct audit *a)
{
	_cleanup_buf_ struct buf b = {0};
	_cleanup_free_ char *path = str_fmt("%s/" VM_RECORD, a->target->dir);
	char what[32];
	int pid;
	unsigned long long start;

	if (!path || file_read(AT_FDCWD, path, RECORD_MAX, &b) < 0 || !b.data)
		return;
	_cleanup_strv_ char **lines = strv_split(b.data, "\n");
	strv_foreach(line, lines) {
		if (sscanf(line, "%31s %d %llu", what, &pid, &start) != 3)
			continue;
		const struct host_process *p = snapshot_find(&a->snap, pid);
		if (!p || p->ppid != a->target->monitor || p->start != start)
			continue;
		if (!strcmp(what, "qemu"))
			a->vmm = p;
		else
			add_share(a, p);
	}
	add_children_of_shares(a);
}

/* The namespaces that are the container's alone: of its first process, or of its virtual machine. */
static bool shares_namespace(const struct audit *a, const struct host_process *p)
{
	const struct host_process *owners[] = {a->init, a->vmm};

	for (size_t i = 0; i < 2; i++) {
		for (int n = 0; owners[i] && n < NS_COUNT; n++) {
			uint64_t id = owners[i]->ns[n];
			if (id && id == p->ns[n] && !ns_is_host(&a->snap, (enum ns)n, id) &&
				(!a->monitor || id != a->monitor->ns[n]))
				return true;
		}
	}
	return false;
}

static bool same_digest(const struct audit *a, const struct host_process *p)
{
	const struct look *l = a->target->look;

	for (uint32_t i = 0; l && p->digest && i < l->processes_len; i++)
		if (l->processes[i].digest == p->digest)
			return true;
	return false;
}

const struct audit_other *other_of(const struct audit *a, const struct host_process *p)
{
	for (size_t i = 0; i < a->host->others_len; i++) {
		const struct audit_other *o = &a->host->others[i];
		if (strcmp(o->id, a->target->id) != 0 &&
			(p->pid == o->monitor || process_in_cgroup(p, o->id) ||
				snapshot_below(&a->snap, p, o->monitor)))
			return o;
	}
	return NULL;
}

static unsigned ways(const struct audit *a, const struct host_process *p)
{
	unsigned how = 0;

	if (p == a->monitor || is_vm_process(a, p))
		return 0;
	if (process_in_cgroup(p, a->target->id))
		how |= BY_CGROUP;
	if (shares_namespace(a, p))
		how |= BY_NAMESPACE;
	if (snapshot_below(&a->snap, p, a->target->monitor))
		how |= BY_MONITOR;
	/* two containers may run the same: what belongs to another one does not by its looks belong to this one too */
	if (same_digest(a, p) && (how || !other_of(a, p)))
		how |= BY_DIGEST;
	return how;
}

int members_find(struct audit *a)
{
	const struct host_process *pid = snapshot_find(&a->snap, a->target->pid);

	a->how = calloc(a->snap.len + 1, sizeof(*a->how));
	if (!a->how)
		return -ENOMEM;
	a->monitor = snapshot_find(&a->snap, a->target->monitor);
	find_vm(a);
	if (pid && pid->ppid == a->target->monitor && !is_vm_process(a, pid))
		a->init = pid;
	for (size_t i = 0; i < a->snap.len; i++) {
		a->how[i] = ways(a, &a->snap.v[i]);
		a->members += a->how[i] != 0;
	}
	return 0;
}

unsigned member_how(const struct audit *a, const struct host_process *p)
{
	return a->how[p - a->snap.v];
}

const struct host_process *member_next(const struct audit *a, const struct host_process *after)
{
	for (size_t i = after ? (size_t)(after - a->snap.v) + 1 : 0; i < a->snap.len; i++)
		if (a->how[i])
			return &a->snap.v[i];
	return NULL;
}

bool on_host_network(const struct audit *a)
{
	return a->init && a->init->ns[NS_NET] && ns_is_host(&a->snap, NS_NET, a->init->ns[NS_NET]);
}
