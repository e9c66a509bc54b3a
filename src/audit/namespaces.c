/* All mount namespaces of the host's kernel and what is mounted in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "audit/audit-private.h"
#include "base/fd.h"

/* Linux 6.12: include/uapi/linux/nsfs.h */
struct mount_namespace_info {
	uint32_t size, mounts;
	uint64_t id;
};
#define NEXT_MOUNT_NAMESPACE     _IOR(0xb7, 11, struct mount_namespace_info)
#define PREVIOUS_MOUNT_NAMESPACE _IOR(0xb7, 12, struct mount_namespace_info)

enum { MOUNTINFO_MAX = 16 << 20, LISTED_MAX = 100000 };

struct walk {
	struct audit *audit;
	namespace_fn *fn;
	void *data;
	uint64_t *seen;
	size_t len, room, unread;
	struct pinned *pinned;
};

/* A namespace that is mounted as a file. */
struct pinned {
	struct pinned *next;
	uint64_t id;
	pid_t pid; /* whose root `path` is in */
	char *path;
};

/* Whether it is new. */
static bool note_seen(struct walk *w, uint64_t id)
{
	for (size_t i = 0; i < w->len; i++)
		if (w->seen[i] == id)
			return false;
	if (w->len == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		uint64_t *seen = realloc(w->seen, room * sizeof(*seen));
		if (!seen)
			return false;
		w->seen = seen;
		w->room = room;
	}
	w->seen[w->len++] = id;
	return true;
}

/* They are looked at last, when it is known which have processes. */
static void note_pinned(struct walk *w, pid_t pid, const struct mounts *m)
{
	for (size_t i = 0; i < m->len; i++) {
		if (strcmp(m->v[i].type, "nsfs") != 0 || !str_starts(m->v[i].root, "mnt:["))
			continue;
		struct pinned *p = calloc(1, sizeof(*p));
		if (!p)
			return;
		*p = (struct pinned){
			.next = w->pinned, .id = ns_parse(m->v[i].root), .pid = pid, .path = strdup(m->v[i].point)};
		w->pinned = p;
	}
}

static void report(struct walk *w, const struct mount_namespace *ns, int r)
{
	if (r == 0)
		w->fn(w->data, ns);
	else
		w->unread++;
}

/* A process that ends while it is read may have others in its namespace: they come later in the row, and so are tried too. */
static void read_of_process(struct walk *w, int dir, uint64_t id, const struct host_process *p)
{
	struct mounts m = {0};
	int r = mounts_read(dir, &m);

	if (r == 0 && m.len && note_seen(w, id)) {
		note_pinned(w, p->pid, &m);
		report(w, &(struct mount_namespace){.id = id, .process = p, .mounts = &m}, 0);
	}
	mounts_done(&m);
}

static bool is_seen(const struct walk *w, uint64_t id)
{
	for (size_t i = 0; i < w->len; i++)
		if (w->seen[i] == id)
			return true;
	return false;
}

static void walk_process(struct walk *w, const struct host_process *p)
{
	if (!p->ns[NS_MNT] || is_seen(w, p->ns[NS_MNT]))
		return;
	_cleanup_close_ int dir = snapshot_dir(&w->audit->snap, p->pid);
	if (dir >= 0)
		read_of_process(w, dir, p->ns[NS_MNT], p);
}

/* A thread may have left the namespace of its process. */
static void walk_threads(struct walk *w, const struct host_process *p)
{
	char path[48], link[64];

	snprintf(path, sizeof(path), "%d/task", p->pid);
	_cleanup_closedir_ DIR *d = dir_open(w->audit->snap.proc, path);
	struct dirent *en;

	if (!d)
		return;
	while ((en = readdir(d))) {
		if (en->d_name[0] == '.' ||
			snprintf(path, sizeof(path), "%s/ns/mnt", en->d_name) >= (int)sizeof(path) ||
			!link_read(dirfd(d), path, link, sizeof(link)) || is_seen(w, ns_parse(link)))
			continue;
		_cleanup_close_ int task = openat(dirfd(d), en->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (task >= 0)
			read_of_process(w, task, ns_parse(link), p);
	}
}

/* In a child, which enters the namespace and sends what it sees. */
static __attribute__((noreturn)) void send_mounts(int ns, int out)
{
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char block[65536];
	ssize_t n;

	if (self < 0 || setns(ns, CLONE_NEWNS) < 0)
		_exit(1);
	int fd = openat(self, "mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		_exit(1);
	while ((n = read(fd, block, sizeof(block))) > 0)
		if (fd_write_all(out, block, (size_t)n) < 0)
			_exit(1);
	_exit(n < 0);
}

static int read_by_entering(int ns, struct mounts *ret)
{
	struct buf b = {0};
	int p[2], status;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		send_mounts(ns, p[1]);
	close(p[1]);
	int r = pid < 0 ? -errno : fd_read_to_end(p[0], MOUNTINFO_MAX, &b);
	close(p[0]);
	if (pid > 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
			r = -EIO;
	}
	if (r < 0) {
		buf_done(&b);
		return r;
	}
	return mounts_parse(b.data, ret);
}

static void enter(struct walk *w, int fd, const char *kept_at)
{
	struct mounts m = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !note_seen(w, st.st_ino))
		return;
	int r = read_by_entering(fd, &m);
	report(w, &(struct mount_namespace){.id = st.st_ino, .kept_at = kept_at, .mounts = &m}, r);
	mounts_done(&m);
}

static void walk_pinned(struct walk *w)
{
	while (w->pinned) {
		struct pinned *p = w->pinned;
		w->pinned = p->next;
		if (p->path && !is_seen(w, p->id)) {
			char root[32];
			snprintf(root, sizeof(root), "%d/root", p->pid);
			_cleanup_close_ int dir = openat(w->audit->snap.proc, root, O_PATH | O_DIRECTORY | O_CLOEXEC);
			_cleanup_close_ int fd = dir < 0 ? -1 : fd_open_in_root(dir, p->path, O_RDONLY | O_CLOEXEC, 0);
			if (fd >= 0)
				enter(w, fd, p->path);
			else if (note_seen(w, p->id))
				w->unread++;
		}
		free(p->path);
		free(p);
	}
}

/* The kernel's own list, in both directions from the caller's; older kernels have none. */
static void walk_list(struct walk *w, unsigned long direction)
{
	int fd = openat(w->audit->snap.proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < LISTED_MAX; i++) {
		struct mount_namespace_info info = {.size = sizeof(info)};
		int next = ioctl(fd, direction, &info);
		close(fd);
		fd = next;
		if (fd >= 0)
			enter(w, fd, "no process");
	}
	if (fd >= 0)
		close(fd);
}

static bool still_there(const struct audit *a, const struct host_process *p)
{
	_cleanup_close_ int dir = snapshot_dir(&a->snap, p->pid);
	char link[64];

	return dir >= 0 && link_read(dir, "ns/mnt", link, sizeof(link)) && ns_parse(link) == p->ns[NS_MNT];
}

size_t mount_namespaces_each(struct audit *a, namespace_fn *fn, void *data, size_t *ret_unread)
{
	struct walk w = {.audit = a, .fn = fn, .data = data};

	for (size_t i = 0; i < a->snap.len; i++) {
		walk_process(&w, &a->snap.v[i]);
		walk_threads(&w, &a->snap.v[i]);
	}
	/* the namespaces of processes that are there and could not be read */
	for (size_t i = 0; i < a->snap.len; i++)
		if (a->snap.v[i].ns[NS_MNT] && !is_seen(&w, a->snap.v[i].ns[NS_MNT]) && still_there(a, &a->snap.v[i]))
			w.unread += note_seen(&w, a->snap.v[i].ns[NS_MNT]);
	walk_pinned(&w);
	walk_list(&w, NEXT_MOUNT_NAMESPACE);
	walk_list(&w, PREVIOUS_MOUNT_NAMESPACE);
	free(w.seen);
	*ret_unread = w.unread;
	return w.len;
}
