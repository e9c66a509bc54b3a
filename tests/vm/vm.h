/* For tests that boot a utility VM through isolation/: a host with folders of its own, an image made from the static busybox, a run to its end. */
#pragma once

#include "base/loop.h"
#include "base/str.h"
#include "isolation/hyperv.h"
#include "isolation/isolation.h"

/* One container in a VM. Plan fields may be changed between vm_new and vm_begin. */
struct vm_run {
	struct plan plan;
	struct isolate *isolate;
	struct loop *loop;
	char dir[4096];
	int dir_fd;
	struct isolate_io io; /* of the workload; out and err are read into the buffers */
	struct buf out, err;
	const char *input; /* what is written to stdin, then it is closed */
	size_t input_len, input_done;
	bool stalled; /* do not read the output */
	bool started, ended;
	struct err start_error;
	struct isolate_exit exit;
	/* the last exec */
	struct isolate_io exec_io;
	struct buf exec_out;
	bool exec_started, exec_ended;
	struct err exec_error;
	struct isolate_exit exec_exit;
	struct source *sources[8];
};

extern struct isolation_host vm_host;

/* Skips the whole program (exit 77, with the reason) where no VM can be booted. */
void vm_setup(void);
void vm_teardown(void);
/* A container that runs `sh -c script`. */
struct vm_run *vm_new(const char *script);
void vm_begin(struct vm_run *r);
/* Runs the loop until *done or `seconds` are over; returns *done. */
bool vm_until(struct vm_run *r, const bool *done, unsigned seconds);
void vm_finish(struct vm_run *r);      /* isolate_free: what is left is ended */
void vm_start_again(struct vm_run *r); /* with the same disk */
void vm_free(struct vm_run *r);
void vm_exec(struct vm_run *r, const char *script);
void vm_set_argv(struct plan_process *p, const char *script);
