/*
 * The container's first process, from its creation to its exec, in two parts: what needs no more than to know which namespaces are its own, and what
 * follows from the plan. Between them a process may wait for its plan (spare.c).
 */
#pragma once

#include "base/err.h"
#include "sandbox/filtered.h"
#include "sandbox/launch.h"
#include "sandbox/setup.h"

int first_oom_score(const struct plan *p, struct err *e);
/* Until the caller says in one byte (*ret, may be NULL) that `what` is there; if it cannot make it, it kills this process. */
int first_wait(int sock, const char *what, char *ret, struct err *e);
int first_enter(struct setup *s, struct err *e);
/* Up to the exec of the plan's process, by `thread` (may be NULL) if that has the right filter. Returns only a failure. */
int first_finish(struct setup *s, struct launch *l, struct filtered *thread, struct err *e);
/* Ends with the report of a failure. sock is 3 once launch has closed the rest. */
_Noreturn void first_die(int sock, const struct err *e);
