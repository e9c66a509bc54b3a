/* A container's cgroup: found, made, listed, killed, removed, whichever version the host has. */
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

enum {
	V1_MAGIC = 0x27e0eb,
	V2_MAGIC = 0x63677270,
	PROCS_MAX = 8 << 20,
	KILL_MS = 10000,
	REMOVE_MS = 5000,
	DEPTH_MAX = 32,
	MOVE_TRIES = 100,
};

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void cgroup_path(const char *parent, const char *id, char ret[256])
{
	while (parent && *parent == '/')
		parent++;
	snprintf(ret, 256, "%s/%s", str_empty(parent) ? "caisson" : parent, id);
}

static int check_path(const char *path, struct err *e)
{
	_cleanup_strv_ char **parts = strv_split(path, "/");

	if (strlen(path) >= 255 || strv_len(parts) < 2 || strv_has(parts, "..") || strv_has(parts, "."))
		return err_set(e, EINVAL, "invalid cgroup path \"%s\"", path);
	return 0;
}

static int probe_v1(struct cgroup *c)
{
	_cleanup_closedir_ DIR *d = opendir(CGROUP_ROOT);
	struct dirent *en;
	struct statfs fs;

	if (!d)
		return -errno;
	while ((en = readdir(d))) {
		char path[300];
		/* links are other names of the same hierarchy: "cpu" -> "cpu,cpuacct" */
		if (en->d_name[0] == '.' || en->d_type != DT_DIR || strlen(en->d_name) >= sizeof(c->dir->name))
			continue;
		snprintf(path, sizeof(path), CGROUP_ROOT "/%s", en->d_name);
		if (statfs(path, &fs) < 0 || fs.f_type != V1_MAGIC)
			continue;
		if (c->len == CGROUP_HIERARCHIES_MAX)
			break;
		strcpy(c->dir[c->len].name, en->d_name);
		c->dir[c->len++].fd = -1;
	}
	return c->len ? 0 : -ENOENT;
}

int cgroup_probe(struct cgroup *ret, struct err *e)
{
	struct statfs fs;

	*ret = CGROUP_INIT;
	if (statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == V2_MAGIC) {
		ret->v2 = true;
		ret->len = 1;
		ret->dir[0] = (struct cgroup_dir){.fd = -1};
		return 0;
	}
	int r = probe_v1(ret);
	return r < 0 ? err_set(e, ENOENT, "no cgroup file system is mounted on " CGROUP_ROOT) : 0;
}

unsigned cgroup_can(void)
{
	struct cgroup c;
	struct err none;

	if (cgroup_probe(&c, &none) < 0)
		return 0;
	return c.v2 ? cgroup_v2_can() : cgroup_v1_can(&c);
}

int cgroup_check(const struct plan *p, struct err *e)
{
	struct cgroup c;
	char path[256];

	cgroup_path(p->cgroup_parent, str_empty(p->id) ? "check" : p->id, path);
	int r = check_path(path, e);
	if (r == 0)
		r = cgroup_probe(&c, e);
	if (r == 0)
		r = c.v2 ? cgroup_v2_check(p, e) : cgroup_v1_check(&c, p, e);
	return r < 0 ? r : cgroup_io_check(p, e);
}

static int open_root(const struct cgroup *c, size_t i)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP_ROOT "/%s", c->dir[i].name);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_dir(const struct cgroup *c, size_t i)
{
	_cleanup_close_ int root = open_root(c, i);

	if (root < 0)
		return root;
	int fd = openat(root, c->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Makes PARENT/ID in one hierarchy. */
static int make_dir(struct cgroup *c, size_t i, struct err *e)
{
	_cleanup_close_ int root = open_root(c, i);
	_cleanup_free_ char *parent = strdup(c->path);

	if (!parent)
		return err_nomem(e);
	if (root < 0)
		return err_errno(e, root, "cgroup hierarchy %s", c->dir[i].name);
	*strrchr(parent, '/') = 0;
	if (c->v2 || mkdirat(root, c->path, 0755) < 0) {
		int r = mkdir_p(root, parent, 0755);
		_cleanup_close_ int dir = r < 0 ? -1 : openat(root, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_errno(e, r < 0 ? -r : errno, "make cgroup %s/%s", c->dir[i].name, parent);
		if (c->v2) {
			r = cgroup_v2_prepare(root, dir, e);
			if (r < 0)
				return r;
		}
		if (mkdirat(root, c->path, 0755) < 0)
			return err_errno(e, errno, "make cgroup %s/%s", c->dir[i].name, c->path);
	}
	c->dir[i].fd = openat(root, c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->dir[i].fd < 0 ? err_errno(e, errno, "open cgroup %s/%s", c->dir[i].name, c->path) : 0;
}

int cgroup_create(const struct plan *p, struct cgroup *ret, struct err *e)
{
	struct cgroup c;
	int r = cgroup_probe(&c, e);

	if (r < 0)
		return r;
	cgroup_path(p->cgroup_parent, p->id, c.path);
	r = check_path(c.path, e);
	for (size_t i = 0; r == 0 && i < c.len; i++)
		if (c.v2 || cgroup_v1_wanted(c.dir[i].name, p))
			r = make_dir(&c, i, e);
	if (r == 0 && !c.v2)
		r = cgroup_v1_prepare(&c, e);
	if (r == 0)
		r = cgroup_limit(&c, p, false, e);
	if (r == 0 && !p->privileged)
		r = c.v2 ? cgroup_v2_devices(&c, p, e) : cgroup_v1_devices(&c, p, e);
	if (r < 0) {
		cgroup_remove(&c);
		cgroup_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int cgroup_open(const char *path, struct cgroup *ret, struct err *e)
{
	struct cgroup c;
	size_t found = 0;
	int r = check_path(path, e);

	if (r == 0)
		r = cgroup_probe(&c, e);
	if (r < 0)
		return r;
	snprintf(c.path, sizeof(c.path), "%s", path);
	for (size_t i = 0; i < c.len; i++) {
		c.dir[i].fd = open_dir(&c, i);
		found += c.dir[i].fd >= 0;
	}
	if (!found)
		return err_set(e, ENOENT, "cgroup %s does not exist", path);
	*ret = c;
	return 0;
}

int cgroup_join_v1(const struct cgroup *c, struct err *e)
{
	/* "0" to `tasks` moves the calling thread without the lock over all processes' forks and exits that
	 * cgroup.procs takes */
	for (size_t i = 0; i < c->len; i++) {
		if (c->dir[i].fd < 0)
			continue;
		int r = file_write(c->dir[i].fd, "tasks", "0");
		if (r < 0)
			return err_errno(e, r, "join cgroup %s/%s", c->dir[i].name, c->path);
	}
	return 0;
}

int cgroup_limit(const struct cgroup *c, const struct plan *p, bool again, struct err *e)
{
	int r = c->v2 ? cgroup_v2_limit(c, p, again, e) : cgroup_v1_limit(c, p, again, e);

	return r < 0 ? r : cgroup_io_limit(c, p, e);
}

static bool same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

bool cgroup_same_limits(const struct plan *a, const struct plan *b)
{
	return a->memory == b->memory && a->memory_swap == b->memory_swap &&
		a->memory_reservation == b->memory_reservation && a->oom_kill_disable == b->oom_kill_disable &&
		a->nanocpus == b->nanocpus && a->cpu_quota == b->cpu_quota && a->cpu_period == b->cpu_period &&
		a->cpu_shares == b->cpu_shares && a->pids == b->pids && same(a->cpuset_cpus, b->cpuset_cpus) &&
		same(a->cpuset_mems, b->cpuset_mems) && a->swappiness == b->swappiness &&
		a->blkio_weight == b->blkio_weight && !a->io_len && !b->io_len;
}

static bool names_controller(const char *hierarchy, const char *controller)
{
	size_t n = strlen(controller);

	for (const char *s = hierarchy; s; s = strchr(s, ',')) {
		s += *s == ',';
		if (!strncmp(s, controller, n) && (!s[n] || s[n] == ','))
			return true;
	}
	return false;
}

int cgroup_fd(const struct cgroup *c, const char *controller)
{
	for (size_t i = 0; i < c->len; i++)
		if (c->v2 || names_controller(c->dir[i].name, controller))
			return c->dir[i].fd;
	return -1;
}

int cgroup_read_u64(const struct cgroup *c, const char *controller, const char *file, uint64_t *ret)
{
	char line[64];
	int fd = cgroup_fd(c, controller);
	int r = fd < 0 ? -ENOENT : file_read_line(fd, file, line, sizeof(line));

	if (r == 0 && !strcmp(line, "max")) {
		*ret = UINT64_MAX;
		return 0;
	}
	return r < 0 ? r : parse_u64(line, ret);
}

int cgroup_read_key(const struct cgroup *c, const char *controller, const char *file, const char *key, uint64_t *ret)
{
	_cleanup_buf_ struct buf b = {0};
	int fd = cgroup_fd(c, controller);
	int r = fd < 0 ? -ENOENT : file_read(fd, file, 65536, &b);
	char *text = b.data, *line;

	if (r < 0)
		return r;
	while ((line = strsep(&text, "\n"))) {
		char *value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = 0;
		if (!strcmp(line, key))
			return parse_u64(value, ret);
	}
	return -ENOENT;
}

/* The directory that stands for the container where one is enough. */
static int main_dir(const struct cgroup *c)
{
	static const char *const best[] = {"pids", "freezer", "memory", "devices", "cpu"};

	for (size_t i = 0; i < sizeof(best) / sizeof(*best); i++)
		if (cgroup_fd(c, best[i]) >= 0)
			return cgroup_fd(c, best[i]);
	for (size_t i = 0; i < c->len; i++)
		if (c->dir[i].fd >= 0)
			return c->dir[i].fd;
	return -1;
}

struct pid_list {
	pid_t *pid;
	size_t len;
};

static int add_procs(int dir, struct pid_list *l)
{
	_cleanup_buf_ struct buf b = {0};
	int r = file_read(dir, "cgroup.procs", PROCS_MAX, &b);
	char *text = b.data, *line;

	if (r < 0)
		return r == -ENODEV || r == -ENOENT ? 0 : r;
	while ((line = strsep(&text, "\n"))) {
		int pid;
		if (parse_int(line, &pid) < 0 || pid <= 0)
			continue;
		if (!(l->len & (l->len + 1)) || !l->len) {
			pid_t *p = realloc(l->pid, 2 * (l->len + 1) * sizeof(*p));
			if (!p)
				return -ENOMEM;
			l->pid = p;
		}
		l->pid[l->len++] = pid;
	}
	return 0;
}

/* Calls fn for each cgroup below dir, the deepest first. */
static int walk(int dir, int depth, int (*fn)(int parent, const char *name, int dir, void *data), void *data)
{
	_cleanup_closedir_ DIR *d = dir_open(dir, ".");
	struct dirent *en;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (en = readdir(d))) {
		if (en->d_type != DT_DIR || en->d_name[0] == '.')
			continue;
		_cleanup_close_ int sub = openat(dir, en->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0)
			continue;
		if (depth < DEPTH_MAX)
			r = walk(sub, depth + 1, fn, data);
		if (r == 0)
			r = fn(dir, en->d_name, sub, data);
	}
	return r;
}

static int add_procs_below(int parent, const char *name, int dir, void *data)
{
	(void)parent;
	(void)name;
	return add_procs(dir, data);
}

int cgroup_pids(const struct cgroup *c, pid_t **ret, size_t *ret_len)
{
	struct pid_list l = {0};
	int dir = main_dir(c);

	if (dir < 0)
		return -ENOENT;
	int r = add_procs(dir, &l);
	if (r == 0)
		r = walk(dir, 0, add_procs_below, &l);
	if (r < 0) {
		free(l.pid);
		return r;
	}
	*ret = l.pid;
	*ret_len = l.len;
	return 0;
}

/* Until there is none that was forked meanwhile by one that was still to be moved. */
static int move_procs(const struct cgroup *c, size_t i, struct err *e)
{
	for (int tries = 0; tries < MOVE_TRIES; tries++) {
		_cleanup_free_ pid_t *pids = NULL;
		struct pid_list there = {0};
		char text[16];
		size_t n;
		int r = cgroup_pids(c, &pids, &n);
		for (size_t k = 0; r == 0 && k < n; k++) {
			snprintf(text, sizeof(text), "%d", pids[k]);
			r = file_write(c->dir[i].fd, "cgroup.procs", text);
			r = r == -ESRCH ? 0 : r;
		}
		if (r == 0)
			r = add_procs(c->dir[i].fd, &there);
		free(there.pid);
		if (r < 0)
			return err_errno(e, r, "move processes to cgroup %s/%s", c->dir[i].name, c->path);
		if (there.len >= n)
			return 0;
	}
	return err_set(e, EAGAIN, "move processes to cgroup %s/%s: there are ever more", c->dir[i].name, c->path);
}

int cgroup_extend(struct cgroup *c, const struct plan *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && !c->v2 && i < c->len; i++) {
		if (c->dir[i].fd >= 0 || !cgroup_v1_wanted(c->dir[i].name, p))
			continue;
		r = make_dir(c, i, e);
		if (r == 0)
			r = cgroup_v1_prepare(c, e);
		if (r == 0)
			r = move_procs(c, i, e);
	}
	return r;
}

int cgroup_freeze(const struct cgroup *c, bool on, struct err *e)
{
	return c->v2 ? cgroup_v2_freeze(c, on, e) : cgroup_v1_freeze(c, on, e);
}

/* Signals everything once; returns how many there were. */
static ssize_t kill_once(const struct cgroup *c)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;
	int r = cgroup_pids(c, &pids, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (pids[i] > 1)
			kill(pids[i], SIGKILL);
	return (ssize_t)n;
}

int cgroup_kill(const struct cgroup *c)
{
	uint64_t end = clock_mono_ms() + KILL_MS;

	if (c->v2 && file_write(c->dir[0].fd, "cgroup.kill", "1") == 0)
		cgroup_freeze(c, false, NULL);
	for (;;) {
		/* frozen processes fork no more while they are signalled, and die when thawed; v1 kills only
		 * then */
		ssize_t n = kill_once(c);
		if (n <= 0)
			return (int)n;
		if (n > 1) {
			cgroup_freeze(c, true, NULL);
			kill_once(c);
		}
		cgroup_freeze(c, false, NULL);
		if (clock_mono_ms() > end)
			return -ETIMEDOUT;
		nap();
	}
}

static int remove_dir(int parent, const char *name)
{
	uint64_t end = clock_mono_ms() + REMOVE_MS;

	while (unlinkat(parent, name, AT_REMOVEDIR) < 0) {
		if (errno == ENOENT)
			return 0;
		/* a process that has been reaped may still be on its way out */
		if (errno != EBUSY || clock_mono_ms() > end)
			return -errno;
		nap();
	}
	return 0;
}

static int remove_below(int parent, const char *name, int dir, void *data)
{
	(void)dir;
	(void)data;
	return remove_dir(parent, name);
}

int cgroup_remove(const struct cgroup *c)
{
	int r = 0;

	for (size_t i = 0; i < c->len; i++) {
		_cleanup_close_ int root = c->dir[i].fd < 0 ? -1 : open_root(c, i);
		if (root < 0)
			continue;
		if (unlinkat(root, c->path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		int k = walk(c->dir[i].fd, 0, remove_below, NULL);
		if (k == 0)
			k = remove_dir(root, c->path);
		r = r ? r : k;
	}
	return r;
}

void cgroup_done(struct cgroup *c)
{
	for (size_t i = 0; i < c->len; i++)
		close_fd(&c->dir[i].fd);
	*c = CGROUP_INIT;
}
