/* caisson pull: caisson-fetch does the work, so that this program needs no HTTP, archive and digest
 * libraries. */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"

static const struct opt options[] = {
	{"all-tags", 'a', &opt_bool, NULL, "Download all tagged images in the repository"},
	{"isolation", 0, &opt_string, NULL,
		"With 'hyperv', build what a utility VM boots from as well, not at the first run"},
	{"platform", 0, &opt_string, NULL, "Platform of the image (os/arch[/variant])"},
	{"quiet", 'q', &opt_bool, NULL, "Show no progress"},
	{0},
};

static int build_vm_root(struct engine *g, const char *ref, struct err *e)
{
	_cleanup_json_ json_t *image = NULL;
	char verb[] = "erofs";
	int r = engine_image_inspect(g, ref, &image, e);

	if (r < 0)
		return r;
	char *args[] = {verb, (char *)json_str(image, "Id"), NULL};
	r = engine_fetch(g, args, true, e);
	return r > 0 ? 1 : r;
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	const char *isolation = opts_str(o, "isolation");
	enum isolation_kind kind = ISOLATION_DEFAULT;
	_cleanup_strv_ char **args = NULL;
	struct engine *g;
	int r = str_empty(isolation) ? 0 : isolation_parse(isolation, &kind, e);

	if (r == 0 && kind == ISOLATION_HYPERV && opts_flag(o, "all-tags"))
		return err_set(
			e, EINVAL, "conflicting options: --all-tags and --isolation=hyperv: pull the tags one by one");
	g = r == 0 ? cli_engine(c, e) : NULL;
	if (!g)
		return -e->code;
	r = strv_push(&args, "pull");
	if (r == 0 && opts_flag(o, "quiet"))
		r = strv_push(&args, "--quiet");
	if (r == 0 && opts_flag(o, "all-tags"))
		r = strv_push(&args, "--all-tags");
	if (r == 0 && opts_given(o, "platform"))
		r = strv_pushf(&args, "--platform=%s", opts_str(o, "platform"));
	if (r == 0)
		r = strv_push(&args, o->args[0]);
	r = r < 0 ? err_nomem(e) : engine_fetch(g, args, false, e);
	if (r == 0 && kind == ISOLATION_HYPERV)
		return build_vm_root(g, o->args[0], e);
	return r > 0 ? 1 : r;
}

const struct command cmd_pull = {
	.name = "pull",
	.synopsis = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Download an image from a registry",
	.options = {options},
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
