/* The agent's peer as its two files see it: hyperv-agent.c (frames that come) and hyperv-request.c (what the owner asks for). */
#pragma once

#include "isolation/hyperv-private.h"

/* A process in the guest: asked for, running, or ended with output still on its way. */
struct process {
	struct process *next;
	struct peer *peer;
	int proc;
	bool tty, open_stdin;
	bool started;
	bool ended;
	int status;
	bool oom;
	struct stream *streams[3];
	struct source *settle; /* the latest time for reporting the end */
};

struct request {
	struct request *next;
	uint32_t number;
	peer_reply_fn *fn;
	void *data;
};

struct peer {
	struct loop *loop;
	int fd;
	struct source *source;
	struct peer_events events;
	void *data;
	struct frame_reader in;
	struct buf out, control;
	size_t sent;   /* of out */
	uint16_t turn; /* the stream that sent last */
	bool greeted, dead, time_told;
	uint64_t pings, pongs;
	uint32_t next_request;
	struct process *processes;
	struct request *requests;
};

struct process *peer_find(struct peer *p, uint32_t proc);
bool peer_read_some(struct peer *p); /* one read and the frames in it; false: nothing was there, or the peer is lost */
