/*
 * A second thread of the first process which has the seccomp filter of most containers already, and the keyring of its own that goes before it.
 *
 * The kernel runs a new filter once for every system call there is, which takes long where the processor is emulated; and a process that has docker's filter
 * can mount nothing. So one thread makes the root, without a filter, and the other executes the workload: execve(2) ends the first and gives its
 * id to the second. The two never run at the same time, as they share all of the C library's state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sandbox/launch.h"

struct filtered {
	const void *filter;
	size_t len;
	uint32_t turn; /* a futex: whose */
	const struct launch *launch;
	struct err *error;
};

/* Makes the thread, which then waits; without a filter (len 0) there is none. The filter is borrowed. */
int filtered_make(struct filtered *f, const void *filter, size_t len, struct err *e);
/* Whether it is the one that this process is to have. */
bool filtered_fits(const struct filtered *f, const struct plan_process *p);
/* The thread launches, and reports what stops it. */
_Noreturn void filtered_launch(struct filtered *f, const struct launch *l, struct err *e);
