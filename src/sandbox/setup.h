/*
 * The container's view of the file system, made by its first process before it becomes the workload.
 *
 *   setup_sources   what comes from outside (binds, cgroups, init) is taken as detached mounts while the host's mounts still propagate
 *   setup_isolate   every mount becomes private: from here on nothing leaks
 *   setup_root      overlay or directory, attached over "/" where no path look-up of ours sees it
 *   setup_system    /proc /dev /sys and what is below them
 *   setup_adopt     takes them from the scaffold that setup_scaffold has put them on (spare.c)
 *   setup_binds     the plan's own mounts, and the files of the network (setup_attach_files alone where there is no plan yet)
 *   setup_masks     hidden and read-only paths
 *   setup_pivot     the root becomes "/", the host's mounts are let go
 *
 * All target paths are resolved by openat2(RESOLVE_IN_ROOT) below the new root. The process ends if any step
 * fails, and the mount namespace with it, so nothing is undone.
 */
#pragma once

#include "base/err.h"
#include "plan/plan.h"
#include "sandbox/cgroup.h"

/* Where docker has its init inside containers. */
#define SETUP_INIT_PATH "/sbin/docker-init"

enum { SETUP_FILES = 3 };

struct setup {
	const struct plan *plan;
	const struct cgroup *cgroup;
	const char *init_path;
	int root;           /* the new root's mount, attached */
	bool chrooted;      /* the caller's "/" is not that of its mount namespace */
	int proc, dev, sys; /* the mounts in it */
	bool scaffold;      /* they stand somewhere else, until there is a root */
	bool rooted;      /* the root is "/" already, and has all but what a plan adds: sources come from the caller */
	const char *made; /* where the caller has mounted the root; NULL: setup_root makes it */
	int *binds;       /* detached sources, as plan->mounts; -1 for others */
	int init;         /* the init program, as a read-only mount */
	int shm;          /* another container's /dev/shm, as a mount; -1: none is joined */
	int cgroups[CGROUP_HIERARCHIES_MAX];
	bool wait_network;           /* the caller makes the links of the plan's interfaces and then says so */
	bool network_set_up;         /* and sets them up */
	int file[SETUP_FILES];       /* resolv.conf, hosts, hostname: open for writing */
	int file_mount[SETUP_FILES]; /* and as detached mounts of files in memory; -1: the plan has no such file */
};

int setup_no_sources(struct setup *s, struct err *e); /* the list of them, empty */
int setup_sources(struct setup *s, struct err *e);
int setup_isolate(struct setup *s, struct err *e);
int setup_root(struct setup *s, struct err *e);
int setup_system(struct setup *s, struct err *e);
int setup_scaffold(struct setup *s, struct err *e);
int setup_adopt(struct setup *s, struct err *e);
int setup_binds(struct setup *s, struct err *e);
int setup_masks(struct setup *s, struct err *e);
int setup_pivot(struct setup *s, struct err *e);

int setup_files(struct setup *s, struct err *e);       /* empty */
int setup_write_files(struct setup *s, struct err *e); /* with the plan's contents */
int setup_attach_files(struct setup *s, struct err *e);
void setup_sources_done(struct setup *s);               /* closes what setup_sources has opened */
int setup_dev(struct setup *s, struct err *e);          /* for setup_system */
int setup_cgroups(struct setup *s, struct err *e);      /* for setup_system */
int setup_overlay(const struct plan *p, struct err *e); /* for setup_root: the mount */

/* The /dev/shm of the container whose IPC namespace the plan joins, as a detached mount (donor.c). A descriptor. */
int donor_shm(const struct plan *p, struct err *e);

/* Fills an empty `to` with what `from` holds: owners, modes, times, links, extended attributes. */
int setup_copy_up(int from, int to, struct err *e);
