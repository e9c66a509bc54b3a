/* The plan's own mounts, the files of the network, and the init program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/mount.h"
#include "sandbox/setup.h"

static const char *const file_names[SETUP_FILES] = {"resolv.conf", "hosts", "hostname"};

static uint64_t propagation_of(const struct plan_mount *m, bool *ret_recursive)
{
	const char *s = str_empty(m->propagation) ? "rprivate" : m->propagation;

	*ret_recursive = *s == 'r';
	s += *ret_recursive;
	return !strcmp(s, "shared") ? MS_SHARED : !strcmp(s, "slave") ? MS_SLAVE : MS_PRIVATE;
}

/* Takes the source of a bind while it is still a peer of the host's mount, which shared and slave propagation
 * need. */
static int open_source(const struct plan_mount *m, struct err *e)
{
	bool recursive;
	uint64_t propagation = propagation_of(m, &recursive);
	uint64_t attrs = (m->readonly ? MOUNT_ATTR_RDONLY : 0) | (m->nosuid ? MOUNT_ATTR_NOSUID : 0) |
		(m->nodev ? MOUNT_ATTR_NODEV : 0) | (m->noexec ? MOUNT_ATTR_NOEXEC : 0);
	_cleanup_close_ int fd = mount_clone(AT_FDCWD, m->source, m->recursive);

	if (fd < 0)
		return err_errno(e, fd, "error mounting \"%s\" to rootfs at \"%s\"", m->source, m->target);
	int r = mount_change(fd, 0, propagation, recursive);
	/* the copy-up writes first */
	if (r == 0 && !m->copy_up)
		r = mount_change(fd, attrs, 0, m->recursive);
	return r < 0 ? err_errno(e, r, "error mounting \"%s\" to rootfs at \"%s\"", m->source, m->target)
		     : steal_fd(&fd);
}

static int take_cgroups(struct setup *s, struct err *e)
{
	for (size_t i = 0; i < s->cgroup->len; i++) {
		char path[512];
		s->cgroups[i] = -1;
		if (s->cgroup->v2 || s->cgroup->dir[i].fd < 0)
			continue;
		snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", s->cgroup->dir[i].name, s->cgroup->path);
		s->cgroups[i] = mount_clone(AT_FDCWD, path, false);
		if (s->cgroups[i] < 0)
			return err_errno(e, s->cgroups[i], "open %s", path);
	}
	return 0;
}

int setup_no_sources(struct setup *s, struct err *e)
{
	s->init = s->shm = -1;
	s->binds = calloc(s->plan->mounts_len + 1, sizeof(*s->binds));
	if (!s->binds)
		return err_nomem(e);
	for (size_t i = 0; i < s->plan->mounts_len; i++)
		s->binds[i] = -1;
	return 0;
}

static int take_shm(struct setup *s, struct err *e)
{
	s->shm = donor_shm(s->plan, e);
	return s->shm < 0 ? s->shm : 0;
}

int setup_sources(struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;
	int r = setup_no_sources(s, e);

	if (r == 0)
		r = take_cgroups(s, e);
	if (r == 0 && p->shmns)
		r = take_shm(s, e);
	for (size_t i = 0; r == 0 && i < p->mounts_len; i++) {
		if (p->mounts[i].type != PLAN_MOUNT_BIND)
			continue;
		s->binds[i] = open_source(&p->mounts[i], e);
		r = s->binds[i] < 0 ? s->binds[i] : 0;
	}
	if (r < 0 || !p->init)
		return r;
	s->init = mount_clone(AT_FDCWD, s->init_path, false);
	r = s->init < 0
		? s->init
		: mount_change(s->init, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, MS_PRIVATE, false);
	return r < 0 ? err_errno(e, r, "init program %s", s->init_path) : 0;
}

void setup_sources_done(struct setup *s)
{
	for (size_t i = 0; s->binds && i < s->plan->mounts_len; i++)
		close_fd(&s->binds[i]);
	close_fd(&s->init);
	close_fd(&s->shm);
	free(steal_ptr(s->binds));
}

/*
 * Makes the files in a tmpfs that nobody else sees, and takes each as a mount. A file can only be taken from a
 * mount that is attached: the tmpfs goes over "/" for that long. It must be gone before the pivot, or the old
 * root would stay behind it.
 */
int setup_files(struct setup *s, struct err *e)
{
	static const char *const options[] = {"mode=755", "size=4m", "nr_inodes=8", NULL};
	_cleanup_close_ int dir =
		mount_new("tmpfs", "the container's files", options, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, e);

	if (dir < 0)
		return dir;
	if (move_mount(dir, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "attach a mount");
	for (size_t i = 0; i < SETUP_FILES; i++) {
		s->file[i] = openat(dir, file_names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		s->file_mount[i] = s->file[i] < 0 ? -errno : mount_clone(dir, file_names[i], false);
		if (s->file_mount[i] < 0)
			return err_errno(e, s->file_mount[i], "make the container's /etc/%s", file_names[i]);
	}
	if (fchdir(dir) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(e, errno, "let go of the container's files");
	return 0;
}

static const char *file_content(const struct plan *p, size_t i)
{
	return i == 0 ? p->resolv_conf : i == 1 ? p->hosts : p->hostname_file;
}

int setup_write_files(struct setup *s, struct err *e)
{
	for (size_t i = 0; i < SETUP_FILES; i++) {
		const char *content = file_content(s->plan, i);
		int r = content ? fd_write_all(s->file[i], content, strlen(content)) : 0;
		if (r < 0)
			return err_errno(e, r, "write the container's /etc/%s", file_names[i]);
		close_fd(&s->file[i]);
	}
	return 0;
}

static int attach_file(struct setup *s, int mfd, const char *path, struct err *e)
{
	_cleanup_close_ int target = mount_target(s->root, path, false, e);
	int r = target < 0 ? target : mount_attach(mfd, target);

	return target < 0 ? target : r < 0 ? err_errno(e, r, "mount on %s", path) : 0;
}

/* Only what the image itself has there is copied, not what is mounted there by now. */
static int copy_up(struct setup *s, const struct plan_mount *m, int source, struct err *e)
{
	uint64_t attrs = (m->readonly ? MOUNT_ATTR_RDONLY : 0) | (m->nosuid ? MOUNT_ATTR_NOSUID : 0) |
		(m->nodev ? MOUNT_ATTR_NODEV : 0) | (m->noexec ? MOUNT_ATTR_NOEXEC : 0);
	_cleanup_close_ int image = mount_clone(s->root, "", false);

	if (image < 0)
		return err_errno(e, image, "open the root");
	_cleanup_close_ int from = fd_open_in_root(image, m->target, O_RDONLY | O_DIRECTORY, 0);
	if (from >= 0) {
		int r = setup_copy_up(from, source, e);
		if (r < 0)
			return err_wrap(e, "fill volume from %s", m->target);
	}
	int r = mount_change(source, attrs, 0, m->recursive);
	return r < 0 ? err_errno(e, r, "error mounting volume at \"%s\"", m->target) : 0;
}

static int attach_bind(struct setup *s, const struct plan_mount *m, int source, struct err *e)
{
	struct stat st;

	if (fstat(source, &st) < 0)
		return err_errno(e, errno, "error mounting \"%s\" to rootfs at \"%s\"", m->source, m->target);
	if (m->copy_up && S_ISDIR(st.st_mode)) {
		int r = copy_up(s, m, source, e);
		if (r < 0)
			return r;
	}
	_cleanup_close_ int target = mount_target(s->root, m->target, S_ISDIR(st.st_mode), e);
	if (target < 0)
		return err_wrap(e, "error mounting \"%s\" to rootfs at \"%s\"", m->source, m->target);
	int r = mount_attach(source, target);
	return r < 0 ? err_errno(e, r, "error mounting \"%s\" to rootfs at \"%s\"", m->source, m->target) : 0;
}

static bool names_mode(const char *options)
{
	_cleanup_strv_ char **v = options ? strv_split(options, ",") : NULL;

	strv_foreach(s, v) {
		if (str_starts(s, "mode="))
			return true;
	}
	return false;
}

/* As docker's runtime: without a mode of its own the tmpfs has that of the directory it covers. */
static int attach_tmpfs(struct setup *s, const struct plan_mount *m, struct err *e)
{
	unsigned attrs = (m->readonly ? MOUNT_ATTR_RDONLY : 0u) | (m->nosuid ? MOUNT_ATTR_NOSUID : 0u) |
		(m->nodev ? MOUNT_ATTR_NODEV : 0u) | (m->noexec ? MOUNT_ATTR_NOEXEC : 0u);
	_cleanup_close_ int there = fd_open_in_root(s->root, m->target, O_PATH | O_DIRECTORY, 0);
	_cleanup_free_ char *options = NULL;
	struct stat st = {.st_mode = 01777};

	if (there >= 0 && fstat(there, &st) < 0)
		return err_errno(e, errno, "tmpfs %s", m->target);
	if (!names_mode(m->options)) {
		options = str_fmt("%s,mode=%o", m->options ? m->options : "", st.st_mode & 07777);
		if (!options)
			return err_nomem(e);
	}
	int mfd = mount_new_text("tmpfs", m->target, options ? options : m->options, attrs, e);
	return mfd < 0 ? mfd : mount_at(s->root, m->target, mfd, e);
}

static int attach_etc(struct setup *s, size_t i, struct err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/etc/%s", file_names[i]);
	for (size_t k = 0; k < s->plan->mounts_len; k++)
		if (!strcmp(s->plan->mounts[k].target, path))
			return 0;
	return attach_file(s, s->file_mount[i], path, e);
}

int setup_attach_files(struct setup *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < SETUP_FILES; i++)
		r = attach_etc(s, i, e);
	return r;
}

/* Whether those that are in their places are just what the plan has, and nothing goes below or over them. */
static bool files_fit(const struct plan *p)
{
	bool fit = !p->mounts_len;

	for (size_t i = 0; i < SETUP_FILES; i++)
		fit &= file_content(p, i) != NULL;
	return fit;
}

/* Takes them from their places again: what the plan mounts comes first. Where the image has links one may lie on another, so the last goes first. */
static int detach_files(struct setup *s, struct err *e)
{
	int copy[SETUP_FILES], r = 0;
	char path[32];

	for (size_t i = 0; i < SETUP_FILES; i++) {
		copy[i] = mount_clone(s->file_mount[i], "", false);
		if (copy[i] < 0 && r == 0)
			r = err_errno(e, copy[i], "take /etc/%s away", file_names[i]);
	}
	for (size_t i = SETUP_FILES; i-- > 0;) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", s->file_mount[i]);
		if (r == 0 && umount2(path, MNT_DETACH) < 0)
			r = err_errno(e, errno, "take /etc/%s away", file_names[i]);
		close_fd(&s->file_mount[i]);
		s->file_mount[i] = copy[i];
	}
	return r;
}

/* The files of the network, where the plan has nothing of its own on just that place. */
static int attach_files(struct setup *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < SETUP_FILES; i++)
		if (file_content(s->plan, i))
			r = attach_etc(s, i, e);
	return r;
}

int setup_binds(struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;
	bool there = s->rooted && files_fit(p);
	int r = s->rooted && !there ? detach_files(s, e) : 0;

	for (size_t i = 0; r == 0 && i < p->mounts_len; i++)
		r = p->mounts[i].type == PLAN_MOUNT_BIND ? attach_bind(s, &p->mounts[i], s->binds[i], e)
							 : attach_tmpfs(s, &p->mounts[i], e);
	if (r == 0 && !there)
		r = attach_files(s, e);
	if (r == 0 && s->init >= 0)
		r = attach_file(s, s->init, SETUP_INIT_PATH, e);
	return r;
}
