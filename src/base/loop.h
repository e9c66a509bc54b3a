/*
 * An event loop over epoll(7): descriptors, timers, nothing else. One thread.
 * A callback may add and remove any source, itself included; a removed source is not called again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct source;

typedef void loop_fd_fn(void *data, int fd, uint32_t events);
typedef void loop_timer_fn(void *data);

int loop_new(struct loop **ret);
void loop_free(struct loop *l); /* frees the remaining sources; closes none of their descriptors */
/* Calls fn when fd has `events` (EPOLLIN...; 0 is allowed: only errors and hang-ups). The descriptor stays the caller's. NULL: failure. */
struct source *loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *data);
int source_events(struct source *s, uint32_t events); /* changes what is waited for */
/* Calls fn once, in `ms` milliseconds, and frees the source. */
struct source *loop_add_timer(struct loop *l, uint64_t ms, loop_timer_fn *fn, void *data);
void source_remove(struct source **s);         /* *s may be NULL; becomes NULL */
int loop_run(struct loop *l);                  /* until loop_stop; 0 or -errno */
int loop_once(struct loop *l, int timeout_ms); /* one round of events */
void loop_stop(struct loop *l);
