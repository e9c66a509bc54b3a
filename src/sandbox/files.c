/* The worker: its view of the container's files, what it may do, and what it is asked for. */
#include "sandbox/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mountns.h"
#include "base/path.h"
#include "base/proc.h"
#include "sandbox/caps.h"
#include "sandbox/first.h"
#include "sandbox/launch.h"
#include "sandbox/mount.h"
#include "sandbox/namespace.h"
#include "sandbox/setup.h"

#define BIT(cap) (1ULL << (cap))
enum { IN = 0, OUT = 1, SOCK = 3 };

struct worker {
	const struct plan *plan;
	struct files_request q;
	int pidfd;        /* of the container's first process; -1 once it is joined */
	int proc;         /* /proc/self/fd, of this kernel's own /proc */
	int root;         /* the view */
	int upper, lower; /* for diff */
};

/* The targets of what docker shows beside the root. */
static int add_target(char ***v, const char *target, bool there)
{
	return there ? strv_push(v, target) : 0;
}

static int targets(const struct plan *p, char ***ret)
{
	int r = add_target(ret, "/etc/resolv.conf", p->resolv_conf);

	if (r == 0)
		r = add_target(ret, "/etc/hosts", p->hosts);
	if (r == 0)
		r = add_target(ret, "/etc/hostname", p->hostname_file);
	for (size_t i = 0; i < p->mounts_len && r == 0; i++)
		r = add_target(ret, p->mounts[i].target, p->mounts[i].type == PLAN_MOUNT_BIND);
	return r;
}

/* A copy of what is mounted at a target, attached in the view. One that is not there in either is left out. */
static int show(int from, int root, const char *target, struct err *e)
{
	_cleanup_close_ int there = fd_open_in_root(from, target, O_PATH, 0);
	_cleanup_close_ int here = fd_open_in_root(root, target, O_PATH, 0);

	if (there < 0 || here < 0)
		return 0;
	_cleanup_close_ int copy = mount_clone(there, "", true);
	int r = copy < 0 ? copy : mount_attach(copy, here);
	/* a file where there is a directory now, or the other way round: the container's doing */
	return r < 0 && r != -ENOTDIR && r != -EINVAL && r != -ENOENT ? err_errno(e, r, "show %s", target) : 0;
}

/*
 * In a namespace of this process alone. The copy of the root without its submounts stands over "/", where no look-up of ours sees it; the container's
 * own root stays open behind `from` meanwhile.
 */
static int make_view(struct worker *w, bool mounts, struct err *e)
{
	_cleanup_strv_ char **v = NULL;
	int r = mounts ? targets(w->plan, &v) : 0;

	if (r < 0)
		return err_nomem(e);
	if (setns(w->pidfd, CLONE_NEWNS) < 0)
		return err_errno(e, errno, "join the container's mount namespace");
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(e, errno, "make a mount namespace");
	r = mountns_make_private(NULL);
	if (r < 0)
		return err_errno(e, r, "make the mounts private");
	_cleanup_close_ int from = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	w->root = mount_clone(AT_FDCWD, "/", false);
	if (from < 0 || w->root < 0)
		return err_errno(e, from < 0 ? errno : w->root, "open the container's root");
	if (move_mount(w->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "attach the container's root");
	strv_foreach(target, v) {
		r = show(from, w->root, target, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The two sides of the overlay, as the container's maker sees them. */
static int open_layers(struct worker *w, struct err *e)
{
	const struct plan below = {.lower = w->plan->lower};

	if (!w->plan->upper || !strv_len(w->plan->lower))
		return err_set(e, EOPNOTSUPP, "the container's root is no overlay");
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(e, errno, "make a mount namespace");
	int r = mountns_make_private(NULL);
	if (r < 0)
		return err_errno(e, r, "make the mounts private");
	w->upper = open(w->plan->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->upper < 0)
		return err_errno(e, errno, "open %s", w->plan->upper);
	w->lower = setup_overlay(&below, e);
	return w->lower < 0 ? w->lower : 0;
}

int files_confine(int root, bool overlay, struct err *e)
{
	/* overlayfs's own attributes are for CAP_SYS_ADMIN */
	const uint64_t caps = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |
		BIT(CAP_FSETID) | BIT(CAP_MKNOD) | BIT(CAP_SETFCAP) | (overlay ? BIT(CAP_SYS_ADMIN) : 0);

	if (fchdir(root) < 0 || chroot(".") < 0)
		return err_errno(e, errno, "enter the files' root");
	umask(0);
	int r = caps_limit_bounding(caps, e);
	if (r == 0)
		r = caps_apply(caps, 0, e);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_errno(e, errno, "set no_new_privs");
	return r;
}

static int prepare(struct worker *w, struct err *e)
{
	bool diff = w->q.op == FILES_DIFF || w->q.op == FILES_LAYER;

	w->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->proc < 0)
		return err_errno(e, errno, "open /proc/self/fd");
	int r = diff ? open_layers(w, e) : make_view(w, w->q.op != FILES_EXPORT, e);
	close_fd(&w->pidfd);
	return r < 0 ? r : files_confine(diff ? w->upper : w->root, diff, e);
}

/* ---- what is asked for, in the view ---- */

/*
 * Docker's way to look a path up: links are followed in all of it but its last component, and in that too if a slash, or a slash and a dot, is behind it.
 * The directory and the name in it, "." for the directory itself.
 */
static int find(const struct worker *w, const char *path, int *ret_dir, char **ret_name, struct err *e)
{
	_cleanup_free_ char *dir = strdup(path), *name = NULL;
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return err_set(e, EINVAL, "%s is no absolute path", path);
	name = strdup(slash[1] ? slash + 1 : ".");
	if (!name)
		return err_nomem(e);
	if (!strcmp(name, "..")) { /* a directory in any case */
		free(name);
		name = strdup(".");
	} else {
		slash[slash == dir] = 0;
	}
	int fd = fd_open_in_root(w->root, dir, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return err_errno(e, fd, "%s", path);
	*ret_dir = fd;
	*ret_name = steal_ptr(name);
	return *ret_name ? 0 : err_nomem(e);
}

/* Where a link leads in the container: the path of what is there, or its own words if nothing is. */
static char *link_target(const struct worker *w, int dir, const char *name)
{
	char number[32], text[FILES_PATH_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);

	if (n < 0)
		return strdup("");
	text[n] = 0;
	if (*text == '/') {
		fd = fd_open_in_root(w->root, text, O_PATH, 0);
	} else { /* from the link's place */
		char at[FILES_PATH_MAX];
		snprintf(number, sizeof(number), "%d", dir);
		ssize_t k = readlinkat(w->proc, number, at, sizeof(at) - 1);
		_cleanup_free_ char *full = k <= 0 ? NULL : (at[k] = 0, path_join(at, text));
		if (!full)
			return strdup(text);
		fd = fd_open_in_root(w->root, full, O_PATH, 0);
		if (fd < 0)
			return path_clean(full);
	}
	if (fd < 0)
		return strdup(text);
	snprintf(number, sizeof(number), "%d", fd);
	n = readlinkat(w->proc, number, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	return strdup(text);
}

static int do_stat(struct worker *w, struct files_writer *out, struct err *e)
{
	_cleanup_(files_entry_done) struct files_entry x = {0};
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *name = NULL;
	struct stat st;
	int r = find(w, w->q.path, &dir, &name, e);

	if (r < 0)
		return r;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "%s", w->q.path);
	files_entry_stat(&x, &st);
	x.path = strdup(name);
	x.link = S_ISLNK(st.st_mode) ? link_target(w, dir, name) : NULL;
	r = x.path ? files_write_entry(out, FILES_STAT_IS, &x) : -ENOMEM;
	return r < 0 ? err_errno(e, r, "send %s", w->q.path) : 0;
}

static int do_get(struct worker *w, struct files_writer *out, struct err *e)
{
	_cleanup_(files_sender_done) struct files_sender s = {0};
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *name = NULL;
	int r = find(w, w->q.path, &dir, &name, e);

	if (r == 0)
		r = files_sender_init(&s, out, dir, w->proc, e);
	return r < 0 ? r : files_send(&s, name, w->q.name, false, e);
}

static int do_export(struct worker *w, struct files_writer *out, struct err *e)
{
	_cleanup_(files_sender_done) struct files_sender s = {0};
	int r = files_sender_init(&s, out, w->root, w->proc, e);

	return r < 0 ? r : files_send(&s, ".", ".", true, e);
}

static int do_put(struct worker *w, struct files_writer *out, struct err *e)
{
	_cleanup_(files_reader_done) struct files_reader in = {.fd = IN};
	const struct files_target t = {
		.root = w->root, .proc = w->proc, .dir = w->q.path, .owners = w->q.flags & FILES_KEEP_OWNERS};
	_cleanup_close_ int dir = fd_open_in_root(w->root, w->q.path, O_PATH, 0);
	struct stat st;

	(void)out;
	if (dir < 0 || fstat(dir, &st) < 0)
		return err_errno(e, dir < 0 ? dir : errno, "%s", w->q.path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "extraction point is not a directory");
	return files_receive(&in, &t, e);
}

static int do_diff(struct worker *w, struct files_writer *out, struct err *e)
{
	return files_diff(w->upper, w->lower, w->proc, w->q.op == FILES_LAYER, out, e);
}

static int (*const ops[])(struct worker *w, struct files_writer *out, struct err *e) = {
	[FILES_STAT] = do_stat,
	[FILES_GET] = do_get,
	[FILES_PUT] = do_put,
	[FILES_EXPORT] = do_export,
	[FILES_DIFF] = do_diff,
	[FILES_LAYER] = do_diff,
};

static _Noreturn void work(struct worker *w)
{
	struct files_writer out = {.fd = OUT};
	struct err e = ERR_INIT;

	if (ops[w->q.op](w, &out, &e) == 0)
		_exit(files_write_end(&out) < 0);
	files_write_failed(&out, &e);
	_exit(1);
}

static _Noreturn void run(struct worker *w, const struct sandbox_io *io, int sock, int pidfd)
{
	int in = io->in, out = io->out, none = io->err;
	struct err e = ERR_INIT;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	proc_set_title("caisson-files", w->plan->id ? w->plan->id : "");
	launch_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	w->pidfd = pidfd;
	int r = fd_keep(0, (int *const[]){&in, &out, &none, &sock, &w->pidfd}, 5);
	if (r < 0)
		err_errno(&e, r, "close the descriptors");
	else
		r = prepare(w, &e);
	if (r < 0)
		first_die(sock, &e);
	close(sock); /* at work */
	work(w);
}

static int start(
	struct worker *w, const struct sandbox *s, const struct sandbox_io *io, struct sandbox_proc *ret, struct err *e)
{
	int sock[2], none = -1, pidfd = -1;
	int r = report_socket(sock, e);

	if (r < 0)
		return r;
	_cleanup_close_ int mine = sock[0];
	pid_t pid = namespace_fork(0, -1, false, &pidfd);
	if (pid == 0)
		run(w, io, sock[1], s->pidfd);
	close(sock[1]);
	if (pid < 0)
		return err_errno(e, pid, "fork");
	r = report_wait(mine, &none, NULL, e);
	if (r < 0) {
		close_fd(&pidfd);
		proc_reap(pid);
		return r;
	}
	*ret = (struct sandbox_proc){.pid = pid, .pidfd = pidfd, .tty = -1};
	return 0;
}

int files_exec(struct sandbox *s, const struct plan *p, const struct plan_process *proc, const struct sandbox_io *io,
	struct sandbox_proc *ret, struct err *e)
{
	struct worker w = {.plan = p, .pidfd = -1, .proc = -1, .root = -1, .upper = -1, .lower = -1};
	int r = files_request_decode(&w.q, proc->files, proc->files_len, e);
	bool still = w.q.flags & FILES_FREEZE;

	if (r == 0 && !ops[w.q.op])
		r = err_set(e, EBADMSG, "damaged request for files");
	if (r == 0 && still)
		r = sandbox_stand_still(s, e);
	if (r == 0) {
		r = start(&w, s, io, ret, e);
		ret->still = r == 0 && still;
		if (r < 0)
			sandbox_exec_ended(s, still);
	}
	files_request_done(&w.q);
	return r;
}

_Noreturn void files_hold(void)
{
	char block[256];
	ssize_t n;

	while ((n = read(IN, block, sizeof(block))) > 0 || (n < 0 && errno == EINTR))
		;
	_exit(0);
}
