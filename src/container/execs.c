/* What runs in the container beside its workload: the execs of clients, and the probes of its health check. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "container/container-private.h"

enum { STARTING = -2 }; /* an exec's proc until its number is known */

struct exec {
	struct exec *next;
	int proc;
	bool probe;
	char id[65];
	char *command; /* "": none of the user's, but cp's or diff's (plan_process.files) */
};

static void exec_free(struct exec *x)
{
	free(x->command);
	free(x);
}

static struct exec *exec_new(const struct plan_process *p, bool probe)
{
	struct exec *x = calloc(1, sizeof(*x));
	_cleanup_buf_ struct buf command = {0};

	int r = buf_adds(&command, "");

	strv_foreach(s, p->argv)
		buf_addf(&command, "%s%s", command.len ? " " : "", s);
	if (!x || r < 0 || random_id(x->id) < 0) {
		free(x);
		return NULL;
	}
	x->proc = STARTING;
	x->probe = probe;
	x->command = steal_ptr(command.data);
	return x;
}

static struct exec **exec_find(struct container *c, int proc)
{
	struct exec **x = &c->execs;

	while (*x && (*x)->proc != proc && (*x)->proc != STARTING)
		x = &(*x)->next;
	return x;
}

/* "exec_create: sh -c ls" */
static void tell(struct container *c, const char *what, const struct exec *x)
{
	_cleanup_free_ char *action = *x->command ? str_fmt("%s: %s", what, x->command) : NULL;

	if (action)
		container_event(c, action, (const char *const[]){"execID", x->id, NULL});
}

static void drop(struct exec **x)
{
	struct exec *gone = *x;

	*x = gone->next;
	exec_free(gone);
}

int exec_begin(struct container *c, const struct plan_process *p, bool probe, struct err *e)
{
	/* work on files has no command, and is told of by who asked for it */
	struct exec *x = p->files_len ? NULL : exec_new(p, probe);

	if (p->files_len)
		return isolate_exec(c->isolate, p, e);
	if (!x)
		return err_nomem(e);
	x->next = c->execs;
	c->execs = x;
	tell(c, "exec_create", x);
	/* a backend may report the start before it returns, and then the first is the one that is starting */
	int r = isolate_exec(c->isolate, p, e);
	if (r < 0)
		drop(exec_find(c, STARTING));
	else if (c->execs == x && x->proc == STARTING)
		x->proc = r;
	return r;
}

void exec_started(struct container *c, int proc, struct isolate_io *io, const struct err *e)
{
	struct exec **x = exec_find(c, proc);
	bool probe = *x && (*x)->probe;

	if (*x && e) {
		drop(x);
	} else if (*x) {
		(*x)->proc = proc;
		tell(c, "exec_start", *x);
	}
	if (probe)
		health_started(c, proc, io, e);
	else
		requests_exec_started(c, proc, io, e);
}

void exec_ended(struct container *c, int proc, int status)
{
	struct exec **x = exec_find(c, proc);
	char code[12];

	if (*x && (*x)->probe)
		health_ended(c, proc, status);
	else
		requests_exited(c, proc, status);
	if (!*x)
		return;
	snprintf(code, sizeof(code), "%d", status);
	container_event(c, "exec_die", (const char *const[]){"execID", (*x)->id, "exitCode", code, NULL});
	drop(x);
}

void execs_free(struct container *c)
{
	while (c->execs)
		drop(&c->execs);
}
