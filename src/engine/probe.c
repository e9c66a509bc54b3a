/*
 * A probe: a neighbour that an audit puts on a network for a moment, to see what one can reach. It has a network namespace, a port on the bridge
 * and an address like any container, but no container. It is called probe-PID-STARTTIME after the process that made it; the next probe removes
 * those whose process has ended.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/engine-private.h"
#include "engine/netup.h"
#include "net/link.h"
#include "sandbox/namespace.h"
#include "sandbox/network.h"

/* ---- its network namespace ---- */

/* In the child: the namespace, then on the parent's word the interface. One struct err each time tells how it went. */
static __attribute__((noreturn)) void inside(const struct plan_interface *f, int sock)
{
	struct err e = ERR_INIT;
	char go;

	if (unshare(CLONE_NEWNET) < 0)
		err_errno(&e, errno, "make a network namespace");
	if (fd_write_all(sock, &e, sizeof(e)) < 0 || e.code || fd_read_full(sock, &go, 1) != 1)
		_exit(1);
	if (namespace_loopback_up(&e) == 0)
		network_add(f, &e);
	fd_write_all(sock, &e, sizeof(e));
	(void)!fd_read_full(sock, &go, 1); /* until the parent has opened the namespace */
	_exit(0);
}

static int hear(int sock, struct err *e)
{
	struct err told;

	if (fd_read_full(sock, &told, sizeof(told)) != sizeof(told))
		return err_set(e, EIO, "make a probe: its process has ended");
	told.msg[sizeof(told.msg) - 1] = 0;
	if (told.code)
		*e = told;
	return -told.code;
}

static int open_netns(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int make_netns(const struct plan_interface *f, int *ret_fd, struct err *e)
{
	int sock[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return err_errno(e, errno, "socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		close(sock[0]);
		inside(f, sock[1]);
	}
	close(sock[1]);
	_cleanup_close_ int mine = sock[0];
	if (pid < 0)
		return err_errno(e, errno, "fork");
	int r = hear(mine, e);
	if (r == 0)
		r = link_veth_add(f, pid, e);
	if (r == 0 && (fd_write_all(mine, "g", 1) < 0 || (r = hear(mine, e)) < 0))
		r = r < 0 ? r : err_set(e, EIO, "make a probe");
	if (r == 0) {
		*ret_fd = open_netns(pid);
		if (*ret_fd < 0)
			r = err_errno(e, *ret_fd, "open the probe's network namespace");
	}
	close_fd(&mine);
	waitpid(pid, NULL, 0);
	return r;
}

/* ---- its place ---- */

static int copy_row(void *data, const struct endpoint_row *p, struct err *e)
{
	struct engine_probe *probe = data;

	(void)e;
	snprintf(probe->address4, sizeof(probe->address4), "%s", p->address4);
	snprintf(probe->address6, sizeof(probe->address6), "%s", p->address6);
	return 0;
}

/* Its address is taken as a container's would be, and as open as one that asks for nothing. */
static int take_place(
	struct engine *g, const char *network, struct engine_probe *p, struct network_row *n, struct err *e)
{
	struct db *db;

	int r = engine_db(g, &db, e);
	if (r == 0)
		r = networks_find(db, network, n, e);
	if (r == 0)
		r = db_begin(db, e);
	if (r == 0)
		r = db_end(db, endpoint_insert(db, n, p->name, 0, NULL, false, e), e);
	return r < 0 ? r : endpoints_of_container(db, p->name, copy_row, p, e);
}

static void remove_probe(struct engine *g, const char *name)
{
	_cleanup_free_ char *dir = str_fmt("containers/%s", name);
	struct err none;
	struct db *db;

	netup_stop(g, name);
	if (engine_db(g, &db, &none) == 0)
		endpoints_delete(db, name, NULL, &none);
	if (dir)
		rm_rf(g->run_fd, dir);
}

/* Those whose process has ended. */
static void sweep(struct engine *g)
{
	_cleanup_closedir_ DIR *d = dir_open(g->run_fd, "containers");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		unsigned long long made;
		uint64_t start;
		int pid;
		if (sscanf(entry->d_name, "probe-%d-%llu", &pid, &made) == 2 &&
			(proc_start_time(pid, &start) < 0 || start != made))
			remove_probe(g, entry->d_name);
	}
}

int engine_probe_open(struct engine *g, const char *network, struct engine_probe *ret, struct err *e)
{
	_cleanup_(network_row_done) struct network_row n = {0};
	struct engine_probe p = {.netns = -1};
	struct plan plan = {0};
	char path[96];
	uint64_t start;

	sweep(g);
	if (proc_start_time(getpid(), &start) < 0)
		return err_set(e, EIO, "make a probe: /proc does not tell this process's start");
	snprintf(p.name, sizeof(p.name), "probe-%d-%llu", getpid(), (unsigned long long)start);
	snprintf(path, sizeof(path), "containers/%s", p.name);
	int r = mkdir_p(g->run_fd, path, 0700);
	if (r < 0)
		return err_errno(e, r, "make %s/%s", g->run, path);
	r = take_place(g, network, &p, &n, e);
	if (r == 0)
		r = netup_probe(g, p.name, &n, &plan, e);
	if (r == 0)
		r = make_netns(plan.interfaces, &p.netns, e);
	plan_done(&plan);
	if (r < 0) {
		remove_probe(g, p.name);
		return err_wrap(e, "probe network %s", network);
	}
	*ret = p;
	return 0;
}

void engine_probe_close(struct engine *g, struct engine_probe *p)
{
	if (p->netns < 0)
		return;
	close_fd(&p->netns);
	remove_probe(g, p->name);
}
