#include "sandbox-box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "sandbox/caps.h"

char *in_dir(const struct box *b, const char *name)
{
	char *s = path_join(b->dir, name);

	assert_non_null(s);
	return s;
}

void shell(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

int set_up(void **state)
{
	static const char *const path[] = {"PATH=/bin:/sbin", "TERM=xterm"};
	struct box *b = calloc(1, sizeof(*b));

	*state = b;
	if (geteuid() || access("/bin/busybox", X_OK) < 0)
		return 0;
	strcpy(b->dir, "/tmp/caisson-box-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	shell("cd %s && mkdir -p root/bin root/etc root/data/sub upper work src && cp /bin/busybox root/bin "
	      "&& "
	      "chroot root /bin/busybox --install -s /bin && "
	      "printf 'root:x:0:0::/root:/bin/sh\\nbob:x:1000:1000::/home/bob:/bin/sh\\n' > root/etc/passwd "
	      "&& "
	      "printf 'root:x:0:\\nwheel:x:10:bob\\n' > root/etc/group",
		b->dir);
	random_id(b->id);
	b->plan.id = strdup(b->id);
	b->plan.hostname = strdup("boxed");
	b->plan.rootfs = in_dir(b, "root");
	b->plan.process.cwd = strdup("/");
	strv_push(&b->plan.process.env, path[0]);
	strv_push(&b->plan.process.env, path[1]);
	return caps_from_names(NULL, NULL, false, &b->plan.process.caps, &b->err);
}

int tear_down(void **state)
{
	struct box *b = *state;

	plan_done(&b->plan);
	if (b->dir[0])
		rm_rf(AT_FDCWD, b->dir);
	free(b);
	return 0;
}

struct box *need_root(void **state)
{
	struct box *b = *state;

	if (!b->dir[0]) {
		print_message("# SKIP needs root and /bin/busybox (static)\n");
		skip();
	}
	return b;
}

void set_command(struct plan_process *p, const char *script)
{
	strv_free(p->argv);
	p->argv = NULL;
	strv_push(&p->argv, "sh");
	strv_push(&p->argv, "-c");
	strv_push(&p->argv, script);
}

int collect(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void read_all(int fd, char *out, size_t size)
{
	ssize_t n;
	size_t len = 0;

	while (len < size - 1 && (n = read(fd, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = 0;
}

/* Runs the plan's process to its end; its output is in b->out. -errno with b->err if it did not start. */
int run_plan(struct box *b)
{
	struct sandbox s = SANDBOX_INIT;
	int p[2];
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct sandbox_io io = {null, p[1], p[1]};
	b->err = ERR_INIT;
	int r = sandbox_check(&b->plan, &b->err);
	if (r == 0)
		r = sandbox_start(&b->plan, &io, TEST_INIT, NULL, NULL, &s, &b->err);
	close(p[1]);
	if (r == 0) {
		read_all(s.tty >= 0 ? s.tty : p[0], b->out, sizeof(b->out));
		r = collect(s.pid);
		close_fd(&s.tty);
		sandbox_done(&s);
	}
	close(p[0]);
	return r;
}

int run(struct box *b, const char *script)
{
	set_command(&b->plan.process, script);
	int r = run_plan(b);
	if (r < 0)
		fail_msg("%s: %s", script, b->err.msg);
	return r;
}

void expect(struct box *b, const char *script, const char *output)
{
	assert_int_equal(run(b, script), 0);
	assert_string_equal(b->out, output);
}

/* Starts a script that says "go" and then lasts. */
void start(struct box *b, const char *script, struct sandbox *s)
{
	int p[2];
	char text[8];
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct sandbox_io io = {null, p[1], null};
	set_command(&b->plan.process, script);
	if (sandbox_start(&b->plan, &io, TEST_INIT, NULL, NULL, s, &b->err) < 0)
		fail_msg("%s", b->err.msg);
	close(p[1]);
	assert_true(read(p[0], text, sizeof(text)) >= 2);
	close(p[0]);
}

struct plan_mount *add_mount(struct box *b, const char *source, const char *target)
{
	struct plan_mount *m = plan_add_mount(&b->plan);

	m->type = source ? PLAN_MOUNT_BIND : PLAN_MOUNT_TMPFS;
	m->source = source ? in_dir(b, source) : NULL;
	m->target = strdup(target);
	m->recursive = true;
	return m;
}

int exec_in(struct box *b, struct sandbox *s, struct plan_process *p, const char *script)
{
	struct sandbox_proc child;
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[2];

	if (script)
		set_command(p, script);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	struct sandbox_io io = {null, fds[1], fds[1]};
	int r = sandbox_exec(s, &b->plan, p, &io, &child, &b->err);
	close(fds[1]);
	if (r == 0) {
		read_all(child.tty >= 0 ? child.tty : fds[0], b->out, sizeof(b->out));
		r = collect(child.pid);
		close(child.pidfd);
		close_fd(&child.tty);
	}
	close(fds[0]);
	return r;
}
