/* The parts of src/container as they see each other. */
#pragma once

#include "base/loop.h"
#include "container/container.h"
#include "container/log.h"
#include "container/proxy.h"
#include "container/state.h"
#include "proto/frame.h"
#include "proto/monitor.h"

struct container;
struct relay;
struct exec;
struct health;

enum client_role {
	CLIENT_IDLE,      /* no request yet, or one that was answered */
	CLIENT_ASKER,     /* waits for an answer that the backend will give */
	CLIENT_STARTER,   /* waits for the start; its streams are attached already */
	CLIENT_STREAM,    /* attached to a relay */
	CLIENT_WAITER,    /* gets EXITED at the end */
	CLIENT_RESTARTER, /* waits for the next start */
	CLIENT_EXEC,      /* waits for its exec to start */
};

/* One connection. */
struct client {
	struct client *next;
	struct container *container;
	int fd;
	struct source *source;
	uint32_t events; /* what `source` waits for; 0: no source */
	struct frame_reader in;
	struct buf out;
	size_t sent; /* of out */
	enum client_role role;
	int proc; /* whose streams; -1: none */
	uint32_t streams;
	bool last;          /* close once `out` is sent */
	bool stdin_blocked; /* the process does not read, or does not run yet: do not read from the client */
	bool files;         /* its exec is at work on the container's files, for it alone */
	bool timed;         /* is told where the start's time went */
	bool dead;
};

struct container {
	struct exec *execs;
	struct health *health; /* NULL: not checked, or not yet */
	const struct container_run *run;
	struct loop *loop;
	struct isolate *isolate;
	struct log_writer *log;
	struct relay *relays;
	struct client *clients;
	struct proxy **proxies; /* of run->ports; NULL before the start and after the end */
	int listener;
	struct source *listen_source;
	struct source *stop_timer, *finish_timer, *running_timer;
	struct source *again_timer; /* it has ended, and is started again when this is due */
	uint64_t stop_due;          /* of stop_timer, on the monotonic clock in ms */
	struct state state;
	uint64_t started_ms; /* on the monotonic clock */
	bool by_hand;        /* somebody asked for the end */
	bool stopped;        /* a request to stop or restart it came */
	bool restart;        /* somebody asked for another start, which is not there yet */
	bool killed;         /* its workload was sent SIGKILL */
	bool ended;          /* the main process has ended */
	bool finished;       /* ... and that is recorded */
	struct isolate_exit exit;
	struct err start_error;
};

/* ---- client.c ---- */
struct client *client_new(struct container *c, int fd);
void client_send(struct client *k, uint8_t type, uint16_t stream, const void *p, size_t n);
void client_send_u32(struct client *k, uint8_t type, uint32_t v);
void client_send_err(struct client *k, const struct err *e);
void client_end(struct client *k);     /* closes once everything is sent */
void client_update(struct client *k);  /* waits for what is now of interest */
void client_unblock(struct client *k); /* its process takes input again */
size_t client_backlog(const struct client *k);
void client_drop(struct client *k); /* closes at once; freed by clients_sweep */
void clients_sweep(struct container *c);

/* ---- requests.c ---- */
int requests_listen(struct container *c, struct err *e);
void requests_unlisten(struct container *c);                  /* those who have connected already are still answered */
void request_handle(struct client *k, const struct frame *f); /* one frame of a client */
void requests_exec_started(struct container *c, int proc, struct isolate_io *io, const struct err *e);
void requests_exited(struct container *c, int proc, int status); /* tells those who wait for that process */

/* ---- execs.c ---- */
/* Starts a process in the container: its number, or -errno. probe: it is the health check's, else a client's. */
int exec_begin(struct container *c, const struct plan_process *p, bool probe, struct err *e);
void exec_started(struct container *c, int proc, struct isolate_io *io, const struct err *e);
void exec_ended(struct container *c, int proc, int status);
void execs_free(struct container *c);

/* ---- health.c ---- */
int health_begin(struct container *c);
void health_started(struct container *c, int proc, struct isolate_io *io, const struct err *e);
void health_ended(struct container *c, int proc, int status);
void health_end(struct container *c);

/* ---- stdio.c ---- */
enum { RELAY_BACKLOG_MAX = 256 * 1024 }; /* a client with more unsent output stops the process's output */
int relay_new(
	struct container *c, int proc, struct isolate_io *io, struct log_writer *log, bool close_stdin_with_client);
struct relay *relay_find(const struct container *c, int proc);
bool relay_input(struct relay *r, const void *p, size_t n); /* false: it is full, hold further input back */
void relay_input_end(struct relay *r);
void relay_abandon(struct container *c, int proc); /* both ways are closed: the process is of no use to anybody */
void relay_client_gone(struct container *c, const struct client *k);
void relay_resume(struct container *c, int proc); /* a client's backlog fell */
void relay_drain(struct relay *r);                /* the process has ended: take what is left, whoever stalls */
bool relay_open(const struct relay *r);           /* an output has not reached its end */
void relay_free(struct container *c, int proc);
void relays_free(struct container *c); /* all, with what is left of their output */

/* ---- ports.c ---- */
int ports_open(struct container *c);
/* They lead to these addresses of the container, "" for none, from now on. */
void ports_lead(struct container *c, const char *address4, const char *address6);
void ports_close(struct container *c); /* also those that were never opened */

/* ---- container.c ---- */
void container_relay_ended(struct container *c, int proc);
void container_event(struct container *c, const char *action, const char *const *attributes);
/* A signal was asked for. Whether it is done with that: it has ended, and was to be started again. */
bool container_signalled(struct container *c, int sig);
void container_restart(struct container *c, int sig, uint32_t seconds);
int container_pause(struct container *c, bool on, struct err *e);
void container_stop(struct container *c, int sig, uint32_t seconds);
void container_kill(struct container *c);
