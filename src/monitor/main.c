/*
 * caisson-monitor: holds one container from its start to its end and writes down how it ended.
 *
 * Started by the engine only, with the container's lock, its plan, a client's socket and the sockets of its published ports as descriptors 3, 4, 5
 * and 6 on (engine/start.c). It outlives the
 * command that started it. If it is killed, the kernel ends the container (PR_SET_PDEATHSIG) and the next command writes that down.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "container/container.h"
#include "engine/engine.h"
#include "proto/agent.h"
#include "proto/frame.h"
#include "proto/monitor.h"

enum { LOCK = 3, PLAN = 4, CLIENT = 5, PLAN_MAX = 16 * 1024 * 1024 };

struct options {
	struct engine_paths paths;
	const char *id;
	enum isolation_kind kind;
	uint32_t streams;
	bool stdin_once, log, log_attrs, timing, files;
	struct log_options log_options;
	struct container_port *ports; /* descriptors from CLIENT + 1 on */
	size_t ports_len;
};

/* The host's end of an interface. Its index, as its name may be the next run's by the time it is removed. */
struct port {
	unsigned index;
	int tap; /* or -1 */
};

struct monitor {
	struct engine *engine;
	const char *id;
	struct options *options;
	struct plan plan;
	struct container_run how;
	struct restarts restarts;
	struct health_check health;
	struct port *ports;
	size_t ports_len;
	bool disposable; /* --rm */
	bool files;      /* it does not run: nothing is written down */
};

/* Most of the program was for the start: the database, the network, the isolation. What is needed again is read again, from the host's page cache. */
static void unmap_program(void)
{
	extern const char __executable_start[], etext[]; /* the linker's */
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)etext & ~(page - 1);

	madvise((void *)__executable_start, end - (uintptr_t)__executable_start, MADV_DONTNEED);
	malloc_trim(0);
}

static void on_running(void *data, pid_t pid, const char *accel)
{
	struct monitor *m = data;
	struct err e = ERR_INIT;

	if (engine_container_running(m->engine, m->id, pid, accel, &e) < 0)
		log_trace("monitor", "record the start: %s", e.msg);
	health_check_done(&m->health);
	if (engine_health_check(m->engine, m->id, &m->health, &e) < 0)
		log_trace("monitor", "health check: %s", e.msg);
	engine_close_db(m->engine);
	unmap_program();
}

/* The kernel needs some 20 ms for each. */
static void close_taps(struct monitor *m)
{
	for (size_t i = 0; i < m->ports_len; i++)
		close_fd(&m->ports[i].tap);
}

/* A container that is removed now is not started again: who waits for its end need not wait for its taps. */
static int64_t on_ended(void *data, const struct container_end *end)
{
	struct monitor *m = data;
	struct engine_end record = {
		.started = end->started,
		.oom = end->oom,
		.by_hand = end->by_hand,
		.stopped = end->stopped,
		.restart = end->restart,
		.status = end->status,
		.error = end->started ? end->error : end->err->msg,
		.ran_ms = end->ran_ms,
		.restarts = &m->restarts,
	};
	struct err e = ERR_INIT;
	int64_t delay;

	if (m->files) {
		engine_container_released(m->engine, m->id);
		return -1;
	}
	if (!m->disposable || end->restart)
		close_taps(m);
	if (engine_container_ended(m->engine, m->id, &record, &delay, &e) < 0)
		log_trace("monitor", "record the end: %s", e.msg);
	return delay;
}

static void on_health(void *data, const struct health_state *s, bool changed)
{
	struct monitor *m = data;

	engine_container_health(m->engine, m->id, s, changed);
}

static void on_event(void *data, const char *action, const char *const *attributes)
{
	struct monitor *m = data;

	engine_container_event(m->engine, m->id, action, attributes);
}

static void on_given_up(void *data)
{
	struct monitor *m = data;
	struct err e = ERR_INIT;

	if (engine_container_given_up(m->engine, m->id, &e) < 0)
		log_trace("monitor", "record the end: %s", e.msg);
}

static int on_attach(
	void *data, const struct plan_interface *f, pid_t pid, const char *parked, int *ret_tap, struct err *e)
{
	struct monitor *m = data;
	struct port *ports = reallocarray(m->ports, m->ports_len + 1, sizeof(*ports));

	if (!ports)
		return err_nomem(e);
	m->ports = ports;
	int r = engine_port_attach(f, pid, parked, ret_tap, e);
	if (r == 0)
		ports[m->ports_len++] = (struct port){.index = if_nametoindex(f->port), .tap = *ret_tap};
	return r;
}

/*
 * A port goes with its container's network namespace, but that stays as long as the kernel tries to end a connection that a killed workload has
 * left, for minutes. Removing it waits for a grace period of the kernel's: when everybody has been told of the end.
 */
static void remove_ports(struct monitor *m)
{
	close_taps(m);
	for (size_t i = 0; i < m->ports_len; i++)
		engine_port_drop(m->ports[i].index);
	free(m->ports);
	m->ports = NULL;
	m->ports_len = 0;
}

static int on_detach(void *data, const char *port, bool park, struct err *e)
{
	(void)data;
	return engine_port_detach(port, park, e);
}

/* "tcp,10.200.0.2,80": where this socket leads. */
static int add_port(struct options *o, int fd, const char *text)
{
	struct container_port *ports = reallocarray(o->ports, o->ports_len + 1, sizeof(*ports));
	_cleanup_strv_ char **part = strv_split(text, ",");
	uint32_t port;

	if (!ports)
		return -ENOMEM;
	o->ports = ports;
	if (strv_len(part) != 3 || parse_u32(part[2], &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	struct container_port *p = &ports[o->ports_len];
	struct sockaddr_in *v4 = (struct sockaddr_in *)&p->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&p->to;
	*p = (struct container_port){.fd = fd, .proto = strcmp(part[0], "udp") ? IPPROTO_TCP : IPPROTO_UDP};
	if (inet_pton(AF_INET, part[1], &v4->sin_addr) == 1)
		*v4 = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = v4->sin_addr};
	else if (inet_pton(AF_INET6, part[1], &v6->sin6_addr) == 1)
		*v6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = v6->sin6_addr};
	else
		return -EINVAL;
	o->ports_len++;
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct err *e)
{
	static const struct option table[] = {
		{"name", required_argument, NULL, 'n'},
		{"isolation", required_argument, NULL, 'i'},
		{"root", required_argument, NULL, 'R'},
		{"run", required_argument, NULL, 'r'},
		{"config", required_argument, NULL, 'c'},
		{"libexec", required_argument, NULL, 'x'},
		{"data", required_argument, NULL, 'd'},
		{"streams", required_argument, NULL, 's'},
		{"stdin-once", no_argument, NULL, 'o'},
		{"log", no_argument, NULL, 'l'},
		{"log-size", required_argument, NULL, 'S'},
		{"log-files", required_argument, NULL, 'F'},
		{"log-attrs", no_argument, NULL, 'A'},
		{"timing", no_argument, NULL, 't'},
		{"files", no_argument, NULL, 'f'},
		{"publish", required_argument, NULL, 'p'},
		{0},
	};
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'n': /* for whoever reads `ps` */
			break;
		case 'i':
			r = isolation_parse(optarg, &o->kind, e);
			break;
		case 'R':
			o->paths.root = optarg;
			break;
		case 'r':
			o->paths.run = optarg;
			break;
		case 'c':
			o->paths.config = optarg;
			break;
		case 'x':
			o->paths.libexec_dir = optarg;
			break;
		case 'd':
			o->paths.data_dir = optarg;
			break;
		case 's':
			r = parse_u32(optarg, &o->streams);
			break;
		case 'o':
			o->stdin_once = true;
			break;
		case 'l':
			o->log = true;
			break;
		case 'S':
			r = parse_u64(optarg, &o->log_options.max_size);
			break;
		case 'F':
			r = parse_u32(optarg, &o->log_options.max_files);
			break;
		case 'A':
			o->log_attrs = true;
			break;
		case 't':
			o->timing = true;
			break;
		case 'f':
			o->files = true;
			break;
		case 'p':
			r = add_port(o, CLIENT + 1 + (int)o->ports_len, optarg);
			break;
		default:
			r = -EINVAL;
		}
	}
	if (r < 0 || optind != argc - 1 || strlen(argv[optind]) != 64)
		return err_set(e, EINVAL, "caisson-monitor is started by caisson only");
	o->id = argv[optind];
	return 0;
}

static int read_plan(struct plan *ret, struct err *e)
{
	_cleanup_buf_ struct buf b = {0};
	int r = fd_read_to_end(PLAN, PLAN_MAX, &b);

	close(PLAN);
	return r < 0 ? err_errno(e, r, "read the plan") : plan_decode(ret, b.data, b.len, e);
}

/* That of the container, if it has one of its own. */
static void use_kernel(struct monitor *m)
{
	m->engine->host.kernel = m->plan.kernel ? m->plan.kernel : m->engine->kernel;
}

/* The next run: nothing of the last one is there any more but the lock, the socket and the log. */
static int on_again(void *data, struct err *e)
{
	struct monitor *m = data;
	struct options *o = m->options;
	_cleanup_strv_ char **publish = NULL;
	_cleanup_free_ int *fds = NULL;

	remove_ports(m);
	m->how.timing = NULL;
	m->how.ports_len = o->ports_len = 0;
	plan_done(&m->plan);
	int r = engine_container_again(m->engine, m->id, &m->plan, &fds, &publish, e);
	use_kernel(m);
	for (size_t i = 0, n = strv_len(publish); i < n; i++)
		if (r == 0 && add_port(o, fds[i], publish[i] + strlen("--publish=")) < 0)
			r = err_nomem(e);
	m->how.ports = o->ports;
	m->how.ports_len = o->ports_len;
	return r;
}

static int open_directories(struct monitor *m, int *ret_dir, int *ret_run_dir, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "containers/%s", m->id);
	*ret_dir = openat(m->engine->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*ret_run_dir = openat(m->engine->run_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_dir < 0 || *ret_run_dir < 0 ? err_errno(e, errno, "directory of container %s", m->plan.name) : 0;
}

/* What each line of the log says of the container, from the run directory. */
static int read_attributes(int run_dir, struct options *o, struct buf *text, struct err *e)
{
	int r = file_read(run_dir, LOG_ATTRS_FILE, PLAN_MAX, text);

	if (r < 0)
		return err_errno(e, r, "read what the log is to say of the container");
	o->log_options.attrs = text->data;
	return 0;
}

static int run(struct options *o, struct err *e)
{
	struct monitor m = {.id = o->id, .options = o, .files = o->files};
	struct timing timing = {0};
	_cleanup_buf_ struct buf attributes = {0};
	char log_name[80];
	_cleanup_close_ int dir = -1, run_dir = -1;

	snprintf(log_name, sizeof(log_name), "%s-json.log", o->id);
	int r = engine_open(&m.engine, &o->paths, e);
	if (r < 0)
		return r;
	r = read_plan(&m.plan, e);
	m.disposable = m.plan.disposable;
	use_kernel(&m);
	if (r == 0)
		r = open_directories(&m, &dir, &run_dir, e);
	if (r == 0 && o->log_attrs)
		r = read_attributes(run_dir, o, &attributes, e);
	m.how = (struct container_run){
		.plan = &m.plan,
		.kind = o->kind,
		.host = &m.engine->host,
		.dir = dir,
		.run_dir = run_dir,
		.lock = LOCK,
		.client = CLIENT,
		.client_streams = o->streams,
		.files_only = o->files,
		.stdin_once = o->stdin_once,
		.health = &m.health,
		.log = o->log_options,
		.log_name = o->log ? log_name : NULL,
		.ports = o->ports,
		.ports_len = o->ports_len,
		.timing = o->timing ? &timing : NULL,
		.hooks = {.running = on_running,
			.ended = on_ended,
			.again = on_again,
			.given_up = on_given_up,
			.event = on_event,
			.health = on_health,
			.attach = on_attach,
			.detach = on_detach,
			.data = &m},
	};
	if (r == 0)
		r = container_run(&m.how, e);
	remove_ports(&m);
	plan_done(&m.plan);
	health_check_done(&m.health);
	engine_free(m.engine);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct err e = ERR_INIT;
	_cleanup_buf_ struct buf payload = {0}, frame = {0};

	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "caisson-monitor"); /* it was started by descriptor */
	umask(0022);
	int r = parse_options(argc, argv, &o, &e), last = CLIENT + (int)o.ports_len;
	for (int fd = LOCK; fd <= last; fd++)
		fd_cloexec(fd, true);
	/* what the command's caller had left open, perhaps a pipe whose end someone waits for */
	close_range((unsigned)last + 1, ~0U, 0);
	if (r == 0 && run(&o, &e) == 0)
		return 0;
	if (agent_err_encode(&payload, &e) == 0 && frame_add(&frame, MONITOR_FAILED, 0, payload.data, payload.len) == 0)
		fd_write_all(CLIENT, frame.data, frame.len);
	fprintf(stderr, "caisson-monitor: %s\n", e.msg);
	return 1;
}
