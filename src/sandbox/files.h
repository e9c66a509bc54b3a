/*
 * The files of a container, from outside of its processes: cp, diff, export and commit.
 *
 * A worker, a child of whoever holds the container, joins only its mount namespace and makes there a view of its own: the root without what the
 * sandbox mounts in it (/proc, /sys, /dev, tmpfs), and for cp with the plan's binds and volumes and the files of the network. "/" is that view,
 * its capabilities are those that files need, and every path is resolved by openat2(2) inside: a container that swaps links and directories meanwhile
 * leads nowhere else. It is in none of the container's other namespaces and not in its cgroup, so the container neither sees nor freezes it.
 *
 * The two halves, a tree to records and records to a tree, serve on the other side too, where cp reads and writes the host's files.
 */
#pragma once

#include <stdbool.h>

#include "proto/files.h"
#include "sandbox/sandbox.h"

/* sandbox_exec for a process with `files`: returns when the worker is at work, or why it cannot be. */
int files_exec(struct sandbox *s, const struct plan *p, const struct plan_process *proc, const struct sandbox_io *io,
	struct sandbox_proc *ret, struct err *e);
/* All processes of the container, until sandbox_exec_ended. control.c */
int sandbox_stand_still(struct sandbox *s, struct err *e);
/* FILES_HOLD, in place of a workload: ends with its input. */
_Noreturn void files_hold(void);

/* The calling process stands at this directory as "/", and has the capabilities that files need. */
int files_confine(int root, bool overlay, struct err *e);

/* ---- files-send.c ---- */

struct files_sender {
	struct files_writer *w;
	int top;  /* the directory that paths start at; no link is followed below it */
	int proc; /* /proc/self/fd, by which what was found is opened */
	struct files_links *links;
};
int files_sender_init(struct files_sender *s, struct files_writer *w, int top, int proc, struct err *e);
void files_sender_done(struct files_sender *s);
/*
 * The file or tree at `path` below top (plain, or "."), under this name. bare: without an entry for its top. What vanishes meanwhile is left out, and
 * sockets are. -ENOENT only if the top is not there.
 */
int files_send(struct files_sender *s, const char *path, const char *name, bool bare, struct err *e);
int files_send_one(
	struct files_sender *s, const char *path, const char *name, struct err *e); /* without what is below */
/* Opens below a directory; links are not followed: -ELOOP, or with O_PATH | O_NOFOLLOW the link itself. */
int files_open_below(int top, const char *path, int flags);
/* The names in a directory, sorted; the caller frees. -errno */
int files_names(int dir, char ***ret);

/* ---- files-receive.c ---- */

struct files_target {
	int root;          /* no path leaves it */
	int proc;          /* /proc/self/fd */
	const char *dir;   /* absolute, in it: where the tree goes */
	const char *shown; /* what errors call that; NULL: dir */
	bool owners;       /* entries' owners, else the caller's */
	const char *only;  /* NULL, or the one name at the tree's top; no link below dir is followed then */
};
/*
 * Docker's rules: a directory stays one and gets the entry's mode, a file is replaced, neither takes the other's place. A file that could not be
 * written whole is removed, and one that it was to replace is still there. The tree's end must come.
 */
int files_receive(struct files_reader *r, const struct files_target *t, struct err *e);

/* ---- files-diff.c ---- */

/* Changes of the directory `upper` of an overlay against `lower`, as FILES_CHANGE, or as the entries of a layer. */
int files_diff(int upper, int lower, int proc, bool layer, struct files_writer *w, struct err *e);
