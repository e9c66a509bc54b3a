/*
 * The last steps of a new process inside the container: terminal, descriptors, limits, user, capabilities,
 * seccomp, exec. And how it tells the caller what became of it: messages on a socket that execve(2) closes.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "plan/plan.h"
#include "sandbox/sandbox.h"

/* REPORT_FD brings a descriptor: the master of a terminal, or a mount. */
enum report_kind { REPORT_ERROR = 1, REPORT_FD, REPORT_PID, REPORT_READY };
struct report {
	int32_t kind;
	int32_t pid;    /* REPORT_PID: in the caller's namespace */
	struct err err; /* REPORT_ERROR */
};
int report_socket(int sock[2], struct err *e);
int report_send(int sock, enum report_kind kind, pid_t pid, const struct err *e, int fd);
/* What the other side had to say until it closed. *ret_tty and *ret_pid (may be NULL) are set if told. Its
 * error, or 0. */
int report_wait(int sock, int *ret_tty, pid_t *ret_pid, struct err *e);

struct launch {
	const struct plan *plan;
	const struct plan_process *process;
	const struct sandbox_io *io;
	int tty; /* the slave, or -1 */
	int sock;
	bool init;     /* through the init program */
	bool filtered; /* the caller has the filter, and a keyring of its own */
};

/* In the new process, "/" being the container's root. Returns only what stopped it. */
int launch(const struct launch *l, struct err *e);

int launch_leave_keyring(struct err *e);
void launch_reset_signals(void);
/* A terminal of the devpts at pts (the container's /dev/pts): both ends. */
int launch_open_tty(int pts, const struct plan_process *p, int *ret_master, int *ret_slave, struct err *e);

/* The path that argv[0] stands for, as the calling user finds it; e->status says 126 or 127. */
int launch_find(const char *name, char *const *env, char *ret, size_t size, struct err *e);
