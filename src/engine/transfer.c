/*
 * A tree between a container and this side, in constant memory:
 *
 *   worker --records--> monitor --frames--> this process --records--> child --> a directory, or a tar archive
 *
 * and the same the other way. What comes from a container is hostile: only the child takes the records apart, with "/" at the directory that they go to
 * and the capabilities that files need, or as caisson-fetch without any right at all. It ends when its pipe ends, and leaves nothing half done then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"
#include "proto/files.h"
#include "proto/monitor.h"
#include "sandbox/files.h"

enum { RESULT_MAX = 64 * 1024, CHILD_REPORT = 3, BLOCK = 64 * 1024 };

/* The process at this end. */
struct child {
	pid_t pid;
	int pipe;   /* its records */
	int report; /* a struct err, if it fails */
};
#define CHILD_NONE ((struct child){.pid = -1, .pipe = -1, .report = -1})

static void child_done(struct child *c)
{
	close_fd(&c->pipe);
	if (c->pid > 0)
		proc_reap(c->pid);
	c->pid = -1;
	close_fd(&c->report);
}

/* Its end, with what it has to say. */
static int child_wait(struct child *c, struct err *e)
{
	struct err said = ERR_INIT;

	close_fd(&c->pipe);
	ssize_t n = fd_read_full(c->report, &said, sizeof(said));
	int status = -1;
	while (c->pid > 0 && waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = -1;
	if (n == sizeof(said) && said.code > 0) {
		said.msg[sizeof(said.msg) - 1] = 0;
		*e = said;
		return -said.code;
	}
	return status ? err_set(e, EIO, "the process that takes the files apart has ended") : 0;
}

/* ---- a directory ---- */

static _Noreturn void serve_directory(const struct engine_tree *t, const char *name, bool get, int records, int report)
{
	int dir = t->fd, proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;

	prctl(PR_SET_NAME, "caisson-files");
	for (int sig = SIGHUP; sig <= SIGTERM; sig++)
		if (sig == SIGHUP || sig == SIGINT || sig == SIGQUIT || sig == SIGTERM || sig == SIGPIPE)
			signal(sig, SIG_IGN); /* its pipe's end is the end */
	int r = fd_keep(3, (int *const[]){&records, &report, &dir, &proc}, 4);
	if (r < 0)
		err_errno(&e, r, "close the descriptors");
	else
		r = files_confine(dir, false, &e);
	if (r == 0 && get) {
		struct files_reader in = {.fd = records};
		r = files_receive(&in,
			&(struct files_target){.root = dir,
				.proc = proc,
				.dir = "/",
				.shown = t->path,
				.owners = t->owners,
				.only = name},
			&e);
	} else if (r == 0) {
		struct files_writer out = {.fd = records};
		struct files_sender s;
		r = files_sender_init(&s, &out, dir, proc, &e);
		if (r == 0)
			r = files_send(&s, t->from, name, false, &e);
		if (r == 0 && (r = files_write_end(&out)) < 0)
			err_errno(&e, r, "send the files");
	}
	if (r < 0)
		fd_write_all(report, &e, sizeof(e));
	_exit(r < 0);
}

static int fork_directory(const struct engine_tree *t, const char *name, bool get, const int pipe_fd[2],
	const int report[2], struct child *c, struct err *e)
{
	c->pid = fork();
	if (c->pid == 0)
		serve_directory(t, name, get, pipe_fd[!get], report[1]);
	return c->pid < 0 ? err_errno(e, errno, "fork") : 0;
}

/* ---- an archive: caisson-fetch, which has the library ---- */

static int spawn_tar(struct engine *g, const struct engine_tree *t, const char *name, bool get, const int pipe_fd[2],
	const int report[2], struct child *c, struct err *e)
{
	_cleanup_free_ char *program = path_join(g->libexec_dir, "caisson-fetch"),
			    *root = str_fmt("--root=%s", g->root);
	char *argv[] = {(char *)"caisson-fetch", root, (char *)(get ? "tar" : "untar"), (char *)name, NULL};
	posix_spawn_file_actions_t actions;

	if (!program || !root)
		return err_nomem(e);
	_cleanup_close_ int records = fcntl(pipe_fd[!get], F_DUPFD_CLOEXEC, CHILD_REPORT + 1);
	_cleanup_close_ int errors = fcntl(report[1], F_DUPFD_CLOEXEC, CHILD_REPORT + 1);
	_cleanup_close_ int file = fcntl(t->fd, F_DUPFD_CLOEXEC, CHILD_REPORT + 1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, get ? records : file, 0);
	posix_spawn_file_actions_adddup2(&actions, get ? file : records, 1);
	posix_spawn_file_actions_adddup2(&actions, errors, CHILD_REPORT);
	int r = posix_spawn(&c->pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r ? err_errno(e, r, "%s", program) : 0;
}

static int child_start(
	struct engine *g, const struct engine_tree *t, const char *name, bool get, struct child *c, struct err *e)
{
	int pipe_fd[2], report[2];

	signal(SIGPIPE, SIG_IGN);
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return err_errno(e, errno, "make a pipe");
	if (pipe2(report, O_CLOEXEC) < 0) {
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return err_errno(e, errno, "make a pipe");
	}
	int r = t->tar ? spawn_tar(g, t, name, get, pipe_fd, report, c, e)
		       : fork_directory(t, name, get, pipe_fd, report, c, e);
	close(report[1]);
	close(pipe_fd[!get]);
	c->pipe = pipe_fd[get];
	c->report = report[0];
	if (r < 0)
		child_done(c);
	return r;
}

/* ---- the container's side ---- */

static int not_found(const struct engine_files *f, const char *path, int r, struct err *e)
{
	if (r == -ENOENT)
		return err_set(e, ENOENT, "Could not find the file %s in container %s", path, files_name(f));
	return r == -ENOTDIR && str_ends(e->msg, strerror(ENOTDIR)) ? err_set(e, ENOTDIR, "%s: not a directory", path)
								    : r;
}

/* What the worker writes, until it has ended. fn: 0, or stops with its error. */
typedef int output_fn(void *data, const void *p, size_t n);

static int take_output(int sock, output_fn *fn, void *data, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	struct frame f;

	for (;;) {
		int r = monitor_answer(sock, &b, &f, e);
		if (r < 0 || f.type == MONITOR_EXITED)
			return r;
		if (f.type == MONITOR_DATA && f.stream == 1) {
			r = fn(data, f.payload, f.len);
			if (r < 0)
				return r;
		}
	}
}

struct pipe_out {
	int fd;
	uint64_t *bytes;
};

static int to_pipe(void *data, const void *p, size_t n)
{
	const struct pipe_out *o = data;

	*o->bytes += n;
	return fd_write_all(o->fd, p, n);
}

static int to_buf(void *data, const void *p, size_t n)
{
	struct buf *b = data;

	return b->len + n > RESULT_MAX ? -EMSGSIZE : buf_add(b, p, n);
}

/* Records in memory: the first one, if it is not the end; or the error that they end with. */
static int first_record(struct buf *b, struct files_record *ret, struct err *e)
{
	struct frame_reader in = {.in = *b};
	struct frame f;
	int r = frame_next(&in, &f);

	*ret = (struct files_record){0};
	if (r <= 0)
		return err_set(e, EIO, "the container's side of the copy has ended");
	return files_record_decode(ret, &f, e);
}

/*
 * A failure of the child's is told by the pipe, and it says why itself; one of the monitor's leaves the child without an end, and so is the cause.
 */
static int get(struct engine_files *f, const struct files_request *q, const char *name, struct engine_tree *to,
	struct engine *g, struct err *e)
{
	_cleanup_(child_done) struct child c = CHILD_NONE;
	_cleanup_close_ int sock = -1;
	struct err own = ERR_INIT;
	int r = files_request(f, q, &sock, e);

	if (r == 0)
		r = child_start(g, to, name, true, &c, e);
	if (r < 0)
		return r;
	struct pipe_out out = {c.pipe, &to->bytes};
	int sent = take_output(sock, to_pipe, &out, &own);
	close_fd(&sock); /* a child that has failed has no use for the rest */
	r = child_wait(&c, e);
	if (sent < 0 && own.code) {
		*e = own;
		r = sent;
	}
	return r;
}

int engine_files_get(struct engine_files *f, const char *path, const char *name, struct engine_tree *to, struct err *e)
{
	const struct files_request q = {.op = FILES_GET, .path = (char *)path, .name = (char *)name};

	int r = not_found(f, path, get(f, &q, name, to, files_engine(f), e), e);

	if (r == 0)
		files_event(f, "archive-path", "path", path);
	return r;
}

int files_archive(struct engine_files *f, unsigned op, unsigned flags, int tar, struct err *e)
{
	const struct files_request q = {.op = op, .flags = flags};
	struct engine_tree to = {.fd = tar, .tar = true};

	return get(f, &q, ".", &to, files_engine(f), e);
}

int engine_files_export(struct engine_files *f, int tar, struct err *e)
{
	int r = files_archive(f, FILES_EXPORT, 0, tar, e);

	if (r == 0)
		files_event(f, "export", NULL, NULL);
	return r;
}

int engine_files_stat(struct engine_files *f, const char *path, struct engine_file *ret, struct err *e)
{
	const struct files_request q = {.op = FILES_STAT, .path = (char *)path};
	_cleanup_(files_record_done) struct files_record x = {0};
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	int r = files_request(f, &q, &sock, e);

	if (r == 0)
		r = take_output(sock, to_buf, &b, e);
	if (r == 0)
		r = first_record(&b, &x, e);
	if (r < 0)
		return not_found(f, path, r, e);
	if (x.type != FILES_STAT_IS)
		return err_set(e, EBADMSG, "damaged record of files");
	*ret = (struct engine_file){.mode = x.entry.mode,
		.size = x.entry.size,
		.link = S_ISLNK(x.entry.mode) ? steal_ptr(x.entry.link) : NULL};
	return 0;
}

static int send_all(int sock, const struct buf *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = send(sock, b->data + at, b->len - at, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The child's records to the worker, until the end, or until that has something to say: it fails early. */
static int send_records(int sock, struct child *c, uint64_t *bytes, struct err *e)
{
	char block[BLOCK];
	_cleanup_buf_ struct buf b = {0};

	for (;;) {
		struct pollfd p[] = {{.fd = c->pipe, .events = POLLIN}, {.fd = sock, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		if (p[1].revents)
			return 1;
		if (!p[0].revents)
			continue;
		ssize_t n = read(c->pipe, block, sizeof(block));
		if (n < 0 && errno == EINTR)
			continue;
		b.len = 0;
		*bytes += n > 0 ? (uint64_t)n : 0;
		int r = n > 0 ? frame_add(&b, MONITOR_DATA, 0, block, (size_t)n)
			      : frame_add(&b, MONITOR_EOF, 0, NULL, 0);
		if (r == 0 && send_all(sock, &b) < 0)
			return 1; /* it says why */
		if (r < 0 || n <= 0)
			return r < 0 ? err_nomem(e) : 0;
	}
}

static int wait_started(int sock, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	struct frame f = {0};
	int r = 0;

	while (r == 0 && f.type != MONITOR_STARTED)
		r = monitor_answer(sock, &b, &f, e);
	return r;
}

int engine_files_put(
	struct engine_files *f, const char *path, const char *name, struct engine_tree *from, struct err *e)
{
	const struct files_request q = {
		.op = FILES_PUT, .path = (char *)path, .flags = from->owners || from->tar ? FILES_KEEP_OWNERS : 0};
	_cleanup_(child_done) struct child c = CHILD_NONE;
	_cleanup_(files_record_done) struct files_record x = {0};
	_cleanup_close_ int sock = -1;
	_cleanup_buf_ struct buf b = {0};
	struct err own = ERR_INIT;

	int r = files_request(f, &q, &sock, e);
	if (r == 0)
		r = wait_started(sock, e);
	if (r == 0)
		r = child_start(files_engine(f), from, name, false, &c, e);
	if (r < 0)
		return not_found(f, path, r, e);
	int early = send_records(sock, &c, &from->bytes, e);
	if (early < 0)
		return early;
	r = take_output(sock, to_buf, &b, e);
	if (r == 0)
		r = first_record(&b, &x, e);
	if (r == 0)
		files_event(f, "extract-to-dir", "path", path);
	/* where the worker missed the end, the child says why */
	int mine = child_wait(&c, &own);
	if (mine < 0 && !early) {
		*e = own;
		return mine;
	}
	return not_found(f, path, r, e);
}

/* ---- diff ---- */

struct changes {
	struct frame_reader in;
	engine_change_fn *fn;
	void *data;
	bool ended;
	struct err *e;
};

static int on_changes(void *data, const void *p, size_t n)
{
	struct changes *c = data;
	struct frame f;

	if (buf_add(&c->in.in, p, n) < 0)
		return err_nomem(c->e);
	for (int r; !c->ended && (r = frame_next(&c->in, &f)) != 0;) {
		_cleanup_(files_record_done) struct files_record x = {0};
		if (r > 0)
			r = files_record_decode(&x, &f, c->e);
		else
			err_set(c->e, EBADMSG, "damaged record of files");
		if (r < 0)
			return r;
		c->ended = x.type == FILES_END;
		if (x.type == FILES_CHANGE)
			c->fn(c->data, (char)x.kind, x.path);
	}
	/* what was taken goes */
	memmove(c->in.in.data, c->in.in.data + c->in.used, c->in.in.len - c->in.used);
	c->in.in.len -= c->in.used;
	c->in.used = 0;
	return 0;
}

int engine_files_diff(struct engine_files *f, engine_change_fn *fn, void *data, struct err *e)
{
	const struct files_request q = {.op = FILES_DIFF};
	_cleanup_close_ int sock = -1;
	struct changes c = {.fn = fn, .data = data, .e = e};
	int r = files_request(f, &q, &sock, e);

	if (r == 0)
		r = take_output(sock, on_changes, &c, e);
	frame_reader_done(&c.in);
	if (r == 0 && !c.ended)
		r = err_set(e, EIO, "the container's side has ended too soon");
	return r;
}
