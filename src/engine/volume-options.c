/*
 * The options of a volume, kept in ROOT/volumes/NAME/opts.json as docker's own driver does. Of what that takes there is the directory of the host in
 * place of the volume's own, "type=none,o=bind,device=/srv/data"; nothing is mounted on the host for it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/engine-private.h"

enum { OPTIONS_MAX = 64 * 1024 };

static int check_o(const char *text, struct err *e)
{
	static const char *const known[] = {"bind", "rbind", "ro", "rw", NULL};
	_cleanup_strv_ char **words = strv_split(text, ",");

	strv_foreach(w, words) {
		if (!str_in(w, known))
			return err_set(e, ENOTSUP, "volume option o=%s is not supported: only bind, ro and rw are", w);
	}
	return 0;
}

static int check_device(const char *device, struct err *e)
{
	if (str_empty(device))
		return err_set(e, EINVAL, "missing device in volume options");
	if (*device != '/')
		return err_set(e, EINVAL, "volume option device=%s: the path must be absolute", device);
	return 0;
}

int volume_options_check(const json_t *options, struct err *e)
{
	static const char *const known[] = {"type", "o", "device", NULL};
	const char *type = json_str(options, "type"), *o = json_str(options, "o"), *key;
	json_t *v;

	if (!json_object_size(options))
		return 0;
	json_object_foreach((json_t *)options, key, v)
		if (!str_in(key, known))
			return err_set(e, EINVAL, "invalid option: \"%s\"", key);
	if (type && !strcmp(type, "tmpfs"))
		return err_set(e, ENOTSUP,
			"volume option type=tmpfs is not supported: use --tmpfs or --mount type=tmpfs of run");
	if (type && strcmp(type, "none") != 0 && strcmp(type, "bind") != 0)
		return err_set(e, ENOTSUP,
			"volume option type=%s is not supported: mount it on the host and use "
			"type=none,o=bind,device=PATH",
			type);
	int r = o ? check_o(o, e) : 0;
	if (r == 0 && !(o && strstr(o, "bind")) && !(type && !strcmp(type, "bind")))
		r = err_set(e, ENOTSUP, "volume options without o=bind are not supported: there is nothing to mount");
	return r < 0 ? r : check_device(json_str(options, "device"), e);
}

static char *options_path(const char *name)
{
	return str_fmt("volumes/%s/opts.json", name);
}

int volume_options_write(struct engine *g, const char *name, const json_t *options, struct err *e)
{
	_cleanup_free_ char *path = options_path(name);
	_cleanup_free_ char *text = json_dumps(options ? options : json_null(), JSON_COMPACT | JSON_ENCODE_ANY);

	if (!json_object_size(options))
		return 0;
	if (!path || !text)
		return err_nomem(e);
	int r = file_replace(g->root_fd, path, text, strlen(text), 0600);
	return r < 0 ? err_errno(e, r, "write %s/%s", g->root, path) : 0;
}

void volume_options_read(struct engine *g, const char *name, json_t **ret)
{
	_cleanup_free_ char *path = options_path(name);
	struct err none;

	*ret = path ? json_parse_file(g->root_fd, path, OPTIONS_MAX, &none) : NULL;
}

int volume_options_apply(struct engine *g, const char *name, json_t *mount, struct err *e)
{
	_cleanup_json_ json_t *options = NULL;
	_cleanup_strv_ char **words = NULL;
	struct stat st;

	volume_options_read(g, name, &options);
	const char *device = json_str(options, "device");
	if (!device)
		return 0;
	if (stat(device, &st) < 0)
		return err_errno(e, errno, "volume %s: its device %s", name, device);
	words = json_str(options, "o") ? strv_split(json_str(options, "o"), ",") : NULL;
	if (strv_has(words, "ro"))
		json_object_set_new(mount, "RW", json_false());
	return json_set(mount, "Source", json_string(device)) < 0 ? err_nomem(e) : 0;
}
