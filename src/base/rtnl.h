/*
 * Links, addresses and routes of the caller's network namespace, by rtnetlink(7): a few messages and the verbs that the host and the guest both
 * need. Own code rather than libnl, as the static agent links it too and one request costs some 20 µs. Functions return 0 or -errno as the kernel gives it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- messages ---- */

enum { RTNL_MAX = 2048 };

struct rtnl_msg {
	size_t len;
	bool full; /* an attribute did not fit: rtnl_call refuses it */
	_Alignas(4) char data[RTNL_MAX];
};

int rtnl_open(void); /* a socket, close-on-exec */
void rtnl_begin(struct rtnl_msg *m, uint16_t type, uint16_t flags, const void *header, size_t n);
void rtnl_add(struct rtnl_msg *m, uint16_t attribute, const void *p, size_t n);
void rtnl_add_str(struct rtnl_msg *m, uint16_t attribute, const char *s);
void rtnl_add_u32(struct rtnl_msg *m, uint16_t attribute, uint32_t v);
size_t rtnl_nest(struct rtnl_msg *m, uint16_t attribute); /* to be closed by rtnl_nest_end with what it returns */
void rtnl_nest_end(struct rtnl_msg *m, size_t at);
int rtnl_call(int fd, struct rtnl_msg *m); /* sends it and waits for the answer */

struct nlmsghdr;
/* A dump request: fn for every message of the answer; what it returns below 0 ends the dump. */
typedef int rtnl_fn(void *data, const struct nlmsghdr *h);
int rtnl_dump(int fd, struct rtnl_msg *m, rtnl_fn *fn, void *data);

/* ---- verbs ---- */

enum { MAC_LEN = 6 };
int mac_parse(const char *s, uint8_t ret[MAC_LEN]); /* "02:42:ac:11:00:02"; -EINVAL */
char *mac_format(const uint8_t mac[MAC_LEN], char ret[18]);

/* "10.0.0.2/16" or "fd00::2/64" added to a link, without duplicate address detection. */
int rtnl_address_add(int fd, unsigned index, const char *address);
int rtnl_address_flush(int fd, unsigned index); /* all of global scope */
/* A route by `gateway`: to everywhere (to NULL), or to one address of the same family. Of several the one with the lowest metric counts. */
int rtnl_route_add(int fd, unsigned index, const char *to, const char *gateway, uint32_t metric);
/* name, mac: NULL leaves it; mtu: 0 leaves it. */
int rtnl_link_change(int fd, unsigned index, const char *name, const uint8_t *mac, uint32_t mtu);
int rtnl_link_up(int fd, unsigned index, bool up);
int rtnl_link_delete(int fd, unsigned index);
/* Index of the link with this hardware address, or -ENODEV. */
int rtnl_link_by_mac(int fd, const uint8_t mac[MAC_LEN]);
/* The index of the link of that name, and its hardware address; -ENODEV. No list is made of all links. */
int rtnl_link_named(int fd, const char *name, uint8_t ret_mac[MAC_LEN]);
