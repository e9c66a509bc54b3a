/*
 * The agent protocol: opcodes and payloads between the host (isolation/hyperv-agent.c) and PID 1 of the utility VM (agent/).
 *
 * One virtio-serial port named AGENT_PORT, frames as in frame.h. The guest speaks first (HELLO). Everything the guest sends is hostile: an unknown
 * type, a payload that does not parse, data beyond the credit or for a stream that is not open ends the connection and so the container.
 *
 * Streams: process number `proc` (0 the workload, execs from 1, at most AGENT_PROC_MAX) has stream AGENT_STREAM(proc, 0..2) for stdin, stdout,
 * stderr; with a terminal stream 0 carries input and stream 1 all output. A process's streams open with its STARTED frame. Each direction
 * starts with AGENT_WINDOW bytes of credit; the reader grants more with CREDIT as it consumes, never so that more than AGENT_WINDOW is outstanding.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define AGENT_PORT "caisson.agent"
enum {
	AGENT_VERSION = 2,
	AGENT_WINDOW = 128 * 1024,  /* bytes of credit per stream and direction */
	AGENT_DATA_MAX = 32 * 1024, /* payload of one DATA frame */
	AGENT_PROC_MAX = 4095,
};
#define AGENT_STREAM(proc, n) ((uint16_t)((proc)*4 + (n)))

enum agent_op {
	/* guest to host */
	AGENT_HELLO = 1,   /* u32 version, str kernel release */
	AGENT_STARTED = 2, /* u32 proc, u32 pid inside the VM; for proc 0 after execve(2) has succeeded */
	AGENT_FAILED = 3,  /* u32 proc, u32 errno, u32 exit status or 0, str message */
	AGENT_EXITED = 4,  /* u32 proc, u32 status 0..255 (128+n for signal n), u32 1 if the OOM killer struck */
	AGENT_PONG = 5,    /* u64 as in PING */
	AGENT_REPLY = 6,   /* u32 request number, u32 errno or 0, then the answer or (errno != 0) str message */
	AGENT_COMMITTED =
		7, /* empty; everything is ready and the workload about to be executed: its start must not be tried again */
	AGENT_TIME = 8, /* empty; once, after START: what time is it? */

	/* host to guest */
	AGENT_START = 32,    /* struct agent_start below, then the plan */
	AGENT_EXEC = 33,     /* u32 proc, bytes plan_process */
	AGENT_SIGNAL = 34,   /* u32 proc, u32 signal */
	AGENT_RESIZE = 35,   /* u32 proc, u32 rows, u32 columns */
	AGENT_PING = 36,     /* u64 any */
	AGENT_SHUTDOWN = 37, /* end all, flush the disk, power off */
	AGENT_STATS =
		38, /* u32 request; REPLY: u64 memory, memory limit, cpu ns, pids, bytes used of the disk, received, sent,
		       read from and written to block devices (UINT64_MAX: unknown) */
	AGENT_PS = 39,     /* u32 request; REPLY: u32 count, str line ...: as sandbox_ps makes them */
	AGENT_FREEZE = 40, /* u32 request, u32 1 freeze or 0 thaw; REPLY: empty */
	AGENT_UPDATE = 41, /* u32 request, bytes plan of which the limits count; REPLY: empty */
	AGENT_CONNECT =
		42, /* u32 request, u32 PCI bus that the card was just plugged into, or 0 if it was put by, str card's own hardware
			       address, bytes plan of which the one interface counts; REPLY: empty */
	AGENT_DISCONNECT =
		43, /* u32 request, str card's own hardware address, str that which it has now; puts it by; REPLY: empty */
	AGENT_LOOK = 44, /* u32 request; REPLY: what look_encode writes */
	AGENT_PREPARE =
		45, /* u32 request, bytes seccomp filter that most containers have, u32 flags; before a snapshot; REPLY:
			     empty */
	AGENT_TIME_IS = 46, /* u64 real time in ns since 1970: when the question came, and after the VM was paused */

	/* both ways; `stream` in the frame's header */
	AGENT_DATA = 64,   /* bytes, 1..AGENT_DATA_MAX */
	AGENT_EOF = 65,    /* no more data on this stream */
	AGENT_CREDIT = 66, /* u32 bytes that the reader grants */
	AGENT_CLOSE = 67,  /* the reader is gone: the writer gets EPIPE */
};

/*
 * AGENT_START: u64 real time in ns since 1970, bytes entropy (64, from the host's getrandom), u32 flags, str share tag, bytes plan.
 * The plan's paths are those of the guest: the image (/dev/vda, EROFS) is mounted on AGENT_IMAGE, the container's disk (/dev/vdb, ext4) on
 * AGENT_DISK, the share (virtiofs) on AGENT_SHARE.
 *
 * PREPARE mounts /dev/vdb on AGENT_DISK, an empty file system. A clone may have a copy of it as its container's disk, or (a disk that was used before) its
 * container's disk as /dev/vdc, which is then mounted over it.
 */
enum { AGENT_HAS_SHARE = 1, AGENT_DISK_MOUNTED = 2, AGENT_DISK_SECOND = 4 };
/* Of PREPARE: /dev/vda is the image already, and the container's root is mounted. */
enum { AGENT_HAS_IMAGE = 1 };
/*
 * The share, and each network card but the first, is plugged into a PCIe port of its own; one that was plugged before START is looked for there, as the
 * plan and the flags say. The PCI bus behind the share's port; behind the port of the first card that is plugged, then of the next...
 */
enum { AGENT_SHARE_BUS = 1, AGENT_CARDS_BUS = 2 };
/* The first network card has this hardware address until START gives it the plan's: a snapshot is taken before. */
#define AGENT_CARD_MAC "02:ca:15:50:00:00"
#define AGENT_IMAGE    "/image"
#define AGENT_ROOT     "/container" /* the container's root, where it was mounted ahead of its process */
#define AGENT_DISK     "/disk"
#define AGENT_SHARE    "/share"
#define AGENT_INIT     "/caisson-init" /* the program for --init in the initramfs */

/*
 * The initramfs: /init (the agent), AGENT_INIT, empty directories dev proc sys run tmp image disk share, /dev/console (5,1) and the kernel's modules in
 * AGENT_MODULES. There a list names the .ko files of one need in load order, one per line: "boot" (virtio_mmio, virtio_pci, virtio_console; before
 * HELLO), "root"
 * (virtio_blk, erofs, overlay, ext4 if a module), "share" (fuse, virtiofs), "net" (virtio_net), "plug" (virtio_pci: for cards that come later),
 * "memory" (virtio_balloon, before HELLO). A file may be in several lists: EEXIST is fine. A missing list or an empty one: the kernel has these built in.
 */
#define AGENT_MODULES "/modules"

/* The wire's form of struct err: u32 code, u32 status, str message. */
struct buf;
struct wire;
int agent_err_encode(struct buf *b, const struct err *e);
int agent_err_decode(struct wire *w, struct err *ret); /* -EBADMSG */
