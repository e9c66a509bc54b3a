/* The steps of a timing (base/timing.h) as the monitor tells them: a row of u32 phase, u64 end in ns on the monotonic clock. */
#pragma once

#include "base/str.h"
#include "base/timing.h"
#include "proto/frame.h"

int timing_encode(const struct timing *t, struct buf *b);
/* Adds the steps to t's. -EBADMSG: damaged; t may have some of them. */
int timing_decode(struct timing *t, struct wire *w);
