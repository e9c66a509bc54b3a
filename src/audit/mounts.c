/* Mounts of the container on the host's kernel. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "audit/audit-private.h"
#include "base/fd.h"
#include "base/path.h"

/* What the directory that holds the containers' is called. */
#define DIRECTORY "containers/"

enum { LOOPS_MAX = 64 };

struct scan {
	struct audit *audit;
	mount_fn *fn;
	void *data;
	char loops[LOOPS_MAX][32]; /* devices over the container's files */
	size_t loops_len;
};

/* ---- loop devices ---- */

/* By the names that nothing else has: that of the container's directory, however the file system is mounted that holds it, and the image's digest. */
static bool is_ours(const struct audit_target *t, const char *file)
{
	size_t n = strlen(DIRECTORY);

	for (const char *at = file; (at = strstr(at, t->id)); at++)
		if ((size_t)(at - file) >= n && !strncmp(at - n, DIRECTORY, n))
			return true;
	return t->image_file && strstr(file, path_base(t->image_file));
}

void loop_devices_each(struct audit *a, loop_device_fn *fn, void *data)
{
	_cleanup_free_ char *path = str_fmt("%s/block", a->host->sys);
	_cleanup_closedir_ DIR *d = path ? opendir(path) : NULL;
	struct dirent *en;

	while (d && (en = readdir(d))) {
		char name[300], file[4096];
		if (!str_starts(en->d_name, "loop"))
			continue;
		snprintf(name, sizeof(name), "%s/loop/backing_file", en->d_name);
		if (file_read_line(dirfd(d), name, file, sizeof(file)) == 0 && is_ours(a->target, file))
			fn(data, en->d_name, file);
	}
}

static void note_loop(void *data, const char *device, const char *file)
{
	struct scan *s = data;

	(void)file;
	if (s->loops_len < LOOPS_MAX)
		snprintf(s->loops[s->loops_len++], sizeof(s->loops[0]), "/dev/%.20s", device);
}

/* ---- mounts ---- */

static bool names_container(const struct scan *s, const struct mount *m)
{
	const struct audit_target *t = s->audit->target;

	if (is_ours(t, m->root) || is_ours(t, m->source) || is_ours(t, m->super) || is_ours(t, m->point))
		return true;
	for (size_t i = 0; i < s->loops_len; i++)
		if (!strcmp(m->source, s->loops[i]))
			return true;
	return false;
}

/* Whether a process of the container's lives there, and neither the host's nor the virtual machine's do. */
static bool is_own(const struct audit *a, uint64_t ns)
{
	if (ns_is_host(&a->snap, NS_MNT, ns) || (a->monitor && a->monitor->ns[NS_MNT] == ns) ||
		(a->vmm && a->vmm->ns[NS_MNT] == ns))
		return false;
	for (const struct host_process *p = NULL; (p = member_next(a, p));)
		if (p->ns[NS_MNT] == ns)
			return true;
	return false;
}

static void scan_namespace(void *data, const struct mount_namespace *ns)
{
	struct scan *s = data;
	bool own = is_own(s->audit, ns->id);

	for (size_t i = 0; i < ns->mounts->len; i++)
		if (own || names_container(s, &ns->mounts->v[i]))
			s->fn(s->data, ns, &ns->mounts->v[i], own);
}

size_t container_mounts_each(struct audit *a, mount_fn *fn, void *data, size_t *ret_unread)
{
	struct scan s = {.audit = a, .fn = fn, .data = data};

	loop_devices_each(a, note_loop, &s);
	return mount_namespaces_each(a, scan_namespace, &s, ret_unread);
}

struct count {
	struct finding *finding;
	uint64_t last;
	size_t mounts, namespaces, elsewhere;
};

static void count_mount(void *data, const struct mount_namespace *ns, const struct mount *m, bool own)
{
	struct count *c = data;

	if (ns->process)
		finding_note(c->finding, "mnt:[%llu] of pid %d (%s)%s: %s %s on %s type %s (%s; %s)",
			(unsigned long long)ns->id, ns->process->pid, ns->process->comm,
			own ? "" : ", not the container's", m->source, m->root, m->point, m->type, m->options,
			m->super);
	else
		finding_note(c->finding, "mnt:[%llu] at %s, not the container's: %s %s on %s type %s (%s; %s)",
			(unsigned long long)ns->id, ns->kept_at, m->source, m->root, m->point, m->type, m->options,
			m->super);
	c->namespaces += ns->id != c->last;
	c->last = ns->id;
	c->mounts++;
	c->elsewhere += !own;
}

void measure_mounts(struct audit *a, struct finding *f)
{
	struct count c = {.finding = f};
	size_t unread = 0, all = container_mounts_each(a, count_mount, &c, &unread);

	finding_note(f, "looked at the mounts of %zu mount namespaces", all - unread);
	finding_value(f, "%zu in %zu namespace%s, of %zu on the host", c.mounts, c.namespaces,
		c.namespaces == 1 ? "" : "s", all);
	if (c.mounts) {
		f->result = FINDING_FAILS;
		finding_because(f, "the host's kernel has mounts of the container%s",
			c.elsewhere ? ", some outside of its own namespaces" : "");
	} else if (unread || !all) {
		finding_unknown(
			f, "none was found, but %zu mount namespaces could not be read", all ? unread : (size_t)1);
	} else {
		f->result = FINDING_HOLDS;
	}
}
