/* See fake-host.h. */
#include "fake-host.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"

#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef"
static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"};
enum { HOST_NAMESPACES = 1000 };

static char *below(struct fake *f, const char *path)
{
	char *all = path_join(f->dir, path);
	_cleanup_free_ char *dir = strndup(all, (size_t)(path_base(all) - all));

	assert_non_null(all);
	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0755), 0);
	return all;
}

void fake_bytes(struct fake *f, const char *path, const void *p, size_t n)
{
	_cleanup_free_ char *all = below(f, path);
	_cleanup_close_ int fd = open(all, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, p, n), 0);
}

void fake_file(struct fake *f, const char *path, const char *text)
{
	fake_bytes(f, path, text, strlen(text));
}

void fake_link(struct fake *f, const char *path, const char *to)
{
	_cleanup_free_ char *all = below(f, path);

	unlink(all);
	assert_int_equal(symlink(to, all), 0);
}

void fake_process_file(struct fake *f, pid_t pid, const char *name, const char *text)
{
	_cleanup_free_ char *path = str_fmt("proc/%d/%s", pid, name);

	fake_file(f, path, text);
}

void fake_process_link(struct fake *f, pid_t pid, const char *name, const char *to)
{
	_cleanup_free_ char *path = str_fmt("proc/%d/%s", pid, name);

	fake_link(f, path, to);
}

static void set_namespaces(struct fake *f, pid_t pid, unsigned base, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *name = str_fmt("ns/%s", names[i]), *to = str_fmt("%s:[%zu]", names[i], base + i);
		fake_process_link(f, pid, name, to);
	}
}

void fake_namespaces(struct fake *f, pid_t pid, unsigned base)
{
	set_namespaces(f, pid, base, 6);
}

void fake_status(struct fake *f, pid_t pid, pid_t thread, unsigned uid, unsigned long long caps, int seccomp)
{
	_cleanup_free_ char *name = str_fmt("task/%d/status", thread);
	_cleanup_free_ char *text =
		str_fmt("Name:\tx\nUid:\t%u\t%u\t%u\t%u\nCapInh:\t0\nCapPrm:\t%llx\nCapEff:\t%llx\nCapBnd:\t%llx\n"
			"CapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t%d\n",
			uid, uid, uid, uid, caps, caps, caps, seccomp);

	fake_process_file(f, pid, name, text);
}

void fake_process(struct fake *f, pid_t pid, pid_t ppid, const char *comm)
{
	_cleanup_free_ char *stat = str_fmt(
		"%d (%s) S %d %d %d 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, comm, ppid, pid, pid, pid + 7);
	_cleanup_free_ char *environ = str_fmt("PID=%d", pid);

	fake_process_file(f, pid, "stat", stat);
	fake_process_file(f, pid, "cgroup", "3:pids:/\n0::/\n");
	fake_process_file(f, pid, "cmdline", comm);
	fake_process_file(f, pid, "environ", environ);
	fake_process_file(f, pid, "mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
	fake_process_file(f, pid, "smaps", "");
	fake_process_file(f, pid, "ksm_merging_pages", "0\n");
	fake_process_file(f, pid, "fdinfo/0", "pos:\t0\n");
	fake_process_link(f, pid, "fd/0", "/dev/null");
	fake_process_link(f, pid, "exe", "/bin/program");
	fake_process_link(f, pid, "root", "/");
	fake_status(f, pid, pid, 0, 0x1ff, 0);
	set_namespaces(f, pid, HOST_NAMESPACES, 7);
}

void fake_program(struct fake *f, const char *name, const char *script)
{
	_cleanup_free_ char *path = str_fmt("bin/%s", name);

	fake_file(f, path, script);
}

int fake_set_up(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/caisson-audit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->proc, sizeof(f->proc), "%s/proc", f->dir);
	snprintf(f->sys, sizeof(f->sys), "%s/sys", f->dir);
	snprintf(f->container, sizeof(f->container), "%s/containers/" FAKE_ID, f->dir);
	f->host = (struct audit_host){
		.proc = f->proc, .sys = f->sys, .libexec_dir = "/nowhere", .ruleset = "/nowhere/ruleset.nft"};
	f->look = (struct look){.kernel = "6.1.0", .boot_id = BOOT_ID};
	f->target = (struct audit_target){.id = FAKE_ID,
		.name = "box",
		.monitor = 100,
		.pid = 200,
		.dir = f->container,
		.look = &f->look,
		.look_error = ""};
	fake_process(f, 1, 0, "init");
	fake_process(f, 100, 1, "caisson-monitor");
	fake_link(f, "proc/self", "1");
	fake_file(f, "containers/" FAKE_ID "/console.log", "");
	/* nothing of the machine's own: no tables, no managers of virtual machines */
	fake_program(f, "nft", "#!/bin/sh\necho 'Error: No such file or directory'\nexit 1\n");
	fake_program(f, "virsh", "#!/bin/sh\nexit 0\n");
	_cleanup_free_ char *path = str_fmt("%s/bin:/usr/bin:/bin", f->dir);
	return setenv("PATH", path, 1);
}

int fake_tear_down(void **state)
{
	struct fake *f = *state;

	rm_rf(AT_FDCWD, f->dir);
	json_decref(f->rows);
	look_done(&f->look);
	free(f);
	return 0;
}

void fake_measure(struct fake *f)
{
	struct err e = ERR_INIT;

	json_decref(f->rows);
	f->rows = NULL;
	if (audit_measure(&f->host, &f->target, &f->rows, &e) < 0)
		fail_msg("%s", e.msg);
}

static const json_t *row(struct fake *f, const char *key)
{
	size_t i;
	json_t *r;

	if (!f->rows)
		fake_measure(f);
	json_array_foreach(f->rows, i, r) {
		if (!strcmp(json_str(r, "Key"), key))
			return r;
	}
	fail_msg("there is no row %s", key);
	return NULL;
}

const char *fake_result(struct fake *f, const char *key)
{
	return json_str(row(f, key), "Result");
}

const char *fake_value(struct fake *f, const char *key)
{
	return json_str(row(f, key), "Value");
}

const char *fake_why(struct fake *f, const char *key)
{
	return json_str(row(f, key), "Why");
}

bool fake_evidence(struct fake *f, const char *key, const char *part)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(row(f, key), "Evidence"), i, v) {
		if (strstr(json_string_value(v), part))
			return true;
	}
	return false;
}
