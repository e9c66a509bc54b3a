/* caisson network connect, disconnect */
#include "cli/cmd.h"

static const struct opt connect_options[] = {
	{"alias", 0, &opt_strings, "Aliases", "Another name of the container on the network"},
	{"ip", 0, &opt_string, "IPAMConfig.IPv4Address", "IPv4 address of the container"},
	{"ip6", 0, &opt_string, "IPAMConfig.IPv6Address", "IPv6 address of the container"},
	{0},
};

static int run_connect(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);

	return g ? engine_network_connect(g, o->args[0], o->args[1], o->body, e) : -e->code;
}

const struct command cmd_network_connect = {
	.name = "connect",
	.synopsis = "[OPTIONS] NETWORK CONTAINER",
	.summary = "Connect a container to a network",
	.options = {connect_options},
	.min_args = 2,
	.max_args = 2,
	.run = run_connect,
};

static const struct opt disconnect_options[] = {
	{"force", 'f', &opt_bool, NULL, "Force the container to disconnect"},
	{0},
};

static int run_disconnect(struct cli *c, struct opts *o, struct err *e)
{
	struct engine *g = cli_engine(c, e);

	return g ? engine_network_disconnect(g, o->args[0], o->args[1], opts_flag(o, "force"), e) : -e->code;
}

const struct command cmd_network_disconnect = {
	.name = "disconnect",
	.synopsis = "[OPTIONS] NETWORK CONTAINER",
	.summary = "Disconnect a container from a network",
	.options = {disconnect_options},
	.min_args = 2,
	.max_args = 2,
	.run = run_disconnect,
};
