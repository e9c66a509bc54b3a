/* A first process that waits for its plan, as sandbox.c uses it. */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

struct sandbox_spare {
	struct plan plan; /* the one it was prepared for */
	struct cgroup cgroup;
	pid_t pid;
	int pidfd, sock;
};

/* Whether what was prepared is just what this plan wants. */
bool spare_fits(const struct sandbox_spare *s, const struct plan *p);
/* Hands it the plan and the ends of its stdio: it goes on to the workload. */
int spare_go(struct sandbox_spare *s, const struct plan *p, const struct sandbox_io *io, struct err *e);
