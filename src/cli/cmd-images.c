/* caisson images */
#include <errno.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/format.h"
#include "cli/rows.h"

static const struct opt options[] = {
	{"all", 'a', &opt_bool, NULL, "Show all images"},
	{"digests", 0, &opt_bool, NULL, "Show digests"},
	{"filter", 'f', &opt_filter, NULL,
		"Show those that match: reference, dangling, label, before, since or until=VALUE"},
	{"format", 0, &opt_string, NULL, "Output as a 'table', by 'table TEMPLATE' or 'TEMPLATE', or as 'json'"},
	{"no-trunc", 0, &opt_bool, NULL, "Do not cut the output"},
	{"quiet", 'q', &opt_bool, NULL, "Show only IDs"},
	{0},
};

static const struct format_column columns[] = {
	{"ID", "IMAGE ID"},
	{"Repository", "REPOSITORY"},
	{"Tag", "TAG"},
	{"Digest", "DIGEST"},
	{"CreatedSince", "CREATED"},
	{"CreatedAt", "CREATED AT"},
	{"Size", "SIZE"},
	{"Containers", "CONTAINERS"},
	{"SharedSize", "SHARED SIZE"},
	{"UniqueSize", "UNIQUE SIZE"},
	{"VirtualSize", "SIZE"},
	{0},
};

static const struct format_list plain_list = {
	"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}", "{{.ID}}", columns};
static const struct format_list digest_list = {
	"{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}", "{{.ID}}", columns};

#define NONE "<none>"

struct listing {
	bool no_trunc;
	bool digests; /* a row for each digest, too */
	json_t *rows;
};

/* As docker has these two, with four digits; the others have three. */
static char *bytes_text(int64_t n)
{
	char text[16];

	return strdup(human_size((double)n, text));
}

static int add_row(
	const struct listing *l, const json_t *image, const char *repository, const char *tag, const char *digest)
{
	int64_t created = json_int(image, "Created", 0), size = json_int(image, "Size", 0);
	int64_t used = json_int(image, "Containers", -1), shared = json_int(image, "SharedSize", -1);
	json_t *row = json_object();
	int r = json_array_append_new(l->rows, row);

	if (r < 0)
		return -ENOMEM;
	r |= row_set(row, "Containers", used < 0 ? strdup("N/A") : str_fmt("%lld", (long long)used));
	r |= row_set(row, "CreatedAt", row_time(created));
	r |= row_set(row, "CreatedSince", created > 0 ? row_ago(created) : strdup("N/A"));
	r |= row_set(row, "Digest", strdup(digest));
	r |= row_set(row, "ID", row_id(json_str(image, "Id"), l->no_trunc));
	r |= row_set(row, "Repository", strdup(repository));
	r |= row_set(row, "SharedSize", shared < 0 ? strdup("N/A") : bytes_text(shared));
	r |= row_set(row, "Size", row_size(size));
	r |= row_set(row, "Tag", strdup(tag));
	r |= row_set(row, "UniqueSize", shared < 0 ? strdup("N/A") : bytes_text(size - shared));
	r |= row_set(row, "VirtualSize", row_size(size));
	return r ? -ENOMEM : 0;
}

/* A row for each digest of the repository, if there are any and they are shown; else one. */
static int add_tag(const struct listing *l, const json_t *image, const char *repository, const char *tag)
{
	size_t i, n = strlen(repository), rows = 0;
	json_t *d;

	json_array_foreach(json_object_get(image, "RepoDigests"), i, d) {
		const char *s = json_string_value(d);
		if (!l->digests || !s || strncmp(s, repository, n) != 0 || s[n] != '@')
			continue;
		if (add_row(l, image, repository, tag, s + n + 1) < 0)
			return -ENOMEM;
		rows++;
	}
	return rows ? 0 : add_row(l, image, repository, tag, NONE);
}

static bool has_repository(const json_t *names, size_t end, const char *repository, char separator)
{
	size_t i, n = strlen(repository);
	json_t *v;

	json_array_foreach((json_t *)names, i, v) {
		const char *s = i < end ? json_string_value(v) : NULL;
		if (s && !strncmp(s, repository, n) && s[n] == separator && !strchr(s + n, '/'))
			return true;
	}
	return false;
}

/* Repositories that have a digest for the image, and no tag. */
static int add_untagged(const struct listing *l, const json_t *image)
{
	const json_t *digests = json_object_get(image, "RepoDigests");
	size_t i;
	json_t *d;

	json_array_foreach((json_t *)digests, i, d) {
		const char *s = json_string_value(d) ? json_string_value(d) : "";
		_cleanup_free_ char *repository = strndup(s, strcspn(s, "@"));
		if (!repository)
			return -ENOMEM;
		if (!has_repository(json_object_get(image, "RepoTags"), SIZE_MAX, repository, ':') &&
			!has_repository(digests, i, repository, '@') && add_tag(l, image, repository, NONE) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* As docker: a row for each tag, then one for each repository that has no more than a digest. */
int image_rows(const json_t *image, bool no_trunc, bool digests, json_t *rows)
{
	const struct listing l = {no_trunc, digests, rows};
	const json_t *tags = json_object_get(image, "RepoTags");
	size_t i;
	json_t *t;

	if (!json_array_size(tags) && !json_array_size(json_object_get(image, "RepoDigests")))
		return add_row(&l, image, NONE, NONE, NONE);
	json_array_foreach((json_t *)tags, i, t) {
		_cleanup_free_ char *repository = strdup(json_string_value(t) ? json_string_value(t) : NONE);
		char *colon = repository ? strrchr(repository, ':') : NULL;
		if (!repository)
			return -ENOMEM;
		if (colon)
			*colon++ = 0;
		if (add_tag(&l, image, repository, colon ? colon : NONE) < 0)
			return -ENOMEM;
	}
	return add_untagged(&l, image);
}

static int add_reference(struct opts *o, json_t **filters)
{
	*filters = opts_given(o, "filter") ? json_deep_copy(opts_get(o, "filter")) : json_object();
	if (!*filters || !o->args_len)
		return *filters ? 0 : -ENOMEM;
	json_t *list = json_object_get(*filters, "reference");
	if (list)
		return json_array_append_new(list, json_from_str(o->args[0])) < 0 ? -ENOMEM : 0;
	return json_set(*filters, "reference", json_pack("[o]", json_from_str(o->args[0])));
}

static int run(struct cli *c, struct opts *o, struct err *e)
{
	_cleanup_json_ json_t *list = NULL, *filters = NULL, *rows = json_array();
	const char *format = opts_str(o, "format");
	bool digests = opts_flag(o, "digests");
	bool show_digests = digests || (format && strstr(format, ".Digest"));
	struct engine *g = cli_engine(c, e);
	size_t i;
	json_t *image;

	if (!g)
		return -e->code;
	int r = add_reference(o, &filters) < 0 ? err_nomem(e)
					       : engine_image_list(g, opts_flag(o, "all"), filters, &list, e);
	if (r < 0)
		return r;
	json_array_foreach(list, i, image) {
		if (image_rows(image, opts_flag(o, "no-trunc"), show_digests, rows) < 0)
			return err_nomem(e);
	}
	return format_print_list(digests ? &digest_list : &plain_list, format, opts_flag(o, "quiet"), rows, e);
}

const struct command cmd_images = {
	.name = "images",
	.synopsis = "[OPTIONS] [REPOSITORY[:TAG]]",
	.summary = "List images",
	.options = {options},
	.max_args = 1,
	.run = run,
};
