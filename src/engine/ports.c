/* What a monitor does with the host's ends of its container's interfaces. */
#include "engine/engine.h"
#include "net/link.h"

int engine_port_attach(const struct plan_interface *f, pid_t pid, const char *parked, int *ret_tap, struct err *e)
{
	if (pid)
		return link_veth_add(f, pid, e);
	return parked ? link_tap_reuse(f, parked, e) : link_tap_add(f, ret_tap, e);
}

int engine_port_detach(const char *port, bool park, struct err *e)
{
	return park ? link_tap_park(port, e) : link_port_remove(port, e);
}

void engine_port_drop(unsigned index)
{
	link_drop(index);
}
