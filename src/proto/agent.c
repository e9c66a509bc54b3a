/* The wire's form of an error. */
#include "proto/agent.h"

#include <errno.h>

#include "proto/frame.h"

int agent_err_encode(struct buf *b, const struct err *e)
{
	int r = wire_add_u32(b, (uint32_t)e->code);

	if (r >= 0)
		r = wire_add_u32(b, (uint32_t)e->status);
	return r < 0 ? r : wire_add_str(b, e->msg);
}

/* err_set makes control characters of a hostile guest harmless: the text may end up on a terminal. */
int agent_err_decode(struct wire *w, struct err *ret)
{
	uint32_t code = wire_u32(w), status = wire_u32(w);
	_cleanup_free_ char *msg = wire_str(w);

	if (!msg || !code || code > 4095 || status > 255)
		return -EBADMSG;
	err_set(ret, (int)code, "%s", msg);
	ret->status = (int32_t)status;
	return 0;
}
