/*
 * struct look: what a kernel says of the container that it runs, at one moment. Flat, of bounded size, no pointers into other modules. sandbox/ fills
 * it, on the host or inside the utility VM; proto/look.h carries it. What comes from a VM says only what that VM's kernel claims.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	LOOK_PROCESSES_MAX = 1024,
	LOOK_SOCKETS_MAX = 1024,
	LOOK_INTERFACES_MAX = 64,
	LOOK_ADDRESSES_MAX = 32, /* of one interface */
	LOOK_COMM_MAX = 64,
};

struct look_process {
	uint32_t pid, session; /* in the container's PID namespace; 0: outside of it */
	uint64_t start;        /* clock ticks since that kernel's boot */
	uint64_t digest;       /* proc_digest; 0: none */
	char comm[LOOK_COMM_MAX];
};

struct look_address {
	uint8_t len; /* 4 or 16 */
	uint8_t bytes[16];
	uint8_t prefix;
};

/* A socket that takes what others send: a listening TCP socket, or a bound UDP one without a peer. */
struct look_socket {
	bool udp;
	struct look_address address; /* without a prefix */
	uint16_t port;
};

struct look_interface {
	char name[16];
	bool up, loopback;
	bool has_mac;
	uint8_t mac[6];
	struct look_address addresses[LOOK_ADDRESSES_MAX];
	uint32_t addresses_len;
};

struct look {
	char kernel[65]; /* its release */
	char boot_id[37];
	uint32_t mounts;                         /* of the container's mount namespace */
	struct look_process *processes;          /* at most LOOK_PROCESSES_MAX ... */
	uint32_t processes_len, processes_total; /* ... of so many */
	struct look_socket *sockets;
	uint32_t sockets_len, sockets_total;
	struct look_interface *interfaces;
	uint32_t interfaces_len;
};

void look_done(struct look *l);

/* "10.0.0.1", "fd00::1", with "/24" if `prefix`. ret has room for 64 bytes. */
char *look_address_format(const struct look_address *a, bool prefix, char ret[64]);
bool look_address_any(const struct look_address *a); /* 0.0.0.0 or :: */
