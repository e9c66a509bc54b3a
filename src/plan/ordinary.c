/* What every container has that asks for nothing special. */
#include "base/cleanup.h"
#include "plan/plan.h"

#include <errno.h>
#include <string.h>

/* As docker masks them. */
static const char *const masked_paths[] = {"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore",
	"/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
	"/sys/firmware", "/sys/devices/virtual/powercap", NULL};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};

int plan_hide(struct plan *p)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && masked_paths[i]; i++)
		r = strv_push(&p->masked, masked_paths[i]);
	for (size_t i = 0; r >= 0 && readonly_paths[i]; i++)
		r = strv_push(&p->readonly_paths, readonly_paths[i]);
	return r < 0 ? r : 0;
}

int plan_ordinary(struct plan *ret)
{
	*ret = (struct plan){.id = strdup("ordinary"), .name = strdup("ordinary"), .own_kernel = true};
	return ret->id && ret->name ? plan_hide(ret) : -ENOMEM;
}
