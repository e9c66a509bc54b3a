/* Whose kernel it is, and what of the container's processes and sessions is in the host's /proc. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "audit/audit-private.h"
#include "base/proc.h"

void measure_kernel(struct audit *a, struct finding *f)
{
	const struct look *l = a->target->look;
	char boot_id[37] = "";
	struct utsname u;

	uname(&u);
	proc_boot_id(boot_id);
	finding_note(f, "host: kernel %s, boot id %s", u.release, boot_id);
	if (!l) {
		finding_unknown(f, "the container's kernel did not answer: %s", a->target->look_error);
		return;
	}
	bool own = strcmp(l->boot_id, boot_id) != 0;
	finding_note(f, "inside: kernel %s, boot id %s", l->kernel, l->boot_id);
	finding_value(f, "%s %s", l->kernel, own ? "(its own)" : "(the host's)");
	f->result = own ? FINDING_HOLDS : FINDING_FAILS;
	if (!own)
		finding_because(f, "the boot id inside is the host's");
}

static void describe_ways(unsigned how, char ret[96])
{
	static const struct {
		unsigned bit;
		const char *text;
	} ways[] = {{BY_CGROUP, "its cgroup"}, {BY_NAMESPACE, "its namespaces"}, {BY_MONITOR, "its monitor's children"},
		{BY_DIGEST, "its command line and environment"}};
	size_t n = 0;

	*ret = 0;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (how & ways[i].bit)
			n += (size_t)snprintf(ret + n, 96 - n, "%s%s", n ? ", " : "", ways[i].text);
}

static void set_count(const struct audit *a, struct finding *f, size_t found, size_t total, const char *what)
{
	if (a->target->look)
		finding_value(f, "%zu found, of %zu inside", found, total);
	else
		finding_value(f, "%zu found", found);
	if (found) {
		f->result = FINDING_FAILS;
		finding_because(f, "its %s are in the host's /proc", what);
	} else if (!a->target->look) {
		/* without the list of what is inside one of the ways is missing */
		finding_unknown(f, "none was found, but the container's kernel did not tell what there is: %s",
			a->target->look_error);
	} else {
		f->result = FINDING_HOLDS;
	}
}

void measure_processes(struct audit *a, struct finding *f)
{
	char how[96];

	for (const struct host_process *p = NULL; (p = member_next(a, p));) {
		describe_ways(member_how(a, p), how);
		finding_note(f, "pid %d (%s): found by %s", p->pid, p->comm, how);
	}
	finding_note(f,
		"looked at %zu processes of the host: cgroups, namespaces, parents, command lines with environments",
		a->snap.len);
	set_count(a, f, a->members, a->target->look ? a->target->look->processes_total : 0, "processes");
}

static size_t sessions_inside(const struct look *l)
{
	size_t n = 0;

	for (uint32_t i = 0; i < l->processes_len; i++) {
		uint32_t k = 0;
		while (k < i && l->processes[k].session != l->processes[i].session)
			k++;
		n += k == i;
	}
	return n;
}

static bool session_seen(const struct audit *a, const struct host_process *until)
{
	for (const struct host_process *p = NULL; (p = member_next(a, p)) && p != until;)
		if (p->session == until->session)
			return true;
	return false;
}

void measure_sessions(struct audit *a, struct finding *f)
{
	size_t found = 0;

	for (const struct host_process *p = NULL; (p = member_next(a, p));) {
		if (session_seen(a, p))
			continue;
		_cleanup_buf_ struct buf pids = {0};
		for (const struct host_process *q = p; q; q = member_next(a, q))
			if (q->session == p->session)
				buf_addf(&pids, " %d", q->pid);
		finding_note(f, "session %d: pids%s", p->session, pids.data ? pids.data : "");
		found++;
	}
	set_count(a, f, found, a->target->look ? sessions_inside(a->target->look) : 0, "sessions");
}
