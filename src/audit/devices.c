/* Devices of the host that the container was given: nodes it may open, and what its virtual machine has open. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "audit/audit-private.h"
#include "base/fd.h"

enum { NODES_MAX = 10000, DEPTH_MAX = 8, LIST_MAX = 256 * 1024, CMDLINE_MAX = 256 * 1024 };

struct search {
	struct audit *audit;
	struct finding *finding;
	size_t devices, seen;
	dev_t dev;
};

/* docker's: null zero full random urandom tty console ptmx, and terminals */
static bool is_ordinary(char type, int major, int minor)
{
	if (type != 'c')
		return false;
	return (major == 1 && (minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9)) ||
		(major == 5 && minor >= 0 && minor <= 2) || (major >= 136 && major <= 143);
}

/* ---- a container's own /dev ---- */

static void walk_nodes(struct search *s, int dir, const char *path, int depth)
{
	_cleanup_closedir_ DIR *d = dir_open(dir, ".");
	struct dirent *en;
	struct stat st;

	if (!d)
		return;
	while ((en = readdir(d)) && s->seen++ < NODES_MAX) {
		_cleanup_free_ char *name = str_fmt("%s/%s", path, en->d_name);
		if (!name || en->d_name[0] == '.' || fstatat(dirfd(d), en->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		char type = S_ISCHR(st.st_mode) ? 'c' : S_ISBLK(st.st_mode) ? 'b' : 0;
		if (type && !is_ordinary(type, (int)major(st.st_rdev), (int)minor(st.st_rdev))) {
			finding_note(
				s->finding, "%s inside: %c %u:%u", name, type, major(st.st_rdev), minor(st.st_rdev));
			s->devices++;
		}
		if (S_ISDIR(st.st_mode) && st.st_dev == s->dev && depth < DEPTH_MAX) {
			_cleanup_close_ int sub =
				openat(dirfd(d), en->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0)
				walk_nodes(s, sub, name, depth + 1);
		}
	}
}

static void search_nodes(struct search *s)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "%d/root", s->audit->init->pid);
	_cleanup_close_ int root = openat(s->audit->snap.proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dev = root < 0 ? -1 : fd_open_in_root(root, "/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dev < 0 || fstat(dev, &st) < 0) {
		finding_because(s->finding, "its /dev cannot be read: %s", strerror(errno));
		return;
	}
	s->dev = st.st_dev;
	walk_nodes(s, dev, "/dev", 0);
}

/* The path behind "N:devices:" (v1) or "0::" (v2) of a process's cgroups; NULL: none. */
static char *cgroup_of(const struct host_process *p, const char *controller)
{
	_cleanup_strv_ char **lines = p->cgroup ? strv_split(p->cgroup, "\n") : NULL;

	strv_foreach(line, lines) {
		char *name = strchr(line, ':'), *path = name ? strchr(name + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		if (!strcmp(name + 1, controller))
			return strdup(path);
	}
	return NULL;
}

/* "c 1:3 rwm", "b *:* m": whoever may only make nodes cannot open them. */
static void note_rule(struct search *s, const char *line)
{
	char type, major[12], minor[12], access[8];

	if (sscanf(line, "%c %11[0-9*]:%11[0-9*] %7[rwm]", &type, major, minor, access) != 4 || !strpbrk(access, "rw"))
		return;
	int maj = *major == '*' ? -1 : atoi(major), min = *minor == '*' ? -1 : atoi(minor);
	if (is_ordinary(type, maj, min))
		return;
	finding_note(s->finding, "its cgroup allows: %s", line);
	s->devices++;
}

static bool search_rules_v1(struct search *s)
{
	_cleanup_free_ char *cgroup = cgroup_of(s->audit->init, "devices");
	_cleanup_free_ char *path =
		cgroup ? str_fmt("%s/fs/cgroup/devices%s/devices.list", s->audit->host->sys, cgroup) : NULL;
	_cleanup_buf_ struct buf b = {0};

	if (!path || file_read(AT_FDCWD, path, LIST_MAX, &b) < 0)
		return false;
	_cleanup_strv_ char **lines = b.data ? strv_split(b.data, "\n") : NULL;
	finding_note(s->finding, "read %zu rules of %s", strv_len(lines), path);
	strv_foreach(line, lines)
		note_rule(s, line);
	return true;
}

/* With v2 the rules are a program, of which only the presence can be told: without one, all devices may be opened. */
static bool search_rules_v2(struct search *s)
{
	_cleanup_free_ char *cgroup = cgroup_of(s->audit->init, "");
	_cleanup_free_ char *path = cgroup ? str_fmt("%s/fs/cgroup%s", s->audit->host->sys, cgroup) : NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)fd;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.query_flags = BPF_F_QUERY_EFFECTIVE;
	if (fd < 0 || syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0)
		return false;
	finding_note(s->finding, "%u device programs hold for %s; what they allow is not listed by the kernel",
		attr.query.prog_cnt, path);
	if (!attr.query.prog_cnt) {
		finding_note(s->finding, "its cgroup allows every device");
		s->devices++;
	}
	return true;
}

static void search_container(struct search *s)
{
	search_nodes(s);
	if (!search_rules_v1(s) && !search_rules_v2(s))
		finding_because(s->finding, "the device rules of its cgroup cannot be read");
}

/* ---- a virtual machine ---- */

/* What QEMU needs: KVM, its network's ports, and nothing with a content. */
static bool is_machines(const char *file)
{
	static const char *const known[] = {
		"/dev/kvm", "/dev/null", "/dev/urandom", "/dev/random", "/dev/net/tun", NULL};

	return str_in(file, known);
}

static void search_descriptors(struct search *s)
{
	char path[32], file[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%d/fd", s->audit->vmm->pid);
	_cleanup_closedir_ DIR *d = dir_open(s->audit->snap.proc, path);
	struct dirent *en;
	size_t n = 0, kvm = 0, tap = 0;

	if (!d) {
		finding_because(s->finding, "the descriptors of pid %d cannot be read: %s", s->audit->vmm->pid,
			strerror(errno));
		return;
	}
	while ((en = readdir(d))) {
		if (!link_read(dirfd(d), en->d_name, file, sizeof(file)))
			continue;
		n++;
		kvm += !strcmp(file, "/dev/kvm");
		tap += !strcmp(file, "/dev/net/tun");
		bool node = fstatat(dirfd(d), en->d_name, &st, 0) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));
		if ((node || str_starts(file, "/dev/")) && !is_machines(file)) {
			finding_note(
				s->finding, "pid %d (%s) has %s open", s->audit->vmm->pid, s->audit->vmm->comm, file);
			s->devices++;
		}
	}
	finding_note(s->finding, "pid %d (%s): %zu open descriptors, /dev/kvm %zu times, ports of networks %zu",
		s->audit->vmm->pid, s->audit->vmm->comm, n, kvm, tap);
}

static void search_arguments(struct search *s)
{
	static const char *const passing[] = {"vfio", "usb-host", "scsi-generic", "scsi-block", "ipmi", "tpm-", NULL};
	_cleanup_buf_ struct buf b = {0};
	_cleanup_close_ int dir = snapshot_dir(&s->audit->snap, s->audit->vmm->pid);

	if (dir < 0 || file_read(dir, "cmdline", CMDLINE_MAX, &b) < 0 || !b.len) {
		finding_because(s->finding, "the command line of pid %d cannot be read", s->audit->vmm->pid);
		return;
	}
	size_t arguments = 0;
	const char *before = "";
	for (const char *p = b.data, *end = b.data + b.len; p < end; before = p, p += strlen(p) + 1, arguments++) {
		if (!strcmp(before, "-name")) /* the container's own word */
			continue;
		const char *dev = strstr(p, "/dev/");
		bool passed = dev && !str_starts(dev, "/dev/fdset/") && !is_machines(dev);
		for (size_t i = 0; passing[i]; i++)
			passed = passed || strstr(p, passing[i]);
		if (passed) {
			finding_note(s->finding, "its command line has: %s", p);
			s->devices++;
		}
	}
	finding_note(s->finding, "read %zu arguments of its command line", arguments);
}

void measure_devices(struct audit *a, struct finding *f)
{
	struct search s = {.audit = a, .finding = f};

	if (a->vmm) {
		search_descriptors(&s);
		search_arguments(&s);
	} else if (a->init) {
		search_container(&s);
	} else {
		finding_unknown(f, "neither its first process nor a virtual machine of its monitor's was found");
		return;
	}
	if (s.devices) {
		finding_value(f, "%zu", s.devices);
		f->result = FINDING_FAILS;
		finding_because(f, "it can reach devices of the host's");
	} else if (finding_reasoned(f)) {
		finding_value(f, "not known");
	} else {
		finding_value(f, "none");
		f->result = FINDING_HOLDS;
	}
}
