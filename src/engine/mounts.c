/* Mounts: from -v, --mount, --tmpfs and the image's VOLUME to docker's Mounts array, checked. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"

#define INVALID_NAME                                                                                \
	"create %s: \"%s\" includes invalid characters for a local volume name, only "              \
	"\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use " \
	"absolute path"

struct mount_spec {
	const char *type; /* bind, volume, tmpfs */
	char *source;     /* bind: path; volume: name or NULL for an anonymous one */
	char *target;
	char *options; /* as docker has them: tmpfs "size=64m,exec", else those behind -v, or "z" for a named volume */
	const char *propagation;
	json_t *labels, *driver_options; /* volume: of one that is made for it; borrowed */
	bool readonly, nocopy, nonrecursive, create_source;
};

static void spec_done(struct mount_spec *s)
{
	free(s->source);
	free(s->target);
	free(s->options);
}

/* Adds it to the array; the target must be absolute, not "/", and not there yet. */
static int add_spec(json_t *mounts, struct mount_spec *s, struct err *e)
{
	size_t i;
	json_t *m;

	if (str_empty(s->target) || *s->target != '/')
		return err_set(
			e, EINVAL, "invalid mount path: '%s' mount path must be absolute", s->target ? s->target : "");
	_cleanup_free_ char *target = path_clean(s->target);
	if (!target)
		return err_nomem(e);
	if (!strcmp(target, "/"))
		return err_set(e, EINVAL, "invalid specification: destination can't be '/'");
	json_array_foreach(mounts, i, m)
		if (!strcmp(json_str(m, "Destination"), target))
			return err_set(e, EINVAL, "Duplicate mount point: %s", target);
	bool volume = !strcmp(s->type, "volume");
	m = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "Type", s->type, "Source",
		volume || !s->source ? "" : s->source, "Destination", target, "Mode", s->options ? s->options : "",
		"RW", !s->readonly, "Propagation", s->propagation ? s->propagation : "");
	if (!m)
		return err_set(e, EINVAL, "mount %s: its paths are not UTF-8", target);
	if (volume)
		json_object_set_new(m, "Name", json_string(s->source ? s->source : ""));
	if (volume && !s->nocopy)
		json_object_set_new(m, "CopyUp", json_true());
	if (volume && s->labels)
		json_object_set(m, "Labels", s->labels);
	if (volume && s->driver_options)
		json_object_set(m, "DriverOptions", s->driver_options);
	if (s->create_source)
		json_object_set_new(m, "CreateSource", json_true());
	if (s->nonrecursive)
		json_object_set_new(m, "NonRecursive", json_true());
	return json_array_append_new(mounts, m) < 0 ? err_nomem(e) : 0;
}

static const char *const propagations[] = {"private", "rprivate", "shared", "rshared", "slave", "rslave", NULL};

/* Of each kind one at most, as docker has it; labels are for SELinux, which is not used. */
enum option_kind { OPTION_ACCESS = 1, OPTION_COPY = 2, OPTION_LABEL = 4, OPTION_PROPAGATION = 8 };
static const struct {
	const char *name;
	enum option_kind kind;
} bind_options[] = {
	{"ro", OPTION_ACCESS},
	{"rw", OPTION_ACCESS},
	{"nocopy", OPTION_COPY},
	{"z", OPTION_LABEL},
	{"Z", OPTION_LABEL},
	{"private", OPTION_PROPAGATION},
	{"rprivate", OPTION_PROPAGATION},
	{"shared", OPTION_PROPAGATION},
	{"rshared", OPTION_PROPAGATION},
	{"slave", OPTION_PROPAGATION},
	{"rslave", OPTION_PROPAGATION},
};

static int apply_bind_option(struct mount_spec *s, const char *opt, unsigned *seen)
{
	size_t i = 0, n = sizeof(bind_options) / sizeof(*bind_options);

	while (i < n && strcmp(bind_options[i].name, opt) != 0)
		i++;
	if (i == n || *seen & bind_options[i].kind)
		return -EINVAL;
	*seen |= bind_options[i].kind;
	if (bind_options[i].kind == OPTION_ACCESS)
		s->readonly = !strcmp(opt, "ro");
	else if (bind_options[i].kind == OPTION_COPY)
		s->nocopy = true;
	else if (bind_options[i].kind == OPTION_PROPAGATION)
		s->propagation = bind_options[i].name;
	return 0;
}

/* "[SOURCE:]TARGET[:OPTIONS]" */
static int parse_bind(const char *text, json_t *mounts, struct err *e)
{
	_cleanup_(spec_done) struct mount_spec s = {.type = "volume"};
	_cleanup_free_ char *copy = strdup(text);
	char *parts[4] = {0}, *p = copy;
	size_t n = 0;

	if (!copy)
		return err_nomem(e);
	while (p && n < 4) {
		parts[n++] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = 0;
	}
	if (!*text || n > 3 || !*parts[0] || (n > 1 && !*parts[1]))
		return err_set(e, EINVAL, "invalid volume specification: '%s'", text);
	s.target = strdup(parts[n == 1 ? 0 : 1]);
	if (n > 1) {
		bool path = *parts[0] == '/';
		if (!path && !name_valid(parts[0]))
			return err_set(e, EINVAL, INVALID_NAME, parts[0], parts[0]);
		s.type = path ? "bind" : "volume";
		s.create_source = path;
		s.source = path ? path_clean(parts[0]) : strdup(parts[0]);
		if (path)
			s.propagation = "rprivate";
	}
	_cleanup_strv_ char **opts = n == 3 ? strv_split(parts[2], ",") : NULL;
	unsigned seen = 0;
	strv_foreach(opt, opts) {
		if (apply_bind_option(&s, opt, &seen) < 0)
			return err_set(e, EINVAL, "invalid mode: %s", parts[2]);
	}
	if (n > 1)
		s.options = strdup(n == 3 ? parts[2] : *s.type == 'v' ? "z" : "");
	if (!s.target || (n > 1 && (!s.source || !s.options)))
		return err_nomem(e);
	return add_spec(mounts, &s, e);
}

static int check_tmpfs_options(const char *target, const char *options, struct err *e)
{
	static const char *const flags[] = {"ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync",
		"async", "dirsync", "remount", "mand", "nomand", "atime", "noatime", "diratime", "nodiratime",
		"relatime", "norelatime", "strictatime", NULL};
	static const char *const values[] = {
		"size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks=", "mpol=", NULL};
	_cleanup_strv_ char **opts = strv_split(options, ",");

	strv_foreach(opt, opts) {
		bool known = str_in(opt, flags);
		for (size_t i = 0; values[i] && !known; i++)
			known = str_starts(opt, values[i]);
		if (!known)
			return err_set(e, EINVAL, "invalid tmpfs option \"%s\" for %s", opt, target);
	}
	return 0;
}

static int add_tmpfs(json_t *mounts, const char *target, const char *options, bool readonly, struct err *e)
{
	_cleanup_(spec_done) struct mount_spec s = {.type = "tmpfs", .readonly = readonly};
	int r = check_tmpfs_options(target, options, e);

	if (r < 0)
		return r;
	s.target = strdup(target);
	s.options = strdup(options);
	return !s.target || !s.options ? err_nomem(e) : add_spec(mounts, &s, e);
}

static int parse_tmpfs_mount(const json_t *m, json_t *mounts, struct err *e)
{
	const json_t *o = json_object_get(m, "TmpfsOptions");
	_cleanup_buf_ struct buf b = {0};
	const char *target = json_str(m, "Target");

	buf_adds(&b, "");
	if (json_int(o, "SizeBytes", 0))
		buf_addf(&b, "size=%lld", (long long)json_int(o, "SizeBytes", 0));
	if (json_int(o, "Mode", 0))
		buf_addf(&b, "%smode=%llo", b.len ? "," : "", (unsigned long long)json_int(o, "Mode", 0));
	return add_tmpfs(mounts, target ? target : "", b.data, json_flag(m, "ReadOnly"), e);
}

static int check_volume_options(const json_t *m, struct err *e)
{
	const char *driver = json_str(json_path(m, "VolumeOptions.DriverConfig"), "Name");

	if (!str_empty(driver) && strcmp(driver, "local") != 0)
		return err_set(e, ENOTSUP, "volume driver \"%s\": there is none but \"local\"", driver);
	if (!str_empty(json_str(json_object_get(m, "VolumeOptions"), "Subpath")))
		return err_set(e, ENOTSUP, "volume-subpath is not supported by caisson");
	return volume_options_check(json_path(m, "VolumeOptions.DriverConfig.Options"), e);
}

/* One of --mount. */
static int parse_mount(const json_t *m, json_t *mounts, struct err *e)
{
	_cleanup_(spec_done) struct mount_spec s = {.readonly = json_flag(m, "ReadOnly")};
	const char *type = json_str(m, "Type"), *source = json_str(m, "Source"), *target = json_str(m, "Target");
	const char *propagation = json_str(json_object_get(m, "BindOptions"), "Propagation");
	struct stat st;

	if (type && !strcmp(type, "tmpfs") && !str_empty(source))
		return err_set(
			e, EINVAL, "invalid mount config for type \"tmpfs\": field Source must not be specified");
	if (type && !strcmp(type, "tmpfs"))
		return parse_tmpfs_mount(m, mounts, e);
	if (!type || (strcmp(type, "bind") != 0 && strcmp(type, "volume") != 0))
		return err_set(e, EINVAL, "invalid mount config for type \"%s\": mount type unknown", type ? type : "");
	s.type = !strcmp(type, "bind") ? "bind" : "volume";
	s.nocopy = json_flag(json_object_get(m, "VolumeOptions"), "NoCopy");
	s.labels = json_path(m, "VolumeOptions.Labels");
	s.driver_options = json_path(m, "VolumeOptions.DriverConfig.Options");
	s.nonrecursive = json_flag(json_object_get(m, "BindOptions"), "NonRecursive");
	int r = check_volume_options(m, e);
	if (r < 0)
		return r;
	if (str_empty(target))
		return err_set(e, EINVAL, "invalid mount config for type \"%s\": field Target must not be empty", type);
	if (!strcmp(type, "bind")) {
		if (str_empty(source))
			return err_set(
				e, EINVAL, "invalid mount config for type \"bind\": field Source must not be empty");
		if (*source != '/')
			return err_set(e, EINVAL,
				"invalid mount config for type \"bind\": invalid mount path: '%s' mount path must be "
				"absolute",
				source);
		if (stat(source, &st) < 0)
			return err_set(e, ENOENT,
				"invalid mount config for type \"bind\": bind source path does not exist: %s", source);
		s.propagation = "rprivate";
		if (!str_empty(propagation) && !str_in(propagation, propagations))
			return err_set(e, EINVAL,
				"invalid mount config for type \"bind\": invalid propagation mode: %s", propagation);
		if (!str_empty(propagation))
			s.propagation = propagation;
		s.source = path_clean(source);
	} else if (!str_empty(source)) {
		if (!name_valid(source))
			return err_set(e, EINVAL, INVALID_NAME, source, source);
		s.source = strdup(source);
	}
	s.target = strdup(target);
	s.options = *s.type == 'v' ? strdup("z") : NULL;
	if (*target != '/' || !strcmp(target, "/")) {
		add_spec(mounts, &s, e);
		return err_wrap(e, "invalid mount config for type \"%s\"", type);
	}
	return add_spec(mounts, &s, e);
}

static bool has_target(const json_t *mounts, const char *target)
{
	_cleanup_free_ char *clean = path_clean(target);
	size_t i;
	json_t *m;

	json_array_foreach((json_t *)mounts, i, m)
		if (clean && !strcmp(json_str(m, "Destination"), clean))
			return true;
	return false;
}

static int add_anonymous(const json_t *volumes, json_t *mounts, struct err *e)
{
	const char *target;
	json_t *v;

	json_object_foreach((json_t *)volumes, target, v) {
		_cleanup_(spec_done) struct mount_spec s = {.type = "volume"};
		if (has_target(mounts, target))
			continue;
		s.target = strdup(target);
		int r = s.target ? add_spec(mounts, &s, e) : err_nomem(e);
		if (r < 0)
			return r;
	}
	return 0;
}

static size_t depth(const json_t *m)
{
	size_t n = 0;

	for (const char *p = json_str(m, "Destination"); *p; p++)
		n += *p == '/';
	return n;
}

/* A mount comes before those below it, whatever the order of the flags. */
static json_t *sort_by_depth(const json_t *mounts)
{
	json_t *sorted = json_array(), *m;
	size_t i, deepest = 0;

	json_array_foreach((json_t *)mounts, i, m)
		deepest = depth(m) > deepest ? depth(m) : deepest;
	for (size_t d = 1; d <= deepest; d++)
		json_array_foreach((json_t *)mounts, i, m)
			if (depth(m) == d)
				json_array_append(sorted, m);
	return sorted;
}

/* CONTAINER[:ro|rw]: its binds and volumes, at places that have no mount yet. They are its own: nothing is copied into them any more. */
static int add_from(struct engine *g, const char *spec, json_t *mounts, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	size_t n = strcspn(spec, ":"), i;
	_cleanup_free_ char *name = strndup(spec, n);
	const char *mode = spec[n] ? spec + n + 1 : "";
	json_t *theirs;

	if (!name)
		return err_nomem(e);
	if (!*name || (spec[n] && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0 && strcmp(mode, "z") != 0))
		return err_set(e, EINVAL, "invalid volumes-from specification: %s", spec);
	int r = container_find(g, name, &f, e);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(f.record, "Mounts"), i, theirs) {
		if (!strcmp(json_str(theirs, "Type"), "tmpfs") || has_target(mounts, json_str(theirs, "Destination")))
			continue;
		json_t *m = json_copy(theirs);
		json_object_del(m, "CopyUp");
		json_object_del(m, "Anonymous");
		if (!strcmp(mode, "ro"))
			json_object_set_new(m, "RW", json_false());
		if (!m || json_array_append_new(mounts, m) < 0)
			return err_nomem(e);
	}
	return 0;
}

int mounts_resolve(struct engine *g, const json_t *config, const json_t *hc, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *mounts = json_array();
	const char *target;
	size_t i;
	json_t *m;
	int r = 0;

	json_array_foreach(json_object_get(hc, "Binds"), i, m) {
		r = parse_bind(json_string_value(m) ? json_string_value(m) : "", mounts, e);
		if (r < 0)
			return r;
	}
	json_array_foreach(json_object_get(hc, "Mounts"), i, m) {
		r = parse_mount(m, mounts, e);
		if (r < 0)
			return r;
	}
	json_object_foreach(json_object_get(hc, "Tmpfs"), target, m) {
		r = add_tmpfs(mounts, target, json_string_value(m) ? json_string_value(m) : "", false, e);
		if (r < 0)
			return r;
	}
	json_array_foreach(json_object_get(hc, "VolumesFrom"), i, m) {
		if (r == 0)
			r = add_from(g, json_is_string(m) ? json_string_value(m) : "", mounts, e);
	}
	if (r == 0)
		r = add_anonymous(json_object_get(config, "Volumes"), mounts, e);
	if (r == 0)
		*ret = sort_by_depth(mounts);
	return r;
}

int mounts_name_volumes(json_t *mounts, struct err *e)
{
	char generated[65];
	size_t i;
	json_t *m;

	json_array_foreach(mounts, i, m) {
		if (strcmp(json_str(m, "Type"), "volume") != 0 || !str_empty(json_str(m, "Name")))
			continue;
		if (random_id(generated) < 0)
			return err_set(e, EIO, "no random bytes");
		json_object_set_new(m, "Name", json_string(generated));
		json_object_set_new(m, "Anonymous", json_true());
	}
	return 0;
}

static int prepare_volume(struct engine *g, json_t *m, struct err *e)
{
	const char *name = json_str(m, "Name");
	int r = volume_ensure(g, name, json_flag(m, "Anonymous"), json_object_get(m, "Labels"), e);

	if (r > 0)
		r = volume_options_write(g, name, json_object_get(m, "DriverOptions"), e);
	json_object_del(m, "Labels");
	json_object_del(m, "DriverOptions");
	if (r < 0)
		return r;
	json_object_set_new(m, "Source", json_sprintf("%s/volumes/%s/_data", g->root, name));
	json_object_set_new(m, "Driver", json_string("local"));
	return volume_options_apply(g, name, m, e);
}

int mounts_keep_volumes(struct engine *g, const json_t *mounts, struct err *e)
{
	size_t i;
	json_t *m;
	int r = 0;

	json_array_foreach((json_t *)mounts, i, m)
		if (r >= 0 && !strcmp(json_str(m, "Type"), "volume"))
			r = volume_ensure(g, json_str(m, "Name"), json_flag(m, "Anonymous"), NULL, e);
	return r < 0 ? r : 0;
}

int mounts_prepare(struct engine *g, json_t *mounts, struct err *e)
{
	size_t i;
	json_t *m;

	json_array_foreach(mounts, i, m) {
		const char *type = json_str(m, "Type"), *source = json_str(m, "Source");
		int r = 0;
		struct stat st;
		if (!strcmp(type, "volume"))
			r = prepare_volume(g, m, e);
		else if (json_flag(m, "CreateSource") && stat(source, &st) < 0 &&
			(r = mkdir_p(AT_FDCWD, source, 0755)) < 0)
			r = err_errno(e, r, "error while creating mount source path '%s'", source);
		json_object_del(m, "CreateSource");
		if (r < 0)
			return r;
	}
	return 0;
}
