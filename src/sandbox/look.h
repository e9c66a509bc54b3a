/* What the kernel that carries a container out says of it: see plan/look.h. */
#pragma once

#include "plan/look.h"
#include "sandbox/sandbox.h"

/* *ret is the caller's (look_done). Processes are those of the container's cgroup and those of its PID namespace, wherever either was moved. */
int sandbox_look(const struct sandbox *s, struct look *ret, struct err *e);
