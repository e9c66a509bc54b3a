/* An event loop over epoll(7). Removed sources are kept until the round of events that may still name them is over. */
#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct source {
	struct loop *loop;
	struct source *next, **at; /* in a list of the loop's */
	int fd;                    /* -1: a timer */
	uint64_t due;
	loop_fd_fn *fd_fn;
	loop_timer_fn *timer_fn;
	void *data;
	bool dead;
};

struct loop {
	int epoll;
	bool stop;
	struct source *fds, *timers;
	struct source *removed;
};

static void link_to(struct source **list, struct source *s)
{
	s->at = list;
	s->next = *list;
	if (s->next)
		s->next->at = &s->next;
	*list = s;
}

static void unlink_source(struct source *s)
{
	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
}

static void retire(struct source *s)
{
	s->dead = true;
	unlink_source(s);
	link_to(&s->loop->removed, s);
}

int loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return -errno;
	}
	*ret = l;
	return 0;
}

static void free_list(struct source *s)
{
	while (s) {
		struct source *next = s->next;
		free(s);
		s = next;
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	free_list(l->fds);
	free_list(l->timers);
	free_list(l->removed);
	close(l->epoll);
	free(l);
}

static struct source *add(struct loop *l, struct source init)
{
	struct source *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	*s = init;
	s->loop = l;
	link_to(s->fd >= 0 ? &l->fds : &l->timers, s);
	return s;
}

struct source *loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *data)
{
	struct source *s = add(l, (struct source){.fd = fd, .fd_fn = fn, .data = data});
	struct epoll_event ev = {.events = events, .data.ptr = s};

	if (!s)
		return NULL;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		unlink_source(s);
		free(s);
		return NULL;
	}
	return s;
}

int source_events(struct source *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	return epoll_ctl(s->loop->epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

struct source *loop_add_timer(struct loop *l, uint64_t ms, loop_timer_fn *fn, void *data)
{
	return add(l, (struct source){.fd = -1, .due = clock_mono_ms() + ms, .timer_fn = fn, .data = data});
}

void source_remove(struct source **s)
{
	if (!*s)
		return;
	if ((*s)->fd >= 0)
		epoll_ctl((*s)->loop->epoll, EPOLL_CTL_DEL, (*s)->fd, NULL);
	retire(*s);
	*s = NULL;
}

static int next_timeout(const struct loop *l, int timeout_ms)
{
	uint64_t now = clock_mono_ms();

	for (const struct source *s = l->timers; s; s = s->next) {
		uint64_t left = s->due > now ? s->due - now : 0;
		if (timeout_ms < 0 || left < (uint64_t)timeout_ms)
			timeout_ms = (int)left;
	}
	return timeout_ms;
}

/* Those that are due now; a callback may add and remove any of them. */
static void run_timers(struct loop *l)
{
	uint64_t now = clock_mono_ms();
	struct source *due = NULL;

	for (struct source *s = l->timers, *next; s; s = next) {
		next = s->next;
		if (s->due > now)
			continue;
		unlink_source(s);
		link_to(&due, s);
	}
	while (due) {
		struct source *s = due;
		retire(s);
		s->timer_fn(s->data);
	}
}

int loop_once(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[16];
	int n;

	free_list(steal_ptr(l->removed));
	n = epoll_wait(l->epoll, ev, 16, next_timeout(l, timeout_ms));
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct source *s = ev[i].data.ptr;
		if (!s->dead)
			s->fd_fn(s->data, s->fd, ev[i].events);
	}
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop) {
		int r = loop_once(l, -1);
		if (r < 0)
			return r;
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
