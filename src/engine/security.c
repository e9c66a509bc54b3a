/* --security-opt: what it asks for, and the seccomp profile it names compiled to the filter that the plan carries. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/engine-private.h"
#include "oci/seccomp.h"
#include "sandbox/caps.h"

enum { PROFILE_MAX = 1024 * 1024 };

/* "seccomp=FILE|unconfined|builtin|{json}" */
static int resolve_seccomp(const char *value, json_t *out, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};

	if (!strcmp(value, "unconfined") || *value == '{') {
		json_object_set_new(out, "Seccomp", json_from_str(value));
	} else if (!strcmp(value, "builtin")) {
		json_object_set_new(out, "Seccomp", json_string(""));
	} else {
		int r = file_read(AT_FDCWD, value, PROFILE_MAX, &b);
		if (r < 0)
			return err_errno(e, r, "opening seccomp profile (%s) failed", value);
		_cleanup_free_ char *what = str_fmt("seccomp profile %s", value);
		_cleanup_json_ json_t *profile = what ? json_parse(b.data, b.len, what, e) : NULL;
		if (!profile)
			return what ? -EBADMSG : err_nomem(e);
		json_object_set_new(out, "Seccomp", json_from_str(b.data));
	}
	return 0;
}

static int resolve_option(const char *opt, json_t *out, struct err *e)
{
	bool on = true;
	size_t n = strcspn(opt, "=:");
	const char *value = opt[n] ? opt + n + 1 : "";

	if (!strncmp(opt, "no-new-privileges", n) && n == strlen("no-new-privileges")) {
		if (opt[n] && parse_bool(value, &on) < 0)
			return err_set(e, EINVAL, "invalid --security-opt 2: \"%s\"", opt);
		json_object_set_new(out, "NoNewPrivileges", json_boolean(on));
		return 0;
	}
	if (!strcmp(opt, "systempaths=unconfined")) {
		json_object_set_new(out, "SystemPaths", json_true());
		return 0;
	}
	if (n == strlen("seccomp") && !strncmp(opt, "seccomp", n) && *value)
		return resolve_seccomp(value, out, e);
	if (!strcmp(opt, "apparmor=unconfined") || !strcmp(opt, "label=disable") || !strcmp(opt, "label:disable"))
		return 0;
	if (str_starts(opt, "apparmor") || str_starts(opt, "label"))
		return err_set(e, ENOTSUP,
			"invalid --security-opt: \"%s\": AppArmor and SELinux are not used by caisson", opt);
	return err_set(e, EINVAL, "invalid --security-opt 2: \"%s\"", opt);
}

int security_resolve(const json_t *hc, json_t **ret, struct err *e)
{
	_cleanup_json_ json_t *out = json_pack("{s:b, s:s}", "NoNewPrivileges", 0, "Seccomp", "");
	size_t i;
	json_t *opt;

	json_array_foreach(json_object_get(hc, "SecurityOpt"), i, opt) {
		int r = resolve_option(json_is_string(opt) ? json_string_value(opt) : "", out, e);
		if (r < 0)
			return r;
	}
	*ret = steal_ptr(out);
	return 0;
}

int security_seccomp(struct engine *g, const char *profile, uint64_t caps, bool privileged, char **ret_bpf,
	size_t *ret_len, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	_cleanup_close_ int cache = -1;

	*ret_bpf = NULL;
	*ret_len = 0;
	if (!strcmp(profile, "unconfined") || (privileged && !*profile))
		return 0;
	if (!*profile) {
		_cleanup_free_ char *path = path_join(g->data_dir, "seccomp.json");
		int r = path ? file_read(AT_FDCWD, path, PROFILE_MAX, &b) : -ENOMEM;
		if (r < 0)
			return err_errno(e, r, "the default seccomp profile %s", path ? path : "");
		profile = b.data;
	}
	if (mkdir_p(g->root_fd, "cache/seccomp", 0700) == 0)
		cache = openat(g->root_fd, "cache/seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return seccomp_cached(cache, profile, strlen(profile), caps, ret_bpf, ret_len, e);
}

int security_usual_filter(void *data, char **ret_bpf, size_t *ret_len, struct err *e)
{
	uint64_t caps;
	int r = caps_from_names(NULL, NULL, false, &caps, e);

	return r < 0 ? r : security_seccomp(data, "", caps, false, ret_bpf, ret_len, e);
}
