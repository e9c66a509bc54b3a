/* Where cp copies to: see cp-path.h. */
#include "cli/cp-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/str.h"

enum { LINKS_MAX = 10 };

void cp_end_done(struct cp_end *x)
{
	free(x->path);
	free(x->rebase);
	*x = (struct cp_end){0};
}

int cp_argument(const char *arg, char **ret_container, char **ret_path)
{
	const char *colon = strchr(arg, ':');

	*ret_container = NULL;
	if (*arg == '/' || *arg == '.' || !colon) {
		*ret_path = strdup(arg);
		return *ret_path ? 0 : -ENOMEM;
	}
	*ret_container = strndup(arg, (size_t)(colon - arg));
	*ret_path = strdup(colon + 1);
	return *ret_container && *ret_path ? 0 : -ENOMEM;
}

static bool ends_in_slash(const char *path)
{
	return *path && path[strlen(path) - 1] == '/';
}

/* The last component is "." */
static bool says_itself(const char *path)
{
	size_t n = strlen(path);

	while (n && path[n - 1] == '/')
		n--;
	return n && path[n - 1] == '.' && (n == 1 || path[n - 2] == '/');
}

bool cp_asserts_dir(const char *path)
{
	return ends_in_slash(path) || says_itself(path);
}

/* A clean path with the end that another has. */
static char *with_end(const char *clean, const char *original)
{
	bool slash = ends_in_slash(clean);

	if (says_itself(original) && !says_itself(clean))
		return str_fmt("%s%s.", clean, slash ? "" : "/");
	if (ends_in_slash(original) && !slash)
		return str_fmt("%s/", clean);
	return strdup(clean);
}

char *cp_absolute(const char *base, const char *path)
{
	_cleanup_free_ char *full = *path == '/' ? strdup(path) : path_join(base, path);
	_cleanup_free_ char *clean = full ? path_clean(full) : NULL;

	return clean ? with_end(clean, path) : NULL;
}

int cp_split(const char *path, char **ret_dir, char **ret_base)
{
	_cleanup_free_ char *clean = path_clean(path);
	char *slash = clean ? strrchr(clean, '/') : NULL;

	if (!slash)
		return clean ? -EINVAL : -ENOMEM;
	if (says_itself(path) || !slash[1]) {
		*ret_dir = steal_ptr(clean);
		*ret_base = strdup(".");
	} else {
		*ret_base = strdup(slash + 1);
		slash[slash == clean] = 0;
		*ret_dir = steal_ptr(clean);
	}
	return *ret_base ? 0 : -ENOMEM;
}

static char *name_of(const char *path)
{
	_cleanup_free_ char *dir = NULL;
	char *base = NULL;

	cp_split(path, &dir, &base);
	return base;
}

int cp_follow(const char *path, const char *target, struct cp_end *ret)
{
	_cleanup_free_ char *asked = name_of(path), *got = NULL;

	ret->path = with_end(target, path);
	got = ret->path ? name_of(ret->path) : NULL;
	if (!asked || !got)
		return -ENOMEM;
	if (strcmp(asked, got) != 0 && !(ret->rebase = strdup(asked)))
		return -ENOMEM;
	return 0;
}

static int go_error(struct err *e, const char *call, const char *path, int code)
{
	char text[128];

	snprintf(text, sizeof(text), "%s", strerror(code));
	if (*text >= 'A' && *text <= 'Z')
		*text = (char)(*text - 'A' + 'a');
	return err_set(e, code, "%s %s: %s", call, path, text);
}

/* With all links followed. */
static int real_path(const char *path, char **ret, struct err *e)
{
	*ret = realpath(path, NULL);
	return *ret ? 0 : go_error(e, "lstat", path, errno);
}

/* With those in all but the last component followed, and in that too if a slash or a dot follows it. */
static int resolve_parent(const char *path, struct cp_end *ret, struct err *e)
{
	_cleanup_free_ char *dir = NULL, *base = NULL, *real = NULL;
	const char *slash = strrchr(path, '/');

	if (cp_asserts_dir(path)) {
		int r = real_path(path, &real, e);
		return r < 0 ? r : cp_follow(path, real, ret) < 0 ? err_nomem(e) : 0;
	}
	dir = strndup(path, (size_t)(slash - path) + 1);
	base = strdup(slash + 1);
	if (!dir || !base)
		return err_nomem(e);
	int r = real_path(dir, &real, e);
	if (r == 0 && !(ret->path = path_join(real, base)))
		r = err_nomem(e);
	return r;
}

int cp_local_source(const char *path, bool follow, struct cp_end *ret, struct err *e)
{
	_cleanup_free_ char *real = NULL;
	struct stat st;
	int r = follow ? real_path(path, &real, e) : resolve_parent(path, ret, e);

	if (r == 0 && follow && cp_follow(path, real, ret) < 0)
		r = err_nomem(e);
	if (r < 0)
		return r;
	if (lstat(ret->path, &st) < 0)
		return go_error(e, "lstat", ret->path, errno);
	ret->exists = true;
	ret->dir = S_ISDIR(st.st_mode);
	return 0;
}

/* The path that a link leads to, from its own directory if it is relative. */
static int step(char **path, struct err *e)
{
	char text[PATH_MAX];
	_cleanup_free_ char *dir = NULL, *base = NULL, *full = NULL, *clean = path_clean(*path);
	ssize_t n = clean ? readlink(clean, text, sizeof(text) - 1) : -1;

	if (n < 0)
		return go_error(e, "readlink", *path, errno);
	text[n] = 0;
	if (cp_split(clean, &dir, &base) < 0)
		return err_nomem(e);
	full = *text == '/' ? strdup(text) : path_join(dir, text);
	if (!full)
		return err_nomem(e);
	free(*path);
	*path = steal_ptr(full);
	return 0;
}

static int check_parent(const char *path, struct err *e)
{
	_cleanup_free_ char *dir = NULL, *base = NULL;
	struct stat st;

	if (cp_split(path, &dir, &base) < 0)
		return err_nomem(e);
	if (stat(dir, &st) < 0)
		return go_error(e, "stat", dir, errno);
	return S_ISDIR(st.st_mode) ? 0 : err_set(e, ENOTDIR, "not a directory");
}

int cp_local_destination(const char *path, struct cp_end *ret, struct err *e)
{
	struct stat st;

	ret->path = strdup(path);
	if (!ret->path)
		return err_nomem(e);
	for (int links = 0;; links++) {
		if (lstat(ret->path, &st) < 0) {
			if (errno != ENOENT)
				return go_error(e, "lstat", ret->path, errno);
			return check_parent(ret->path, e);
		}
		if (!S_ISLNK(st.st_mode))
			break;
		if (links > LINKS_MAX)
			return err_set(e, ELOOP, "too many symlinks in %s", path);
		int r = step(&ret->path, e);
		if (r < 0)
			return r;
	}
	ret->exists = true;
	ret->dir = S_ISDIR(st.st_mode);
	return 0;
}

int cp_check_output(const char *path, struct err *e)
{
	_cleanup_free_ char *clean = path_clean(path);
	const char *slash = clean ? strrchr(clean, '/') : NULL;
	struct stat st;

	if (!clean)
		return err_nomem(e);
	_cleanup_free_ char *dir = strndup(clean, slash ? (size_t)(slash - clean) : 0);
	if (dir && *dir && stat(dir, &st) < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "invalid output path: directory \"%s\" does not exist", dir);
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : go_error(e, "stat", path, errno);
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return 0;
	return err_set(e, EINVAL, "invalid output path: \"%s\" must be a directory or a regular file: got %s", path,
		S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? "a device" : "an irregular file");
}

int cp_prepare(const struct cp_end *from, const struct cp_end *to, char **ret_dir, char **ret_name, struct err *e)
{
	if (to->exists && to->dir) {
		*ret_dir = strdup(to->path);
		*ret_name = from->rebase ? strdup(from->rebase) : name_of(from->path);
		return *ret_dir && *ret_name ? 0 : err_nomem(e);
	}
	if (to->exists && from->dir)
		return err_set(e, ENOTDIR, "cannot copy directory");
	if (!to->exists && !from->dir && cp_asserts_dir(to->path))
		return err_set(e, ENOENT, "no such directory");
	return cp_split(to->path, ret_dir, ret_name) < 0 ? err_nomem(e) : 0;
}
