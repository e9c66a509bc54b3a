/* The steps of a start, noted as they end. */
#include "base/timing.h"

#include "base/clock.h"

void timing_add(struct timing *t, enum timing_phase phase, uint64_t end_ns)
{
	struct timing_step *last = t->len ? &t->steps[t->len - 1] : NULL;

	if (last && end_ns < last->end_ns)
		end_ns = last->end_ns;
	if (last && (last->phase == phase || t->len == TIMING_STEPS_MAX))
		last->end_ns = end_ns;
	else
		t->steps[t->len++] = (struct timing_step){phase, end_ns};
}

void timing_end(struct timing *t, enum timing_phase phase)
{
	if (t)
		timing_add(t, phase, clock_mono_ns());
}

const char *timing_name(enum timing_phase phase)
{
	static const char *const names[TIMING_PHASES] = {
		[TIMING_RESOLVE] = "resolve",
		[TIMING_PULL] = "pull",
		[TIMING_ROOTFS] = "rootfs",
		[TIMING_DISK] = "disk",
		[TIMING_RECORD] = "record",
		[TIMING_NETWORK] = "network",
		[TIMING_MONITOR] = "monitor",
		[TIMING_MACHINE] = "machine",
		[TIMING_TEMPLATE] = "template",
		[TIMING_VMM_START] = "vmm start",
		[TIMING_RESTORE] = "restore",
		[TIMING_BOOT] = "boot",
		[TIMING_AGENT] = "agent",
		[TIMING_SANDBOX] = "sandbox",
		[TIMING_EXEC] = "exec",
		[TIMING_FIRST_BYTE] = "first byte",
		[TIMING_EXIT] = "exit",
		[TIMING_CLEAN_UP] = "clean-up",
	};

	return names[phase];
}
