/* See agent-host.h. */
#include "agent-host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/proc.h"

#define BUSYBOX       "/bin/busybox"
#define CGROUP_PARENT "caisson-test-agent"
#define ROOT          "/tmp/caisson-test-agent"

void host_require(void)
{
	_cleanup_buf_ struct buf out = {0};
	char *argv[] = {"ldd", BUSYBOX, NULL};

	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	if (access(BUSYBOX, X_OK) < 0 || proc_run(argv, &out, NULL) == 0) {
		print_message("skipped: needs a static " BUSYBOX "\n");
		skip();
	}
}

static char *root_path(char *path)
{
	snprintf(path, 64, ROOT "-%d", getpid());
	return path;
}

/* Made by the first test, shared by all of a program. */
static void make_root(const char *root)
{
	static const char *const applets[] = {
		"sh", "cat", "sleep", "yes", "stty", "tty", "head", "wc", "true", "dd", "seq"};
	struct stat st;

	_cleanup_close_ int in = open(BUSYBOX, O_RDONLY | O_CLOEXEC);
	assert_int_equal(mkdir_p(AT_FDCWD, root, 0755), 0);
	_cleanup_close_ int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(dir, "bin", 0755);
	if (faccessat(dir, "bin/busybox", X_OK, 0) == 0)
		return;
	_cleanup_close_ int out = openat(dir, "bin/busybox", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_int_equal(fstat(in, &st), 0);
	assert_int_equal(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
	for (size_t i = 0; i < sizeof(applets) / sizeof(applets[0]); i++) {
		char path[32];
		snprintf(path, sizeof(path), "bin/%s", applets[i]);
		assert_int_equal(symlinkat("busybox", dir, path), 0);
	}
}

/* The root, and the parent of the cgroups, which the sandbox leaves as others may be using it. */
void host_root_remove(void)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/fs/cgroup");
	char path[300];

	rmdir("/sys/fs/cgroup/" CGROUP_PARENT);
	for (struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/" CGROUP_PARENT, e->d_name);
		rmdir(path);
	}
	rm_rf(AT_FDCWD, root_path(path));
}

static int check_seed(const struct start *s, struct err *e)
{
	if (s->entropy_len != 64)
		return err_set(e, EBADMSG, "the entropy has %zu bytes", s->entropy_len);
	return 0;
}

static int no_disks(const struct start *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static int no_share(const char *tag, struct err *e)
{
	return err_set(e, EIO, "mount %s: no such share", tag);
}

static uint64_t no_guard(void)
{
	return 0;
}

static void run_service(int fd)
{
	static const struct machine m = {.seed = check_seed,
		.disks = no_disks,
		.share = no_share,
		.memory = no_guard,
		.init_path = "/nonexistent"};
	struct err e = ERR_INIT;

	_exit(service_run(fd, &m, &e) < 0 ? e.code : 0);
}

void host_open(struct host *h)
{
	char root[64];
	int fds[2];

	make_root(root_path(root));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*h = (struct host){.fd = fds[0]};
	fflush(NULL);
	h->service = fork();
	assert_true(h->service >= 0);
	if (!h->service) {
		close(fds[0]);
		run_service(fds[1]);
	}
	close(fds[1]);
	HOST_UNTIL(h, h->hello);
}

void host_process(struct plan_process *p, const char *command)
{
	*p = (struct plan_process){.open_stdin = true, .caps = 0xa80425fb};
	strv_push(&p->argv, "/bin/sh");
	strv_push(&p->argv, "-c");
	strv_push(&p->argv, command);
	strv_push(&p->env, "PATH=/bin");
}

void host_plan(struct plan *p, const char *command)
{
	char id[65], root[64];

	*p = (struct plan){0};
	assert_int_equal(random_id(id), 0);
	p->id = strdup(id);
	p->rootfs = strdup(root_path(root));
	p->hostname = strdup("test");
	p->cgroup_parent = strdup(CGROUP_PARENT);
	host_process(&p->process, command);
}

void host_send(struct host *h, uint8_t type, uint16_t stream, const void *p, size_t n)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(frame_add(&b, type, stream, p, n), 0);
	for (size_t at = 0; at < b.len;) {
		ssize_t k = send(h->fd, b.data + at, b.len - at, MSG_NOSIGNAL);
		assert_true(k > 0);
		at += (size_t)k;
	}
}

void host_send_u32s(struct host *h, uint8_t type, uint16_t stream, size_t n, const uint32_t *v)
{
	_cleanup_buf_ struct buf b = {0};

	for (size_t i = 0; i < n; i++)
		wire_add_u32(&b, v[i]);
	host_send(h, type, stream, b.data, b.len);
}

void host_start(struct host *h, const struct plan *p)
{
	_cleanup_buf_ struct buf b = {0}, plan = {0};
	char entropy[64] = {0};

	assert_int_equal(plan_encode(p, &plan), 0);
	wire_add_u64(&b, 0);
	wire_add_bytes(&b, entropy, sizeof(entropy));
	wire_add_u32(&b, 0);
	wire_add_str(&b, "");
	wire_add_bytes(&b, plan.data, plan.len);
	host_send(h, AGENT_START, 0, b.data, b.len);
}

void host_run(struct host *h, const char *command)
{
	struct plan p;

	host_plan(&p, command);
	host_start(h, &p);
	plan_done(&p);
	HOST_UNTIL(h, h->proc[0].started || h->proc[0].failed);
	if (h->proc[0].failed)
		fail_msg("start: %s", h->proc[0].error.msg);
}

void host_exec(struct host *h, uint32_t proc, const char *command, bool tty)
{
	_cleanup_buf_ struct buf b = {0}, bytes = {0};
	struct plan_process p;

	host_process(&p, command);
	p.tty = tty;
	assert_int_equal(plan_process_encode(&p, &bytes), 0);
	plan_process_done(&p);
	wire_add_u32(&b, proc);
	wire_add_bytes(&b, bytes.data, bytes.len);
	h->proc[proc] = (struct host_process){0};
	host_send(h, AGENT_EXEC, 0, b.data, b.len);
	HOST_UNTIL(h, h->proc[proc].started || h->proc[proc].failed);
}

size_t host_input(struct host *h, uint32_t proc, const void *p, size_t n)
{
	struct channel *c = &h->proc[proc].stream[0];
	size_t sent = 0;

	while (sent < n && c->sent < c->granted && !c->closed) {
		size_t k = n - sent;
		k = k < AGENT_DATA_MAX ? k : AGENT_DATA_MAX;
		k = k < c->granted - c->sent ? k : c->granted - c->sent;
		host_send(h, AGENT_DATA, AGENT_STREAM(proc, 0), (const char *)p + sent, k);
		c->sent += k;
		sent += k;
	}
	return sent;
}

static void grant(struct host *h, uint16_t stream, struct channel *c)
{
	uint32_t n = (uint32_t)(c->received + AGENT_WINDOW - c->granted);

	if (c->hold || n < AGENT_WINDOW / 4 || !c->open || c->eof)
		return;
	c->granted += n;
	host_send_u32s(h, AGENT_CREDIT, stream, 1, &n);
}

void host_release(struct host *h, uint32_t proc, int n)
{
	struct channel *c = &h->proc[proc].stream[n];

	c->hold = false;
	grant(h, AGENT_STREAM(proc, n), c);
}

static void on_data(struct host *h, const struct frame *f, struct channel *c)
{
	assert_true(c->open && !c->eof);
	assert_true(f->len > 0 && f->len <= AGENT_DATA_MAX);
	c->received += f->len;
	assert_true(c->received <= c->granted);
	if (!c->drop)
		buf_add(&c->data, f->payload, f->len);
	grant(h, f->stream, c);
}

static void on_stream_frame(struct host *h, const struct frame *f)
{
	struct wire w = {f->payload, f->len, false};
	struct channel *c = &h->proc[f->stream / 4].stream[f->stream % 4];

	assert_true(f->stream / 4 < HOST_PROCS && f->stream % 4 < 3);
	if (f->type == AGENT_DATA) {
		on_data(h, f, c);
	} else if (f->type == AGENT_EOF) {
		assert_true(f->stream % 4 > 0 && c->open && !c->eof && !f->len);
		c->eof = true;
	} else if (f->type == AGENT_CLOSE) {
		assert_true(f->stream % 4 == 0 && c->open && !f->len);
		c->closed = true;
	} else {
		assert_true(f->stream % 4 == 0 && c->open && !c->closed);
		c->granted += wire_u32(&w);
		assert_false(w.bad || w.left);
		assert_true(c->granted - c->sent <= AGENT_WINDOW);
	}
}

static void on_process_frame(struct host *h, const struct frame *f)
{
	struct wire w = {f->payload, f->len, false};
	uint32_t id = wire_u32(&w);
	struct host_process *p = &h->proc[id];

	assert_true(id < HOST_PROCS);
	if (f->type == AGENT_STARTED) {
		assert_false(p->started || p->failed);
		p->started = true;
		p->pid = wire_u32(&w);
		for (int i = 0; i < 3; i++) {
			p->stream[i].open = true;
			p->stream[i].granted = AGENT_WINDOW;
		}
	} else if (f->type == AGENT_FAILED) {
		assert_false(p->started || p->failed);
		p->failed = true;
		assert_int_equal(agent_err_decode(&w, &p->error), 0);
	} else {
		assert_true(p->started && !p->exited);
		p->exited = true;
		p->status = wire_u32(&w);
		p->oom = wire_u32(&w);
		assert_true(p->status < 256);
	}
	assert_false(w.bad || w.left);
}

static void on_frame(struct host *h, const struct frame *f)
{
	struct wire w = {f->payload, f->len, false};

	if (f->type >= AGENT_DATA) {
		on_stream_frame(h, f);
	} else if (f->type == AGENT_HELLO) {
		assert_false(h->hello);
		assert_int_equal(wire_u32(&w), AGENT_VERSION);
		_cleanup_free_ char *release = wire_str(&w);
		assert_false(w.bad || w.left);
		h->hello = true;
	} else if (f->type == AGENT_TIME) {
		_cleanup_buf_ struct buf b = {0};
		wire_add_u64(&b, (uint64_t)clock_real_ns());
		host_send(h, AGENT_TIME_IS, 0, b.data, b.len);
	} else if (f->type == AGENT_PONG) {
		h->pong = wire_u64(&w);
	} else if (f->type == AGENT_REPLY) {
		h->reply_request = wire_u32(&w);
		h->reply_errno = wire_u32(&w);
		h->reply.len = 0;
		buf_add(&h->reply, w.p, w.left);
		h->replied = true;
	} else {
		on_process_frame(h, f);
	}
}

bool host_step(struct host *h, int ms)
{
	struct pollfd p = {.fd = h->fd, .events = POLLIN};
	struct frame f;
	int r;

	r = poll(&p, 1, ms);
	if (r == 0 && ms >= 30000)
		fail_msg("the agent says nothing any more");
	if (r <= 0)
		return false;
	r = frame_fill(&h->in, h->fd);
	if (r <= 0) {
		h->ended = true;
		return false;
	}
	while ((r = frame_next(&h->in, &f)) > 0)
		on_frame(h, &f);
	assert_int_equal(r, 0);
	return true;
}

bool host_finished(const struct host *h, uint32_t proc)
{
	const struct host_process *p = &h->proc[proc];

	return p->exited && p->stream[1].eof && p->stream[2].eof;
}

int host_wait(struct host *h)
{
	int status;

	assert_int_equal(waitpid(h->service, &status, 0), h->service);
	close(h->fd);
	frame_reader_done(&h->in);
	buf_done(&h->reply);
	for (int i = 0; i < HOST_PROCS; i++)
		for (int n = 0; n < 3; n++)
			buf_done(&h->proc[i].stream[n].data);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

int host_close(struct host *h)
{
	host_send(h, AGENT_SHUTDOWN, 0, NULL, 0);
	return host_wait(h);
}
