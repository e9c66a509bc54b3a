/* The table that a backend fills, every slot. Private to src/isolation. Shapes and meanings: isolation.h. */
#pragma once

#include "isolation/isolation.h"
#include "proto/agent.h"

/* What isolation.c keeps for every isolate; backends embed nothing but hang their own state on `backend`. */
struct isolate {
	const struct isolation_ops *ops;
	const struct isolation_host *host;
	const struct plan *plan;
	int container_dir;
	struct loop *loop;
	struct isolate_events events;
	void *events_data;
	void *backend;
	bool running; /* started was reported without an error and MAIN has not exited */
	int last_proc;
	uint64_t procs[(AGENT_PROC_MAX + 64) / 64]; /* a bit for each number that is taken */
};

struct isolation_ops {
	const char *name;
	int (*probe)(const struct isolation_host *h, struct err *e);
	int (*check)(const struct isolation_host *h, const struct plan *p, struct err *e);
	int (*start)(struct isolate *i,
		struct err *e); /* sets i->backend, also when it fails, if `destroy` has to free it */
	int (*exec)(struct isolate *i, int proc, const struct plan_process *process, struct err *e);
	int (*signal)(struct isolate *i, int proc, int sig, struct err *e);
	int (*resize)(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e);
	int (*kill)(struct isolate *i, struct err *e);
	int (*pause)(struct isolate *i, bool on, struct err *e);
	int (*update)(struct isolate *i, const struct plan *p, isolate_done_fn *fn, void *data, struct err *e);
	int (*stats)(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e);
	int (*ps)(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e);
	int (*connect)(
		struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);
	int (*disconnect)(
		struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);
	int (*look)(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e);
	pid_t (*pid)(const struct isolate *i);
	const char *(*accel)(const struct isolate *i);
	void (*destroy)(struct isolate *i); /* i->backend may be NULL */
	int (*sweep)(const struct isolation_host *h, const char *id, const char *cgroup_parent, int container_dir);
};

extern const struct isolation_ops isolation_process_ops;
extern const struct isolation_ops isolation_hyperv_ops;

/* A number for one more process; free again when its end is reported, or that it could not be started. What was given back last comes last. */
int isolate_take_number(struct isolate *i, struct err *e);
void isolate_free_number(struct isolate *i, int proc);

/* What a backend calls, so that `running` and the numbers are kept in one place. */
void isolate_report_exec_started(struct isolate *i, int proc, struct isolate_io *io, const struct err *e);
void isolate_report_started(struct isolate *i, struct isolate_io *io, const struct err *e);
void isolate_report_exited(struct isolate *i, int proc, const struct isolate_exit *x);
void isolate_report_phase(struct isolate *i, enum timing_phase phase);
void isolate_report_notice(struct isolate *i, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
