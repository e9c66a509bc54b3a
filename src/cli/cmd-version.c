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

/* Client and server are one program here; both are there for scripts that ask for {{.Server.Version}}. */
static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *v = NULL, *both = NULL;
	const char *format = opts_str(o, "format");
	struct engine *g = cli_engine(c, e);
	int r = g ? engine_version(g, &v, e) : -e->code;

	if (r < 0)
		return r;
	both = json_pack("{s:O, s:O}", "Client", v, "Server", v);
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
	.run = run,
};
