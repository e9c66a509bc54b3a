/* --mount type=bind,source=/a,target=/b,readonly: a line of comma-separated values into the Mounts entry of
 * docker's API. */
#include "cli/opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mount_key {
	const char *name;
	const char *path;
	enum { KEY_STRING, KEY_BOOL, KEY_SIZE, KEY_OCTAL, KEY_PAIR, KEY_RECURSIVE } kind;
};

static const struct mount_key keys[] = {
	{"type", "Type", KEY_STRING},
	{"source", "Source", KEY_STRING},
	{"src", "Source", KEY_STRING},
	{"target", "Target", KEY_STRING},
	{"dst", "Target", KEY_STRING},
	{"destination", "Target", KEY_STRING},
	{"readonly", "ReadOnly", KEY_BOOL},
	{"ro", "ReadOnly", KEY_BOOL},
	{"consistency", "Consistency", KEY_STRING},
	{"bind-propagation", "BindOptions.Propagation", KEY_STRING},
	{"bind-nonrecursive", "BindOptions.NonRecursive", KEY_BOOL},
	{"bind-recursive", "BindOptions", KEY_RECURSIVE},
	{"volume-nocopy", "VolumeOptions.NoCopy", KEY_BOOL},
	{"volume-label", "VolumeOptions.Labels", KEY_PAIR},
	{"volume-driver", "VolumeOptions.DriverConfig.Name", KEY_STRING},
	{"volume-opt", "VolumeOptions.DriverConfig.Options", KEY_PAIR},
	{"volume-subpath", "VolumeOptions.Subpath", KEY_STRING},
	{"tmpfs-size", "TmpfsOptions.SizeBytes", KEY_SIZE},
	{"tmpfs-mode", "TmpfsOptions.Mode", KEY_OCTAL},
	{0},
};

static const struct mount_key *find_key(const char *name)
{
	for (const struct mount_key *k = keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static int put_pair(json_t *m, const char *path, const char *value)
{
	size_t n = strcspn(value, "=");
	_cleanup_free_ char *name = strndup(value, n);
	json_t *map = json_path(m, path);

	if (!name)
		return -ENOMEM;
	if (!map && json_put_path(m, path, map = json_object()) < 0)
		return -ENOMEM;
	return json_set(map, name, json_from_str(value[n] ? value + n + 1 : ""));
}

static int parse_octal(const char *s, json_int_t *ret)
{
	char *end;

	*ret = (json_int_t)strtoul(s, &end, 8);
	return *s >= '0' && *s <= '7' && !*end && *ret <= 07777 ? 0 : -EINVAL;
}

/* What is mounted below: mounted too, or not, or read-only as well (which it always is), or writable still. */
static int put_recursive(json_t *m, const char *value)
{
	static const char *const paths[][2] = {{"enabled", "BindOptions.NonRecursive"},
		{"disabled", "BindOptions.NonRecursive"}, {"writable", "BindOptions.ReadOnlyNonRecursive"},
		{"readonly", "BindOptions.ReadOnlyForceRecursive"}};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (!strcmp(value, paths[i][0]))
			return json_put_path(m, paths[i][1], json_boolean(i > 0));
	return -EINVAL;
}

/* 0, -EINVAL for a value that does not parse, -ENOMEM. */
static int put_value(json_t *m, const struct mount_key *k, const char *value)
{
	bool flag;
	uint64_t size;
	json_int_t mode;

	switch (k->kind) {
	case KEY_STRING:
		return json_put_path(m, k->path, json_from_str(value));
	case KEY_BOOL:
		return parse_bool(value, &flag) < 0 ? -EINVAL : json_put_path(m, k->path, json_boolean(flag));
	case KEY_RECURSIVE:
		return put_recursive(m, value);
	case KEY_SIZE:
		if (parse_bytes(value, &size) < 0 || size > INT64_MAX)
			return -EINVAL;
		return json_put_path(m, k->path, json_integer((json_int_t)size));
	case KEY_OCTAL:
		return parse_octal(value, &mode) < 0 ? -EINVAL : json_put_path(m, k->path, json_integer(mode));
	case KEY_PAIR:
		return put_pair(m, k->path, value);
	}
	return -EINVAL;
}

static int put_field(json_t *m, char *field, struct err *e)
{
	char *value = strchr(field, '=');
	_cleanup_free_ char *whole = strdup(field);

	if (!whole)
		return err_nomem(e);
	if (value)
		*value++ = 0;
	str_lower(field);
	const struct mount_key *k = find_key(field);
	if (!value && (!k || k->kind != KEY_BOOL))
		return err_set(e, EINVAL, "invalid field '%s' must be a key=value pair", whole);
	if (!k)
		return err_set(e, EINVAL, "unexpected key '%s' in '%s'", field, whole);
	if (put_value(m, k, value ? value : "true") < 0)
		return err_set(e, EINVAL, "invalid value for %s: %s%s", field, value,
			k->kind == KEY_RECURSIVE ? " (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
						 : "");
	return 0;
}

static int check_recursive(const json_t *m, struct err *e)
{
	const json_t *bind = json_object_get(m, "BindOptions");
	bool writable = json_flag(bind, "ReadOnlyNonRecursive"), readonly = json_flag(bind, "ReadOnlyForceRecursive");
	const char *propagation = json_str(bind, "Propagation");

	if ((writable || readonly) && !json_flag(m, "ReadOnly"))
		return err_set(e, EINVAL,
			"option 'bind-recursive=%s' requires 'readonly' to be specified in conjunction",
			writable ? "writable" : "readonly");
	if (readonly && (!propagation || strcmp(propagation, "rprivate") != 0))
		return err_set(e, EINVAL,
			"option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in "
			"conjunction");
	if (writable)
		return err_set(e, ENOTSUP,
			"option 'bind-recursive=writable' is not supported by caisson: what is mounted below a "
			"read-only bind is read-only, too");
	return 0;
}

static int check_mount(const json_t *m, struct err *e)
{
	static const char *const options[][2] = {
		{"bind", "BindOptions"}, {"volume", "VolumeOptions"}, {"tmpfs", "TmpfsOptions"}};
	const char *type = json_str(m, "Type");

	if (str_empty(type))
		return err_set(e, EINVAL, "type is required");
	if (str_empty(json_str(m, "Target")))
		return err_set(e, EINVAL, "target is required");
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (json_object_get(m, options[i][1]) && strcmp(type, options[i][0]))
			return err_set(
				e, EINVAL, "cannot mix '%s-*' options with mount type '%s'", options[i][0], type);
	return check_recursive(m, e);
}

static int set_mount(struct opts *p, const struct opt *o, const char *value, struct err *e)
{
	_cleanup_json_ json_t *m = json_pack("{s:s}", "Type", "volume");
	const char *s = value;
	int r;

	if (!m)
		return err_nomem(e);
	if (!*value)
		return err_set(e, EINVAL, "value is empty");
	do {
		_cleanup_free_ char *field = NULL;
		r = opt_field(&s, &field, e);
		if (r == 0)
			r = put_field(m, field, e);
		if (r < 0)
			return r;
	} while (s);
	r = check_mount(m, e);
	return r < 0 ? r : opts_append(p, o, steal_ptr(m), e);
}
const struct opt_type opt_mount = {"mount", set_mount};
