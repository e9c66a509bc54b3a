/* --device: the devices of the plan. A directory of the host stands for all devices in it, as with docker. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "engine/engine-private.h"

#define GATHERING "error gathering device information while adding custom device \"%s\": "

enum { DEPTH_MAX = 8 };

static int add_device(struct plan *p, const char *host, const char *inside, const char *access, struct err *e)
{
	struct plan_device *d = plan_add_device(p);

	if (!d)
		return err_nomem(e);
	*d = (struct plan_device){.host_path = strdup(host), .path = strdup(inside), .access = strdup(access)};
	return d->host_path && d->path && d->access ? 0 : err_nomem(e);
}

static int add_tree(struct plan *p, const char *host, const char *inside, const char *access, int depth, struct err *e)
{
	_cleanup_closedir_ DIR *d = opendir(host);
	const struct dirent *en;
	int r = 0;

	if (!d)
		return err_set(e, errno, GATHERING "%s", host, strerror(errno));
	while (r == 0 && (en = readdir(d))) {
		_cleanup_free_ char *from = str_fmt("%s/%s", host, en->d_name),
				    *to = str_fmt("%s/%s", inside, en->d_name);
		struct stat st;
		if (!from || !to)
			return err_nomem(e);
		if (!strcmp(en->d_name, ".") || !strcmp(en->d_name, "..") || lstat(from, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			r = add_tree(p, from, to, access, depth + 1, e);
		else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			r = add_device(p, from, to, access, e);
	}
	return r;
}

/* What is no device at all is the sandbox's to say. */
static int check_place(const struct plan_device *d, struct err *e)
{
	struct stat st;

	if (str_starts(d->path, "/dev/") || stat(d->host_path, &st) < 0 ||
		(!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
		return 0;
	return err_set(
		e, ENOTSUP, "device %s: its place in the container, %s, must be below /dev", d->host_path, d->path);
}

int devices_plan(const json_t *hc, struct plan *p, struct err *e)
{
	size_t i;
	json_t *j;
	int r = 0;

	json_array_foreach(json_object_get(hc, "Devices"), i, j) {
		const char *host = json_str(j, "PathOnHost"), *access = json_str(j, "CgroupPermissions");
		const char *inside = str_empty(json_str(j, "PathInContainer")) ? host : json_str(j, "PathInContainer");
		_cleanup_free_ char *path = path_clean(inside ? inside : "");
		size_t before = p->devices_len;
		struct stat st;
		if (!path)
			return err_nomem(e);
		if (str_empty(access))
			access = "rwm";
		bool tree = stat(host ? host : "", &st) == 0 && S_ISDIR(st.st_mode);
		r = tree ? add_tree(p, host, path, access, 0, e) : add_device(p, host ? host : "", path, access, e);
		if (r == 0 && tree && p->devices_len == before)
			r = err_set(e, EINVAL, GATHERING "no device in it", host);
		if (r == 0)
			r = check_place(p->devices + before, e);
		if (r < 0)
			return r;
	}
	return 0;
}
