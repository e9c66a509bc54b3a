/* caisson network create */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/network-options.h"

static const struct opt options[] = {
	{"driver", 'd', &opt_string, NULL, "Driver of the network (bridge)"},
	{"gateway", 0, &opt_strings, NULL, "Address of the host on the subnet that it is in"},
	{"internal", 0, &opt_bool, "Internal", "Forward nothing beyond the network"},
	{"ip-range", 0, &opt_strings, NULL, "Give containers addresses of this part of its subnet"},
	{"ipv6", 0, &opt_bool, "EnableIPv6", "Give containers IPv6 addresses too"},
	{"isolated", 0, &opt_bool, "Isolated",
		"Neither the host nor another container can open a connection to its containers, save on published "
		"ports"},
	{"label", 0, &opt_label, "Labels", "Set a label"},
	{"opt", 'o', &opt_map, "Options", "Set an option of the driver (mtu=BYTES)"},
	{"subnet", 0, &opt_strings, NULL, "Subnet, such as 10.1.0.0/16 or fd00::/64"},
	{0},
};

static int fill_body(struct opts *o, struct err *e)
{
	const char *driver = opts_str(o, "driver");
	json_t *config;

	if (!str_empty(driver) && strcmp(driver, "bridge") != 0)
		return err_set(e, ENOTSUP, "network driver '%s' is not supported: use 'bridge'", driver);
	int r = network_ipam_config(opts_get(o, "subnet"), opts_get(o, "ip-range"), opts_get(o, "gateway"), &config, e);
	if (r < 0)
		return r;
	if (json_put_path(o->body, "IPAM.Config", config) < 0 ||
		json_set(o->body, "Driver", json_string("bridge")) < 0 ||
		json_set(o->body, "Name", json_from_str(o->args[0])) < 0)
		return err_nomem(e);
	return 0;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	char id[65];
	int r = fill_body(o, e);
	struct engine *g = r == 0 ? cli_engine(c, e) : NULL;

	if (!g)
		return -e->code;
	r = engine_network_create(g, o->body, id, e);
	if (r == 0)
		printf("%s\n", id);
	return r;
}

const struct command cmd_network_create = {
	.name = "create",
	.synopsis = "[OPTIONS] NETWORK",
	.summary = "Create a network",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
