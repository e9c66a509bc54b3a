/* See vm.h. */
#include "vm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"

struct isolation_host vm_host;
static char state[64], run_dir[80], image[96];

#define SKIP(...)                                   \
	do {                                        \
		printf("1..0 # SKIP " __VA_ARGS__); \
		printf("\n");                       \
		exit(77);                           \
	} while (0)

static void run(const char *command)
{
	struct err e = ERR_INIT;
	_cleanup_buf_ struct buf out = {0};
	int r = proc_run((char *[]){(char *)"sh", (char *)"-c", (char *)command, NULL}, &out, &e);

	if (r) {
		fprintf(stderr, "%s: %d %s %s\n", command, r, e.msg, out.data ? out.data : "");
		abort();
	}
}

/* The kernel of E2E_KERNEL_ROOT (see tests/e2e/lib.bash) or of this host's installation, or one that the tests keep for themselves. */
static void find_kernel(void)
{
	static char path[2100];
	struct isolation_host own = vm_host;
	struct err e = ERR_INIT;
	struct kernel k;
	const char *root = getenv("E2E_KERNEL_ROOT");

	own.state_dir = root ? root : "/var/lib/caisson";
	if (kernel_find(&own, &k, &e) < 0) {
		own.state_dir = "/var/tmp/caisson-test";
		if (kernel_update(&own, NULL, NULL, &e) < 0 || kernel_find(&own, &k, &e) < 0)
			SKIP("%s", e.msg);
	}
	snprintf(path, sizeof(path), "%s", k.path);
	vm_host.kernel = path;
}

void vm_setup(void)
{
	char command[512];
	struct err e = ERR_INIT;
	const char *libexec = getenv("CAISSON_LIBEXEC");

	if (geteuid() != 0)
		SKIP("not root");
	snprintf(state, sizeof(state), "/var/tmp/caisson-vm-XXXXXX");
	assert(mkdtemp(state));
	chmod(state, 0755);
	snprintf(run_dir, sizeof(run_dir), "%s/run", state);
	mkdir(run_dir, 0755);
	vm_host = (struct isolation_host){.state_dir = state,
		.run_dir = run_dir,
		.libexec_dir = libexec ? libexec : ".",
		.data_dir = state,
		.accel = getenv("CAISSON_TEST_ACCEL") ? getenv("CAISSON_TEST_ACCEL") : "tcg",
		.uid_base = 2000000,
		.uid_count = 1000};
	find_kernel();
	if (isolation_probe(ISOLATION_HYPERV, &vm_host, &e) < 0)
		SKIP("%s", e.msg);
	snprintf(image, sizeof(image), "%s/image.erofs", state);
	snprintf(command, sizeof(command),
		"set -e; cd %s; mkdir -p root/bin root/etc root/tmp root/data; cp \"$(command -v busybox)\" root/bin/; "
		"chroot root /bin/busybox "
		"--install -s /bin; echo 'root:x:0:0::/:/bin/sh' > root/etc/passwd; mkfs.erofs -T0 image.erofs root",
		state);
	run(command);
}

void vm_teardown(void)
{
	rm_rf(AT_FDCWD, state);
}

/* ---- the events of an isolate ---- */

static void read_into(struct buf *b, int fd)
{
	char block[65536];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		buf_add(b, block, (size_t)n);
}

static void on_out(void *data, int fd, uint32_t events)
{
	struct vm_run *r = data;
	char block[65536];
	ssize_t n = read(fd, block, sizeof(block));
	int k = fd == r->io.out ? 1 : fd == r->io.err ? 2 : fd == r->exec_io.out ? 3 : fd == r->io.in ? 0 : 4;

	(void)events;
	if (n > 0)
		buf_add(k == 2 ? &r->err : k == 3 || k == 4 ? &r->exec_out : &r->out, block, (size_t)n);
	else if (n == 0)
		source_remove(&r->sources[k]);
}

static void on_in(void *data, int fd, uint32_t events)
{
	struct vm_run *r = data;
	ssize_t n = write(fd, r->input + r->input_done, r->input_len - r->input_done);

	(void)events;
	if (n > 0)
		r->input_done += (size_t)n;
	if (r->input_done == r->input_len || (n < 0 && errno != EAGAIN)) {
		source_remove(&r->sources[5]);
		close_fd(&r->io.in);
	}
}

static void on_started(void *data, struct isolate_io *io, const struct err *e)
{
	struct vm_run *r = data;

	r->started = true;
	if (e) {
		r->start_error = *e;
		r->ended = true;
		return;
	}
	r->io = *io;
	if (io->tty) {
		fd_nonblock(io->in, true);
		r->sources[0] = loop_add_fd(r->loop, io->in, EPOLLIN, on_out, r);
		return;
	}
	fd_nonblock(io->out, true);
	fd_nonblock(io->err, true);
	if (!r->stalled) {
		r->sources[1] = loop_add_fd(r->loop, io->out, EPOLLIN, on_out, r);
		r->sources[2] = loop_add_fd(r->loop, io->err, EPOLLIN, on_out, r);
	}
	if (r->input) {
		fd_nonblock(io->in, true);
		r->sources[5] = loop_add_fd(r->loop, io->in, EPOLLOUT, on_in, r);
	}
}

static void on_exec_started(void *data, int proc, struct isolate_io *io, const struct err *e)
{
	struct vm_run *r = data;

	(void)proc;
	r->exec_started = true;
	if (e) {
		r->exec_error = *e;
		r->exec_ended = true;
		return;
	}
	r->exec_io = *io;
	fd_nonblock(io->out, true);
	r->sources[3] = loop_add_fd(r->loop, io->out, EPOLLIN, on_out, r);
}

static void on_exited(void *data, int proc, const struct isolate_exit *x)
{
	struct vm_run *r = data;

	if (proc == ISOLATE_MAIN) {
		r->exit = *x;
		r->ended = true;
		if (!r->io.tty && !r->stalled) {
			read_into(&r->out, r->io.out);
			read_into(&r->err, r->io.err);
		}
		return;
	}
	r->exec_exit = *x;
	r->exec_ended = true;
	read_into(&r->exec_out, r->exec_io.out);
}

static void on_notice(void *data, const char *text)
{
	(void)data;
	fprintf(stderr, "# notice: %s\n", text);
}

static const struct isolate_events events = {
	.started = on_started, .exec_started = on_exec_started, .exited = on_exited, .notice = on_notice};

/* ---- a run ---- */

void vm_set_argv(struct plan_process *p, const char *script)
{
	strv_push(&p->argv, "/bin/sh");
	strv_push(&p->argv, "-c");
	strv_push(&p->argv, script);
	strv_push(&p->env, "PATH=/bin");
	p->cwd = strdup("/");
	p->user = strdup("");
	p->caps = 0xa80425fb;
}

struct vm_run *vm_new(const char *script)
{
	struct vm_run *r = calloc(1, sizeof(*r));
	char id[65];

	random_id(id);
	r->io = r->exec_io = ISOLATE_IO_INIT;
	r->plan.id = strdup(id);
	r->plan.name = str_fmt("test-%.8s", id);
	r->plan.hostname = strdup("guest");
	r->plan.image_erofs = strdup(image);
	r->plan.disk = str_fmt("%s/%.8s.ext4", state, id);
	vm_set_argv(&r->plan.process, script);
	snprintf(r->dir, sizeof(r->dir), "%s/%.8s", run_dir, id);
	assert(mkdir(r->dir, 0700) == 0);
	r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r;
}

static void make_disk(struct vm_run *r)
{
	struct err e = ERR_INIT;

	if (access(r->plan.disk, F_OK) < 0 && hyperv_disk_create(&vm_host, r->plan.disk, 1 << 30, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
}

void vm_begin(struct vm_run *r)
{
	r->plan.process.open_stdin = r->input || r->plan.process.open_stdin;
	make_disk(r);
	assert(loop_new(&r->loop) == 0);
	assert(isolate_new(ISOLATION_HYPERV, &vm_host, &r->plan, r->dir_fd, r->loop, &events, r, &r->isolate,
		       &r->start_error) == 0);
	if (isolate_start(r->isolate, &r->start_error) < 0)
		r->started = r->ended = true;
}

bool vm_until(struct vm_run *r, const bool *done, unsigned seconds)
{
	uint64_t end = clock_mono_ms() + seconds * 1000;

	while (!*done && clock_mono_ms() < end)
		loop_once(r->loop, 100);
	return *done;
}

void vm_finish(struct vm_run *r)
{
	for (size_t k = 0; k < 8; k++)
		source_remove(&r->sources[k]);
	isolate_free(steal_ptr(r->isolate));
	loop_free(steal_ptr(r->loop));
	for (struct isolate_io *io = &r->io; io; io = io == &r->io ? &r->exec_io : NULL) {
		close_fd(&io->in);
		close_fd(&io->out);
		close_fd(&io->err);
	}
}

void vm_start_again(struct vm_run *r)
{
	vm_finish(r);
	buf_done(&r->out);
	buf_done(&r->err);
	r->started = r->ended = false;
	r->start_error = ERR_INIT;
	vm_begin(r);
}

void vm_free(struct vm_run *r)
{
	vm_finish(r);
	buf_done(&r->out);
	buf_done(&r->err);
	buf_done(&r->exec_out);
	unlink(r->plan.disk);
	rm_rf(AT_FDCWD, r->dir);
	close_fd(&r->dir_fd);
	plan_done(&r->plan);
	free(r);
}

void vm_exec(struct vm_run *r, const char *script)
{
	struct plan_process p = {0};

	close_fd(&r->exec_io.in);
	close_fd(&r->exec_io.out);
	close_fd(&r->exec_io.err);
	source_remove(&r->sources[3]);
	buf_done(&r->exec_out);
	r->exec_started = r->exec_ended = false;
	r->exec_error = ERR_INIT;
	vm_set_argv(&p, script);
	int n = isolate_exec(r->isolate, &p, &r->exec_error);
	if (n < 0)
		r->exec_started = r->exec_ended = true;
	plan_process_done(&p);
}
