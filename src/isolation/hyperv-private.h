/* The parts of the hyperv backend as they see each other. What they are together: hyperv.c. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/str.h"
#include "isolation/hyperv.h"
#include "isolation/isolation-ops.h"
#include "plan/plan.h"
#include "proto/frame.h"

/* ---- hyperv-modules.c ---- */
/* The names in "depends=" of a module's .modinfo; -ENOEXEC. Takes hostile bytes. */
int module_depends(const void *elf, size_t n, char ***ret);
void module_strip_signature(struct buf *b);
/* Puts the modules a utility VM needs from `tree` into `to`, with the lists of agent.h. */
int kernel_modules_collect(const char *tree, const char *to, struct err *e);

/* ---- hyperv-initrd.c ---- */
int cpio_add(struct buf *b, const char *name, mode_t mode, dev_t dev, const void *data, size_t n);
int cpio_end(struct buf *b);
/* Adds what tells one version of a file from another to the hash, or -errno. */
int file_hash(uint64_t *hash, const char *path);
/* An open descriptor of the initramfs for this kernel, which is made if need be. */
int initrd_open(const struct isolation_host *h, const struct kernel *k, struct err *e);
/* Where it is kept: a name made from the kernel, the agent and the program for --init. The caller frees it. */
char *initrd_path(const struct isolation_host *h, const struct kernel *k, struct err *e);

/* ---- hyperv-accel.c ---- */
/* Finds the programs; texts with their remedy. */
int qemu_find(const struct isolation_host *h, char *ret, size_t size, struct err *e);
int virtiofsd_find(const struct isolation_host *h, char *ret, size_t size, struct err *e);
/* "kvm" or "tcg", static. May boot a guest under KVM (3 s) the first time; *ret_notice (static or NULL) is a line for the user. */
int accel_choose(const struct isolation_host *h, const struct kernel *k, const char **ret, const char **ret_notice,
	struct err *e);
int accel_check(const struct isolation_host *h, struct err *e); /* accel=kvm and no usable /dev/kvm; boots nothing */
uint64_t accel_tsc_khz(const struct isolation_host *h);         /* of this host, measured once per boot; 0: unknown */

/* ---- hyperv-cards.c: the VM's network cards ---- */
enum { VM_CARDS_MAX = 8, VM_SLOTS = VM_CARDS_MAX - 1 }; /* the first card needs no slot */
struct card {
	char mac[18];  /* as the guest's kernel knows it, for good */
	char port[16]; /* what its tap is called on the host */
	int tap;
	bool parked; /* put by, for a later connect: the tap has no bridge, and the guest hides it */
};
struct cards {
	struct isolate *isolate;
	struct card all[VM_CARDS_MAX];
	size_t len;
	unsigned slots_used;
};
/* Makes the taps of the plan's interfaces. */
int cards_open(struct cards *c, struct isolate *i, struct err *e);
struct qmp;
struct peer;
int cards_connect(struct cards *c, struct qmp *q, struct peer *p, const struct plan_interface *f, isolate_done_fn *fn,
	void *data, struct err *e);
int cards_disconnect(struct cards *c, struct peer *p, const struct plan_interface *f, isolate_done_fn *fn, void *data,
	struct err *e);

/* ---- hyperv-disk.c ---- */
bool hyperv_disk_is_new(int fd); /* no start has made a disk of it yet */

/* ---- hyperv-qemu.c ---- */
/* Everything that makes a command line; descriptors are those of the parent. */
struct vm_config {
	const char *name; /* of the container */
	const char *accel;
	uint64_t memory_mib;
	unsigned cpus;
	uint64_t tsc_khz;
	int kernel, initrd, image, disk; /* image, disk: -1 for none; with `ram`, for a placeholder */
	int ram; /* the file that is the guest's memory: a template's, or (clone) mapped privately; -1: memory of its own */
	int scratch; /* with `ram`: the disk that was mounted before the snapshot, or a copy of it; -1: a placeholder */
	bool clone;  /* a saved machine's state is to come by QMP */
	int agent, qmp, console;
	int share;                /* connected to virtiofsd, or -1 */
	const struct card *cards; /* the first is there when QEMU starts, the others are plugged */
	size_t cards_len;
};
/* Of the VM, for a workload that may use `limit` bytes (0: no limit): one of few shapes, 256 MiB, 512, 1024, 2048..., as each has a template. */
uint64_t vm_memory_mib(uint64_t limit);
unsigned vm_cpus(uint64_t nanocpus, unsigned host_cpus);
#define VM_SHARE_TAG "caisson"
/* argv for QEMU; descriptors named in it are those of fds[] as confine_spawn numbers them: fds[k] becomes CONFINE_FD + k. */
enum { CONFINE_FD = 10, VM_FDS_MAX = 10 + VM_CARDS_MAX };
/* A card that is plugged into slot `slot` of a running VM: what device_add is given; netdev is "net<number>". */
char *vm_card_arguments(unsigned slot, unsigned number, const char *mac);
char *vm_share_arguments(void); /* the same of the share, which has a slot of its own */
int vm_argv(const struct vm_config *c, char ***ret, int *fds, size_t *ret_nfds);

/* ---- hyperv-confine.c ---- */
/* A uid of its own, held by a lock in run_dir/vm-uids until the descriptor is closed. */
int confine_uid(const struct isolation_host *h, const char *id, uid_t *ret, int *ret_lock, struct err *e);
struct confine {
	const char *root;    /* vmm_root's */
	const char *program; /* path inside that root */
	char *const *argv;
	uid_t uid;
	const int *fds;
	size_t nfds;
	int output;    /* stdout and stderr */
	bool kvm;      /* /dev/kvm is to be seen */
	bool keep_ram; /* the file that its memory is mapped from, privately, is others' too: no holes are made in it */
	int oom_score_adj;
};
/* With keep_ram a hole of this length or more is refused by saying that it was made; what a disk discards at once is shorter. */
enum { CONFINE_HOLE_BYTES = 2 << 20 };
/* Runs QEMU with nothing but this; *ret_pidfd is the caller's. Dies with the caller. */
int confine_spawn(const struct confine *c, pid_t *ret, int *ret_pidfd, struct err *e);

/* ---- hyperv-root.c ---- */
/* Where the program stands in there: QEMU looks for its modules relative to its own place. */
#define VMM_PROGRAM "/usr/bin/qemu-system-x86_64"
/*
 * Named, as a microvm with ACPI has SeaBIOS by default, whose heap is at the end of memory, where QEMU puts the initramfs: at 2048 MiB the firmware found
 * zeros for the length of its disk's queue and divided by them. qboot has no heap there, and starts sooner.
 */
#define VMM_FIRMWARE "qboot.rom"
/* The directory that is QEMU's whole world: the program, its libraries, modules and firmware; made when missing. The caller frees *ret. */
int vmm_root(const struct isolation_host *h, const char *qemu, char **ret, struct err *e);

/* ---- hyperv-virtiofsd.c ---- */
bool share_needed(const struct plan *p);
/* A virtiofsd that was started. The caller's, to the last of it. */
struct share {
	pid_t pid;
	int pidfd;
	int sock;   /* connected to it */
	int status; /* for share_started */
};
/* Starts virtiofsd on the plan's binds, each under its number ("0", "1", ...), its words to `output`. Returns while it still prepares itself. */
int share_start(const struct isolation_host *h, const struct plan *p, int container_dir, int output, struct share *ret,
	struct err *e);
int share_started(int status, struct err *e); /* waits for that: 0, or why it could not */
/* The arguments for either version of virtiofsd, its name in `ps` first; `help` is what its --help prints. */
int share_argv(const char *title, const char *help, const char *source, int fd, char ***ret);

/* ---- hyperv-console.c ---- */
/* The serial console: the last CONSOLE_MAX bytes, also in the file console.log. */
enum { CONSOLE_MAX = 64 * 1024 };
struct console {
	int dir; /* of console.log; borrowed */
	int file;
	size_t written;
	struct buf ring;
};
#define CONSOLE_FILE "console.log"
void console_open(struct console *c, int dir);
void console_add(struct console *c, const char *p, size_t n);
bool console_panic(
	const struct console *c, char *ret, size_t size); /* the text behind "Kernel panic - not syncing: " */
void console_done(struct console *c);

/* ---- hyperv-qmp.c ---- */
struct qmp;
typedef void qmp_fn(void *data, const struct err *e); /* e NULL: done */
/* fd is owned from here; `up`: QEMU has answered for the first time. */
int qmp_new(struct loop *l, int fd, qmp_fn *up, void *data, struct qmp **ret);
/* arguments: members of a JSON object, or NULL; fd: goes along, or -1. */
int qmp_run(struct qmp *q, const char *command, const char *arguments, int fd, qmp_fn *fn, void *data);
void qmp_free(struct qmp *q);
typedef void qmp_event_fn(void *data, const char *event); /* "RESUME", "STOP" ... */
void qmp_on_event(struct qmp *q, qmp_event_fn *fn, void *data);
/* One line of QEMU's: 1 an answer (*e set if it is an error), 0 something else (an event: its name), -EBADMSG. */
int qmp_parse(const char *line, size_t n, char ret_event[32], struct err *e);

/* ---- hyperv-cost.c ---- */
struct vm;
/* Memory without what a clone shares with its template. */
void vm_cost(const struct vm *vm, bool clone, uint64_t *ret_memory, uint64_t *ret_cpu_ns);

/* ---- hyperv-plug.c ---- */
struct plug {
	unsigned waiting; /* devices that QEMU has not answered for */
	bool failed;
	qmp_fn *done;
	void *data;
};
/* Plugs all cards but the first, and a share. done is called once: when all is there, or with the first error. *p is needed as long as `q`. */
int plug_all(struct plug *p, struct qmp *q, const struct cards *c, bool share, qmp_fn *done, void *data);

/* ---- hyperv-stream.c ---- */
/* One direction of a process's stdio: between a pipe (or a terminal's socket) here and a stream of the agent's. */
struct stream {
	struct peer *peer;
	uint16_t id;
	bool output; /* from the guest */
	int fd;      /* our end; -1: closed */
	struct source *source;
	uint32_t credit;    /* output: the guest may still send this; input: we may */
	uint32_t consumed;  /* output: taken and not yet granted anew */
	struct buf pending; /* output: received and not yet written */
	bool eof;           /* output: EOF was received; input: EOF was sent */
	bool ready;         /* input: there may be something to read */
	bool gone;          /* the other side does not read (output: ours; input: the guest's) */
};
struct stream *stream_new(struct peer *p, uint16_t id, bool output, int fd);
void stream_free(struct stream *s);
int stream_data(struct stream *s, const void *p, size_t n); /* -EPROTO beyond the credit */
int stream_credit(struct stream *s, uint32_t n);            /* -EPROTO beyond the window */
void stream_eof(struct stream *s);
void stream_close(struct stream *s);
void stream_hurry(struct stream *s); /* its process has ended: make room for all that is outstanding */
bool stream_flushed(const struct stream *s);
/* input: the next DATA frame into *b if there is credit and data: 1, 0 nothing, -Exxx. */
int stream_take(struct stream *s, struct buf *b);

/* ---- hyperv-agent.c ---- */
/* What the peer tells its owner. A callback may free the peer only from a timer or its owner's own call. */
struct peer_events {
	void (*hello)(void *data, const char *release);
	void (*committed)(void *data); /* the workload is about to be executed */
	void (*started)(void *data, int proc, struct isolate_io *io);
	void (*failed)(void *data, int proc, const struct err *e);
	void (*exited)(void *data, int proc, int status, bool oom);
	void (*lost)(void *data,
		const char *
			reason); /* the port is closed (NULL), or why it is not listened to any more; then nothing comes but ends */
};
struct peer;
typedef void peer_reply_fn(void *data, struct wire *w, const struct err *e);
int peer_new(struct loop *l, int fd, const struct peer_events *ev, void *data,
	struct peer **ret); /* fd is owned from here */
void peer_free(struct peer *p);
void peer_greeted(
	struct peer *p); /* the agent is that of a clone, whose greeting was heard when its template was built */
int peer_start(struct peer *p, const struct plan *plan, uint32_t flags, struct err *e); /* flags: of AGENT_START */
int peer_exec(struct peer *p, int proc, const struct plan_process *process, struct err *e);
int peer_signal(struct peer *p, int proc, int sig);
int peer_resize(struct peer *p, int proc, unsigned rows, unsigned cols);
int peer_request(
	struct peer *p, uint8_t op, const void *payload, size_t n, peer_reply_fn *fn, void *data, struct err *e);
void peer_ping(struct peer *p);
void peer_tell_time(struct peer *p);        /* what time it is, to a guest that has stood still */
bool peer_answered(struct peer *p);         /* every PING has its PONG; reads what has arrived first */
void peer_drain(struct peer *p);            /* takes what has arrived; ends with lost() once the port is closed */
bool peer_ending(struct peer *p, int proc); /* the process has ended and `exited` is still to come */
void peer_shutdown(struct peer *p);
bool peer_flush(struct peer *p); /* writes what the port takes; true: nothing is left */
/* for streams */
void peer_send(struct peer *p, uint8_t type, uint16_t stream, const void *payload, size_t n); /* control */
void peer_kick(struct peer *p); /* an input stream may have data */
struct loop *peer_loop(struct peer *p);
void peer_stream_settled(struct peer *p, uint16_t id);

/* ---- hyperv-vm.c ---- */
/* The processes and descriptors of one boot. vm_stop makes it empty again. */
struct vm {
	struct isolate *isolate;
	pid_t qemu, virtiofsd;
	int qemu_fd, virtiofsd_fd; /* pidfds */
	bool share_lost;           /* it is virtiofsd that has ended */
	int console_fd, output_fd; /* our ends of the serial console, and of QEMU's stderr */
	struct source *qemu_watch, *virtiofsd_watch, *console_watch, *output_watch;
	struct console console;
	struct buf output; /* QEMU's words, for the reason of a failure */
	struct qmp *qmp;
	void (*resumed)(void *data);
	void *resumed_data;
	struct peer *peer; /* freed by the owner: it may outlive QEMU while its readers take the last output */
	void (*ended)(void *data);
	void *ended_data;
};
/* What stays the same for a second try. */
struct vm_parts {
	const char *root; /* vmm_root's */
	uid_t uid;
	struct vm_config config; /* all but agent, qmp, console, share */
};
/*
 * Fills in what a VM for a workload with these limits (0: none) is made of: accel, memory_mib, cpus, tsc_khz, and the descriptors kernel and initrd, which
 * are the caller's also if it fails. *ret_notice: as accel_choose.
 */
int vm_prepare(const struct isolation_host *h, const struct kernel *k, uint64_t memory, uint64_t nanocpus,
	struct vm_config *c, const char **ret_notice, struct err *e);
struct vm_events {
	void (*ended)(
		void *data); /* QEMU, or the virtiofsd it cannot live without, has ended; both are collected by vm_stop */
	struct peer_events peer;
};
int vm_start(struct vm *vm, struct isolate *i, const struct vm_parts *parts, const struct vm_events *ev, void *data,
	struct err *e);
/* The devices' state is written to `to` (a pipe: its end tells that all is there), after which the VM stands still. done: e set if QEMU refuses. */
int vm_save(struct vm *vm, int to, qmp_fn *done, void *data);
/* The state is read from `from`, and the VM runs: resumed is called. What cannot be read ends QEMU. */
int vm_restore(struct vm *vm, int from, void (*resumed)(void *data), void *data);
/*
 * Called every second or so while an answer is waited for: true once the VM has used next to no CPU time for so long, as one does whose kernel has lost its
 * timer (Linux says "APIC frequency too slow" if a busy host halts an emulated CPU while it is measured).
 */
struct vm_rest {
	uint64_t since_ms, cpu_ms;
};
bool vm_rests(const struct vm *vm, struct vm_rest *r, uint64_t ms);
void vm_kill(struct vm *vm);
/* Collects what is left of both processes (killing them) and writes why the VM ended into ret, as far as it can be told. */
void vm_stop(struct vm *vm, char *ret, size_t size);
bool vm_wait(struct vm *vm, int ms); /* true: QEMU has ended */
void vm_sweep(int container_dir);

/* ---- hyperv-cpuset.c ---- */
/* Lets a process with all its threads run only on the CPUs of the list ("0-2,4"); 0: the caller, whose later children do as it does. */
int cpuset_pin(pid_t pid, const char *list, struct err *e);
unsigned cpuset_count(const char *list); /* 0: empty, or no list */

/* ---- hyperv-guest.c ---- */
/* What the guest is to carry out: the plan with the paths of the VM. *ret shares the strings of `p`; guest_plan_done frees only what is its own. */
struct guest_plan {
	struct plan plan;
	char **own;
};
/* cpus: how many the VM has. --cpuset-cpus is about the host's: the guest's processes get as many of its own. */
int guest_plan_make(const struct plan *p, unsigned cpus, struct guest_plan *ret, struct err *e);
void guest_plan_done(struct guest_plan *g);
int guest_plan_check(const struct plan *p, struct err *e); /* what a VM cannot do: -ENOTSUP and why */
