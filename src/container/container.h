/*
 * One container's life, held by one process (the monitor): starts it through isolation/, carries its stdio to the log and to attached clients, answers
 * requests on its socket, starts it again if its policy says so, and ends.
 *
 *            container_run
 *                 |                          +--> log file
 *   clients <--> requests --> container --> relay (one per process) <--> isolate
 *   (sockets)        ^                       |
 *                    +------- DATA ----------+
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/timing.h"
#include "container/health.h"
#include "container/log.h"
#include "isolation/isolation.h"
#include "plan/plan.h"

/* How the container ended. */
struct container_end {
	int status; /* 0..255, 128+n */
	bool oom;
	const char *error; /* why it could not be started or why its VM died; else "" */
	bool started;      /* false: it could not be started; err has the cause */
	bool by_hand;      /* somebody asked for the end */
	bool stopped;      /* by a request to stop or restart it */
	bool restart;      /* ... and for another start */
	uint64_t ran_ms;
	const struct err *err;
};

/* What the caller does at the turning points; each may block for some milliseconds. */
struct container_hooks {
	void (*running)(void *data, pid_t pid, const char *accel); /* some time after the start: make it durable */
	/*
	 * Record the end, remove if asked to; before clients are told. -1, or the delay in ms before it is started again; then again() prepares the
	 * next run, of which it may set the plan and the ports, or given_up() is told that it stays ended.
	 */
	int64_t (*ended)(void *data, const struct container_end *end);
	int (*again)(void *data, struct err *e);
	void (*given_up)(void *data);
	/* Something was done to it, in docker's words ("start", "kill", "exec_die"...); attributes: NULL, or key, value ... NULL. */
	void (*event)(void *data, const char *action, const char *const *attributes);
	void (*health)(
		void *data, const struct health_state *s, bool changed); /* the result of a probe, or the first state */
	/* As in isolate_events, with the `data` of these hooks. */
	int (*attach)(
		void *data, const struct plan_interface *f, pid_t pid, const char *parked, int *ret_tap, struct err *e);
	int (*detach)(void *data, const char *port, bool park, struct err *e);
	void *data;
};

/* The socket of a published port, and where it leads (proxy.h). */
struct container_port {
	int fd;    /* bound, and listening if it is TCP; owned */
	int proto; /* IPPROTO_TCP, IPPROTO_UDP */
	struct sockaddr_storage to;
};

struct container_run {
	struct log_options log;
	const struct plan *plan;
	enum isolation_kind kind;
	const struct isolation_host *host;
	int dir;                 /* the container's own directory */
	int run_dir;             /* its run directory, see state.h */
	int lock;                /* the held lock; owned, released once the end is recorded */
	int client;              /* a client that is attached before the start, or -1; owned */
	uint32_t client_streams; /* MONITOR_STDIN... */
	bool files_only; /* it stands for its files only, its process for none of its own: no state is written */
	bool stdin_once; /* stdin ends with the first client that had it */
	const struct health_check *health; /* NULL: none; may be set by hooks.running */
	const char *log_name;              /* of the log in `dir`; NULL: no log */
	struct timing *timing;             /* what `client` is told of; NULL: nothing */
	struct container_hooks hooks;
	/* Served from the start on, and closed before the end is recorded. */
	const struct container_port *ports;
	size_t ports_len;
};

/* Runs it to its end and returns when the last client has been served. *e is set only if nothing could be tried. */
int container_run(const struct container_run *run, struct err *e);
