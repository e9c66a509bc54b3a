/* Where the container's root file system can be read or written from the host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit-private.h"
#include "base/fd.h"
#include "base/path.h"

struct search {
	struct audit *audit;
	struct finding *finding;
	size_t places; /* where its files are files of the host's kernel */
	size_t images; /* open disk images */
};

/* The root of a process that is not the host's root is a way in. */
static void search_roots(struct search *s)
{
	struct audit *a = s->audit;

	for (const struct host_process *p = NULL; (p = member_next(a, p));) {
		if (!p->ns[NS_MNT] || ns_is_host(&a->snap, NS_MNT, p->ns[NS_MNT]))
			continue;
		char path[32];
		snprintf(path, sizeof(path), "%d/root", p->pid);
		_cleanup_close_ int fd = openat(a->snap.proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		finding_note(s->finding, "%s/%d/root: the root file system of pid %d (%s)", a->host->proc, p->pid,
			p->pid, p->comm);
		s->places++;
		return; /* one stands for all */
	}
}

/* Directories of its own directory: what it has written, unpacked. */
static void search_directories(struct search *s)
{
	_cleanup_closedir_ DIR *d = opendir(s->audit->target->dir);
	struct dirent *en;
	struct stat st;

	if (!d) {
		finding_because(s->finding, "%s cannot be read: %s", s->audit->target->dir, strerror(errno));
		return;
	}
	while ((en = readdir(d))) {
		if (en->d_name[0] == '.' || fstatat(dirfd(d), en->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISDIR(st.st_mode))
			continue;
		finding_note(s->finding, "%s/%s: a directory of the host's", s->audit->target->dir, en->d_name);
		s->places++;
	}
}

static void on_mount(void *data, const struct mount_namespace *ns, const struct mount *m, bool own)
{
	struct search *s = data;

	if (own)
		return;
	if (ns->process)
		finding_note(s->finding, "%s/%d/root%s: mounted from %s %s", s->audit->host->proc, ns->process->pid,
			m->point, m->source, m->root);
	else
		finding_note(s->finding, "%s in the mount namespace at %s: mounted from %s %s", m->point, ns->kept_at,
			m->source, m->root);
	s->places++;
}

static void on_loop(void *data, const char *device, const char *file)
{
	struct search *s = data;

	finding_note(s->finding, "/dev/%s: a block device over %s", device, file);
	s->places++;
}

/* "ext4", "EROFS", or NULL, by its magic number. */
static const char *image_type(const char *path, struct stat *st)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	unsigned char magic[60];

	if (fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode) ||
		pread(fd, magic, sizeof(magic), 1024) != sizeof(magic))
		return NULL;
	if (!memcmp(magic, "\xe2\xe1\xf5\xe0", 4))
		return "EROFS";
	return magic[56] == 0x53 && magic[57] == 0xef ? "ext4" : NULL;
}

static void note_image(struct search *s, const struct host_process *p, const char *path)
{
	struct stat st;
	char size[16];
	const char *type = image_type(path, &st);

	if (!type)
		return;
	finding_note(s->finding, "%s: %s image, %s on disk, open in pid %d (%s)", path, type,
		human_size((double)st.st_blocks * 512, size), p->pid, p->comm);
	s->images++;
}

/* What of its files, or of the image's, a process has open. The monitor holds its virtual machine's; whoever else has them reads them. */
static void search_descriptors(struct search *s, const struct host_process *p)
{
	struct audit *a = s->audit;
	char path[32], file[4096], last[4096] = "";
	bool vmm = p == a->vmm, monitor = p == a->monitor;

	snprintf(path, sizeof(path), "%d/fd", p->pid);
	_cleanup_closedir_ DIR *d = dir_open(a->snap.proc, path);
	struct dirent *en;

	if (!d)
		return;
	while (!monitor && (en = readdir(d))) {
		if (!link_read(dirfd(d), en->d_name, file, sizeof(file)) || !strcmp(file, last))
			continue;
		const char *rest = strstr(file, a->target->id);
		rest = rest ? rest + strlen(a->target->id) : "";
		bool data = str_starts(rest, "/upper") || str_starts(rest, "/work") || str_starts(rest, "/disk");
		if (vmm && (data || (a->target->image_file && !strcmp(file, a->target->image_file)))) {
			note_image(s, p, file);
			snprintf(last, sizeof(last), "%s", file);
		} else if (data && !member_how(a, p)) {
			finding_note(s->finding, "pid %d (%s) has %s open", p->pid, p->comm, file);
			s->places++;
		}
	}
}

void measure_files(struct audit *a, struct finding *f)
{
	struct search s = {.audit = a, .finding = f};
	size_t unread;

	search_roots(&s);
	search_directories(&s);
	container_mounts_each(a, on_mount, &s, &unread);
	loop_devices_each(a, on_loop, &s);
	for (size_t i = 0; i < a->snap.len; i++)
		search_descriptors(&s, &a->snap.v[i]);
	if (s.places) {
		finding_value(f, "%zu place%s", s.places, s.places == 1 ? "" : "s");
		f->result = FINDING_FAILS;
		finding_because(f, "its files are files of the host's kernel");
	} else if (finding_reasoned(f)) {
		finding_value(f, "not known");
	} else if (unread) {
		finding_unknown(f, "%zu mount namespaces could not be read", unread);
	} else if (!s.images) {
		finding_unknown(f, "neither a place nor a disk image with its files was found");
	} else {
		finding_value(f, "only inside disk images");
		f->result = FINDING_HOLDS;
	}
}
