/* Isolation: picks the backend, checks the state once, passes on. */
#include "isolation/isolation.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "isolation/isolation-ops.h"

static const struct isolation_ops *const backends[] = {
	[ISOLATION_PROCESS] = &isolation_process_ops,
	[ISOLATION_HYPERV] = &isolation_hyperv_ops,
};

int isolation_parse(const char *s, enum isolation_kind *ret, struct err *e)
{
	static const struct {
		const char *name;
		enum isolation_kind kind;
	} names[] = {
		{"default", ISOLATION_DEFAULT},
		{"process", ISOLATION_PROCESS},
		{"hyperv", ISOLATION_HYPERV},
		{"vm", ISOLATION_HYPERV},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcasecmp(s, names[i].name)) {
			*ret = names[i].kind;
			return 0;
		}
	}
	return err_set(e, EINVAL, "invalid isolation (%s): use 'default', 'process' or 'hyperv'", s);
}

const char *isolation_name(enum isolation_kind k)
{
	return k == ISOLATION_DEFAULT ? "default" : backends[k]->name;
}

int isolation_probe(enum isolation_kind k, const struct isolation_host *h, struct err *e)
{
	return backends[k]->probe(h, e);
}

int isolation_check(enum isolation_kind k, const struct isolation_host *h, const struct plan *p, struct err *e)
{
	return backends[k]->check(h, p, e);
}

int isolate_new(enum isolation_kind k, const struct isolation_host *h, const struct plan *p, int container_dir,
	struct loop *l, const struct isolate_events *ev, void *data, struct isolate **ret, struct err *e)
{
	struct isolate *i = calloc(1, sizeof(*i));

	if (!i)
		return err_nomem(e);
	*i = (struct isolate){
		.ops = backends[k],
		.host = h,
		.plan = p,
		.container_dir = container_dir,
		.loop = l,
		.events = *ev,
		.events_data = data,
		.last_proc = ISOLATE_MAIN,
	};
	*ret = i;
	return 0;
}

int isolate_start(struct isolate *i, struct err *e)
{
	if (i->backend)
		return err_set(e, EALREADY, "container %s is started already", i->plan->name);
	return i->ops->start(i, e);
}

static int check_running(const struct isolate *i, struct err *e)
{
	return i->running ? 0 : err_set(e, ESRCH, "container %s is not running", i->plan->name);
}

int isolate_take_number(struct isolate *i, struct err *e)
{
	for (int tries = 0; tries < AGENT_PROC_MAX; tries++) {
		i->last_proc = i->last_proc % AGENT_PROC_MAX + 1;
		uint64_t *word = &i->procs[i->last_proc / 64], bit = 1ULL << (i->last_proc % 64);
		if (!(*word & bit)) {
			*word |= bit;
			return i->last_proc;
		}
	}
	return err_set(
		e, EAGAIN, "container %s has %d processes beside its own already", i->plan->name, AGENT_PROC_MAX);
}

void isolate_free_number(struct isolate *i, int proc)
{
	i->procs[proc / 64] &= ~(1ULL << (proc % 64));
}

int isolate_exec(struct isolate *i, const struct plan_process *process, struct err *e)
{
	int r = check_running(i, e);

	if (r < 0)
		return r;
	int proc = isolate_take_number(i, e);
	if (proc < 0)
		return proc;
	r = i->ops->exec(i, proc, process, e);
	if (r < 0)
		isolate_free_number(i, proc);
	return r < 0 ? r : proc;
}

int isolate_signal(struct isolate *i, int proc, int sig, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->signal(i, proc, sig, e);
}

int isolate_resize(struct isolate *i, int proc, unsigned rows, unsigned cols, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->resize(i, proc, rows, cols, e);
}

int isolate_kill(struct isolate *i, struct err *e)
{
	return i->backend ? i->ops->kill(i, e) : 0;
}

int isolate_pause(struct isolate *i, bool on, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->pause(i, on, e);
}

int isolate_update(struct isolate *i, const struct plan *p, isolate_done_fn *fn, void *data, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->update(i, p, fn, data, e);
}

int isolate_stats(struct isolate *i, isolate_stats_fn *fn, void *data, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->stats(i, fn, data, e);
}

int isolate_ps(struct isolate *i, isolate_ps_fn *fn, void *data, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->ps(i, fn, data, e);
}

int isolate_connect(struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->connect(i, f, fn, data, e);
}

int isolate_disconnect(
	struct isolate *i, const struct plan_interface *f, isolate_done_fn *fn, void *data, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->disconnect(i, f, fn, data, e);
}

int isolate_look(struct isolate *i, isolate_look_fn *fn, void *data, struct err *e)
{
	int r = check_running(i, e);

	return r < 0 ? r : i->ops->look(i, fn, data, e);
}

pid_t isolate_pid(const struct isolate *i)
{
	return i->backend ? i->ops->pid(i) : 0;
}

const char *isolate_accel(const struct isolate *i)
{
	return i->backend ? i->ops->accel(i) : "";
}

void isolate_free(struct isolate *i)
{
	if (!i)
		return;
	i->ops->destroy(i);
	free(i);
}

int isolation_sweep(enum isolation_kind k, const struct isolation_host *h, const char *id, const char *cgroup_parent,
	int container_dir)
{
	return backends[k]->sweep(h, id, cgroup_parent, container_dir);
}

void isolate_report_started(struct isolate *i, struct isolate_io *io, const struct err *e)
{
	i->running = !e;
	i->events.started(i->events_data, io, e);
}

void isolate_report_exec_started(struct isolate *i, int proc, struct isolate_io *io, const struct err *e)
{
	if (e)
		isolate_free_number(i, proc);
	i->events.exec_started(i->events_data, proc, io, e);
}

void isolate_report_exited(struct isolate *i, int proc, const struct isolate_exit *x)
{
	if (proc == ISOLATE_MAIN)
		i->running = false;
	else
		isolate_free_number(i, proc);
	i->events.exited(i->events_data, proc, x);
}

void isolate_report_phase(struct isolate *i, enum timing_phase phase)
{
	if (i->events.phase)
		i->events.phase(i->events_data, phase);
}

void isolate_report_notice(struct isolate *i, const char *fmt, ...)
{
	va_list ap;
	char text[512];

	if (!i->events.notice)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	i->events.notice(i->events_data, text);
}
