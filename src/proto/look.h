/*
 * A look (plan/look.h) on the wire, the same from the agent to the host and from the monitor to commands; docs/protocol.md, "Look".
 * Decoding takes hostile bytes: -EBADMSG with *e set for what does not parse; *ret is zeroed first and needs look_done also after a failure.
 */
#pragma once

#include "base/err.h"
#include "plan/look.h"
#include "proto/frame.h"

int look_encode(const struct look *l, struct buf *b); /* appends; -ENOMEM */
int look_decode(struct look *ret, struct wire *w, struct err *e);
