/*
 * When a container that has ended is started again: docker's --restart, and its growing delay (100 ms, doubled each time up to a minute, from
 * the beginning again once the container has run for 10 s).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum restart_kind { RESTART_NO = 0, RESTART_ALWAYS, RESTART_UNLESS_STOPPED, RESTART_ON_FAILURE };

struct restart_policy {
	enum restart_kind kind;
	uint32_t max; /* of RESTART_ON_FAILURE; 0: any number */
};

/* "no" (or NULL, ""), "always", "unless-stopped", "on-failure"; -EINVAL. */
int restart_kind_parse(const char *name, enum restart_kind *ret);

/* How often it was started again since somebody started it, and the last delay. */
struct restarts {
	uint32_t count;
	uint64_t delay_ms;
};

/* It has ended with `status` after `ran_ms`, by_hand: as somebody asked for it. The delay in ms, which is noted in *r, or -1: it stays ended. */
int64_t restart_next(const struct restart_policy *p, struct restarts *r, int status, bool by_hand, uint64_t ran_ms);
/* Whether it is started when the host has come up. */
bool restart_at_boot(const struct restart_policy *p, int status, bool by_hand);
