/*
 * caisson container, image, network, volume and system prune: they ask, remove what nobody uses, list it, and say how much room that made. Each is a row
 * of the table below and an options table.
 */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"

struct prune {
	const char *warning;     /* above the question */
	const char *list;        /* what was removed, in the report of run() */
	const char *title;       /* above that */
	const char *option, *as; /* a flag, and the filter that stands for it; NULL: there is none */
	const char *value;       /* of that filter */
	bool no_space;           /* of things that take none */
	int (*run)(struct engine *g, const json_t *filters, json_t **ret, struct err *e);
};

static const struct prune containers = {
	.warning = "all stopped containers",
	.list = "ContainersDeleted",
	.title = "Deleted Containers:",
	.run = engine_container_prune,
};
static const struct prune images = {
	.warning = "all dangling images",
	.list = "ImagesDeleted",
	.title = "Deleted Images:",
	.option = "all",
	.as = "dangling",
	.value = "false",
	.run = engine_image_prune,
};
#define ALL_IMAGES "all images without at least one container associated to them"
static const struct prune networks = {
	.warning = "all custom networks not used by at least one container",
	.list = "NetworksDeleted",
	.title = "Deleted Networks:",
	.no_space = true,
	.run = engine_network_prune,
};
static const struct prune volumes = {
	.warning = "anonymous local volumes not used by at least one container",
	.list = "VolumesDeleted",
	.title = "Deleted Volumes:",
	.option = "all",
	.as = "all",
	.value = "1",
	.run = engine_volume_prune,
};
#define ALL_VOLUMES "all local volumes not used by at least one container"

/* "id", or {"Untagged": name} and {"Deleted": id} as images have it. */
static void print_removed(const json_t *item)
{
	if (json_is_string(item))
		printf("%s\n", json_string_value(item));
	else if (json_str(item, "Untagged"))
		printf("untagged: %s\n", json_str(item, "Untagged"));
	else if (json_str(item, "Deleted"))
		printf("deleted: %s\n", json_str(item, "Deleted"));
}

/* Removes, and prints what went. */
static int prune_one(struct engine *g, const struct prune *p, const json_t *filters, int64_t *reclaimed, struct err *e)
{
	_cleanup_json_ json_t *report = NULL;
	size_t i;
	json_t *item;
	int r = p->run(g, filters, &report, e);

	if (r < 0)
		return r;
	json_array_foreach(json_object_get(report, p->list), i, item) {
		if (!i)
			printf("%s\n", p->title);
		print_removed(item);
	}
	if (i)
		putchar('\n');
	*reclaimed += json_int(report, "SpaceReclaimed", 0);
	return 0;
}

/* In front of the question: what goes, and by which filters. */
static int describe(const struct opts *o, struct buf *b)
{
	const char *key;
	json_t *values, *v;
	size_t i;

	buf_adds(b,
		"WARNING! This will remove:\n  - all stopped containers\n"
		"  - all networks not used by at least one container\n");
	if (opts_flag(o, "volumes"))
		buf_adds(b, "  - all anonymous volumes not used by at least one container\n");
	buf_addf(b, "  - %s\n", opts_flag(o, "all") ? ALL_IMAGES : images.warning);
	if (opts_given(o, "filter"))
		buf_adds(b, "\n  Items to be pruned will be filtered with:\n");
	json_object_foreach(opts_get(o, "filter"), key, values)
		json_array_foreach(values, i, v)
			buf_addf(b, "  - %s=%s\n", key, json_string_value(v));
	return buf_adds(b, "\nAre you sure you want to continue?");
}

static void print_reclaimed(int64_t bytes)
{
	char text[16];

	printf("Total reclaimed space: %s\n", human_size((double)bytes, text));
}

/* The filters of the command line, and what stands for a flag. New reference. */
static int filters_of(const struct prune *p, struct opts *o, json_t **ret, struct err *e)
{
	json_t *filters = opts_given(o, "filter") ? json_deep_copy(opts_get(o, "filter")) : json_object();

	*ret = filters;
	if (!filters)
		return err_nomem(e);
	if (!p->option || !opts_flag(o, p->option))
		return 0;
	json_t *same = json_object_get(filters, p->as);
	if (same)
		return err_set(e, EINVAL, "conflicting options: cannot specify both --%s and --filter %s=%s", p->option,
			p->as, json_string_value(json_array_get(same, 0)));
	return json_set(filters, p->as, json_pack("[s]", p->value)) < 0 ? err_nomem(e) : 0;
}

static int prune(struct cli *c, struct opts *o, const struct prune *p, const char *warning, struct err *e)
{
	_cleanup_json_ json_t *filters = NULL;
	_cleanup_free_ char *question =
		str_fmt("WARNING! This will remove %s.\nAre you sure you want to continue?", warning);
	int64_t reclaimed = 0;
	int r = question ? filters_of(p, o, &filters, e) : err_nomem(e);

	if (r < 0)
		return r;
	if (!opts_flag(o, "force") && !cli_confirm(question)) {
		if (!p->no_space)
			print_reclaimed(0);
		return 0;
	}
	struct engine *g = cli_engine(c, e);
	r = g ? prune_one(g, p, filters, &reclaimed, e) : -e->code;
	if (r == 0 && !p->no_space)
		print_reclaimed(reclaimed);
	return r;
}

static const struct opt prune_options[] = {
	{"filter", 0, &opt_filter, NULL, "Remove only those that match: label=VALUE, label!=VALUE or until=TIME"},
	{"force", 'f', &opt_bool, NULL, "Do not ask"},
	{0},
};

static int prune_containers(struct cli *c, struct opts *o, struct err *e)
{
	return prune(c, o, &containers, containers.warning, e);
}

const struct command cmd_container_prune = {
	.name = "prune",
	.synopsis = "[OPTIONS]",
	.summary = "Remove all stopped containers",
	.options = {prune_options},
	.run = prune_containers,
};

static const struct opt image_options[] = {
	{"all", 'a', &opt_bool, NULL, "Remove all images that no container has, not only those without a name"},
	{"filter", 0, &opt_filter, NULL, "Remove only those that match: label=VALUE, label!=VALUE or until=TIME"},
	{"force", 'f', &opt_bool, NULL, "Do not ask"},
	{0},
};

static int prune_images(struct cli *c, struct opts *o, struct err *e)
{
	return prune(c, o, &images, opts_flag(o, "all") ? ALL_IMAGES : images.warning, e);
}

const struct command cmd_image_prune = {
	.name = "prune",
	.synopsis = "[OPTIONS]",
	.summary = "Remove images that no container has",
	.options = {image_options},
	.run = prune_images,
};

static int prune_networks(struct cli *c, struct opts *o, struct err *e)
{
	return prune(c, o, &networks, networks.warning, e);
}

const struct command cmd_network_prune = {
	.name = "prune",
	.synopsis = "[OPTIONS]",
	.summary = "Remove all networks that no container has",
	.options = {prune_options},
	.run = prune_networks,
};

static const struct opt volume_options[] = {
	{"all", 'a', &opt_bool, NULL, "Remove also those that have a name of their own"},
	{"filter", 0, &opt_filter, NULL, "Remove only those that match: label=VALUE or label!=VALUE"},
	{"force", 'f', &opt_bool, NULL, "Do not ask"},
	{0},
};

static int prune_volumes(struct cli *c, struct opts *o, struct err *e)
{
	return prune(c, o, &volumes, opts_flag(o, "all") ? ALL_VOLUMES : volumes.warning, e);
}

const struct command cmd_volume_prune = {
	.name = "prune",
	.synopsis = "[OPTIONS]",
	.summary = "Remove the anonymous volumes that no container has",
	.options = {volume_options},
	.run = prune_volumes,
};

static const struct opt system_options[] = {
	{"all", 'a', &opt_bool, NULL, "Remove all images that no container has, not only those without a name"},
	{"filter", 0, &opt_filter, NULL, "Remove only those that match: label=VALUE, label!=VALUE or until=TIME"},
	{"force", 'f', &opt_bool, NULL, "Do not ask"},
	{"volumes", 0, &opt_bool, NULL, "Remove anonymous volumes, too"},
	{0},
};

static int prune_system(struct cli *c, struct opts *o, struct err *e)
{
	static const struct prune *const order[] = {&containers, &networks, &volumes, &images};
	_cleanup_buf_ struct buf question = {0};
	int64_t reclaimed = 0;
	int r = describe(o, &question);

	if (r < 0)
		return err_nomem(e);
	if (opts_flag(o, "volumes") && json_object_get(opts_get(o, "filter"), "until"))
		return err_set(e, EINVAL, "the \"until\" filter is not supported with \"--volumes\"");
	if (!opts_flag(o, "force") && !cli_confirm(question.data))
		return 0;
	struct engine *g = cli_engine(c, e);
	if (!g)
		return -e->code;
	for (size_t i = 0; r == 0 && i < sizeof(order) / sizeof(*order); i++) {
		_cleanup_json_ json_t *filters = NULL;
		if (order[i] == &volumes && !opts_flag(o, "volumes"))
			continue;
		/* --all is of images */
		r = order[i] == &images ? filters_of(order[i], o, &filters, e) : 0;
		if (r == 0)
			r = prune_one(g, order[i], filters ? filters : opts_get(o, "filter"), &reclaimed, e);
	}
	if (r == 0)
		print_reclaimed(reclaimed);
	return r;
}

const struct command cmd_system_prune = {
	.name = "prune",
	.synopsis = "[OPTIONS]",
	.summary = "Remove what nobody uses",
	.options = {system_options},
	.run = prune_system,
};
