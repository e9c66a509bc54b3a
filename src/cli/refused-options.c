/* The options of docker's run and create that are not there: each is refused by its name and with the reason, so that nobody takes it for a typing
 * mistake or for something that was dropped. */
#include "cli/container-options.h"

#define WINDOWS "it is for containers on Windows"

const struct opt refused_options[] = {
	{"cpu-count", 0, &opt_int, NULL, NULL, WINDOWS ": use --cpus"},
	{"cpu-percent", 0, &opt_int, NULL, NULL, WINDOWS ": use --cpus"},
	{"device-cgroup-rule", 0, &opt_list, NULL, NULL, "name each device with --device"},
	{"gpus", 0, &opt_string, NULL, NULL, "name each device of the GPU with --device"},
	{"io-maxbandwidth", 0, &opt_bytes, NULL, NULL, WINDOWS},
	{"io-maxiops", 0, &opt_int, NULL, NULL, WINDOWS},
	{"link", 0, &opt_list, NULL, NULL, "containers on one network find each other by name: use --network"},
	{"link-local-ip", 0, &opt_list, NULL, NULL, "addresses are of the network's subnets: use --ip and --ip6"},
	{"runtime", 0, &opt_string, NULL, NULL, "what a container runs on is chosen with --isolation"},
	{"use-api-socket", 0, &opt_bool, NULL, NULL, "there is no daemon, and so no socket of one"},
	{0},
};
