/* Templates as the user sees them: listed, built before they are needed, removed. And removed when nobody needs them any more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "isolation/hyperv-template.h"
#include "proto/template.h"

enum { UNUSED_S = 24 * 60 * 60, IMAGE_UNUSED_S = 7 * UNUSED_S, IMAGES_MAX = 8, IMAGE_REST_S = 60 * 60 };

static int open_dir(const struct isolation_host *h, DIR **ret)
{
	_cleanup_free_ char *path = template_path(h, "");

	*ret = path ? opendir(path) : NULL;
	return *ret ? 0 : path ? -errno : -ENOMEM;
}

/* ---- list ---- */

/* Whether somebody listens on a stream socket, without a connection: one of another type is refused otherwise where nobody does (unix(7)). */
static bool listened(int dir, const char *name)
{
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, name) >= (int)sizeof(a.sun_path))
		return false;
	return connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EPROTOTYPE;
}

static bool held(const struct isolation_host *h, const char *name)
{
	_cleanup_free_ char *path = path_join(h->run_dir, TEMPLATE_RUN_DIR), *sock = str_fmt("%s.sock", name);
	_cleanup_close_ int dir = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	return dir >= 0 && sock && listened(dir, sock);
}

static uint64_t disk_size(int dir, const char *name)
{
	_cleanup_free_ char *disk = str_fmt(TEMPLATE_DISK, name);
	struct stat st;

	return disk && fstatat(dir, disk, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static bool disk_is_damaged(int dir, const char *name, const struct template_footer *f, bool whole)
{
	_cleanup_free_ char *disk = str_fmt(TEMPLATE_DISK, name);
	_cleanup_close_ int fd = disk ? openat(dir, disk, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	return template_check_disk(fd, f, whole) < 0;
}

static int look(const struct isolation_host *h, int dir, const char *name, bool whole, struct template_info *t)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	unsigned long long mib;
	struct template_footer f;
	struct stat st;

	*t = (struct template_info){0};
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->size = (uint64_t)st.st_blocks * 512 + disk_size(dir, name);
	t->used = st.st_mtim.tv_sec;
	t->held = held(h, name);
	t->damaged = sscanf(name, "%16[0-9a-f]-%7[a-z]-%llum-%uc-%un-%12[0-9a-f]", t->generation, t->accel, &mib,
			     &t->cpus, &t->cards, t->image) < 5 ||
		(whole ? template_check(fd, name, &f) : template_footer(fd, name, &f)) < 0 ||
		disk_is_damaged(dir, name, &f, whole);
	if (t->damaged)
		return 0;
	t->memory_mib = mib;
	t->built = (int64_t)f.built;
	snprintf(t->kernel, sizeof(t->kernel), "%s", f.release);
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct template_info *x = a, *y = b;

	return x->used != y->used ? (x->used < y->used) - (x->used > y->used) : strcmp(x->name, y->name);
}

int template_list(const struct isolation_host *h, bool whole, struct template_info **ret, size_t *ret_len)
{
	_cleanup_free_ struct template_info *v = NULL;
	_cleanup_closedir_ DIR *d = NULL;
	size_t n = 0;
	int r = open_dir(h, &d);

	*ret = NULL;
	*ret_len = 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (struct dirent *e; (e = readdir(d));) {
		if (!template_is_name(e->d_name))
			continue;
		struct template_info *more = realloc(v, (n + 1) * sizeof(*v));
		if (!more)
			return -ENOMEM;
		v = more;
		if (look(h, dirfd(d), e->d_name, whole, &v[n]) == 0)
			n++;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_use);
	*ret = steal_ptr(v);
	*ret_len = n;
	return 0;
}

/* ---- build ---- */

int template_make(const struct isolation_host *h, const struct template_shape *s, const char *erofs,
	hyperv_notice_fn *notice, void *data, char ret_name[80], struct err *e)
{
	static const struct card cards[1];
	struct vm_config c = {
		.kernel = -1, .initrd = -1, .image = -1, .disk = -1, .ram = -1, .scratch = -1, .share = -1};
	struct template_name n;
	struct kernel k;
	const char *text;

	*ret_name = 0;
	int r = kernel_find(h, &k, e);
	if (r == 0)
		r = vm_prepare(h, &k, s->memory, s->nanocpus, &c, &text, e);
	if (r == 0 && text && notice)
		notice(data, text);
	c.cards = cards;
	c.cards_len = s->card;
	if (r == 0)
		r = template_name(h, &k, &c, &n, e);
	if (r == 0 && erofs) {
		template_image_name(&n, erofs, &n);
		c.image = open(erofs, O_RDONLY | O_CLOEXEC);
		if (c.image < 0)
			r = err_errno(e, errno, "image %s", erofs);
	}
	_cleanup_free_ char *path = r == 0 ? template_path(h, n.text) : NULL;
	if (r == 0 && !path)
		r = err_nomem(e);
	if (r == 0 && erofs)
		template_drop_stale(h, &n, c.image);
	bool there = r == 0 && access(path, F_OK) == 0;
	if (r == 0 && !there)
		r = template_build(h, &n, &c, true, e);
	if (r == 0 && !there)
		snprintf(ret_name, sizeof(n.text), "%s", n.text);
	close_fd(&c.kernel);
	close_fd(&c.initrd);
	close_fd(&c.image);
	return r;
}

/* ---- prune ---- */

static bool is_there(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What is left of builders, or (in the run directory) of holders, that were killed; the lock tells whether there is one. */
static void tidy(int templates, int dir, const char *name)
{
	static const char *const left[] = {"new", "disk.new", "build", "sock"};
	_cleanup_free_ char *lock_name = str_fmt("%s.lock", name);
	_cleanup_close_ int lock = lock_name ? fd_lock_file(dir, lock_name, true, false) : -ENOMEM;

	if (lock < 0)
		return;
	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
		_cleanup_free_ char *path = str_fmt("%s.%s", name, left[i]);
		if (path)
			rm_rf(dir, path);
	}
	_cleanup_free_ char *disk = str_fmt(TEMPLATE_DISK, name);
	if (is_there(templates, name))
		return;
	if (disk)
		unlinkat(dir, disk, 0);
	unlinkat(dir, lock_name, 0);
}

/* Names are gathered first, as the directory changes. */
static int read_names(int dir, char ***ret)
{
	_cleanup_closedir_ DIR *d = dir_open(dir, ".");
	int r = 0;

	if (!d)
		return -errno;
	for (struct dirent *e; r >= 0 && (e = readdir(d));)
		if (e->d_name[0] != '.')
			r = strv_push(ret, e->d_name);
	return r;
}

static void tidy_all(int templates, int dir)
{
	_cleanup_strv_ char **names = NULL;

	read_names(dir, &names);
	strv_foreach(s, names) {
		char *dot = strchr(s, '.');
		if (!dot)
			continue;
		bool work = str_ends(dot, ".new") || !strcmp(dot, ".build");
		*dot = 0;
		if (work || !is_there(templates, s))
			tidy(templates, dir, s);
	}
}

/* Those of other generations after a day, those of images after a week. */
static void remove_unused(const struct isolation_host *h, int templates, const char *generation)
{
	_cleanup_strv_ char **names = NULL;
	struct err none;
	struct stat st;

	read_names(templates, &names);
	strv_foreach(s, names) {
		if (!template_is_name(s) || fstatat(templates, s, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		time_t kept = !str_starts(s, generation) ? UNUSED_S
			: template_image_of(s)           ? IMAGE_UNUSED_S
							 : INT64_MAX / 2;
		if (time(NULL) - st.st_mtime < kept)
			continue;
		log_trace("vm", "template %s: not used for long, removed", s);
		template_remove(h, s, &none);
	}
}

/* The rest of them stay until a more recent image needs their place. */
static void remove_least_used(const struct isolation_host *h)
{
	_cleanup_free_ struct template_info *v = NULL;
	struct err none;
	size_t n, images = 0;

	if (template_list(h, false, &v, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (template_image_of(v[i].name) && ++images > IMAGES_MAX)
			template_remove(h, v[i].name, &none);
}

bool template_room_for_image(const struct isolation_host *h)
{
	_cleanup_free_ struct template_info *v = NULL;
	size_t n, images = 0;
	int64_t oldest = INT64_MAX;

	if (template_list(h, false, &v, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!template_image_of(v[i].name))
			continue;
		images++;
		oldest = v[i].used < oldest ? v[i].used : oldest;
	}
	return images < IMAGES_MAX || time(NULL) - oldest > IMAGE_REST_S;
}

/* That its first start has looked for one. */
static void forget_wanted(const struct isolation_host *h, const char *hex)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_close_ int dir = template_run_dir(h);

	if (dir >= 0)
		read_names(dir, &names);
	strv_foreach(s, names) {
		_cleanup_free_ char *name = strndup(s, strcspn(s, "."));
		if (name && template_image_of(name) && str_starts(hex, template_image_of(name)) &&
			str_ends(s, ".wanted"))
			unlinkat(dir, s, 0);
	}
}

void template_forget_image(const struct isolation_host *h, const char *id)
{
	_cleanup_free_ struct template_info *v = NULL;
	const char *hex = strchr(id, ':') ? strchr(id, ':') + 1 : id;
	struct err none;
	size_t n;

	forget_wanted(h, hex);
	if (template_list(h, false, &v, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (template_image_of(v[i].name) && str_starts(hex, template_image_of(v[i].name)))
			template_remove(h, v[i].name, &none);
}

void template_prune(const struct isolation_host *h, const char *generation)
{
	_cleanup_free_ char *path = template_path(h, ""), *run_path = path_join(h->run_dir, TEMPLATE_RUN_DIR);
	_cleanup_close_ int templates = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	_cleanup_close_ int run = run_path ? open(run_path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (templates < 0)
		return;
	if (generation)
		remove_unused(h, templates, generation);
	if (generation)
		remove_least_used(h);
	tidy_all(templates, templates);
	if (run >= 0)
		tidy_all(templates, run);
}

void template_tidy(const struct isolation_host *h)
{
	template_prune(h, NULL);
}
