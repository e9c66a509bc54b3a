/*
 * One container's VM as the files of the backend see it: hyperv.c (its life), hyperv-choose.c (what it is cloned from) and hyperv-verbs.c (what is asked of
 * it while it runs).
 */
#pragma once

#include "isolation/hyperv-template.h"
#include "proto/agent.h"

enum phase { PHASE_RESTORE, PHASE_BOOT, PHASE_START, PHASE_RUN, PHASE_END };

struct hyperv {
	struct isolate *isolate;
	enum phase phase;
	unsigned tries; /* of a boot */
	struct vm vm;
	struct vm_parts parts;
	struct cards cards;
	struct plug plug;
	struct kernel kernel;
	struct template_name template_name;
	struct template template;     /* what this VM is a clone of, if it is one */
	struct template_name missing; /* is built once the workload runs; no text: none */
	bool missing_image;           /* it is of the container's image */
	bool disk_due;                /* parts.config.scratch is still to be filled with the template's */
	bool committed;               /* the workload may have been executed */
	char *root;
	int uid_lock;
	struct source *tick;
	unsigned ticks;
	uint64_t began_ms;    /* of this boot */
	uint64_t ping_cpu_ms; /* QEMU's CPU time at the last PING */
	struct vm_rest rest;  /* while the agent starts the workload */
	bool paused, killed;
	bool awake,
		frozen; /* the VM goes on although it is paused, for work on its files; its kernel lets the container stand still */
	uint64_t works[(AGENT_PROC_MAX + 64) / 64]; /* a bit for each process that it goes on for */
	struct isolate_stats stats;                 /* the agent's last answer */
	bool pinned;                                /* to some of the host's CPUs */
	struct buf update;                          /* limits for the agent that came while it was paused */
	char reason[200];                           /* why we ended the VM; empty: we did not */
};

int hyperv_open_file(const char *path, int flags, const char *what, int *ret, struct err *e);

/* ---- hyperv-choose.c ---- */
/* Fills in what parts.config says of a clone; without a template it boots. */
void hyperv_choose_template(struct hyperv *h);
/* The workload runs: what was missing for it is built for others. */
void hyperv_build_missing(struct hyperv *h);

/* ---- hyperv-verbs.c: slots of the table ---- */
int hyperv_exec(struct isolate *i, int proc, const struct plan_process *process, struct err *e);
void hyperv_exec_ended(struct hyperv *h, int proc); /* or could not be started */
int hyperv_signal(struct isolate *i, int proc, int sig, struct err *e);
int hyperv_resize(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e);
int hyperv_pause(struct isolate *i, bool on, struct err *e);
int hyperv_stats(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e);
int hyperv_ps(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e);
int hyperv_look(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e);
int hyperv_update(struct isolate *i, const struct plan *p, isolate_done_fn *fn, void *data, struct err *e);
int hyperv_connect(struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);
int hyperv_disconnect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e);
pid_t hyperv_pid(const struct isolate *i);
const char *hyperv_accel(const struct isolate *i);
