/*
 * Audit: what can be seen of a running container from its host, measured at the moment of the question.
 *
 * Each statement is a row: a key, what was found, the evidence, and whether the statement holds. Nothing is concluded from the container's mode: its
 * processes are looked for in the host's /proc, its mounts in all mount namespaces, and so on, in both modes alike. What cannot be measured is
 * "unknown" and says why. The engine brings what it knows of the container; `look` is what the container's own kernel says, a mere claim if that is a VM's.
 *
 * Evidence may hold what a container chose (names, paths): it is made printable here, and nothing more.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "plan/look.h"
#include "plan/plan.h"

/* Another running container of the host. */
struct audit_other {
	const char *id, *name;
	pid_t monitor;
};

/* Somebody else on a network of the container's. */
struct audit_neighbour {
	int netns;               /* its network namespace, a descriptor */
	const char *gateways[2]; /* what it reaches if its own place on the network works; NULL: none */
};

/* The container in question; strings and descriptors are the caller's. */
struct audit_target {
	const char *id, *name;
	pid_t monitor, pid;      /* pid: as the monitor recorded it, of PID 1 or of the virtual machine */
	const char *dir;         /* its own directory, absolute */
	const char *image_file;  /* the image as one file, or NULL */
	const json_t *mounts;    /* the record's Mounts */
	const struct look *look; /* NULL: there is none, and `look_error` */
	const char *look_error;
	const struct plan_interface *interfaces;
	size_t interfaces_len;
	/* A neighbour on the network of one of the interfaces, for as long as it takes: *ret is borrowed until done is called. */
	int (*neighbour)(void *data, size_t interface, struct audit_neighbour *ret, struct err *e);
	void (*neighbour_done)(void *data);
	void *neighbour_data;
};

struct audit_host {
	const char *proc;                 /* "/proc" */
	const char *sys;                  /* "/sys" */
	const char *libexec_dir;          /* of the engine's own programs */
	const char *ruleset;              /* the file with its firewall rules */
	const struct audit_other *others; /* the running containers, the target may be among them */
	size_t others_len;
};

/* Measures everything: an array of {"Key", "Title", "Result": "holds" | "fails" | "unknown" | "info", "Value", "Evidence": [...], "Why"}. */
int audit_measure(const struct audit_host *h, const struct audit_target *t, json_t **ret, struct err *e);

/* The keys of the statements that can hold, in the order of the rows; NULL beyond the last. */
const char *audit_key(size_t i);
