/*
 * Memory that the container's host processes share with those of other containers: pages of files and of shared memory that both have mapped, told by
 * the file's device and inode, and pages that the kernel has merged (KSM).
 *
 * A file below an overlay has the overlay's device, which each container has of its own: there the layer that holds it is looked up, as the pages are that
 * file's. What a virtual machine monitor runs and reads (its program, libraries, boot files) is not the container's memory; it is told, and does not count.
 * Nor does the template that a virtual machine was cloned from: memory from before there was a container, which nobody can change. That is looked at, not
 * believed: the mapping is private, and its file a memfd with all seals. Pages that the machine has written are its own and nobody else's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "audit/audit-private.h"
#include "base/fd.h"

enum { SMAPS_MAX = 64 << 20, LAYERS_MAX = 512 };

struct mapping {
	uint64_t dev, ino;
	uint64_t resident_kb; /* of the file's pages: those that were copied when they were written are not */
	bool shared;          /* MAP_SHARED */
	bool writable;
	bool program;  /* what a virtual machine monitor runs or reads */
	bool template; /* a virtual machine's memory as it was before there was a container */
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

/* Whether the mapping that this header is of is one of a file that nobody can change. */
static bool is_sealed(int dir, const char *line, const struct mapping *m)
{
	enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
	unsigned long long from, to;
	char path[64];
	struct stat st;

	if (sscanf(line, "%llx-%llx", &from, &to) != 2)
		return false;
	snprintf(path, sizeof(path), "map_files/%llx-%llx", from, to);
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == m->ino && st.st_dev == m->dev &&
		(fcntl(fd, F_GET_SEALS) & SEALS) == SEALS;
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
	m->writable = perms[1] == 'w';
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
	m.program = vm && !m.shared && (!m.writable || in_root(dir, &m));
	m.template = vm && !m.shared && !m.program && is_sealed(dir, line, &m);
	at = find_mapping(l, from, &m);
	if (at) {
		at->program = at->program && m.program;
		at->template = at->template && m.template;
		return at;
	}
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
		} else if (m && !m->shared && sscanf(line, "Anonymous: %llu", &kb) == 1) {
			m->resident_kb -= kb < m->resident_kb ? kb : m->resident_kb;
		}
	}
}

/* ---- all of them ---- */

struct memory {
	struct mappings all;
	size_t own, others; /* processes */
	size_t told;        /* of its own, those whose merged pages the kernel tells */
	unsigned long long merged_kb;
	uint64_t shared_kb, program_kb, template_kb;
};

static void note_shared(struct finding *f, const struct mapping *m, const struct mapping *o, struct memory *sum)
{
	if (m->program) {
		sum->program_kb += m->resident_kb;
		return;
	}
	if (m->template) {
		sum->template_kb += m->resident_kb;
		return;
	}
	finding_note(f, "%s (%u:%u %llu): %llu kB resident, %s, also mapped by container %s",
		*m->path ? m->path : "memory", major(m->dev), minor(m->dev), (unsigned long long)m->ino,
		(unsigned long long)m->resident_kb, m->shared ? "writes are shared" : "copied when written",
		o->other->name);
	sum->shared_kb += m->resident_kb;
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

static bool same_file(const struct mapping *a, const struct mapping *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* Sorted by file, the target's come before the others'. Its processes share among themselves: the one that has most of a file stands for all. */
static void match(struct finding *f, struct memory *sum)
{
	struct mappings *l = &sum->all;
	size_t next;

	if (l->len)
		qsort(l->v, l->len, sizeof(*l->v), compare);
	for (size_t i = 0; i < l->len; i = next) {
		struct mapping *most = &l->v[i];
		size_t k = i;
		for (; k < l->len && same_file(&l->v[k], &l->v[i]) && !l->v[k].other; k++) {
			bool program = most->program && l->v[k].program, template = most->template && l->v[k].template;
			most = l->v[k].resident_kb > most->resident_kb ? &l->v[k] : most;
			most->program = program;
			most->template = template;
		}
		if (k > i && k < l->len && same_file(&l->v[k], &l->v[i]))
			note_shared(f, most, &l->v[k], sum);
		for (next = k; next < l->len && same_file(&l->v[next], &l->v[i]); next++)
			;
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

static void read_all(struct audit *a, struct memory *m)
{
	unsigned long long pages;

	for (size_t i = 0; i < a->snap.len; i++) {
		const struct host_process *p = &a->snap.v[i];
		bool vm = is_vm_process(a, p);
		if (vm || a->how[i]) {
			read_process(a, p, NULL, vm, &m->all);
			m->own++;
			if (merged_pages(a, p, &pages)) {
				m->told++;
				m->merged_kb += pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
			}
			continue;
		}
		const struct audit_other *o = other_of(a, p);
		if (o && p->pid != o->monitor) {
			read_process(a, p, o, false, &m->all);
			m->others++;
		}
	}
}

static void note_scope(struct finding *f, const struct memory *m)
{
	if (m->program_kb)
		finding_note(f,
			"%llu kB of its virtual machine monitor's program, libraries and boot files are shared with "
			"others",
			(unsigned long long)m->program_kb);
	if (m->template_kb)
		finding_note(f,
			"%llu kB of the template that its virtual machine was cloned from are shared with other "
			"clones: "
			"nobody can change them, and what it writes is its own",
			(unsigned long long)m->template_kb);
	if (m->told)
		finding_note(f, "KSM has merged %llu kB of it", m->merged_kb);
	else
		finding_note(f, "the kernel does not tell of a process what KSM has merged");
	finding_note(f, "compared the mappings of %zu processes with those of %zu processes of other containers",
		m->own, m->others);
}

void measure_memory(struct audit *a, struct finding *f)
{
	struct memory m = {0};
	char size[16];

	read_all(a, &m);
	match(f, &m);
	note_scope(f, &m);
	if (m.shared_kb || m.merged_kb) {
		finding_value(f, "%s", human_size((double)(m.shared_kb + m.merged_kb) * 1024, size));
		f->result = FINDING_FAILS;
		if (m.shared_kb)
			finding_because(f, "files or memory are mapped by it and by other containers");
		if (m.merged_kb)
			finding_because(f, "KSM has merged pages of it with equal ones");
	} else if (m.all.unread) {
		finding_unknown(f, "the mappings of %zu processes could not be read", m.all.unread);
	} else {
		finding_value(f, "none%s%s", m.program_kb ? ", save what its virtual machine monitor runs" : "",
			!m.template_kb         ? ""
				: m.program_kb ? " and its template"
					       : ", save its template");
		f->result = FINDING_HOLDS;
	}
	f->failed = f->failed || m.all.failed;
	free(m.all.v);
}
