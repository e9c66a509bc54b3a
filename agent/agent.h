/*
 * The agent: PID 1 of the utility VM. It answers one host over one virtio-serial port (proto/agent.h,
 * docs/protocol.md) and carries one plan out with the sandbox.
 *
 *   port.c      frames in, control and data frames out
 *   service.c   one function per opcode, the loop
 *   ahead.c     the root, the share and the network, by processes made ahead of a snapshot
 *   process.c   the workload and the execs: start, signal, size, end
 *   stdio.c     streams: the workload's pipes and terminals <-> DATA frames, by credit
 *   requests.c  questions that get a REPLY
 *   cards.c     network cards that come and go while the container runs
 *   machine.c   what START does to the guest before the workload, and SHUTDOWN after it
 *   boot.c      from the kernel's hand-over to an open port
 *
 * The host is trusted not to be hostile but still held to the protocol: what does not parse, or spends credit
 * it does not have, ends the service. The workload is hostile: nothing here waits for it and nothing grows
 * with what it does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "plan/plan.h"
#include "proto/agent.h"
#include "proto/frame.h"
#include "sandbox/network.h"
#include "sandbox/sandbox.h"

/* -- port.c -- */

struct queue {
	struct buf b;
	size_t sent; /* bytes of b that are written */
};

struct port {
	int fd;
	struct source *source;
	bool want_out; /* the source waits for room */
	struct frame_reader in;
	struct queue control, data;
	struct queue *writing; /* the queue whose frame is half written, or NULL */
	size_t writing_left;   /* bytes until the next frame may be of the other queue */
};

/* Queue a frame: 0, -ENOMEM or -EMSGSIZE. `payload` may be NULL. */
int port_control(struct port *p, uint8_t type, uint16_t stream, const struct buf *payload);
int port_data(struct port *p, uint8_t type, uint16_t stream, const void *data, size_t n);
/* Whether more data should be read from a workload: the host takes what there is. */
bool port_has_room(const struct port *p);
/* Writes what the host takes now: 0 or -errno. */
int port_flush(struct port *p);
void port_done(struct port *p);

/* -- stdio.c -- */

struct agent;
struct process;

/* One direction of a process's stdio. */
struct stream {
	struct process *process;
	int fd;                /* non-blocking; -1: ended */
	struct source *source; /* NULL: nothing is waited for */
	bool input;            /* from the host to the process */
	bool tty;
	bool discard;         /* an output whose reader is gone: read and thrown away */
	bool eof;             /* an input after the host's EOF: closed when `pending` is written */
	uint32_t credit;      /* output: bytes we may send; input: bytes the host may send */
	uint32_t owed;        /* input: bytes written to the process and not yet granted again */
	struct queue pending; /* input: at most AGENT_WINDOW bytes that the process has not taken */
};

int stream_open(struct stream *s, struct process *p, int fd, bool input);
void stream_close(struct stream *s);
/* What the host says about a stream: 0, or -EBADMSG when it breaks the protocol. */
int stream_frame(struct stream *s, const struct frame *f);
/* Waits again for an output that was left alone because the port was full. */
void stream_resume(struct stream *s);

/* -- service.c -- */

/* The clock to a few milliseconds: waits for the host's answer to what was asked when START came. */
int service_set_clock(struct agent *a, struct err *e);

/* -- process.c -- */

enum { STREAMS = 3 };

/* Both ends of a process's stdio; ends that do not exist are -1. */
struct pipes {
	struct sandbox_io child;
	int own[STREAMS];
};
#define PIPES_NONE ((struct pipes){.child = {-1, -1, -1}, .own = {-1, -1, -1}})
void pipes_done(struct pipes *p); /* closes them */

struct process {
	struct process *next;
	struct agent *agent;
	uint32_t id; /* `proc` of the protocol */
	pid_t pid;
	int pidfd;
	struct source *watch;
	bool exited;
	bool still; /* of sandbox_exec */
	int tty;    /* master of its terminal, for its size; or -1 */
	struct stream streams[STREAMS];
	struct pipes pipes; /* until it runs */
};

/* Before a snapshot: pipes for a workload that has neither a terminal nor an input, for whoever is made ahead. */
int process_prepare(struct agent *a, struct sandbox_ahead *ret, struct err *e);
/* The workload, from a->plan, in two steps: what can be done before there is a root, with the plan also as bytes; and the rest. */
int process_begin(struct agent *a, const void *plan, size_t n, struct err *e); /* 1: the spare process has it */
int process_start(struct agent *a, struct err *e);
int process_exec(struct agent *a, uint32_t id, const struct plan_process *p, struct err *e);
struct process *process_find(struct agent *a, uint32_t id);
/* The host uses a number again: one that has ended goes, with what its children hold open of its streams. false: it runs. */
bool process_make_way(struct agent *a, uint32_t id);
int process_signal(struct process *p, int sig);
int process_resize(struct process *p, uint32_t rows, uint32_t cols);
/* Collects every child that has ended, orphans of the guest too, and reports those that are processes of the
 * protocol. */
void process_reap(struct agent *a);
/* Frees the processes that have exited and whose streams have ended. */
void process_sweep(struct agent *a);
void process_hold_mounts(struct agent *a);
void process_free_all(struct agent *a);

/* -- requests.c -- */

/* Answers AGENT_STATS, PS, FREEZE, UPDATE, LOOK; -EBADMSG if the frame does not parse. */
int request_answer(struct agent *a, const struct frame *f);

/* What the host says at the start, decoded. */
struct start {
	uint64_t time_ns;
	const char *entropy;
	size_t entropy_len;
	uint32_t flags;
	char *tag;
};

/* -- ahead.c -- */

/* Before a snapshot: makes the processes. */
int ahead_prepare(struct agent *a, struct err *e);
/* The network waits for new random numbers, as it draws keys from them. */
void ahead_seeded(struct agent *a);
/* START: gives them their work, with the plan as bytes; a->root_begun tells whether there was one for the root. */
void ahead_begin(struct agent *a, const struct start *s, const void *plan, size_t n);
/* Waits for the root that was begun, and makes it that of a->plan; for the case that the container's process does not take it. */
int ahead_root(struct agent *a, struct err *e);
/* Waits for the network cards of a->plan, or sets them up. */
int ahead_cards(struct agent *a, struct err *e);
/* Waits for the share, or mounts it. */
int ahead_share(struct agent *a, const char *tag, struct err *e);

/* -- cards.c -- */

/* Before a snapshot: the first card, if there is one, is ready but for its addresses. */
int card_prepare(struct agent *a, struct err *e);
/* Sets up those of a plan: the first gets its hardware address, the others, which have theirs, are looked for. */
int cards_setup(const struct agent *a, const struct plan *p, struct err *e);
/* AGENT_CONNECT and AGENT_DISCONNECT, behind the request's number; a payload that does not parse leaves w->bad. */
int card_connect(struct agent *a, struct wire *w, struct err *e);
int card_disconnect(struct agent *a, struct wire *w, struct err *e);

/* -- machine.c -- */

int machine_limits(struct err *e); /* for all that the agent starts */
/* Before a snapshot: the disk is mounted, and has the directories of an empty container. */
int machine_ahead(struct err *e);
int machine_clock(uint64_t real_ns, struct err *e);
/* The root, where the disk is mounted already: on AGENT_ROOT. */
int machine_root(struct err *e);
int machine_image(struct err *e); /* before a snapshot: the same, and what programs begin with is read */
/* The two steps of START. Any failure is the failure of the start. */
int machine_fresh(const struct start *s, struct err *e);
int machine_disks(const struct start *s, struct err *e);
/* The memory that the container may use when the plan sets no limit, so that the guest's kernel and the agent
 * keep theirs. */
uint64_t machine_memory(void);
int machine_share(const char *tag, struct err *e);
void machine_settle(void);
/* Flushes the disk and resets the machine, which ends it. Does not return. */
void machine_stop(void) __attribute__((noreturn));

/* -- entropy.c -- */

/* Adds this to what the kernel's random numbers are drawn from, and draws them anew. -EBADMSG for another length than START has. */
int machine_seed(const void *bytes, size_t n, struct err *e);

/* -- boot.c -- */

int boot_mounts(struct err *e);
/* Loads what a list of AGENT_MODULES names. */
int boot_modules(const char *list, struct err *e);
/* Looks for what the host has plugged into a PCI bus. */
int boot_plugged(unsigned bus, struct err *e);
int boot_open_port(int *ret_fd, struct err *e);

/* -- service.c -- */

/* What differs between the guest and a test of the service on an ordinary machine. */
struct machine {
	int (*ahead)(struct err *e);
	int (*root)(struct err *e);
	int (*image)(struct err *e);
	int (*seed)(const struct start *s, struct err *e); /* clock and entropy */
	int (*disks)(
		const struct start *s, struct err *e); /* what the root is made of, where nobody has mounted it ahead */
	int (*clock)(uint64_t real_ns, struct err *e); /* sets it */
	uint64_t (*memory)(void);
	int (*share)(const char *tag, struct err *e); /* finds and mounts it */
	void (*settle)(void); /* returns once the host has what was written to its directories */
	int (*load)(const char *list, struct err *e); /* boot_modules */
	int (*plugged)(unsigned bus, struct err *e);  /* boot_plugged */
	const char *init_path;
};

struct agent {
	const struct machine *machine;
	struct loop *loop;
	struct port port;
	bool stop;
	struct err error; /* why the service ends, if the host did not ask for it */
	bool start_seen;
	bool prepared; /* PREPARE was asked for: modules, disk, card */
	uint64_t time_ns,
		asked_ns; /* what the host says is the time (0: nothing yet), and our monotonic clock when it was asked */
	bool frozen, shares;
	uint64_t memory_guard;
	uint64_t oom_kills; /* seen so far */
	struct plan plan;
	struct sandbox_spare *spare; /* a first process made before the snapshot */
	struct pipes pipes;          /* made before the snapshot; -1: none */
	struct process *beginning;   /* the workload, until it runs */
	int mounts; /* the container's mount namespace, held so that its end does not come before EXITED; -1 */
	struct sandbox sandbox;
	struct process *processes;
	int root_helper, share_helper, cards_helper; /* sockets to the processes of ahead.c; -1: none */
	struct network_ahead card;                   /* made before the snapshot */
	bool cards_begun, root_begun;                /* they are at work */
	bool root_made;                              /* the root was mounted before the snapshot */
	int parking; /* the network namespace of the cards that are put by; -1: none yet */
};

/* Ends the service with an error; the first one counts. */
void agent_fail(struct agent *a, int r, const char *what);
/* Queues a control frame that is not a stream's; failing to is the end of the service. */
void agent_send(struct agent *a, uint8_t type, const struct buf *payload);

/* Greets the host and serves it until it says SHUTDOWN (0) or the port ends or breaks (-errno). The container
 * is gone on return; the port is the caller's. */
int service_run(int port_fd, const struct machine *m, struct err *e);
