/* A first process that waits for its plan, as sandbox.c uses it. */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

struct sandbox_spare {
	struct plan plan; /* the one it was prepared for */
	struct cgroup cgroup;
	const char *init_path; /* borrowed */
	pid_t pid;
	int pidfd, sock;
	bool given;  /* it has the container's plan */
	bool made;   /* its root is mounted for it */
	bool rooted; /* it stands in it already */
};

/* It goes on, once what the root is made of is there. */
int spare_go(struct sandbox_spare *s, const struct plan *p, struct err *e);
