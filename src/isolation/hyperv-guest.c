/* The plan as the guest sees it, and what a VM cannot do of a plan. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "isolation/hyperv-private.h"
#include "proto/agent.h"
#include "sandbox/namespace.h"

/* A string that guest_plan_done frees. */
static char *own(struct guest_plan *g, const char *s)
{
	return strv_push(&g->own, s) < 0 ? NULL : g->own[strv_len(g->own) - 1];
}

static int guest_mounts(const struct plan *p, struct guest_plan *g)
{
	struct plan_mount *m = calloc(p->mounts_len ? p->mounts_len : 1, sizeof(*m));
	unsigned share = 0;

	if (!m)
		return -ENOMEM;
	g->plan.mounts = m;
	for (size_t i = 0; i < p->mounts_len; i++) {
		char path[64];

		m[i] = p->mounts[i];
		if (m[i].type != PLAN_MOUNT_BIND)
			continue;
		snprintf(path, sizeof(path), AGENT_SHARE "/%u", share++);
		m[i].source = own(g, path);
		m[i].propagation = NULL;
		m[i].share = NULL;
		if (!m[i].source)
			return -ENOMEM;
	}
	return 0;
}

int guest_plan_make(const struct plan *p, unsigned cpus, struct guest_plan *ret, struct err *e)
{
	unsigned pinned = cpuset_count(p->cpuset_cpus);
	struct guest_plan *g = ret;
	static char image[] = AGENT_IMAGE;

	*g = (struct guest_plan){.plan = *p};
	g->plan.mounts = NULL;
	g->plan.lower = calloc(2, sizeof(char *));
	g->plan.own_kernel = true;
	g->plan.netns = g->plan.pidns = g->plan.ipcns = g->plan.shmns = g->plan.kernel = NULL;
	g->plan.image_erofs = g->plan.disk = g->plan.cgroup_parent = NULL;
	g->plan.cpuset_cpus = g->plan.cpuset_mems = NULL;
	g->plan.blkio_weight = 0;
	if (pinned && pinned < cpus) {
		char list[32];
		snprintf(list, sizeof(list), "0-%u", pinned - 1);
		g->plan.cpuset_cpus = own(g, list);
		if (!g->plan.cpuset_cpus)
			return err_nomem(e);
	}
	g->plan.rootfs = NULL;
	g->plan.upper = own(g, AGENT_DISK "/upper");
	g->plan.work = own(g, AGENT_DISK "/work");
	if (!g->plan.lower || !g->plan.upper || !g->plan.work || guest_mounts(p, g) < 0)
		return err_nomem(e);
	g->plan.lower[0] = image;
	return 0;
}

void guest_plan_done(struct guest_plan *g)
{
	free(g->plan.lower);
	free(g->plan.mounts);
	strv_free(g->own);
	*g = (struct guest_plan){0};
}

static int check_mounts(const struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->mounts_len; i++) {
		const struct plan_mount *m = &p->mounts[i];
		struct stat st;

		if (m->type != PLAN_MOUNT_BIND)
			continue;
		if (m->propagation && *m->propagation && !strstr(m->propagation, "private"))
			return err_set(e, ENOTSUP,
				"mount %s: propagation %s is not possible with --isolation=hyperv: mounts of a virtual "
				"machine do not reach the host's kernel",
				m->target, m->propagation);
		if (stat(m->source, &st) < 0)
			continue; /* the engine says what is missing, and may yet make it */
		/* a socket or a pipe is a name that nobody answers: the engine warns of it */
		if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			return err_set(e, ENOTSUP,
				"mount %s: %s is a device, which is not possible with --isolation=hyperv: devices of "
				"the host belong to the host's kernel",
				m->target, m->source);
	}
	return 0;
}

int guest_plan_check(const struct plan *p, struct err *e)
{
	static const char *const io_options[] = {
		[PLAN_IO_READ_BPS] = "--device-read-bps",
		[PLAN_IO_WRITE_BPS] = "--device-write-bps",
		[PLAN_IO_READ_IOPS] = "--device-read-iops",
		[PLAN_IO_WRITE_IOPS] = "--device-write-iops",
		[PLAN_IO_WEIGHT] = "--blkio-weight-device",
	};
	const struct {
		bool set;
		const char *what, *why;
	} cannot[] = {
		{p->host_network, "--network=host", "the container has its own kernel, and so its own network"},
		{p->netns != NULL, "--network=container:", "the container has its own kernel, and so its own network"},
		{p->host_pid, "--pid=host", "the container has its own kernel, and so its own processes"},
		{p->pidns != NULL, "--pid=container:", "the container has its own kernel, and so its own processes"},
		{p->host_ipc, "--ipc=host", "the container has its own kernel"},
		{p->ipcns != NULL, "--ipc=container:", "the container has its own kernel"},
		{p->host_uts, "--uts=host", "the container has its own kernel, and so its own name"},
		{p->host_cgroupns, "--cgroupns=host",
			"the container has its own kernel, and so its own control groups"},
		{p->devices_len > 0, "--device", "devices of the host belong to the host's kernel"},
		{p->oom_kill_disable, "--oom-kill-disable",
			"the virtual machine would hang when its memory is used up"},
		{!str_empty(p->cgroup_parent), "--cgroup-parent",
			"its control group is that of the virtual machine's kernel"},
		{!str_empty(p->cpuset_mems), "--cpuset-mems", "a virtual machine's memory is on one node"},
		{p->io_len > 0, io_options[p->io_len ? p->io->kind : 0],
			"devices of the host belong to the host's kernel"},
		{p->rootfs != NULL, "a root directory", "only images can be the root of a virtual machine"},
	};

	for (size_t i = 0; i < sizeof(cannot) / sizeof(*cannot); i++)
		if (cannot[i].set)
			return err_set(e, ENOTSUP, "%s is not possible with --isolation=hyperv: %s", cannot[i].what,
				cannot[i].why);
	int r = namespace_check_sysctls(p, e);
	return r < 0 ? r : check_mounts(p, e);
}
