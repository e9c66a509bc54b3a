/*
 * Where the time of a start goes: a row of steps, each the phase that ended and when. A step began where the one before it ended, so that together they
 * are the whole. The clock is the monotonic one, which the processes of a host share: what one has noted, another may add to its own (proto/timing.h).
 * Who is not asked to note anything has NULL for a timing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Numbers are those of the wire. */
enum timing_phase {
	TIMING_RESOLVE,    /* options, configuration, image, networks */
	TIMING_PULL,       /* the image is fetched */
	TIMING_ROOTFS,     /* the image's layers, or its EROFS file, and (process) the upper directory */
	TIMING_DISK,       /* hyperv: the disk is made */
	TIMING_RECORD,     /* volumes, the rows in the database, the container's lock, the plan */
	TIMING_NETWORK,    /* addresses, rules, names; the interfaces' ends on the host */
	TIMING_MONITOR,    /* the process that holds the container is there */
	TIMING_MACHINE,    /* hyperv: what the VM is made of is found */
	TIMING_TEMPLATE,   /* hyperv: the template is opened, or built */
	TIMING_VMM_START,  /* hyperv: virtiofsd, QEMU until it answers */
	TIMING_RESTORE,    /* hyperv: the clone's devices are restored, and it runs */
	TIMING_BOOT,       /* hyperv, without a template: the guest's kernel, until the agent greets */
	TIMING_AGENT,      /* hyperv: clock, entropy, mounts and network in the guest */
	TIMING_SANDBOX,    /* process: control groups and namespaces */
	TIMING_EXEC,       /* until the workload is executed */
	TIMING_FIRST_BYTE, /* of the workload's output */
	TIMING_EXIT,       /* until the workload has ended, or the user has detached */
	TIMING_CLEAN_UP,   /* until the command ends */
	TIMING_PHASES,
};

/* Of a start that is tried again there are some twenty. */
enum { TIMING_STEPS_MAX = 32 };

struct timing {
	uint64_t began_ns;
	size_t len;
	struct timing_step {
		enum timing_phase phase;
		uint64_t end_ns;
	} steps[TIMING_STEPS_MAX];
};

/* The phase ends now. One that follows itself is one step; beyond the most there can be, the last one grows. */
void timing_end(struct timing *t, enum timing_phase phase);
/* The same, at another moment. One that comes before the last step's is taken for that. */
void timing_add(struct timing *t, enum timing_phase phase, uint64_t end_ns);
const char *timing_name(enum timing_phase phase);
