/*
 * The monitor protocol: what commands say to the process that holds a container, over the unix socket "monitor.sock" in the container's run
 * directory (mode 0600), in frames as in frame.h. One connection, one request; the kernel's socket buffers are the flow control, so there is no credit here.
 * A request that only changes something is answered by MONITOR_OK or MONITOR_FAILED. Both ends are root's; the monitor still checks all lengths.
 */
#pragma once

#include <stdint.h>

#define MONITOR_SOCKET "monitor.sock"

enum monitor_op {
	/* requests */
	MONITOR_ATTACH =
		1, /* u32 MONITOR_STDIN|STDOUT|STDERR; answered OK, then streams of the workload until EXITED */
	MONITOR_EXEC =
		2, /* u32 flags as above | MONITOR_TTY, bytes plan_process; answered STARTED (u32 proc) or FAILED, then streams until EXITED */
	MONITOR_SIGNAL = 3,      /* u32 proc (0: the workload), u32 signal */
	MONITOR_RESIZE = 4,      /* u32 proc, u32 rows, u32 columns */
	MONITOR_WAIT = 5,        /* answered EXITED when the workload has ended and the container's record says so */
	MONITOR_STOP = 6,        /* u32 signal, u32 seconds before SIGKILL (UINT32_MAX: never); answered EXITED */
	MONITOR_PS = 7,          /* answered PS_LINES */
	MONITOR_STATS = 8,       /* answered STATS_LINE */
	MONITOR_PAUSE = 9,       /* u32 1 pause, 0 unpause */
	MONITOR_UPDATE = 10,     /* bytes plan, of which the limits count */
	MONITOR_KILL = 11,       /* the cgroup or the VM is killed at once; answered EXITED */
	MONITOR_CONNECT = 12,    /* bytes plan, of which the one interface counts */
	MONITOR_DISCONNECT = 13, /* the same */
	MONITOR_LOOK = 14,       /* answered LOOK_BYTES */
	MONITOR_PORTS =
		15, /* str, str: the IPv4 and IPv6 address ("": none) that published ports lead to from now on */
	MONITOR_RESTART = 16, /* as MONITOR_STOP, and then it is started again; answered when it runs */

	/* answers */
	MONITOR_OK = 32,
	MONITOR_FAILED = 33,   /* struct err as agent_err_encode writes it */
	MONITOR_STARTED = 34,  /* u32 proc: the process runs */
	MONITOR_EXITED = 35,   /* u32 status; the last frame of a connection */
	MONITOR_PS_LINES = 36, /* u32 count, str ... : isolate_ps's lines */
	MONITOR_STATS_LINE =
		37, /* u64 memory, limit, cpu ns, pids, host memory, host cpu ns, bytes used of the disk, received, sent, read, written */
	MONITOR_NOTICE = 38,     /* str: a line for the user's stderr */
	MONITOR_LOOK_BYTES = 39, /* what look_encode writes */
	MONITOR_TIMING =
		40, /* what timing_encode writes; before STARTED or FAILED, and before EXITED, to who started it with --timing */

	/* streams, both ways: 0 stdin, 1 stdout (or all of a terminal), 2 stderr */
	MONITOR_DATA = 64,
	MONITOR_EOF = 65,
};

enum { MONITOR_STDIN = 1, MONITOR_STDOUT = 2, MONITOR_STDERR = 4, MONITOR_TTY = 8 };
enum { MONITOR_DATA_MAX = 64 * 1024 };
