/*
 * Memory that the container's host processes share with those of other containers: pages of files and of shared memory that both have mapped, told by
 * the file's device and inode, and pages that the kernel has merged (KSM).
 *
 * A file below an overlay has the overlay's device, which each container has of its own: there the layer that holds it is looked up, as the pages are that
 * file's. A virtual machine monitor's program and libraries are not the container's memory; what they share is told, and does not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "audit/audit-private.h"
#include "base/fd.h"

enum { SMAPS_MAX = 64 << 20, LAYERS_MAX = 512 };

struct mapping {
	uint64_t dev, ino;
	uint64_t resident_kb;
	bool shared;  /* MAP_SHARED */
	bool program; /* a virtual machine monitor's program or library */
	char path[256];
	const struct audit_other *other; /* NULL: the target's */
};

struct mappings {
	struct mapping *v;
	size_t len, room;
	bool failed;
	size_t unread; /* processes that could not be read */
};

static struct mapping *add(struct mappings *l)
{
	if (l->len == l->room) {
		size_t room = l->room ? 2 * l->room : 256;
		struct mapping *v = realloc(l->v, room * sizeof(*v));
		if (!v) {
			l->failed = true;
			return NULL;
		}
		l->v = v;
		l->room = room;
	}
	l->v[l->len] = (struct mapping){0};
	return &l->v[l->len++];
}

/* ---- overlays ---- */

/* Looks the file up in one directory of the overlay's. */
static bool find_in(const char *dir, const char *path, struct mapping *m)
{
	_cleanup_close_ int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = root < 0 ? -1 : fd_open_in_root(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != m->ino)
		return false;
	m->dev = st.st_dev;
	return true;
}

/* "lowerdir=A:B,upperdir=C" or "lowerdir+=A,lowerdir+=B,upperdir=C": the first that has a file of this number. */
static void resolve_overlay(const struct mounts *mounts, struct mapping *m)
{
	const struct mount *overlay = NULL;

	for (size_t i = 0; i < mounts->len && !overlay; i++)
		if (!strcmp(mounts->v[i].type, "overlay") && makedev(mounts->v[i].major, mounts->v[i].minor) == m->dev)
			overlay = &mounts->v[i];
	if (!overlay)
		return;
	_cleanup_strv_ char **options = strv_split(overlay->super, ",");
	strv_foreach(option, options) {
		const char *dirs = strchr(option, '=');
		if (!dirs || (!str_starts(option, "upperdir=") && !str_starts(option, "lowerdir")))
			continue;
		_cleanup_strv_ char **layers = strv_split(dirs + 1, ":");
		strv_foreach(dir, layers) {
			if (find_in(dir, m->path, m))
				return;
		}
	}
}

/* ---- one process ---- */

/* Whether the file is one of the process's own root, as a program and its libraries are. */
static bool in_root(int dir, const struct mapping *m)
{
	_cleanup_close_ int root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = root < 0 ? -1 : fd_open_in_root(root, m->path, O_PATH | O_CLOEXEC, 0);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == m->ino;
}

/* "00400000-00401000 r--p 00000000 00:44 10974496      /bin/busybox"; false: no line of that kind, or of no file. */
static bool parse_header(const char *line, struct mapping *m)
{
	char perms[5];
	unsigned maj, min;
	unsigned long long ino;
	int path = 0;

	if (sscanf(line, "%*x-%*x %4s %*x %x:%x %llu %n", perms, &maj, &min, &ino, &path) != 4 || !ino)
		return false;
	m->dev = makedev(maj, min);
	m->ino = ino;
	m->shared = perms[3] == 's';
	if (path)
		snprintf(m->path, sizeof(m->path), "%s", line + path);
	return true;
}

static bool is_header(const char *line)
{
	size_t n = strspn(line, "0123456789abcdef");

	return n && line[n] == '-';
}

static struct mapping *find_mapping(struct mappings *l, size_t from, const struct mapping *m)
{
	for (size_t i = from; i < l->len; i++)
		if (l->v[i].dev == m->dev && l->v[i].ino == m->ino && l->v[i].shared == m->shared)
			return &l->v[i];
	return NULL;
}

/* The mapping that a header starts: the one of the same file, or a new one; NULL: it is of no file. */
static struct mapping *begin(
	struct mappings *l, size_t from, const char *line, int dir, const struct mounts *mounts, bool vm)
{
	struct mapping m = {0}, *at;

	if (!parse_header(line, &m))
		return NULL;
	if (mounts)
		resolve_overlay(mounts, &m);
	at = find_mapping(l, from, &m);
	if (at)
		return at;
	m.program = vm && !m.shared && in_root(dir, &m);
	at = add(l);
	if (at)
		*at = m;
	return at;
}

static void read_process(
	struct audit *a, const struct host_process *p, const struct audit_other *other, bool vm, struct mappings *l)
{
	_cleanup_close_ int dir = snapshot_dir(&a->snap, p->pid);
	_cleanup_(mounts_done) struct mounts mounts = {0};
	_cleanup_buf_ struct buf b = {0};
	char *save = NULL;
	size_t from = l->len;
	struct mapping *m = NULL;
	unsigned long long kb;

	int r = dir < 0 ? dir : file_read(dir, "smaps", SMAPS_MAX, &b);
	if (r < 0 && r != -ENOENT && r != -ESRCH)
		l->unread++;
	if (r < 0)
		return;
	mounts_read(dir, &mounts);
	for (char *line = b.data ? strtok_r(b.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		if (is_header(line)) {
			m = begin(l, from, line, dir, &mounts, vm);
			if (m)
				m->other = other;
		} else if (m && sscanf(line, "Rss: %llu", &kb) == 1) {
			m->resident_kb += kb;
		}
	}
}

static bool is_vmm_name(const struct host_process *p)
{
	return str_starts(p->comm, "qemu-system") || str_starts(p->comm, "virtiofsd");
}

/* ---- all of them ---- */

struct shared_memory {
	uint64_t counted_kb, program_kb;
};

static void note_shared(struct finding *f, const struct mapping *m, const struct mapping *o, struct shared_memory *sum)
{
	if (m->program) {
		sum->program_kb += m->resident_kb;
		return;
	}
	finding_note(f, "%s (%u:%u %llu): %llu kB resident, %s, also mapped by container %s",
		*m->path ? m->path : "memory", major(m->dev), minor(m->dev), (unsigned long long)m->ino,
		(unsigned long long)m->resident_kb, m->shared ? "shared writes" : "private writes", o->other->name);
	sum->counted_kb += m->resident_kb;
}

static int compare(const void *x, const void *y)
{
	const struct mapping *a = x, *b = y;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return (a->other != NULL) - (b->other != NULL);
}

/* Sorted by file, the target's come before the others'. */
static void match(struct finding *f, struct mappings *l, struct shared_memory *sum)
{
	if (l->len)
		qsort(l->v, l->len, sizeof(*l->v), compare);
	for (size_t i = 0; i < l->len; i++) {
		size_t k = i + 1;
		if (l->v[i].other)
			continue;
		while (k < l->len && l->v[k].dev == l->v[i].dev && l->v[k].ino == l->v[i].ino && !l->v[k].other)
			k++;
		if (k < l->len && l->v[k].dev == l->v[i].dev && l->v[k].ino == l->v[i].ino)
			note_shared(f, &l->v[i], &l->v[k], sum);
	}
}

/* Pages that KSM has merged, of one process; false: the kernel does not say. */
static bool merged_pages(const struct audit *a, const struct host_process *p, unsigned long long *ret)
{
	_cleanup_close_ int dir = snapshot_dir(&a->snap, p->pid);
	char line[32];

	if (dir < 0 || file_read_line(dir, "ksm_merging_pages", line, sizeof(line)) < 0)
		return false;
	*ret = strtoull(line, NULL, 10);
	return true;
}

static void read_all(struct audit *a, struct finding *f, struct mappings *l, unsigned long long *merged, size_t *others)
{
	unsigned long long pages;
	size_t told = 0, mine = 0;

	for (size_t i = 0; i < a->snap.len; i++) {
		const struct host_process *p = &a->snap.v[i];
		bool vm = is_vm_process(a, p);
		if (vm || a->how[i]) {
			read_process(a, p, NULL, vm, l);
			mine++;
			if (merged_pages(a, p, &pages)) {
				told++;
				*merged += pages;
			}
			continue;
		}
		const struct audit_other *o = other_of(a, p);
		if (o && p->pid != o->monitor) {
			read_process(a, p, o, is_vmm_name(p), l);
			(*others)++;
		}
	}
	finding_note(f, "compared the mappings of %zu processes with those of %zu processes of other containers", mine,
		*others);
	if (told)
		finding_note(f, "KSM has merged %llu pages of it", *merged);
	else
		finding_note(f, "the kernel does not tell of a process what KSM has merged");
}

void measure_memory(struct audit *a, struct finding *f)
{
	struct mappings l = {0};
	struct shared_memory sum = {0};
	unsigned long long merged = 0;
	size_t others = 0;
	char size[16];

	read_all(a, f, &l, &merged, &others);
	match(f, &l, &sum);
	if (sum.program_kb)
		finding_note(f,
			"its virtual machine monitor's own program and libraries: %llu kB are shared with others",
			(unsigned long long)sum.program_kb);
	if (sum.counted_kb || merged) {
		finding_value(f, "%s", human_size((double)(sum.counted_kb * 1024 + merged * 4096), size));
		f->result = FINDING_FAILS;
		if (sum.counted_kb)
			finding_because(f, "files or memory are mapped by it and by other containers");
		if (merged)
			finding_because(f, "KSM has merged pages of it with equal ones");
	} else if (l.failed || l.unread) {
		finding_unknown(f, "the mappings of %zu processes could not be read", l.unread);
	} else {
		finding_value(f, "none%s", sum.program_kb ? ", save the virtual machine monitor's program" : "");
		f->result = FINDING_HOLDS;
	}
	f->failed = f->failed || l.failed;
	free(l.v);
}
