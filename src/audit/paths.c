/* Paths of the host that are shared into the container: those that its record names, each verified, and those that only the mounts tell of. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit-private.h"
#include "base/fd.h"
#include "base/json.h"

#define INIT_PROGRAM "caisson-init"

struct shared {
	struct audit *audit;
	struct finding *finding;
	const struct host_process *process; /* in whose mount namespace the shares are seen */
	struct mounts mounts;
	bool *known; /* of each of them */
	size_t paths, unverified;
};

static int open_root(const struct shared *s)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/root", s->process->pid);
	return openat(s->audit->snap.proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Whether `inside` in the process's root is the host's file `source`. */
static bool is_same_file(const struct shared *s, const char *source, const char *inside)
{
	_cleanup_close_ int root = open_root(s);
	_cleanup_close_ int fd = root < 0 ? -1 : fd_open_in_root(root, inside, O_PATH | O_CLOEXEC, 0);
	struct stat a, b;

	return fd >= 0 && fstat(fd, &a) == 0 && stat(source, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void note_bind(struct shared *s, const json_t *bind, const char *point)
{
	const char *source = json_str(bind, "Source"), *target = json_str(bind, "Destination");
	const struct mount *m = mounts_at(&s->mounts, point);

	s->paths++;
	if (m)
		s->known[m - s->mounts.v] = true;
	bool same = source && m && is_same_file(s, source, point);
	s->unverified += !same;
	if (m)
		finding_note(s->finding, "%s at %s, %s: %s %s on %s (%s) in the mount namespace of pid %d (%s)%s",
			source ? source : "?", target ? target : "?", mount_readonly(m) ? "read-only" : "writable",
			m->source, m->root, m->point, m->options, s->process->pid, s->process->comm,
			same ? ", the same file" : ", NOT the same file");
	else
		finding_note(s->finding, "%s at %s: recorded, but no such mount is there", source ? source : "?",
			target ? target : "?");
}

static bool is_bind(const json_t *m)
{
	const char *type = json_str(m, "Type");

	return type && strcmp(type, "tmpfs") != 0;
}

/* In a virtual machine's share the binds are numbered in the order of the record. */
static void note_recorded(struct shared *s, bool numbered)
{
	size_t i;
	unsigned n = 0;
	json_t *m;

	json_array_foreach(s->audit->target->mounts, i, m) {
		char number[16];
		if (!is_bind(m))
			continue;
		snprintf(number, sizeof(number), "/%u", n++);
		const char *target = json_str(m, "Destination");
		note_bind(s, m, numbered ? number : target ? target : "");
	}
}

static bool on_host(const struct mounts *host, const struct mount *m)
{
	for (size_t i = 0; i < host->len; i++)
		if (host->v[i].major == m->major && host->v[i].minor == m->minor)
			return true;
	return false;
}

static bool is_init_program(const struct shared *s, const struct mount *m)
{
	_cleanup_free_ char *program = str_fmt("%s/" INIT_PROGRAM, s->audit->host->libexec_dir);

	return program && mount_readonly(m) && is_same_file(s, program, m->point);
}

/* Mounts inside of file systems that the host has mounted too, save the kernel's interfaces. */
static int note_unrecorded(struct shared *s)
{
	_cleanup_(mounts_done) struct mounts host = {0};
	_cleanup_close_ int init = snapshot_dir(&s->audit->snap, 1);
	int r = init < 0 ? init : mounts_read(init, &host);

	for (size_t i = 0; r == 0 && i < s->mounts.len; i++) {
		const struct mount *m = &s->mounts.v[i];
		if (s->known[i] || mount_is_kernels(m) || !on_host(&host, m))
			continue;
		if (is_init_program(s, m)) {
			finding_note(s->finding, "%s: the engine's init program, read-only", m->point);
			continue;
		}
		finding_note(s->finding, "%s %s on %s (%s): a file system of the host's", m->source, m->root, m->point,
			m->options);
		s->paths++;
	}
	return r;
}

/* virtiofsd that serves: the last child, which has the share and nothing else as its root. */
static const struct host_process *server(const struct audit *a)
{
	const struct host_process *best = NULL;

	for (size_t i = 0; i < a->shares_len; i++)
		if (!best || a->shares[i]->ppid == best->pid)
			best = a->shares[i];
	return best;
}

static int look_at(struct shared *s, const struct host_process *p)
{
	_cleanup_close_ int dir = snapshot_dir(&s->audit->snap, p->pid);
	int r = dir < 0 ? dir : mounts_read(dir, &s->mounts);

	s->process = p;
	s->known = calloc(s->mounts.len + 1, sizeof(bool));
	return r < 0 ? r : s->known ? 0 : -ENOMEM;
}

static void judge(struct shared *s)
{
	struct finding *f = s->finding;

	if (s->paths) {
		finding_value(f, "%zu path%s", s->paths, s->paths == 1 ? "" : "s");
		f->result = FINDING_FAILS;
		finding_because(f, "paths of the host are shared into it");
		if (s->unverified)
			finding_because(f, "%zu of them are not what the record says", s->unverified);
	} else {
		finding_value(f, "none");
		f->result = FINDING_HOLDS;
	}
}

void measure_paths(struct audit *a, struct finding *f)
{
	struct shared s = {.audit = a, .finding = f};
	const struct host_process *p = a->vmm ? server(a) : a->init;
	size_t recorded = 0, i;
	json_t *m;
	int r = 0;

	json_array_foreach(a->target->mounts, i, m)
		recorded += is_bind(m);
	if (p)
		r = look_at(&s, p);
	if (p && r == 0) {
		note_recorded(&s, a->vmm);
		if (!a->vmm)
			r = note_unrecorded(&s);
	}
	if (p && r < 0)
		finding_unknown(f, "the mounts of pid %d cannot be read: %s", p->pid, strerror(-r));
	else if (!p && !a->vmm)
		finding_unknown(f, "its first process was not found");
	else if (!p && recorded)
		finding_unknown(f, "%zu mounts are recorded, but no virtiofsd of its monitor's was found", recorded);
	else
		judge(&s);
	if (a->vmm && !p)
		finding_note(f, "no virtiofsd runs for pid %d (%s)", a->vmm->pid, a->vmm->comm);
	mounts_done(&s.mounts);
	free(s.known);
}
