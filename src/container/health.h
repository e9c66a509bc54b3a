/* A container's health check: what is probed, and what came of it (docker's HEALTHCHECK and State.Health). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "plan/plan.h"

enum { HEALTH_LOG_MAX = 5, HEALTH_OUTPUT_MAX = 4096 };

struct health_check {
	struct plan_process probe; /* without argv: there is no health check */
	uint64_t interval_ms;      /* from the end of a probe to the next one */
	uint64_t timeout_ms;
	uint64_t start_period_ms;   /* from the start on, failures do not count as long as no probe has succeeded */
	uint64_t start_interval_ms; /* in place of interval_ms for as long */
	uint32_t retries;           /* failures in a row that make it unhealthy */
};
void health_check_done(struct health_check *h);

enum health_status { HEALTH_STARTING = 0, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
const char *health_status_name(enum health_status s); /* "starting" ... */

struct health_result {
	int64_t start_ns, end_ns;
	int status;   /* -1: it did not start, or did not end in time */
	char *output; /* at most HEALTH_OUTPUT_MAX bytes and "..." */
};

struct health_state {
	enum health_status status;
	uint32_t streak;                          /* failures in a row */
	struct health_result log[HEALTH_LOG_MAX]; /* the oldest first */
	size_t log_len;
};
/* Takes a result (its output is stolen); ran_ms: since the container's start, when the probe began. */
void health_add(
	struct health_state *s, const struct health_check *check, const struct health_result *result, uint64_t ran_ms);
/* How long to wait for the next probe. */
uint64_t health_wait_ms(const struct health_state *s, const struct health_check *check, uint64_t ran_ms);
void health_state_done(struct health_state *s);
