/* The host's processes, read once. */
#include "audit/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/proc.h"

enum { CGROUP_MAX = 64 * 1024, DEPTH_MAX = 4096 };

const char *const ns_names[NS_COUNT] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"};

bool link_read(int dir, const char *name, char *ret, size_t size)
{
	ssize_t n = readlinkat(dir, name, ret, size - 1);

	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

uint64_t ns_parse(const char *link)
{
	const char *p = strstr(link, ":[");

	return p ? strtoull(p + 2, NULL, 10) : 0;
}

static void read_namespaces(int dir, uint64_t ret[NS_COUNT])
{
	char path[32], link[64];

	for (size_t i = 0; i < NS_COUNT; i++) {
		snprintf(path, sizeof(path), "ns/%s", ns_names[i]);
		ret[i] = link_read(dir, path, link, sizeof(link)) ? ns_parse(link) : 0;
	}
}

/* "123 (comm) S ppid pgrp session ... start": the name may hold anything, also ") ". */
static bool read_stat(int dir, struct host_process *p)
{
	char line[2048];
	unsigned long long start;
	_cleanup_close_ int fd = openat(dir, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fd_read_full(fd, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = 0;
	char *open = strchr(line, '('), *close = strrchr(line, ')');
	if (!open || !close || close < open ||
		sscanf(close + 1, " %*c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&p->ppid, &p->session, &start) != 3)
		return false;
	snprintf(p->comm, sizeof(p->comm), "%.*s", (int)(close - open - 1), open + 1);
	p->start = start;
	return true;
}

/* false: it has ended meanwhile. */
static bool read_process(int proc, pid_t pid, struct host_process *ret)
{
	char name[16], exe[4096];
	_cleanup_buf_ struct buf cgroup = {0};

	snprintf(name, sizeof(name), "%d", pid);
	_cleanup_close_ int dir = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*ret = (struct host_process){.pid = pid};
	if (dir < 0 || !read_stat(dir, ret))
		return false;
	read_namespaces(dir, ret->ns);
	proc_digest(dir, &ret->digest);
	if (link_read(dir, "exe", exe, sizeof(exe)))
		ret->exe = strdup(exe);
	if (file_read(dir, "cgroup", CGROUP_MAX, &cgroup) == 0)
		ret->cgroup = steal_ptr(cgroup.data);
	return true;
}

static int compare_processes(const void *a, const void *b)
{
	const struct host_process *p = a, *q = b;

	return p->pid < q->pid ? -1 : p->pid > q->pid;
}

int snapshot_take(const char *proc, struct snapshot *ret)
{
	struct snapshot s = {.proc = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	_cleanup_closedir_ DIR *d = s.proc < 0 ? NULL : opendir(proc);
	_cleanup_close_ int self = s.proc < 0 ? -1 : openat(s.proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct dirent *en;
	size_t room = 0;
	int pid;

	if (!d) {
		close_fd(&s.proc);
		return -errno;
	}
	if (self >= 0)
		read_namespaces(self, s.own);
	while ((en = readdir(d))) {
		if (parse_int(en->d_name, &pid) < 0 || pid <= 0)
			continue;
		if (s.len == room) {
			room = room ? 2 * room : 256;
			struct host_process *v = realloc(s.v, room * sizeof(*v));
			if (!v) {
				snapshot_done(&s);
				return -ENOMEM;
			}
			s.v = v;
		}
		s.len += read_process(s.proc, pid, &s.v[s.len]);
	}
	if (s.len)
		qsort(s.v, s.len, sizeof(*s.v), compare_processes);
	*ret = s;
	return 0;
}

void snapshot_done(struct snapshot *s)
{
	for (size_t i = 0; i < s->len; i++) {
		free(s->v[i].exe);
		free(s->v[i].cgroup);
	}
	free(s->v);
	close_fd(&s->proc);
	*s = (struct snapshot){.proc = -1};
}

const struct host_process *snapshot_find(const struct snapshot *s, pid_t pid)
{
	const struct host_process key = {.pid = pid};

	return s->len ? bsearch(&key, s->v, s->len, sizeof(*s->v), compare_processes) : NULL;
}

int snapshot_dir(const struct snapshot *s, pid_t pid)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", pid);
	int fd = openat(s->proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool snapshot_below(const struct snapshot *s, const struct host_process *p, pid_t ancestor)
{
	for (int depth = 0; p && p->ppid > 0 && depth < DEPTH_MAX; depth++) {
		if (p->ppid == ancestor)
			return true;
		p = snapshot_find(s, p->ppid);
	}
	return false;
}

bool process_in_cgroup(const struct host_process *p, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = p->cgroup; at && (at = strstr(at, name)); at += n)
		if (at > p->cgroup && at[-1] == '/' && (at[n] == '/' || at[n] == '\n' || !at[n]))
			return true;
	return false;
}

bool ns_is_host(const struct snapshot *s, enum ns n, uint64_t id)
{
	const struct host_process *init = snapshot_find(s, 1);

	return id == s->own[n] || (init && id == init->ns[n]);
}
