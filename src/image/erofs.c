/*
 * The layers of an image become one EROFS file. What mkfs.erofs reads is an overlay of the layers, so that the kernel itself resolves whiteouts and opaque
 * directories; it is mounted in a mount namespace of a child's own, whose mounts the host never sees.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mountns.h"
#include "base/path.h"
#include "base/proc.h"
#include "image/fetch.h"
#include "image/image.h"
#include "image/layers.h"
#include "store/db.h"

#define BOTTOM "/tmp/bottom"

enum { OPTIONS_MAX = 4095 }; /* of mount(2): a page, with its NUL */

struct build {
	struct db *db;
	const struct image *image;
};

/* Paths relative to the layers' directory, which is the current one: many fit into the page. */
static int overlay_options(const struct build *b, struct buf *ret, struct err *e)
{
	_cleanup_strv_ char **dirs = NULL;
	int r = image_lower_dirs("", b->image, &dirs, e);

	if (r < 0)
		return r;
	if (buf_adds(ret, "lowerdir=") < 0)
		return err_nomem(e);
	strv_foreach(dir, dirs)
		if (buf_addf(ret, "%s:", path_base(dir)) < 0)
			return err_nomem(e);
	if (buf_adds(ret, BOTTOM) < 0)
		return err_nomem(e);
	return ret->len > OPTIONS_MAX ? err_set(e, E2BIG, "too many layers for one mount") : 0;
}

/* The lowest layer of all: what every container mounts something on. Where the image has the place, or hides it, it is the image's. */
static int make_bottom(struct err *e)
{
	static const char *const dirs[] = {"", "/proc", "/sys", "/dev", "/etc"};
	static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/hostname"};
	char path[64];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), BOTTOM "%s", dirs[i]);
		if (mkdir(path, 0755) < 0)
			return err_errno(e, errno, "make %s", path);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), BOTTOM "%s", files[i]);
		if (mknod(path, S_IFREG | 0644, 0) < 0)
			return err_errno(e, errno, "make %s", path);
	}
	return 0;
}

/* The host's /tmp is covered by a file system of our own, with the place to mount on. */
static int mount_image(const struct build *b, struct err *e)
{
	_cleanup_buf_ struct buf options = {0};
	_cleanup_free_ char *layers = path_join(db_root(b->db), "layers");

	int r = layers ? overlay_options(b, &options, e) : err_nomem(e);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 || mountns_make_private(NULL) < 0)
		return err_errno(e, errno, "make a mount namespace");
	if (chdir(layers) < 0)
		return err_errno(e, errno, "enter %s", layers);
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0700") < 0 ||
		mkdir("/tmp/root", 0755) < 0)
		return err_errno(e, errno, "make a place for the image");
	umask(0);
	if (make_bottom(e) < 0)
		return -e->code;
	if (mount("overlay", "/tmp/root", "overlay", MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, options.data) < 0)
		return err_errno(e, errno, "mount the layers");
	return 0;
}

static int run_mkfs(const struct build *b, int out, struct err *e)
{
	_cleanup_buf_ struct buf text = {0};
	char output[32], uuid[37], option[40];
	const char *hex = b->image->id + strlen("sha256:");

	snprintf(uuid, sizeof(uuid), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	snprintf(option, sizeof(option), "-U%s", uuid);
	snprintf(output, sizeof(output), "/proc/self/fd/%d", out);
	/* The same layers give the same file: this is its date, and that of files which claim to be younger (the year 2100). */
	if (setenv("SOURCE_DATE_EPOCH", "4102444800", 1) < 0)
		return err_nomem(e);
	char *argv[] = {(char *)"mkfs.erofs", (char *)"--quiet", option, output, (char *)"/tmp/root", NULL};
	int r = proc_run(argv, &text, e);
	if (r < 0)
		return r;
	if (r > 0) {
		char *end = text.len ? text.data + text.len : NULL;
		while (end && end > text.data && end[-1] == '\n')
			*--end = 0;
		char *line = end ? strrchr(text.data, '\n') : NULL;
		return err_set(e, EIO, "mkfs.erofs failed (%d): %.400s", r,
			line               ? line + 1
				: text.len ? text.data
					   : "no message");
	}
	return 0;
}

static int build_in_child(const struct build *b, int out, struct err *e)
{
	int r = mount_image(b, e);

	return r < 0 ? r : run_mkfs(b, out, e);
}

/* The child's error comes through the pipe; nothing through it means success. */
static int run_child(const struct build *b, int out, struct err *e)
{
	struct err theirs = ERR_INIT;
	int fds[2], status;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (build_in_child(b, out, &theirs) < 0)
			fd_write_all(fds[1], &theirs, sizeof(theirs));
		_exit(theirs.code != 0);
	}
	int code = pid < 0 ? err_errno(e, errno, "fork") : 0;
	close(fds[1]);
	ssize_t n = code < 0 ? 0 : fd_read_full(fds[0], &theirs, sizeof(theirs));
	close(fds[0]);
	if (code < 0)
		return code;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == sizeof(theirs)) {
		*e = theirs;
		return -e->code;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status)
		? 0
		: err_set(e, EIO, "the process that builds the file ended too soon");
}

static int build_at(const struct build *b, int dir, const char *name, struct err *e)
{
	_cleanup_free_ char *temporary = str_fmt("tmp-%s", name);

	if (!temporary)
		return err_nomem(e);
	unlinkat(dir, temporary, 0);
	_cleanup_close_ int out = openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (out < 0)
		return err_errno(e, errno, "make %s", temporary);
	int r = run_child(b, out, e);
	if (r == 0 && fdatasync(out) < 0)
		r = err_errno(e, errno, "write %s", name);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = err_errno(e, errno, "put %s in place", name);
	if (r < 0)
		unlinkat(dir, temporary, 0);
	return r;
}

static int build_locked(const struct build *b, int dir, struct err *e)
{
	_cleanup_free_ char *name = str_fmt("%s.erofs", b->image->id + strlen("sha256:"));
	_cleanup_close_ int lock = fd_lock_file(dir, ".lock", true, true);

	if (lock < 0)
		return err_errno(e, lock, "lock %s/erofs", db_root(b->db));
	if (!name)
		return err_nomem(e);
	return faccessat(dir, name, F_OK, 0) == 0 ? 0 : build_at(b, dir, name, e);
}

int image_build_erofs(struct db *d, const struct image *i, struct err *e)
{
	_cleanup_close_ int lock = -1, dir = -1;
	struct build b = {.db = d, .image = i};

	int r = layers_lock(d, &lock, e); /* so that nobody sweeps meanwhile */
	if (r < 0)
		return r;
	r = mkdir_p(db_root_fd(d), "erofs", 0700);
	if (r < 0)
		return err_errno(e, r, "make %s/erofs", db_root(d));
	dir = openat(db_root_fd(d), "erofs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(e, errno, "open %s/erofs", db_root(d));
	r = build_locked(&b, dir, e);
	return r < 0 ? err_wrap(e, "build the root file system of %.19s for hyperv", i->id) : 0;
}
