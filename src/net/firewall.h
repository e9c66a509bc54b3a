/*
 * The rules of data/ruleset.nft and the elements of their sets and maps, through the nft program: in a table of its own for each family, changed in
 * one transaction.
 *
 * A network's elements follow from its row. A container's are kept, one "FAMILY SET ELEMENT" a line, in RUN/containers/ID/net for as long as they are in the
 * tables, so that they can be taken out again, whoever put them in, and put back after a flush. The caller holds the lock of net.h around every call.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "store/networks.h"

#define FIREWALL_FILE "net" /* in a container's run directory */

struct firewall {
	const char *ruleset; /* path of ruleset.nft */
	int run_fd;
};

/* Elements as lines. */
int firewall_network_elements(const struct network_row *n, struct buf *b);
int firewall_endpoint_elements(const struct endpoint_row *p, struct buf *b);
/* address: the container's; host: where it is published, "" for everywhere. Port 0 as host_port: only opens the container's port. */
int firewall_publish_elements(
	const char *proto, const char *host, uint16_t host_port, const char *address, uint16_t port, struct buf *b);

/* What `address` asks for names goes to a name server of its own. */
#define FIREWALL_RESOLVERS "inet resolvers" /* how these lines begin */
#define FIREWALL_PORTS     "bridge macs"    /* and those that name a port and its hardware address */
int firewall_resolver_element(const char *address, const char *server, uint16_t port, struct buf *b);

/* -ENOENT: the tables are missing (or an element that was to be removed is): firewall_rebuild is needed. */
int firewall_add(const char *elements, struct err *e);
int firewall_remove(const char *elements, struct err *e);

/* What a container has in the tables. Set before adding, so that a rebuild by another command puts them in as well. */
int firewall_file_write(const struct firewall *f, const char *id, const struct buf *elements, struct err *e);
int firewall_file_read(const struct firewall *f, const char *id, struct buf *elements); /* -ENOENT */
int firewall_file_remove(const struct firewall *f, const char *id);

/* Whether there is nft at all; before anything else is made. */
int firewall_check_program(struct err *e);

/* Loads the rules anew with these elements of the networks, and those of every container's file. */
int firewall_rebuild(const struct firewall *f, const struct buf *networks, struct err *e);
int firewall_drop(struct err *e); /* removes the tables */
bool firewall_present(void);      /* both tables are there */
