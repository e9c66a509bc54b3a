/* A look at the container from the kernel that runs it: /proc of the caller's PID namespace, and a netlink dump made from inside its network namespace. */
#include "sandbox/look.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

enum { NAMESPACES_MAX = 32, STATUS_MAX = 16384, LINES_MAX = 1 << 20, TCP_LISTEN = 10, UDP_UNCONNECTED = 7 };

/* ---- processes ---- */

/* A process may be in it more than once. */
struct pids {
	pid_t *pid;
	size_t len, size;
};

static int add_pid(struct pids *l, pid_t pid)
{
	if (l->len == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		pid_t *p = realloc(l->pid, size * sizeof(*p));
		if (!p)
			return -ENOMEM;
		l->pid = p;
		l->size = size;
	}
	l->pid[l->len++] = pid;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

static bool namespace_id(int proc, const char *path, ino_t *ret)
{
	struct stat st;

	if (fstatat(proc, path, &st, 0) < 0)
		return false;
	*ret = st.st_ino;
	return true;
}

/* Whether the process's PID namespace is `wanted` or was made below it; `own` is the caller's. */
static bool pid_namespace_below(int proc, const char *path, ino_t wanted, ino_t own)
{
	ino_t id;

	if (!namespace_id(proc, path, &id) || id == own)
		return false;
	if (id == wanted)
		return true;
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	for (int depth = 0; fd >= 0 && depth < NAMESPACES_MAX; depth++) {
		int parent = ioctl(fd, NS_GET_PARENT);
		struct stat st;
		close(fd);
		fd = parent;
		if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_ino == wanted || st.st_ino == own)) {
			close(fd);
			return st.st_ino == wanted;
		}
	}
	if (fd >= 0)
		close(fd);
	return false;
}

/* With a PID namespace of its own, the container has all processes that are in it. */
static int add_pids_of_namespace(pid_t init, struct pids *l)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	char path[64];
	struct dirent *en;
	ino_t wanted, own;
	int r = 0, pid;

	if (!d)
		return -errno;
	snprintf(path, sizeof(path), "%d/ns/pid", init);
	if (!namespace_id(dirfd(d), path, &wanted) || !namespace_id(dirfd(d), "self/ns/pid", &own))
		return -errno;
	while (wanted != own && r == 0 && (en = readdir(d))) {
		if (parse_int(en->d_name, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "%d/ns/pid", pid);
		if (pid_namespace_below(dirfd(d), path, wanted, own))
			r = add_pid(l, pid);
	}
	return r;
}

static int list_pids(const struct sandbox *s, struct pids *l)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = add_pid(l, s->pid);

	if (r == 0)
		r = sandbox_pids(s, &pids, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_pid(l, pids[i]);
	if (r == 0)
		r = add_pids_of_namespace(s->pid, l);
	if (r == 0)
		qsort(l->pid, l->len, sizeof(*l->pid), compare_pids);
	return r;
}

/* The number in column `level` of a line "NSpid:\t123\t5"; level -1: returns the number of columns. */
static uint32_t namespace_column(const char *status, const char *key, int level)
{
	const char *p = strstr(status, key);
	uint32_t columns = 0;

	for (p = p ? p + strlen(key) : NULL; p && *p == '\t'; columns++) {
		char *end;
		unsigned long v = strtoul(p + 1, &end, 10);
		if ((int)columns == level)
			return (uint32_t)v;
		p = end;
	}
	return level < 0 ? columns : 0;
}

static int read_status(int dir, char *ret)
{
	_cleanup_close_ int fd = openat(dir, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : fd_read_full(fd, ret, STATUS_MAX - 1);

	if (n < 0)
		return (int)n;
	ret[n] = 0;
	return 0;
}

static int open_process(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* false: it has ended since. */
static bool look_at_process(pid_t pid, int level, struct look_process *ret)
{
	_cleanup_close_ int dir = open_process(pid);
	char status[STATUS_MAX];
	_cleanup_close_ int fd = dir < 0 ? -1 : openat(dir, "comm", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read_status(dir, status) < 0 || proc_start_time(pid, &ret->start) < 0 ||
		proc_digest(dir, &ret->digest) < 0)
		return false;
	ssize_t n = fd_read_full(fd, ret->comm, sizeof(ret->comm) - 1);
	if (n < 0)
		return false;
	ret->comm[n] = 0;
	if (n && ret->comm[n - 1] == '\n')
		ret->comm[n - 1] = 0;
	ret->pid = namespace_column(status, "\nNSpid:", level);
	ret->session = namespace_column(status, "\nNSsid:", level);
	return true;
}

static int look_at_processes(const struct sandbox *s, struct look *l)
{
	struct pids pids = {0};
	char status[STATUS_MAX];
	int r = list_pids(s, &pids);
	_cleanup_free_ pid_t *owned = pids.pid;
	_cleanup_close_ int init = r < 0 ? -1 : open_process(s->pid);

	if (r == 0)
		r = init < 0 ? init : read_status(init, status);
	if (r < 0)
		return r;
	int level = (int)namespace_column(status, "\nNSpid:", -1) - 1;
	l->processes = calloc(LOOK_PROCESSES_MAX, sizeof(*l->processes));
	if (!l->processes)
		return -ENOMEM;
	for (size_t i = 0; i < pids.len; i++) {
		struct look_process p = {0};
		if ((i && pids.pid[i] == pids.pid[i - 1]) || !look_at_process(pids.pid[i], level, &p))
			continue;
		l->processes_total++;
		if (l->processes_len < LOOK_PROCESSES_MAX)
			l->processes[l->processes_len++] = p;
	}
	return 0;
}

/* ---- sockets ---- */

/* "0100007F" or four of them: words of the machine's byte order. */
static bool parse_address(const char *hex, struct look_address *ret)
{
	size_t n = strspn(hex, "0123456789ABCDEF");

	if (n != 8 && n != 32)
		return false;
	ret->len = (uint8_t)(n / 2);
	for (size_t i = 0; i < n / 8; i++) {
		char word[9] = {0};
		memcpy(word, hex + 8 * i, 8);
		uint32_t v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(ret->bytes + 4 * i, &v, 4);
	}
	return true;
}

/* "  0: 0100007F:0016 00000000:0000 0A ..." */
static bool parse_socket(const char *line, bool udp, struct look_socket *ret)
{
	char local[40], remote[40];
	unsigned port, remote_port, state;

	if (sscanf(line, "%*d: %39[0-9A-F]:%x %39[0-9A-F]:%x %x", local, &port, remote, &remote_port, &state) != 5 ||
		port > UINT16_MAX || state != (udp ? UDP_UNCONNECTED : TCP_LISTEN))
		return false;
	*ret = (struct look_socket){.udp = udp, .port = (uint16_t)port};
	return parse_address(local, &ret->address);
}

static int add_sockets(int proc, const char *file, bool udp, struct look *l)
{
	_cleanup_close_ int fd = openat(proc, file, O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	struct look_socket s;
	char line[512];

	if (!f)
		return errno == ENOENT ? 0 : -errno; /* a kernel without IPv6 */
	steal_fd(&fd);
	for (int lines = 0; lines < LINES_MAX && fgets(line, sizeof(line), f); lines++) {
		if (!parse_socket(line, udp, &s))
			continue;
		l->sockets_total++;
		if (l->sockets_len < LOOK_SOCKETS_MAX)
			l->sockets[l->sockets_len++] = s;
	}
	return 0;
}

static int look_at_sockets(int proc, struct look *l)
{
	static const struct {
		const char *file;
		bool udp;
	} files[] = {{"net/tcp", false}, {"net/tcp6", false}, {"net/udp", true}, {"net/udp6", true}};
	int r = 0;

	l->sockets = calloc(LOOK_SOCKETS_MAX, sizeof(*l->sockets));
	if (!l->sockets)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < sizeof(files) / sizeof(*files); i++)
		r = add_sockets(proc, files[i].file, files[i].udp, l);
	return r;
}

/* ---- interfaces ---- */

static unsigned prefix_of(const void *mask, size_t n)
{
	const uint8_t *p = mask;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcount(p[i]);
	return bits;
}

static void set_address(const struct ifaddrs *a, struct look_interface *i)
{
	struct look_address *to = &i->addresses[i->addresses_len];

	if (i->addresses_len == LOOK_ADDRESSES_MAX)
		return;
	bool v4 = a->ifa_addr->sa_family == AF_INET;
	const void *p = v4 ? (const void *)&((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr
			   : &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;
	const void *mask = v4 ? (const void *)&((const struct sockaddr_in *)(const void *)a->ifa_netmask)->sin_addr
			      : &((const struct sockaddr_in6 *)(const void *)a->ifa_netmask)->sin6_addr;
	to->len = v4 ? 4 : 16;
	memcpy(to->bytes, p, to->len);
	to->prefix = a->ifa_netmask ? (uint8_t)prefix_of(mask, to->len) : (uint8_t)(to->len * 8);
	i->addresses_len++;
}

static struct look_interface *interface_named(struct look_interface *all, uint32_t *len, const char *name)
{
	for (uint32_t i = 0; i < *len; i++)
		if (!strcmp(all[i].name, name))
			return &all[i];
	if (*len == LOOK_INTERFACES_MAX)
		return NULL;
	struct look_interface *new = &all[(*len)++];
	snprintf(new->name, sizeof(new->name), "%s", name);
	return new;
}

static void add_interface_fact(const struct ifaddrs *a, struct look_interface *i)
{
	const struct sockaddr_ll *ll = (const void *)a->ifa_addr;

	i->up = a->ifa_flags & IFF_UP;
	i->loopback = a->ifa_flags & IFF_LOOPBACK;
	if (!a->ifa_addr)
		return;
	if (a->ifa_addr->sa_family == AF_PACKET && ll->sll_halen == sizeof(i->mac)) {
		i->has_mac = !i->loopback;
		memcpy(i->mac, ll->sll_addr, sizeof(i->mac));
	} else if (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6) {
		set_address(a, i);
	}
}

/* In a child: from inside the namespace, so that the caller never leaves its own. */
static __attribute__((noreturn)) void send_interfaces(int netns, int out)
{
	static struct look_interface all[LOOK_INTERFACES_MAX];
	struct ifaddrs *list;
	uint32_t len = 0;

	if (setns(netns, CLONE_NEWNET) < 0 || getifaddrs(&list) < 0)
		_exit(1);
	for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
		/* a label of an address ("eth0:1") is of the interface before the colon */
		char name[IFNAMSIZ];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(a->ifa_name, ":"), a->ifa_name);
		struct look_interface *i = interface_named(all, &len, name);
		if (i)
			add_interface_fact(a, i);
	}
	_exit(fd_write_all(out, all, len * sizeof(*all)) < 0);
}

static int look_at_interfaces(int proc, struct look *l)
{
	_cleanup_close_ int netns = openat(proc, "ns/net", O_RDONLY | O_CLOEXEC);
	size_t size = LOOK_INTERFACES_MAX * sizeof(*l->interfaces);
	int p[2], status;

	l->interfaces = calloc(1, size);
	if (!l->interfaces)
		return -ENOMEM;
	if (netns < 0 || pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		send_interfaces(netns, p[1]);
	close(p[1]);
	ssize_t n = pid < 0 ? -errno : fd_read_full(p[0], l->interfaces, size);
	close(p[0]);
	if (pid < 0)
		return (int)n;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return n < 0 ? (int)n : -EIO;
	l->interfaces_len = (uint32_t)((size_t)n / sizeof(*l->interfaces));
	return 0;
}

/* ---- all of it ---- */

static int count_mounts(int proc, uint32_t *ret)
{
	_cleanup_close_ int fd = openat(proc, "mountinfo", O_RDONLY | O_CLOEXEC);
	char block[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < n; i++)
			*ret += block[i] == '\n';
	return n < 0 ? -errno : 0;
}

int sandbox_look(const struct sandbox *s, struct look *ret, struct err *e)
{
	struct look l = {0};
	struct utsname u;
	_cleanup_close_ int proc = open_process(s->pid);
	int r = proc < 0 ? proc : proc_boot_id(l.boot_id);

	uname(&u);
	snprintf(l.kernel, sizeof(l.kernel), "%.64s", u.release);
	if (r == 0)
		r = count_mounts(proc, &l.mounts);
	if (r == 0)
		r = look_at_processes(s, &l);
	if (r == 0)
		r = look_at_sockets(proc, &l);
	if (r == 0)
		r = look_at_interfaces(proc, &l);
	if (r < 0) {
		look_done(&l);
		return err_errno(e, r, "look at the container");
	}
	*ret = l;
	return 0;
}
