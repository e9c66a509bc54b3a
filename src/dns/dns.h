/*
 * caisson-dns: the names of one network of containers. The parts of the program: main.c reads the options and holds the lock, serve.c
 * supervises dnsmasq, args.c composes its command line, place.c starts it with next to no rights.
 *
 * In DIR (RUN/networks/ID, mode 0700, made by the engine):
 *   dns.lock   locked by the caisson-dns that serves the network, for its whole life
 *   hosts/     one file for each container, named by its id, put there by rename(2) and taken away by unlink(2), the two changes that
 *              dnsmasq follows without fail: lines "ADDRESS NAME [NAME...]"; names that start with a dot do not count
 *   dns.pid    "PID START\n" of caisson-dns and, while it runs, of dnsmasq (proc_start_time)
 *   dns.error  why dnsmasq does not run, in one line; absent when it does
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct dns_options {
	const char *name; /* the network's, for whoever reads `ps` */
	char **bridges;   /* the interfaces that are served; it ends with the first */
	uint32_t port;
	char **listen; /* its addresses, "ADDRESS[/LENGTH]" */
	const char *dir;
	const char *resolv; /* names the host's resolvers, resolv.conf(5) */
	bool internal;      /* no name is forwarded */
	unsigned linger_s;  /* how long it stays when there is no container */
	bool locked;        /* descriptor 3 is dns.lock, locked */
};

/* Where dnsmasq finds the hosts files in its place. */
#define DNS_HOSTS "/hosts"

/* dnsmasq's command line; `resolv` is the file with the resolvers, NULL: none. -EINVAL with *e set for an address that is none. */
int dnsmasq_args(const struct dns_options *o, const char *resolv, char ***ret, struct err *e);

/* How dnsmasq is started: see place.c. */
struct place {
	const char *program; /* a path without symbolic links */
	char **argv;
	const char *dir;
	const char *resolv; /* a path without symbolic links; NULL: none */
	int output;         /* what it says; an error in one line if it cannot be run */
};

/* Starts it as a child. Returns its pid and its pidfd, which is the caller's, or a negative errno with *e set. */
pid_t place_spawn(const struct place *p, int *ret_pidfd, struct err *e);

/*
 * Serves until no container has been there for o->linger_s seconds or the bridge has gone (1), or it is told to end (0). `dir` is DIR.
 * A negative errno: it could not begin; *e and dns.error say why.
 */
int dns_serve(const struct dns_options *o, int dir, struct err *e);

/* Whether there is a container, and the bridge. */
bool dns_is_wanted(const struct dns_options *o, int dir);
