/* caisson inspect, and that of container, image, network and volume: objects as JSON or through a template. */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"

#define FORMAT_OPTION                                                                                                \
	{                                                                                                            \
		"format", 'f', &opt_string, NULL, "Output by a template ('{{.Id}}') or as one line of JSON ('json')" \
	}
#define SIZE_OPTION                                                                   \
	{                                                                             \
		"size", 's', &opt_bool, NULL, "Show the sizes of a container's files" \
	}

static const struct opt any_options[] = {
	FORMAT_OPTION,
	SIZE_OPTION,
	{"type", 0, &opt_string, NULL, "Look only for objects of this type (container|image|network|volume)"},
	{0},
};
static const struct opt container_options[] = {FORMAT_OPTION, SIZE_OPTION, {0}};
static const struct opt format_options[] = {FORMAT_OPTION, {0}};
static const struct opt network_options[] = {
	FORMAT_OPTION,
	{"verbose", 'v', &opt_bool, NULL, "As in docker; there is nothing more to show"},
	{0},
};

typedef int inspect_fn(struct engine *g, const char *ref, bool size, json_t **ret, struct err *e);

static int inspect_image(struct engine *g, const char *ref, bool size, json_t **ret, struct err *e)
{
	(void)size;
	return engine_image_inspect(g, ref, ret, e);
}

static int inspect_network(struct engine *g, const char *ref, bool size, json_t **ret, struct err *e)
{
	(void)size;
	return engine_network_inspect(g, ref, ret, e);
}

static int inspect_volume(struct engine *g, const char *ref, bool size, json_t **ret, struct err *e)
{
	(void)size;
	return engine_volume_inspect(g, ref, ret, e);
}

static const struct {
	const char *type;
	inspect_fn *inspect;
} types[] = {{"container", engine_inspect}, {"image", inspect_image}, {"network", inspect_network},
	{"volume", inspect_volume}};

enum { TYPES = sizeof(types) / sizeof(*types) };

/* The first type that has it. */
static int inspect_one(struct engine *g, const char *type, const char *ref, bool size, json_t **ret, struct err *e)
{
	int r = -ENOENT;

	for (size_t i = 0; i < TYPES && r == -ENOENT; i++)
		if (!type || !strcmp(type, types[i].type))
			r = types[i].inspect(g, ref, size, ret, e);
	return r == -ENOENT && !type ? err_set(e, ENOENT, "No such object: %s", ref) : r;
}

static int check_type(const char *type, struct err *e)
{
	for (size_t i = 0; type && i < TYPES; i++)
		if (!strcmp(type, types[i].type))
			return 0;
	return type ? err_set(e, EINVAL,
			      "unknown type: \"%s\": must be one of \"container\", \"image\", \"network\", \"volume\"",
			      type)
		    : 0;
}

static int print_all(const json_t *found, const char *format, struct err *e)
{
	size_t i;
	json_t *object;

	if (!format || !*format) {
		if (json_dumpf(found, stdout, JSON_INDENT(4)) < 0)
			return err_errno(e, errno, "write");
		putchar('\n');
		return 0;
	}
	json_array_foreach(found, i, object) {
		int r = format_print_object(format, object, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int inspect(struct cli *c, struct opts *o, const char *type, struct err *e)
{
	_cleanup_json_ json_t *found = json_array();
	_cleanup_strv_ char **failed = NULL;
	struct engine *g = cli_engine(c, e);

	if (!g)
		return -e->code;
	for (int i = 0; i < o->args_len; i++) {
		struct err why = ERR_INIT;
		json_t *object = NULL;
		if (inspect_one(g, type, o->args[i], opts_flag(o, "size"), &object, &why) < 0)
			strv_push(&failed, why.msg);
		else
			json_array_append_new(found, object);
	}
	int r = print_all(found, opts_str(o, "format"), e);
	strv_foreach(text, failed)
		cli_errorf("%s", text);
	return r < 0 ? r : failed != NULL;
}

static int run_any(struct cli *c, struct opts *o, struct err *e)
{
	const char *type = opts_str(o, "type");
	int r;

	if (str_empty(type))
		type = NULL;
	r = check_type(type, e);
	return r < 0 ? r : inspect(c, o, type, e);
}

static int run_container(struct cli *c, struct opts *o, struct err *e)
{
	return inspect(c, o, "container", e);
}

static int run_image(struct cli *c, struct opts *o, struct err *e)
{
	return inspect(c, o, "image", e);
}

static int run_network(struct cli *c, struct opts *o, struct err *e)
{
	return inspect(c, o, "network", e);
}

static int run_volume(struct cli *c, struct opts *o, struct err *e)
{
	return inspect(c, o, "volume", e);
}

const struct command cmd_inspect = {
	.name = "inspect",
	.synopsis = "[OPTIONS] NAME|ID [NAME|ID...]",
	.summary = "Show everything that is known of containers, images, networks and volumes",
	.options = {any_options},
	.min_args = 1,
	.max_args = -1,
	.use_status = true,
	.run = run_any,
};

const struct command cmd_container_inspect = {
	.name = "inspect",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Show everything that is known of one or more containers",
	.options = {container_options},
	.min_args = 1,
	.max_args = -1,
	.use_status = true,
	.run = run_container,
};

const struct command cmd_image_inspect = {
	.name = "inspect",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Show everything that is known of one or more images",
	.options = {format_options},
	.min_args = 1,
	.max_args = -1,
	.use_status = true,
	.run = run_image,
};

const struct command cmd_network_inspect = {
	.name = "inspect",
	.synopsis = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Show everything that is known of one or more networks",
	.options = {network_options},
	.min_args = 1,
	.max_args = -1,
	.use_status = true,
	.run = run_network,
};

const struct command cmd_volume_inspect = {
	.name = "inspect",
	.synopsis = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Show everything that is known of one or more volumes",
	.options = {format_options},
	.min_args = 1,
	.max_args = -1,
	.use_status = true,
	.run = run_volume,
};
