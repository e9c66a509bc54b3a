/* What the results of probes make of a container's health: docker's rules (moby daemon/health.go). */
#include <stdlib.h>
#include <string.h>

#include "container/health.h"

void health_check_done(struct health_check *h)
{
	plan_process_done(&h->probe);
	*h = (struct health_check){0};
}

const char *health_status_name(enum health_status s)
{
	static const char *const names[] = {
		[HEALTH_STARTING] = "starting", [HEALTH_HEALTHY] = "healthy", [HEALTH_UNHEALTHY] = "unhealthy"};

	return names[s];
}

static bool in_start_period(const struct health_state *s, const struct health_check *check, uint64_t ran_ms)
{
	return s->status == HEALTH_STARTING && ran_ms < check->start_period_ms;
}

void health_add(
	struct health_state *s, const struct health_check *check, const struct health_result *result, uint64_t ran_ms)
{
	if (s->log_len == HEALTH_LOG_MAX) {
		free(s->log[0].output);
		memmove(s->log, s->log + 1, --s->log_len * sizeof(*s->log));
	}
	s->log[s->log_len++] = *result;
	if (result->status == 0) {
		s->status = HEALTH_HEALTHY;
		s->streak = 0;
	} else if (!in_start_period(s, check, ran_ms) && ++s->streak >= check->retries) {
		s->status = HEALTH_UNHEALTHY;
	}
}

uint64_t health_wait_ms(const struct health_state *s, const struct health_check *check, uint64_t ran_ms)
{
	return in_start_period(s, check, ran_ms) ? check->start_interval_ms : check->interval_ms;
}

void health_state_done(struct health_state *s)
{
	for (size_t i = 0; i < s->log_len; i++)
		free(s->log[i].output);
	*s = (struct health_state){0};
}
