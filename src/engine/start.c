/* Starting a container: its plan, its lock and a client's socket handed to a monitor, which is waited for until the workload runs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/engine-private.h"
#include "engine/netup.h"
#include "proto/frame.h"
#include "proto/monitor.h"
#include "proto/timing.h"

/* The descriptors a monitor is started with. */
enum { MONITOR_FD_LOCK = 3, MONITOR_FD_PLAN = 4, MONITOR_FD_CLIENT = 5 }; /* then the sockets of --publish */

static int plan_to_memfd(const struct plan *p, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = plan_encode(p, &b);
	_cleanup_close_ int fd = memfd_create("plan", MFD_CLOEXEC);

	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0)
		r = fd_write_all(fd, b.data, b.len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "hand the plan to the monitor") : steal_fd(&fd);
}

static char **monitor_args(struct engine *g, const struct found *f, const struct published *ports,
	const struct plan *plan, uint32_t streams, bool files)
{
	const json_t *config = json_object_get(f->record, "Config"), *hc = json_object_get(f->record, "HostConfig");
	const char *log = json_str(json_object_get(hc, "LogConfig"), "Type");
	char **v = NULL;
	int r = strv_push(&v, "caisson-monitor");

	r |= strv_pushf(&v, "--name=%s", f->row.name);
	r |= strv_pushf(&v, "--isolation=%s", isolation_name(record_isolation(f->record)));
	r |= strv_pushf(&v, "--root=%s", g->root);
	r |= strv_pushf(&v, "--run=%s", g->run);
	if (access(g->config_file, F_OK) == 0)
		r |= strv_pushf(&v, "--config=%s", g->config_file);
	r |= strv_pushf(&v, "--libexec=%s", g->libexec_dir);
	r |= strv_pushf(&v, "--data=%s", g->data_dir);
	r |= strv_pushf(&v, "--streams=%u", streams);
	if (files)
		r |= strv_push(&v, "--files");
	if (g->timing)
		r |= strv_push(&v, "--timing");
	if (files || json_flag(config, "StdinOnce"))
		r |= strv_push(&v, "--stdin-once");
	if (!files && (!log || strcmp(log, "none") != 0))
		r |= log_args(g, f->row.id, f->record, &v);
	r |= publish_args(ports, plan, &v);
	r |= strv_push(&v, f->row.id);
	if (r < 0) {
		strv_free(v);
		return NULL;
	}
	return v;
}

/*
 * The monitor's program on a read-only mount of its own. A container can make a process of the monitor's show up inside as /proc/PID/exe (an
 * interpreter line "#!/proc/self/exe" is enough): what it then opens for writing must not be the host's file (CVE-2019-5736).
 */
static int open_monitor(const char *program, struct err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	_cleanup_close_ int fd = open_tree(AT_FDCWD, program, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "%s", program);
	return steal_fd(&fd);
}

static int spawn_monitor(struct engine *g, char **args, const int *fds, size_t n, struct err *e)
{
	_cleanup_free_ char *program = path_join(g->libexec_dir, "caisson-monitor");
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char by_fd[32];
	_cleanup_free_ int *moved = calloc(n, sizeof(*moved));
	pid_t pid;

	if (!program || !moved)
		return err_nomem(e);
	_cleanup_close_ int exe = open_monitor(program, e);
	if (exe < 0)
		return exe;
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", exe);
	/* out of the way of the numbers they will have */
	for (size_t i = 0; i < n; i++)
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, MONITOR_FD_LOCK + (int)n);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	if (!secure_getenv("CAISSON_DEBUG"))
		posix_spawn_file_actions_adddup2(&actions, 0, 2);
	posix_spawn_file_actions_addchdir_np(&actions, "/");
	for (size_t i = 0; i < n; i++)
		posix_spawn_file_actions_adddup2(&actions, moved[i], MONITOR_FD_LOCK + (int)i);
	int r = posix_spawn(&pid, by_fd, &actions, &attr, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	for (size_t i = 0; i < n; i++)
		close_fd(&moved[i]);
	return r ? err_errno(e, r, "%s", program) : 0;
}

/* Until the workload runs (0) or could not be started. */
static int wait_started(struct engine *g, int sock, const struct engine_start *opt, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	struct frame f;

	for (;;) {
		int r = monitor_answer(sock, &b, &f, e);
		if (r < 0)
			return r;
		if (f.type == MONITOR_STARTED)
			return 0;
		if (f.type == MONITOR_NOTICE && opt->notice)
			opt->notice(opt->notice_data, b.data);
		struct wire w = {.p = f.payload, .left = f.len};
		if (f.type == MONITOR_TIMING && g->timing && timing_decode(g->timing, &w) < 0)
			return err_set(e, EBADMSG, "damaged answer of the container's monitor");
	}
}

/* Everything that the monitor is told and given. */
struct starting {
	struct plan plan;
	struct published ports;
	int plan_fd;
	char **args;
	bool files; /* it is held for its files only */
};

static void starting_done(struct starting *s)
{
	plan_done(&s->plan);
	publish_done(&s->ports);
	close_fd(&s->plan_fd);
	strv_free(s->args);
}

static int prepare(
	struct engine *g, const struct found *f, const struct engine_start *opt, struct starting *s, struct err *e)
{
	enum isolation_kind kind = record_isolation(f->record);

	struct isolation_host host = engine_host(g, json_object_get(f->record, "HostConfig"));
	int r = s->files ? files_plan(g, f->record, &s->plan, e) : engine_plan(g, f->record, &s->plan, e);
	if (opt) {
		s->plan.process.rows = opt->rows;
		s->plan.process.cols = opt->cols;
	}
	if (r == 0)
		r = namespaces_join(g, f->record, &s->plan, e);
	if (r == 0)
		r = isolation_check(kind, &host, &s->plan, e);
	timing_end(g->timing, TIMING_RECORD);
	if (r == 0 && s->plan.interfaces_len)
		r = publish_open(f, &s->ports, e);
	if (r == 0 && !s->files)
		r = netup_start(g, f, &s->plan, &s->ports, e);
	if (s->plan.interfaces_len)
		timing_end(g->timing, TIMING_NETWORK);
	if (r == 0)
		event_actor_keep(g, f);
	return r;
}

static int prepare_monitor(struct engine *g, const struct found *f, uint32_t streams, struct starting *s, struct err *e)
{
	int r = s->plan_fd = plan_to_memfd(&s->plan, e);

	if (r < 0)
		return r;
	s->args = monitor_args(g, f, &s->ports, &s->plan, streams, s->files);
	return s->args ? 0 : err_nomem(e);
}

static int spawn_with(struct engine *g, const struct starting *s, int lock, int client, struct err *e)
{
	size_t n = 3 + s->ports.len;
	_cleanup_free_ int *fds = calloc(n, sizeof(*fds));

	if (!fds)
		return err_nomem(e);
	fds[0] = lock;
	fds[1] = s->plan_fd;
	fds[2] = client;
	for (size_t i = 0; i < s->ports.len; i++)
		fds[3 + i] = s->ports.sockets[i].fd;
	return spawn_monitor(g, s->args, fds, n, e);
}

static int start_held(struct engine *g, struct found *f, int lock, const struct engine_start *opt, uint32_t streams,
	bool files, int *ret_client, struct err *e)
{
	_cleanup_(starting_done) struct starting s = {.plan_fd = -1, .files = files};
	int pair[2];

	struct isolation_host host = engine_host(g, json_object_get(f->record, "HostConfig"));
	int r = isolation_probe(record_isolation(f->record), &host, e);
	if (r == 0)
		r = container_sweep(
			g, f->row.id, f->record, e); /* the run directory of a killed monitor may have been deleted */
	if (r == 0)
		r = prepare(g, f, opt, &s, e);
	if (r == 0)
		r = prepare_monitor(g, f, streams, &s, e);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, errno, "socketpair");
	r = spawn_with(g, &s, lock, pair[1], e);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	*ret_client = pair[0];
	return 1;
}

int engine_start(struct engine *g, const char *ref, const struct engine_start *opt, int *ret_client, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_close_ int lock = -1, client = -1;
	uint32_t streams = ret_client ? opt->streams : 0;

	int r = container_take(g, ref, false, &f, &lock, e);
	if (r < 0)
		return r;
	if (f.running && f.live.phase == STATE_PAUSED)
		return err_set(e, EBUSY, "cannot start a paused container, try unpause instead");
	if (f.running)
		return ret_client ? engine_attach(g, f.row.id, streams, ret_client, e) : 0;
	if (ret_client)
		event_of(g, &f.row, f.record, "attach", NULL);
	r = start_held(g, &f, lock, opt, streams, false, &client, e);
	if (r < 0) {
		netup_stop(g, f.row.id);
		run_dir_remove(g, f.row.id);
		return r;
	}
	/* the lock is the monitor's alone from here on: if it dies, the next command must see that */
	close_fd(&lock);
	r = wait_started(g, client, opt, e);
	if (r == -ECONNRESET)
		return err_set(e, ECONNRESET, "container %s: its monitor died while starting it", f.row.name);
	const char *kernel = json_str(json_object_get(f.record, "HostConfig"), "Kernel");
	if (r < 0 && !str_empty(kernel) && str_starts(e->msg, "start the VM"))
		err_wrap(e, "guest kernel %s", kernel);
	if (r == 0 && ret_client)
		*ret_client = steal_fd(&client);
	return r;
}

int engine_container_again(
	struct engine *g, const char *id, struct plan *ret, int **ret_fds, char ***ret_publish, struct err *e)
{
	_cleanup_(found_done) struct found f = {.run_dir = -1};
	_cleanup_(starting_done) struct starting s = {.plan_fd = -1};
	struct db *db;

	int r = engine_db(g, &db, e);
	if (r == 0)
		r = containers_find(db, id, &f.row, e);
	if (r == 0 && !(f.record = json_loads(f.row.record, 0, NULL)))
		r = err_set(e, EBADMSG, "container %s: its record is damaged: remove it with rm -f", f.row.name);
	if (r == 0)
		r = container_sweep(g, id, f.record, e);
	if (r == 0)
		r = prepare(g, &f, NULL, &s, e);
	if (r < 0)
		return r;
	_cleanup_free_ int *fds = calloc(s.ports.len + 1, sizeof(*fds));
	if (!fds || publish_args(&s.ports, &s.plan, ret_publish) < 0)
		return err_nomem(e);
	for (size_t i = 0; i < s.ports.len; i++)
		fds[i] = steal_fd(&s.ports.sockets[i].fd);
	*ret_fds = steal_ptr(fds);
	*ret = s.plan;
	s.plan = (struct plan){0};
	return 0;
}

int start_for_files(struct engine *g, struct found *f, int *lock, int *ret_client, struct err *e)
{
	const struct engine_start opt = {0};
	_cleanup_close_ int client = -1;
	int r = start_held(g, f, *lock, &opt, MONITOR_STDIN, true, &client, e);

	if (r < 0) {
		run_dir_remove(g, f->row.id);
		return r;
	}
	close_fd(lock);
	r = wait_started(g, client, &opt, e);
	if (r == -ECONNRESET)
		return err_set(e, ECONNRESET, "container %s: the process that holds its files died", f->row.name);
	if (r == 0)
		*ret_client = steal_fd(&client);
	return r;
}
