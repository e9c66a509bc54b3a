/* caisson version */
#include <errno.h>

#include "cli/cmd.h"
#include "cli/format.h"

static const struct opt options[] = {
	{"format", 'f', &opt_string, NULL, "Output by a template ('{{.Client.Version}}') or as 'json'"},
	{0},
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_str(o, key);

	return s ? s : "";
}

static json_t *client_of(const json_t *v)
{
	json_t *client = json_copy((json_t *)v);

	json_object_set(client, "DefaultAPIVersion", json_object_get(v, "ApiVersion"));
	json_object_set_new(client, "Context", json_string("default"));
	return client;
}

/* Client and server are one program here; both are there for scripts that ask for {{.Server.Version}}. */
static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *v = NULL, *both = NULL;
	const char *format = opts_str(o, "format");
	struct engine *g = cli_engine(c, e);
	int r = g ? engine_version(g, &v, e) : -e->code;

	if (r < 0)
		return r;
	both = json_pack("{s:o, s:O}", "Client", client_of(v), "Server", v);
	if (!both)
		return err_nomem(e);
	if (!str_empty(format))
		return format_print_object(format, both, e);
	printf("Client:\n Version:           %s\n API version:       %s\n OS/Arch:           %s/%s\n",
		text(v, "Version"), text(v, "ApiVersion"), text(v, "Os"), text(v, "Arch"));
	printf("\nServer:\n Engine:\n  Version:          %s\n  API version:      %s\n  OS/Arch:          "
	       "%s/%s\n  Kernel version:   %s\n",
		text(v, "Version"), text(v, "ApiVersion"), text(v, "Os"), text(v, "Arch"), text(v, "KernelVersion"));
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.synopsis = "[OPTIONS]",
	.summary = "Show the version",
	.options = {options},
	.use_status = true,
	.run = run,
};
