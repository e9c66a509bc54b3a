/*
 * Capabilities: docker's names for them, and the sets of a process about to exec. capabilities(7); raw system
 * calls, no libcap.
 *
 * A set is a uint64_t with bit n for capability n. CAPS_WHAT_THERE_IS marks a set that was asked for as
 * "all": capabilities that the kernel or the caller does not have are then left out in silence; without it
 * they are an error of sandbox_check.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define CAPS_WHAT_THERE_IS (1ULL << 63)

/* docker's rules for --cap-add, --cap-drop and --privileged; names with and without CAP_, any case, ALL.
 * Error: `invalid CapAdd: unknown capability: "CAP_X"`. add and drop are strvs. */
int caps_from_names(char *const *add, char *const *drop, bool privileged, uint64_t *ret, struct err *e);

const char *caps_name(unsigned cap);          /* "CAP_CHOWN"; NULL: no such capability */
int caps_number(const char *name);            /* of "CAP_CHOWN"; -EINVAL if unknown */
uint64_t caps_bounding(void);                 /* the caller's bounding set */
int caps_check(uint64_t caps, struct err *e); /* -EPERM if the caller cannot give one of them */

/* Drops from the bounding set what is not in caps. */
int caps_limit_bounding(uint64_t caps, struct err *e);
/* Permitted and effective become caps for uid 0 and empty for others; inheritable and ambient become empty.
 * After the change of user. */
int caps_apply(uint64_t caps, uid_t uid, struct err *e);
