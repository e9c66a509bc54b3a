/* PID 1 of the utility VM: boots, serves the host, ends the machine. It never returns, which would be a panic
 * of the guest's kernel. */
#include "agent/agent.h"

#include <stdio.h>
#include <unistd.h>

/* A file of the container's may name the agent as its interpreter, by "#!/proc/self/exe": there /proc is mounted already. */
static bool booted_by_kernel(void)
{
	return getpid() == 1 && access("/proc/self", F_OK) < 0;
}

int main(void)
{
	static const struct machine machine = {
		.ahead = machine_ahead,
		.root = machine_root,
		.image = machine_image,
		.seed = machine_fresh,
		.disks = machine_disks,
		.clock = machine_clock,
		.memory = machine_memory,
		.share = machine_share,
		.settle = machine_settle,
		.load = boot_modules,
		.plugged = boot_plugged,
		.init_path = AGENT_INIT,
	};
	struct err e = ERR_INIT;
	int port = -1;

	if (!booted_by_kernel())
		return EXIT_NOT_FOUND;
	int r = boot_mounts(&e);

	if (r == 0)
		r = machine_limits(&e);
	if (r == 0)
		r = boot_modules("boot", &e);
	if (r == 0)
		r = boot_modules("root", &e); /* this and the next while the host's side of the port comes up */
	if (r == 0)
		r = boot_modules("memory", &e);
	if (r == 0)
		r = boot_open_port(&port, &e);
	if (r == 0)
		r = service_run(port, &machine, &e);
	if (r < 0)
		fprintf(stderr, "caisson-agent: %s\n", e.msg);
	machine_stop();
}
