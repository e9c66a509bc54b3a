/* Whether something answers, tried from inside a network namespace: TCP connects, UDP datagrams, pings, many at once and each for a second at most. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/err.h"

enum reach {
	REACH_NOT_TRIED = 0,
	REACH_SILENT,   /* no answer */
	REACH_BLOCKED,  /* told that there is no way: unreachable, prohibited */
	REACH_REFUSED,  /* it arrived: the other side says that nothing listens */
	REACH_ANSWERED, /* connected, or an echo came back */
};

struct attempt {
	enum { ATTEMPT_TCP, ATTEMPT_UDP, ATTEMPT_PING } kind;
	struct address to;
	uint16_t port;
	const char *scope; /* the interface that a link-local address is reached by; NULL: none */
	enum reach reach;  /* out */
	uint16_t echo_id;  /* of a ping; reach_try's */
};

/* netns: a descriptor, or -1 for the caller's own. */
int reach_try(int netns, struct attempt *v, size_t n, struct err *e);
