/* The host processes that carry the container, how they are confined, and what the boundary is made of. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit-private.h"
#include "base/fd.h"

enum { STATUS_MAX = 64 * 1024, CMDLINE_MAX = 256 * 1024, CARRIERS_SHOWN = 50 };

/* What the kernel allows a process, of its least confined thread. */
struct rights {
	unsigned uid;      /* the lowest of all: real, effective, saved, file system */
	int seccomp;       /* 0 none, 1 strict, 2 filter: the least */
	bool no_new_privs; /* of all */
	uint64_t caps;     /* permitted, effective, inheritable, ambient: all together */
	uint64_t bounding;
	size_t threads;
};

/* The numbers behind "Key:\t" of status, at most n; how many there are. */
static size_t numbers(const char *status, const char *key, int base, uint64_t *ret, size_t n)
{
	const char *p = strstr(status, key);
	size_t got = 0;

	for (p = p ? p + strlen(key) : NULL; p && got < n && *p && *p != '\n'; got++) {
		char *end;
		ret[got] = strtoull(p, &end, base);
		if (end == p)
			break;
		p = end;
	}
	return got;
}

static bool add_thread(const char *status, struct rights *r)
{
	static const char *const caps[] = {"\nCapInh:", "\nCapPrm:", "\nCapEff:", "\nCapAmb:"};
	uint64_t uid[4], v;

	if (numbers(status, "\nUid:", 10, uid, 4) != 4 || !numbers(status, "\nSeccomp:", 10, &v, 1))
		return false;
	for (size_t i = 0; i < 4; i++)
		r->uid = uid[i] < r->uid ? (unsigned)uid[i] : r->uid;
	r->seccomp = (int)v < r->seccomp ? (int)v : r->seccomp;
	r->no_new_privs = r->no_new_privs && numbers(status, "\nNoNewPrivs:", 10, &v, 1) && v;
	for (size_t i = 0; i < 4; i++) {
		if (!numbers(status, caps[i], 16, &v, 1))
			return false;
		r->caps |= v;
	}
	if (!numbers(status, "\nCapBnd:", 16, &v, 1))
		return false;
	r->bounding |= v;
	r->threads++;
	return true;
}

/* false: it could not be read. */
static bool read_rights(const struct audit *a, const struct host_process *p, struct rights *ret)
{
	char path[32];
	struct rights r = {.uid = UINT32_MAX, .seccomp = 2, .no_new_privs = true};

	snprintf(path, sizeof(path), "%d/task", p->pid);
	_cleanup_closedir_ DIR *d = dir_open(a->snap.proc, path);
	struct dirent *en;

	if (!d)
		return false;
	while ((en = readdir(d))) {
		_cleanup_buf_ struct buf b = {0};
		char name[300];
		if (en->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/status", en->d_name);
		int err = file_read(dirfd(d), name, STATUS_MAX, &b);
		if (err == -ENOENT || err == -ESRCH)
			continue; /* the thread has ended */
		if (err < 0 || !b.data || !add_thread(b.data, &r))
			return false;
	}
	*ret = r;
	return r.threads;
}

/* Namespaces that are neither the host's nor its monitor's: " mnt pid"; how many. */
static size_t own_namespaces(const struct audit *a, const struct host_process *p, char ret[64])
{
	size_t n = 0, len = 0;

	*ret = 0;
	for (int i = 0; i < NS_COUNT; i++) {
		if (!p->ns[i] || ns_is_host(&a->snap, (enum ns)i, p->ns[i]) ||
			(a->monitor && a->monitor->ns[i] == p->ns[i]))
			continue;
		len += (size_t)snprintf(ret + len, 64 - len, " %s", ns_names[i]);
		n++;
	}
	return n;
}

/* ", 12.3MB of memory, 4MB of it its own share" */
static void read_memory(const struct audit *a, const struct host_process *p, char ret[64])
{
	_cleanup_close_ int dir = snapshot_dir(&a->snap, p->pid);
	_cleanup_buf_ struct buf b = {0};
	uint64_t rss, pss;
	char x[16], y[16];

	*ret = 0;
	if (dir >= 0 && file_read(dir, "smaps_rollup", STATUS_MAX, &b) == 0 && b.data &&
		numbers(b.data, "\nRss:", 10, &rss, 1) && numbers(b.data, "\nPss:", 10, &pss, 1))
		snprintf(ret, 64, ", resident %s, proportional %s", human_size((double)rss * 1024, x),
			human_size((double)pss * 1024, y));
}

static void note_carrier(struct audit *a, struct finding *f, const struct host_process *p, const char *role)
{
	static const char *const seccomp[] = {"no seccomp", "strict seccomp", "seccomp filter"};
	char spaces[64], memory[64];
	struct rights r;
	size_t own = own_namespaces(a, p, spaces);

	read_memory(a, p, memory);
	if (!read_rights(a, p, &r)) {
		finding_note(f, "pid %d (%s), %s: its status cannot be read", p->pid, p->comm, role);
		return;
	}
	finding_note(f,
		"pid %d (%s), %s: uid %u, %s, %scapabilities %llx (bounding %llx), own namespaces%s, %zu thread%s%s",
		p->pid, p->comm, role, r.uid, seccomp[r.seccomp > 2 || r.seccomp < 0 ? 2 : r.seccomp],
		r.no_new_privs ? "no new privileges, " : "", (unsigned long long)r.caps, (unsigned long long)r.bounding,
		own ? spaces : " none", r.threads, r.threads == 1 ? "" : "s", memory);
}

static void note_carriers(struct audit *a, struct finding *f)
{
	size_t shown = 0;

	if (a->monitor)
		note_carrier(a, f, a->monitor, "holds the container");
	if (a->vmm)
		note_carrier(a, f, a->vmm, "the virtual machine");
	for (size_t i = 0; i < a->shares_len; i++)
		note_carrier(a, f, a->shares[i], "shares directories with the virtual machine");
	for (const struct host_process *p = NULL; (p = member_next(a, p)) && shown < CARRIERS_SHOWN; shown++)
		note_carrier(a, f, p, "the container's own");
	if (a->members > CARRIERS_SHOWN)
		finding_note(f, "... and %zu more of the container's own", a->members - CARRIERS_SHOWN);
}

void measure_vmm(struct audit *a, struct finding *f)
{
	static const enum ns wanted[] = {NS_MNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP};
	struct rights r;
	char spaces[64];

	note_carriers(a, f);
	if (!a->vmm) {
		finding_value(f, "no virtual machine: %zu processes of its own", a->members);
		f->result = FINDING_FAILS;
		finding_because(f, "no process below its monitor is a virtual machine");
		return;
	}
	if (!read_rights(a, a->vmm, &r)) {
		finding_unknown(f, "the status of pid %d cannot be read", a->vmm->pid);
		return;
	}
	size_t own = own_namespaces(a, a->vmm, spaces);
	finding_value(f, "%s: uid %u, %s, %s capabilities, %zu namespaces of its own", a->vmm->comm, r.uid,
		r.seccomp == 2 ? "seccomp filter" : "no seccomp filter", r.caps ? "has" : "no", own);
	if (!r.uid)
		finding_because(f, "it runs as root");
	if (r.seccomp != 2)
		finding_because(f, "it has no seccomp filter");
	if (r.caps)
		finding_because(f, "it has capabilities");
	if (!r.no_new_privs)
		finding_because(f, "it may gain privileges");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (!strstr(spaces, ns_names[wanted[i]]))
			finding_because(f, "its %s namespace is not its own", ns_names[wanted[i]]);
	f->result = finding_reasoned(f) ? FINDING_FAILS : FINDING_HOLDS;
}

/* ---- acceleration ---- */

/* What its command line asks for: behind -accel, or in -machine; "" if nothing. */
static void asked_accel(const char *cmdline, size_t n, char ret[64])
{
	*ret = 0;
	for (const char *p = cmdline, *end = cmdline + n; p < end; p += strlen(p) + 1) {
		const char *accel = strstr(p, "accel=");
		if (!strcmp(p, "-enable-kvm"))
			snprintf(ret, 64, "kvm");
		else if (!strcmp(p, "-accel") && p + strlen(p) + 1 < end)
			snprintf(ret, 64, "%.*s", (int)strcspn(p + strlen(p) + 1, ","), p + strlen(p) + 1);
		else if (accel && !*ret)
			snprintf(ret, 64, "%.*s", (int)strcspn(accel + 6, ","), accel + 6);
	}
}

/* Its open descriptors of KVM: of the device, of a machine, of processors. */
static void count_kvm(
	const struct audit *a, const struct host_process *p, size_t *device, size_t *machines, size_t *cpus)
{
	char path[32], link[128];

	snprintf(path, sizeof(path), "%d/fd", p->pid);
	_cleanup_closedir_ DIR *d = dir_open(a->snap.proc, path);
	struct dirent *en;

	*device = *machines = *cpus = 0;
	if (!d)
		return;
	while ((en = readdir(d))) {
		if (!link_read(dirfd(d), en->d_name, link, sizeof(link)))
			continue;
		*device += !strcmp(link, "/dev/kvm");
		*machines += !strcmp(link, "anon_inode:kvm-vm");
		*cpus += str_starts(link, "anon_inode:kvm-vcpu");
	}
}

void measure_boundary(struct audit *a, struct finding *f)
{
	_cleanup_buf_ struct buf cmdline = {0};
	char asked[64];
	size_t device, machines, cpus;

	if (!a->vmm) {
		finding_value(f, "the host's kernel");
		finding_note(f, "no process below its monitor is a virtual machine");
		f->result = FINDING_FAILS;
		finding_because(f, "there is no virtual machine: the boundary is the host's kernel");
		return;
	}
	_cleanup_close_ int dir = snapshot_dir(&a->snap, a->vmm->pid);
	if (dir < 0 || file_read(dir, "cmdline", CMDLINE_MAX, &cmdline) < 0 || !cmdline.len) {
		finding_unknown(f, "the command line of pid %d cannot be read", a->vmm->pid);
		return;
	}
	asked_accel(cmdline.data, cmdline.len, asked);
	count_kvm(a, a->vmm, &device, &machines, &cpus);
	finding_note(f, "pid %d (%s) was started with acceleration '%s'", a->vmm->pid, a->vmm->comm, asked);
	finding_note(f, "it has open: /dev/kvm %zu times, %zu virtual machines of KVM's with %zu processors", device,
		machines, cpus);
	if (!strcmp(asked, "kvm") && machines && cpus) {
		finding_value(f, "KVM: the processor's");
		f->result = FINDING_HOLDS;
		return;
	}
	f->result = FINDING_FAILS;
	if (!machines || !cpus) {
		finding_value(f, "emulation (%s), not the processor", *asked ? asked : "QEMU's default");
		finding_because(f, "the guest is emulated, for which QEMU's authors give no security promise");
	} else {
		finding_value(f, "KVM is open, but '%s' was asked for", asked);
		finding_because(f, "what runs the guest's processors cannot be told");
	}
}
