/* docker's restart policies. */
#include "container/restart.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

enum { DELAY_FIRST_MS = 100, DELAY_MAX_MS = 60 * 1000, LONG_RUN_MS = 10 * 1000 };

int restart_kind_parse(const char *name, enum restart_kind *ret)
{
	static const char *const names[] = {
		[RESTART_NO] = "no",
		[RESTART_ALWAYS] = "always",
		[RESTART_UNLESS_STOPPED] = "unless-stopped",
		[RESTART_ON_FAILURE] = "on-failure",
	};

	if (str_empty(name)) {
		*ret = RESTART_NO;
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(name, names[i])) {
			*ret = (enum restart_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool wanted(const struct restart_policy *p, const struct restarts *r, int status)
{
	switch (p->kind) {
	case RESTART_NO:
		return false;
	case RESTART_ALWAYS:
	case RESTART_UNLESS_STOPPED:
		return true;
	case RESTART_ON_FAILURE:
		return status != 0 && (!p->max || r->count < p->max);
	}
	return false;
}

int64_t restart_next(const struct restart_policy *p, struct restarts *r, int status, bool by_hand, uint64_t ran_ms)
{
	if (by_hand || !wanted(p, r, status))
		return -1;
	r->delay_ms = !r->delay_ms || ran_ms >= LONG_RUN_MS ? DELAY_FIRST_MS : r->delay_ms * 2;
	if (r->delay_ms > DELAY_MAX_MS)
		r->delay_ms = DELAY_MAX_MS;
	r->count++;
	return (int64_t)r->delay_ms;
}

bool restart_at_boot(const struct restart_policy *p, int status, bool by_hand)
{
	static const struct restarts none = {0};

	if (p->kind == RESTART_UNLESS_STOPPED && by_hand)
		return false;
	/* whoever stopped it may have been told another status than 0 */
	return wanted(p, &none, status) && !(p->kind == RESTART_ON_FAILURE && by_hand);
}
