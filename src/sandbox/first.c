/* The container's first process: namespaces entered, root made, plan's process executed. */
#include "sandbox/first.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox/mount.h"
#include "sandbox/namespace.h"
#include "sandbox/network.h"

int first_oom_score(const struct plan *p, struct err *e)
{
	char text[16];

	if (!p->oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%d", p->oom_score_adj);
	int r = file_write(AT_FDCWD, "/proc/self/oom_score_adj", text);
	return r < 0 ? err_errno(e, r, "set oom_score_adj to %s", text) : 0;
}

/* The terminal of the main process, which is also the container's console. */
static int make_console(struct setup *s, const struct launch *l, int *ret_slave, struct err *e)
{
	_cleanup_close_ int pts = openat(s->dev, "pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int master = -1;

	if (pts < 0)
		return err_errno(e, errno, "open /dev/pts");
	int r = launch_open_tty(pts, l->process, &master, ret_slave, e);
	if (r < 0)
		return r;
	_cleanup_close_ int target = openat(s->dev, "console", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0620);
	_cleanup_close_ int console = mount_clone(*ret_slave, "", false);
	r = target < 0 ? -errno : console < 0 ? console : mount_attach(console, target);
	if (r == 0)
		r = report_send(l->sock, REPORT_FD, 0, NULL, master);
	return r < 0 ? err_errno(e, r, "make /dev/console") : 0;
}

/* With "/" the container's root and before that becomes read-only. */
static int finish_root(const struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;

	if (!str_empty(p->process.cwd)) {
		_cleanup_close_ int dir = mkdir_through_links(s->root, p->process.cwd, 0755);
		if (dir < 0)
			return err_errno(e, dir, "make the working directory \"%s\"", p->process.cwd);
	}
	int r = p->readonly_root ? mount_change(s->root, MOUNT_ATTR_RDONLY, 0, false) : 0;
	return r < 0 ? err_errno(e, r, "make the root read-only") : 0;
}

int first_wait(int sock, const char *what, char *ret, struct err *e)
{
	char go;
	ssize_t n;

	while ((n = recv(sock, &go, 1, 0)) < 0 && errno == EINTR)
		;
	if (n != 1)
		return err_set(e, EIO, "the container's %s was not made", what);
	if (ret)
		*ret = go;
	return 0;
}

int first_enter(struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	launch_reset_signals();
	umask(0);
	if (!s->cgroup->v2)
		r = cgroup_join_v1(s->cgroup, e);
	if (r == 0 && !p->host_cgroupns && unshare(CLONE_NEWCGROUP) < 0)
		r = err_errno(e, errno, "make a cgroup namespace");
	if (r == 0 && p->netns)
		r = namespace_join(p->netns, p->netns_id, CLONE_NEWNET, "network", e);
	if (r == 0 && p->ipcns)
		r = namespace_join(p->ipcns, p->ipcns_id, CLONE_NEWIPC, "IPC", e);
	return r == 0 && !p->host_network ? namespace_loopback_up(e) : r;
}

static int make_files(struct setup *s, struct err *e)
{
	const struct plan *p = s->plan;

	for (size_t i = 0; i < SETUP_FILES; i++)
		s->file[i] = s->file_mount[i] = -1;
	if (!p->resolv_conf && !p->hosts && !p->hostname_file)
		return 0;
	int r = setup_files(s, e);
	return r == 0 ? setup_write_files(s, e) : r;
}

/* The root and what any plan has in it. */
static int raise_root(struct setup *s, struct err *e)
{
	int r = setup_sources(s, e);

	if (r == 0)
		r = setup_isolate(s, e);
	if (r == 0 && !s->scaffold)
		r = make_files(s, e);
	if (r == 0)
		r = setup_root(s, e);
	return r < 0 ? r : s->scaffold ? setup_adopt(s, e) : setup_system(s, e);
}

static int make_root(struct setup *s, struct launch *l, struct err *e)
{
	int r = s->rooted ? 0 : raise_root(s, e);

	if (r == 0)
		r = setup_binds(s, e);
	return r == 0 && s->plan->process.tty ? make_console(s, l, &l->tty, e) : r;
}

int first_finish(struct setup *s, struct launch *l, struct filtered *thread, struct err *e)
{
	const struct plan *p = s->plan;
	bool ahead = s->scaffold || s->rooted;
	int r = first_oom_score(p, e);

	if (r == 0 && !ahead)
		r = namespace_set_names(p, e);
	if (r == 0)
		r = make_root(s, l, e);
	if (r == 0 && s->wait_network)
		r = first_wait(l->sock, "network", NULL, e);
	if (r == 0 && !p->host_network && !p->netns && !s->network_set_up)
		r = network_setup(p, NULL, e);
	if (r == 0)
		r = namespace_set_sysctls(p, s->proc, e);
	if (r == 0 && !ahead)
		r = setup_masks(s, e);
	if (r == 0 && !s->rooted)
		r = setup_pivot(s, e);
	if (r == 0)
		r = finish_root(s, e);
	l->filtered = r == 0 && thread && filtered_fits(thread, l->process);
	if (l->filtered)
		filtered_launch(thread, l, e);
	return r == 0 ? launch(l, e) : r;
}

_Noreturn void first_die(int sock, const struct err *e)
{
	if (report_send(sock, REPORT_ERROR, 0, e, -1) < 0)
		report_send(3, REPORT_ERROR, 0, e, -1);
	_exit(1);
}
