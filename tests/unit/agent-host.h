/*
 * The host's side of the agent protocol for tests: runs the agent's service in a child over a socketpair,
 * with the machine's part (clock, mounts) replaced by a root directory that is ready. Checks on the way what
 * the protocol promises: order, credit, streams.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan/plan.h"
#include "proto/agent.h"
#include "proto/frame.h"

enum { HOST_PROCS = 4 };

struct channel {
	struct buf data;   /* what came, unless `drop` */
	uint64_t received; /* bytes that came */
	uint64_t granted;  /* output: bytes the agent may have sent by now; input: bytes we may have sent */
	uint64_t sent;
	bool hold; /* output: grant nothing more */
	bool drop;
	bool open, eof, closed;
};

struct host_process {
	bool started, failed, exited, oom;
	uint32_t status, pid;
	struct err error;
	struct channel stream[3];
};

struct host {
	int fd;
	pid_t service;
	bool ended; /* the agent has closed the port */
	bool hello;
	uint64_t pong;
	bool replied;
	uint32_t reply_request, reply_errno;
	struct buf reply; /* behind the two numbers */
	struct frame_reader in;
	struct host_process proc[HOST_PROCS];
};

/* Whether the service can be tested here; skips the test with a reason if not. */
void host_require(void);
/* Starts the service; the workload's root has a busybox at /bin/busybox, and its applets that the tests use.
 */
void host_open(struct host *h);
/* A plan with this shell command as its workload. plan_done. */
void host_plan(struct plan *p, const char *command);
void host_process(struct plan_process *p, const char *command);
void host_start(struct host *h, const struct plan *p);
void host_run(struct host *h, const char *command); /* plan and start, until it runs */
void host_exec(struct host *h, uint32_t proc, const char *command, bool tty);
void host_send(struct host *h, uint8_t type, uint16_t stream, const void *p, size_t n);
void host_send_u32s(struct host *h, uint8_t type, uint16_t stream, size_t n, const uint32_t *v);
#define HOST_SEND(h, type, ...) \
	host_send_u32s(h, type, 0, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__})
/* Sends stdin of a process as far as credit goes; bytes sent. */
size_t host_input(struct host *h, uint32_t proc, const void *p, size_t n);
void host_release(struct host *h, uint32_t proc, int n); /* ends `hold` of an output */
/* Takes what the agent says, waiting at most ms; false if nothing came. */
bool host_step(struct host *h, int ms);
#define HOST_UNTIL(h, condition)            \
	while (!(condition) && !(h)->ended) \
		host_step(h, 30000);        \
	assert_true(condition)
bool host_finished(const struct host *h, uint32_t proc); /* exited, and its outputs are at their end */
int host_close(struct host *h); /* SHUTDOWN; the service's exit status: 0 if it ended as it was told to */
int host_wait(struct host *h);  /* the service's exit status, without SHUTDOWN */
void host_root_remove(void);
