/* docker's client configuration. */
#include "cli/client-config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

enum { CONFIG_MAX = 1024 * 1024 };

static char *config_path(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (!str_empty(dir))
		return str_fmt("%s/config.json", dir);
	return str_empty(home) ? NULL : str_fmt("%s/.docker/config.json", home);
}

char *client_detach_keys(const struct opts *o)
{
	_cleanup_free_ char *path = NULL;
	struct err e = ERR_INIT;

	if (!str_empty(opts_str(o, "detach-keys")))
		return strdup(opts_str(o, "detach-keys"));
	path = config_path();
	if (!path || access(path, F_OK) < 0)
		return NULL;
	_cleanup_json_ json_t *config = json_parse_file(AT_FDCWD, path, CONFIG_MAX, &e);
	if (!config)
		fprintf(stderr, "WARNING: Error loading config file: %s\n", e.msg);
	const char *keys = json_str(config, "detachKeys");
	return str_empty(keys) ? NULL : strdup(keys);
}
